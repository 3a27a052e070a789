//! Sentences in lines of limited width.

use std::fmt::Write as _;

/// `text` in lines of at most `width` columns, all but the first indented by `indent` spaces.
/// Without a width it stays one line, which is what `grep` wants. A word longer than a line stays
/// whole.
pub fn wrap(text: &str, width: Option<usize>, indent: usize) -> String {
    let Some(width) = width else {
        return text.to_owned();
    };
    let mut wrapped = String::with_capacity(text.len());
    let mut column = indent;
    let mut at_line_start = true;
    for word in text.split_whitespace() {
        let len = word.chars().count();
        if !at_line_start && column + 1 + len > width {
            write!(wrapped, "\n{:indent$}", "").expect("writing to a string does not fail");
            column = indent;
        } else if !at_line_start {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += len;
        at_line_start = false;
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_to_the_width_and_the_indent() {
        let wrapped = wrap("one two three four", Some(11), 2);
        assert_eq!(wrapped, "one two\n  three\n  four");
    }

    #[test]
    fn without_a_width_the_text_stays_one_line() {
        let long = "word ".repeat(50);
        assert_eq!(wrap(&long, None, 4), long);
    }

    #[test]
    fn a_word_longer_than_the_line_stays_whole() {
        assert_eq!(wrap("a bbbbbbbbbb c", Some(4), 0), "a\nbbbbbbbbbb\nc");
    }
}
