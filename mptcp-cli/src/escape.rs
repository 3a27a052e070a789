//! Makes text from the network harmless for a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with everything escaped that could move the cursor, change colours, reorder or hide
/// other text. Backslashes are doubled, so that the result is unambiguous.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(needs_escape) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        push_escaped(&mut escaped, c);
    }
    Cow::Owned(escaped)
}

fn push_escaped(escaped: &mut String, c: char) {
    let code = u32::from(c);
    let written = match c {
        '\n' => escaped.write_str("\\n"),
        '\r' => escaped.write_str("\\r"),
        '\t' => escaped.write_str("\\t"),
        '\\' => escaped.write_str("\\\\"),
        c if !needs_escape(c) => escaped.write_char(c),
        _ if code <= 0xff => write!(escaped, "\\x{code:02x}"),
        _ => write!(escaped, "\\u{{{code:x}}}"),
    };
    written.expect("writing to a string does not fail");
}

fn needs_escape(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\\'
            | '\u{ad}'                      // soft hyphen: invisible
            | '\u{61c}'                     // Arabic letter mark: reorders
            | '\u{180e}'                    // Mongolian vowel separator: invisible
            | '\u{200b}'..='\u{200f}'       // zero-width characters and direction marks
            | '\u{2028}'..='\u{202e}'       // line separators, bidirectional overrides
            | '\u{2060}'..='\u{206f}'       // invisible operators, bidirectional isolates
            | '\u{feff}'                    // byte order mark
            | '\u{fff9}'..='\u{fffb}'       // annotation marks
            | '\u{e0000}'..='\u{e007f}') // tags: invisible copies of ASCII
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_escape(input: &str, expected: &str) {
        assert_eq!(escape(input), expected);
    }

    #[test]
    fn plain_text_is_borrowed() {
        assert!(matches!(
            escape("eth0 Ünïcode"),
            Cow::Borrowed("eth0 Ünïcode")
        ));
    }

    #[test]
    fn terminal_sequences_lose_their_power() {
        check_escape("\u{1b}[31mred\u{1b}[0m", "\\x1b[31mred\\x1b[0m");
        check_escape("\u{9b}31m", "\\x9b31m");
        check_escape("a\u{7}\u{8}\u{7f}", "a\\x07\\x08\\x7f");
    }

    #[test]
    fn lines_cannot_be_faked() {
        check_escape("a\nb\rc\td", "a\\nb\\rc\\td");
        check_escape("a\u{2028}b\u{85}", "a\\u{2028}b\\x85");
    }

    #[test]
    fn text_cannot_be_reordered_or_hidden() {
        check_escape(
            "x\u{202e}y\u{2066}z\u{200b}",
            "x\\u{202e}y\\u{2066}z\\u{200b}",
        );
        check_escape("\u{e0041}", "\\u{e0041}");
    }

    #[test]
    fn a_backslash_cannot_fake_an_escape() {
        check_escape("\\x1b", "\\\\x1b");
    }
}
