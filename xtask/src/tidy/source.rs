//! Rules about what Rust files contain.

use super::{Complaint, File, Tree};

/// Longer files have more than one job.
const MAX_CODE_LINES: usize = 600;

/// Tests beyond this length move to a file of their own.
const MAX_INLINE_TEST_LINES: usize = 120;

/// A `main.rs` parses arguments and calls the library.
const MAX_MAIN_LINES: usize = 30;

/// Text that must not appear, with the reason. Written in two pieces so that this file passes.
const FORBIDDEN: &[(&str, &str)] = &[
    (
        concat!("Other", "(String)"),
        "an error says which operation failed and why",
    ),
    (concat!("#[igno", "re"), "a test runs or does not exist"),
    (
        concat!("#[should_", "panic"),
        "assert on the returned error instead",
    ),
    (concat!("TO", "DO"), "unfinished work belongs into an issue"),
    (
        concat!("FIX", "ME"),
        "unfinished work belongs into an issue",
    ),
    (concat!("#[al", "low("), "use #[expect(…, reason = \"…\")]"),
];

pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    tree.ending(".rs").flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let code = code_lines(file);
    if code > MAX_CODE_LINES {
        complaints.push(file.complain(format!("{code} lines of code, {MAX_CODE_LINES} at most")));
    }
    let tests = file
        .text
        .lines()
        .count()
        .saturating_sub(before_tests(&file.text).count());
    if tests > MAX_INLINE_TEST_LINES {
        let text =
            format!("{tests} lines of tests, move them to tests.rs ({MAX_INLINE_TEST_LINES})");
        complaints.push(file.complain(text));
    }
    if file.path.ends_with("src/main.rs") && file.text.lines().count() > MAX_MAIN_LINES {
        complaints.push(file.complain(format!("more than {MAX_MAIN_LINES} lines")));
    }
    for (number, line) in (1..).zip(file.text.lines()) {
        for (text, reason) in FORBIDDEN {
            if line.contains(text) {
                complaints.push(file.complain_at(number, format!("`{text}`: {reason}")));
            }
        }
    }
    complaints
}

/// The lines before the `#[cfg(test)]` module at the end of a file.
fn before_tests(text: &str) -> impl Iterator<Item = &str> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        let line = lines.next()?;
        let begins = line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.ends_with('{'));
        (!begins).then_some(line)
    })
}

/// Lines with code, without tests. A file of tests only has none to count.
fn code_lines(file: &File) -> usize {
    if file.path.ends_with("/tests.rs") {
        return 0;
    }
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    before_tests(&file.text).filter(is_code).count()
}

#[cfg(test)]
mod tests {
    use super::super::kit::{check_complains, tree};
    use super::*;

    #[test]
    fn the_longest_allowed_file_passes_and_the_next_one_does_not() {
        let longest = "x();\n".repeat(MAX_CODE_LINES);
        assert_eq!(check(&tree(&[("a.rs", &longest)])), []);
        check_complains(
            &check(&tree(&[("a.rs", &format!("{longest}x();\n"))])),
            "601 lines of code",
        );
    }

    #[test]
    fn comments_blank_lines_and_tests_are_not_counted() {
        let tests = format!(
            "#[cfg(test)]\nmod tests {{\n{}}}\n",
            "    x();\n".repeat(50)
        );
        let text = format!(
            "{}{}\n{tests}",
            "x();\n".repeat(MAX_CODE_LINES),
            "// why\n".repeat(9)
        );
        assert_eq!(check(&tree(&[("a.rs", &text)])), []);
    }

    #[test]
    fn long_tests_inside_a_file_are_refused() {
        let text = format!(
            "#[cfg(test)]\nmod tests {{\n{}}}\n",
            "    x();\n".repeat(200)
        );
        check_complains(&check(&tree(&[("a.rs", &text)])), "move them to tests.rs");
    }

    #[test]
    fn a_long_main_is_refused() {
        let text = "//! doc\n".repeat(MAX_MAIN_LINES + 1);
        check_complains(
            &check(&tree(&[("a/src/main.rs", &text)])),
            "more than 30 lines",
        );
    }

    #[test]
    fn every_forbidden_text_is_found_with_its_line() {
        for (text, reason) in FORBIDDEN {
            let found = check(&tree(&[("a.rs", &format!("fine\n{text}\n"))]));
            check_complains(&found, &format!("a.rs:2: `{text}`: {reason}"));
        }
    }
}
