//! Colour.

use crate::{TWO_SUBFLOWS, analyze, argument, stdout};

#[test]
fn a_pipe_gets_no_colour() {
    assert!(!stdout(&["list", &argument(TWO_SUBFLOWS)], 0).contains('\u{1b}'));
}

#[test]
fn colour_can_be_forced_and_changes_nothing_else() {
    for command in ["list", "show", "packets", "check"] {
        let plain = stdout(&[command, &argument(TWO_SUBFLOWS)], 0);
        let colored = stdout(&[command, &argument(TWO_SUBFLOWS), "--color", "always"], 0);
        assert!(
            colored.contains('\u{1b}') || command == "check",
            "{command}"
        );
        assert_eq!(anstream::adapter::strip_str(&colored).to_string(), plain);
    }
}

#[test]
fn the_flag_wins_over_no_color() {
    let file = argument(TWO_SUBFLOWS);
    let colored = analyze()
        .args(["list", &file, "--color", "always"])
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert!(colored.stdout.contains(&0x1b));
    let plain = analyze()
        .args(["list", &file])
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert!(!plain.stdout.contains(&0x1b));
}

#[test]
fn json_is_never_coloured() {
    let text = stdout(
        &[
            "list",
            &argument(TWO_SUBFLOWS),
            "--json",
            "--color",
            "always",
        ],
        0,
    );
    assert!(!text.contains('\u{1b}'));
}
