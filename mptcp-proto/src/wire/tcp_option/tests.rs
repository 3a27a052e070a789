use super::*;

#[track_caller]
fn check_value(option: &[u8], expected: TcpOptionValue<'_>) {
    let mut options = TcpOptions::new(option);
    assert_eq!(options.next().unwrap().unwrap().value(), expected);
    assert_eq!(options.next(), None);
}

#[track_caller]
fn check_error(area: &[u8], expected: TcpOptionError) {
    let mut options = TcpOptions::new(area);
    assert!(options.next().unwrap().is_ok());
    assert_eq!(options.next(), Some(Err(expected)));
    assert_eq!(options.next(), None);
    assert_eq!(options.rest(), &area[1..]);
}

#[test]
fn every_option_is_yielded_with_its_place() {
    let area = [2, 4, 5, 0xb4, 1, 3, 3, 7, 30, 3, 0x50, 0, 9, 9];
    let found: Vec<_> = TcpOptions::new(&area).map(Result::unwrap).collect();
    let places: Vec<_> = found
        .iter()
        .map(|o| (o.kind, o.offset, o.bytes.len()))
        .collect();
    assert_eq!(
        places,
        [(2, 0, 4), (1, 4, 1), (3, 5, 3), (30, 8, 3), (0, 11, 1)]
    );
}

#[test]
fn what_comes_after_the_end_of_the_list_is_rest() {
    let mut options = TcpOptions::new(&[0, 30, 3, 0x50]);
    assert_eq!(options.next().unwrap().unwrap().kind, KIND_END_OF_LIST);
    assert_eq!(options.next(), None);
    assert_eq!(options.rest(), [30, 3, 0x50]);
}

#[test]
fn a_length_of_zero_ends_the_walk() {
    check_error(
        &[1, 30, 0, 0],
        TcpOptionError::TooShort {
            kind: 30,
            offset: 1,
            len: 0,
        },
    );
}

#[test]
fn a_length_of_one_ends_the_walk() {
    check_error(
        &[1, 30, 1, 0],
        TcpOptionError::TooShort {
            kind: 30,
            offset: 1,
            len: 1,
        },
    );
}

#[test]
fn a_length_past_the_area_ends_the_walk() {
    let expected = TcpOptionError::PastEnd {
        kind: 30,
        offset: 1,
        len: 4,
        have: 3,
    };
    check_error(&[1, 30, 4, 0], expected);
}

#[test]
fn a_kind_without_length_ends_the_walk() {
    check_error(
        &[1, 30],
        TcpOptionError::NoLength {
            kind: 30,
            offset: 1,
        },
    );
}

#[test]
fn known_options_have_values() {
    check_value(&[2, 4, 5, 0xb4], TcpOptionValue::MaximumSegmentSize(1460));
    check_value(&[3, 3, 7], TcpOptionValue::WindowScale(7));
    check_value(&[4, 2], TcpOptionValue::SackPermitted);
    check_value(
        &[8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
        TcpOptionValue::Timestamps { value: 1, echo: 2 },
    );
    check_value(
        &[34, 2],
        TcpOptionValue::FastOpen {
            cookie: &[],
            experimental: false,
        },
    );
    check_value(
        &[254, 6, 0xf9, 0x89, 7, 8],
        TcpOptionValue::FastOpen {
            cookie: &[7, 8],
            experimental: true,
        },
    );
    check_value(&[30, 3, 0x50], TcpOptionValue::Mptcp(&[30, 3, 0x50]));
}

#[test]
fn sack_blocks_are_pairs_of_edges() {
    let area = [5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4];
    let option = TcpOptions::new(&area).next().unwrap().unwrap();
    let TcpOptionValue::Sack(blocks) = option.value() else {
        panic!("no SACK: {option:?}")
    };
    assert_eq!(blocks.iter().collect::<Vec<_>>(), [(1, 2), (3, 4)]);
}

#[test]
fn a_known_kind_with_a_wrong_length_is_kept_verbatim() {
    check_value(
        &[2, 3, 5],
        TcpOptionValue::Other {
            kind: 2,
            data: &[5],
        },
    );
    check_value(
        &[5, 4, 1, 2],
        TcpOptionValue::Other {
            kind: 5,
            data: &[1, 2],
        },
    );
    check_value(
        &[253, 4, 1, 2],
        TcpOptionValue::Other {
            kind: 253,
            data: &[1, 2],
        },
    );
}

#[test]
fn an_unknown_kind_is_kept_verbatim() {
    check_value(
        &[99, 5, 1, 2, 3],
        TcpOptionValue::Other {
            kind: 99,
            data: &[1, 2, 3],
        },
    );
}
