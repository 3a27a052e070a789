//! Help, man page and completions.

use crate::stdout;

#[test]
fn help_lists_the_commands() {
    insta::assert_snapshot!(stdout(&["--help"], 0));
}

#[test]
fn help_of_list_explains_the_filter() {
    insta::assert_snapshot!(stdout(&["list", "--help"], 0));
}

#[test]
fn the_version_is_that_of_the_package() {
    let expected = concat!("mptcp-analyze ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(stdout(&["--version"], 0), expected);
}

#[test]
fn every_kind_of_generated_text_names_every_command() {
    for what in ["man", "bash", "zsh", "fish"] {
        let text = stdout(&["--generate", what], 0).to_lowercase();
        for command in [
            "list", "show", "packets", "check", "explain", "follow", "extract",
        ] {
            assert!(text.contains(command), "{what} lacks {command}");
        }
    }
}

#[test]
fn explain_knows_every_id_that_it_lists() {
    let list = stdout(&["explain"], 0);
    let ids: Vec<&str> = list
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(ids.len() > 10);
    for id in ids {
        let text = stdout(&["explain", &id.to_lowercase()], 0);
        assert!(text.starts_with(&format!("{id}: ")), "{text}");
        assert!(
            text.lines().skip(1).all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }
}
