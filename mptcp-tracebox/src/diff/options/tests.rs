use super::*;

const MSS: [u8; 4] = [2, 4, 5, 0xb4];
const SACK: [u8; 2] = [4, 2];
const WSCALE: [u8; 4] = [1, 3, 3, 7];
const CAPABLE: [u8; 4] = [30, 4, 1, 0x81];

fn area(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn sent() -> Vec<u8> {
    area(&[&MSS, &SACK, &[1, 1], &WSCALE, &CAPABLE])
}

#[track_caller]
fn check(seen: &[u8], expected: &[(&str, How)]) {
    let changes = compare(&sent(), seen, true).changes;
    let found: Vec<(String, How)> = changes
        .iter()
        .map(|change| (change.field.to_string(), change.how))
        .collect();
    let expected: Vec<(String, How)> = expected
        .iter()
        .map(|&(name, how)| (name.to_owned(), how))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_same_options_are_the_same() {
    check(&sent(), &[]);
    let states = compare(&sent(), &sent(), true).states;
    assert!(
        states.iter().all(|(_, state)| *state == State::Same),
        "{states:?}"
    );
    assert_eq!(states.len(), 5);
}

#[test]
fn each_way_to_lose_an_option_has_its_name() {
    let rest = [&MSS[..], &SACK, &[1, 1], &WSCALE];
    check(&area(&rest), &[("MP_CAPABLE", How::Removed)]);
    check(
        &area(&[&rest.concat(), &[1; 4]]),
        &[("MP_CAPABLE", How::Nopped)],
    );
    check(
        &area(&[&rest.concat(), &[0; 4]]),
        &[("MP_CAPABLE", How::Ended)],
    );
    check(
        &area(&[&rest.concat(), &[253, 4, 1, 0x81]]),
        &[("MP_CAPABLE", How::Renamed)],
    );
}

#[test]
fn an_early_end_loses_all_that_follows() {
    let seen = area(&[&MSS, &[0; 12]]);
    check(
        &seen,
        &[
            ("SACK permitted", How::Ended),
            ("window scale", How::Ended),
            ("MP_CAPABLE", How::Ended),
        ],
    );
}

#[test]
fn values_order_additions_and_padding() {
    let clamped = area(&[&[2, 4, 5, 0x14], &SACK, &[1, 1], &WSCALE, &CAPABLE]);
    check(&clamped, &[("MSS", How::Rewritten)]);
    let turned = area(&[&CAPABLE, &MSS, &SACK, &[1, 1], &WSCALE]);
    check(&turned, &[("order of options", How::Rewritten)]);
    let more = area(&[&sent(), &[253, 4, 0xf9, 0x89]]);
    check(&more, &[("option 253 (experiment 0xf989)", How::Added)]);
    check(
        &area(&[&sent(), &CAPABLE]),
        &[("MP_CAPABLE", How::Duplicated)],
    );
    let padded = area(&[&MSS, &[1, 1], &SACK, &WSCALE, &CAPABLE]);
    check(&padded, &[("padding of options", How::Rewritten)]);
}

#[test]
fn a_cut_quote_is_never_a_change() {
    for len in 0..sent().len() {
        let options = compare(&sent(), &sent()[..len], false);
        assert_eq!(options.changes, [], "{len}");
        let is_there = |kind: u8, end: usize| {
            let state = options
                .states
                .iter()
                .find(|(field, _)| matches!(field, Field::Option(id) if id.kind == kind));
            let expected = if len >= end {
                State::Same
            } else {
                State::NotQuoted
            };
            assert_eq!(
                state.map(|(_, state)| *state),
                Some(expected),
                "{kind} {len}"
            );
        };
        is_there(2, 4);
        is_there(4, 6);
        is_there(3, 12);
        is_there(30, 16);
    }
}

#[test]
fn an_option_that_lacks_before_one_that_is_quoted_was_removed() {
    let seen = area(&[&MSS, &WSCALE, &CAPABLE]);
    let options = compare(&sent(), &seen[..8], false);
    let [change] = &options.changes[..] else {
        panic!("{options:?}")
    };
    assert_eq!(
        (change.field.to_string().as_str(), change.how),
        ("SACK permitted", How::Removed)
    );
}

#[test]
fn garbled_areas_do_not_panic() {
    for at in 0..16 {
        for value in 0..=255 {
            let mut seen = sent();
            seen[at] = value;
            for len in 0..=seen.len() {
                compare(&sent(), &seen[..len], len == seen.len());
            }
        }
    }
}
