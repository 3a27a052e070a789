//! What is left of options in packets that were cut.

use mptcp_proto::key::{AddressId, Key, Token};
use mptcp_proto::seq::Ssn;
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{
    CapableFlags, CutFields, CutOption, DataAck, LaxOption, MptcpOption, ParseError, Priority,
    Subtype, WireDsn,
};
use mptcp_proto::wire::tcp_option::TcpOptions;

use proptest::prelude::*;

use crate::strategy::{option, version};

#[track_caller]
fn check_cut(bytes: &[u8], expected: CutFields) {
    let Ok(LaxOption::Cut(cut)) = MptcpOption::parse_lax(Some(Version::V1), bytes) else {
        panic!("{bytes:x?} is not cut");
    };
    assert_eq!(cut.fields, expected);
    assert_eq!(cut.have, bytes.len());
    assert_eq!(cut.claimed_len, usize::from(bytes[1]));
}

#[test]
fn a_cut_capable_keeps_the_key_that_came_first() {
    let flags = Some(CapableFlags::HMAC_SHA);
    let bytes = [30, 20, 0x01, 0x01, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    let sender_key = Some(Key([1, 2, 3, 4, 5, 6, 7, 8]));
    check_cut(
        &bytes,
        CutFields::Capable {
            version: 1,
            flags,
            sender_key,
        },
    );
    check_cut(
        &bytes[..11],
        CutFields::Capable {
            version: 1,
            flags,
            sender_key: None,
        },
    );
    check_cut(
        &bytes[..3],
        CutFields::Capable {
            version: 1,
            flags: None,
            sender_key: None,
        },
    );
}

#[test]
fn a_cut_join_keeps_the_token() {
    let bytes = [30, 12, 0x11, 7, 0, 0, 0, 9, 1];
    let (priority, address_id) = (Priority::Backup, Some(AddressId(7)));
    check_cut(
        &bytes,
        CutFields::JoinSyn {
            priority,
            address_id,
            token: Some(Token(9)),
        },
    );
    check_cut(
        &bytes[..7],
        CutFields::JoinSyn {
            priority,
            address_id,
            token: None,
        },
    );
}

#[test]
fn a_cut_dss_keeps_the_fields_before_the_cut() {
    let bytes = [30, 20, 0x20, 0x15, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 9];
    let data_ack = Some(DataAck::Short(1));
    let dsn = Some(WireDsn::Short(2));
    let fields = |data_ack, dsn, ssn| CutFields::Dss {
        data_ack,
        dsn,
        ssn,
        data_fin: true,
    };
    check_cut(&bytes, fields(data_ack, dsn, Some(Ssn(3))));
    check_cut(&bytes[..15], fields(data_ack, dsn, None));
    check_cut(&bytes[..11], fields(data_ack, None, None));
    check_cut(&bytes[..7], fields(None, None, None));
    check_cut(&bytes[..3], CutFields::Other);
}

#[test]
fn a_cut_option_still_must_have_a_length_that_exists() {
    let parsed = MptcpOption::parse_lax(Some(Version::V1), &[30, 13, 0x60, 0]);
    let expected = ParseError::BadLength {
        subtype: Subtype::FAIL,
        len: 13,
    };
    assert_eq!(parsed, Err(expected));
}

#[test]
fn the_rest_after_the_walk_is_what_the_lax_parser_takes() {
    // MSS, then an MP_CAPABLE cut after its flags.
    let mut options = TcpOptions::new(&[2, 4, 5, 0xb4, 30, 12, 0x01, 0x81]);
    assert!(options.next().is_some_and(|option| option.is_ok()));
    assert!(options.next().is_some_and(|option| option.is_err()));
    let expected = LaxOption::Cut(CutOption {
        subtype: Subtype::CAPABLE,
        claimed_len: 12,
        have: 4,
        fields: CutFields::Capable {
            version: 1,
            flags: Some(CapableFlags::CHECKSUM.with(CapableFlags::HMAC_SHA)),
            sender_key: None,
        },
    });
    assert_eq!(MptcpOption::parse_lax(None, options.rest()), Ok(expected));
}

proptest! {
    #[test]
    fn every_proper_beginning_of_an_option_is_cut_and_the_whole_is_whole(
        (version, option) in version().prop_flat_map(|v| (Just(v), option(v)))
    ) {
        let mut area = mptcp_proto::wire::writer::OptionArea::new();
        let bytes = option.emit(&mut area).unwrap();
        let whole = MptcpOption::parse_lax(Some(version), bytes);
        prop_assert_eq!(whole, Ok(LaxOption::Whole(option)));
        for have in 3..bytes.len() {
            let cut = MptcpOption::parse_lax(Some(version), &bytes[..have]);
            let is_cut = matches!(cut, Ok(LaxOption::Cut(cut)) if cut.subtype == option.subtype());
            prop_assert!(is_cut, "{have} bytes: {cut:?}");
        }
    }
}
