//! The lengths of the RFCs, written down once more, and nothing else: TShark and tcpdump take more.

use mptcp_proto::seq::Dsn;
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{
    AddAddr, Capable, CapableData, CapableFlags, EmitError, Fail, MptcpOption, ParseError, Subtype,
};
use mptcp_proto::wire::writer::OptionArea;

/// An option of this length: zeros after its third and fourth byte.
fn option_of(len: usize, third: u8, fourth: u8) -> Vec<u8> {
    let mut bytes = vec![0; len];
    bytes[..3].copy_from_slice(&[30, u8::try_from(len).unwrap(), third]);
    if let Some(byte) = bytes.get_mut(3) {
        *byte = fourth;
    }
    bytes
}

#[track_caller]
fn check_lengths(version: Version, third: u8, fourth: u8, allowed: &[usize]) {
    for len in 3..=255 {
        let parsed = MptcpOption::parse(version, &option_of(len, third, fourth));
        if allowed.contains(&len) {
            assert!(parsed.is_ok(), "length {len}: {parsed:?}");
        } else {
            let expected = ParseError::BadLength {
                subtype: Subtype(third >> 4),
                len,
            };
            assert_eq!(parsed, Err(expected), "length {len}");
        }
    }
}

#[test]
fn capable_has_the_lengths_of_its_version() {
    check_lengths(Version::V1, 0x01, 0x01, &[4, 12, 20, 22, 24]);
    check_lengths(Version::V0, 0x00, 0x01, &[12, 20]);
}

#[test]
fn capable_tells_its_version_itself() {
    check_lengths(Version::V0, 0x01, 0x01, &[4, 12, 20, 22, 24]);
    check_lengths(Version::V1, 0x00, 0x01, &[12, 20]);
}

#[test]
fn capable_of_a_future_version_is_read_like_version_1() {
    for version in 2..16 {
        check_lengths(Version::V1, version, 0x01, &[4, 12, 20, 22, 24]);
    }
}

#[test]
fn join_has_three_lengths() {
    for version in Version::ALL {
        check_lengths(version, 0x10, 0, &[12, 16, 24]);
    }
}

#[test]
fn dss_has_the_length_that_its_flags_tell() {
    for flags in 0..32 {
        let ack = [0, 4, 0, 8][usize::from(flags & 3)];
        let mapping = [0, 10, 0, 14][usize::from((flags >> 2) & 3)];
        let len = 4 + ack + mapping;
        let allowed = if mapping > 0 {
            vec![len, len + 2]
        } else {
            vec![len]
        };
        for version in Version::ALL {
            check_lengths(version, 0x20, flags, &allowed);
        }
    }
}

#[test]
fn add_addr_of_version_1_has_an_hmac_unless_it_is_an_echo() {
    check_lengths(Version::V1, 0x30, 1, &[16, 18, 28, 30]);
    check_lengths(Version::V1, 0x31, 1, &[8, 10, 20, 22]);
}

#[test]
fn add_addr_of_version_0_has_the_length_of_its_ip_version() {
    for (nibble, lengths) in [(4, [8, 10]), (6, [20, 22])] {
        for len in 3..=40 {
            let parsed = MptcpOption::parse(Version::V0, &option_of(len, 0x30 | nibble, 1));
            assert_eq!(parsed.is_ok(), lengths.contains(&len), "{len}: {parsed:?}");
        }
    }
}

#[test]
fn add_addr_of_version_0_with_another_ip_version_is_an_error() {
    let parsed = MptcpOption::parse(Version::V0, &option_of(8, 0x35, 1));
    assert_eq!(
        parsed,
        Err(ParseError::BadIpVersion {
            ip_version: 5,
            len: 8
        })
    );
    let parsed = MptcpOption::parse(Version::V0, &option_of(8, 0x36, 1));
    assert_eq!(
        parsed,
        Err(ParseError::BadIpVersion {
            ip_version: 6,
            len: 8
        })
    );
}

#[test]
fn remove_addr_holds_as_many_ids_as_an_option_can() {
    let lengths: Vec<_> = (4..=40).collect();
    for version in Version::ALL {
        check_lengths(version, 0x40, 1, &lengths);
    }
}

#[test]
fn prio_names_an_address_in_version_0_only() {
    check_lengths(Version::V1, 0x50, 0, &[3]);
    check_lengths(Version::V0, 0x50, 0, &[3, 4]);
}

#[test]
fn fail_fast_close_and_reset_have_one_length() {
    check_lengths(Version::V1, 0x60, 0, &[12]);
    check_lengths(Version::V1, 0x70, 0, &[12]);
    check_lengths(Version::V1, 0x80, 0, &[4]);
    check_lengths(Version::V0, 0x60, 0, &[12]);
    check_lengths(Version::V0, 0x70, 0, &[12]);
}

#[test]
fn an_unknown_subtype_has_any_length_that_fits_a_header() {
    let lengths: Vec<_> = (3..=40).collect();
    for subtype in 9..16 {
        check_lengths(Version::V1, subtype << 4, 0, &lengths);
    }
    check_lengths(Version::V0, 0x80, 0, &lengths);
}

#[test]
fn an_option_without_subtype_is_truncated() {
    let error = MptcpOption::parse(Version::V1, &[30, 2]).unwrap_err();
    assert_eq!(error.to_string(), "subtype needs 1 bytes, 0 left");
}

#[test]
fn a_length_field_that_is_not_the_length_is_an_error() {
    let parsed = MptcpOption::parse(Version::V1, &[30, 4, 0x01]);
    assert_eq!(
        parsed,
        Err(ParseError::LengthField {
            claimed: 4,
            have: 3
        })
    );
    let parsed = MptcpOption::parse(Version::V1, &[30, 3, 0x50, 0]);
    assert_eq!(
        parsed,
        Err(ParseError::LengthField {
            claimed: 3,
            have: 4
        })
    );
}

#[test]
fn another_kind_is_not_mptcp() {
    let parsed = MptcpOption::parse(Version::V1, &[2, 4, 5, 0xb4]);
    assert_eq!(parsed, Err(ParseError::NotMptcp { kind: 2 }));
}

#[track_caller]
fn check_no_form(option: MptcpOption) {
    let mut area = OptionArea::new();
    let error = option.emit(&mut area).unwrap_err();
    assert!(matches!(error, EmitError::NoForm { .. }), "{error}");
    assert!(area.as_bytes().is_empty());
}

#[test]
fn a_capable_that_no_form_holds_is_not_emitted() {
    let key = Some(mptcp_proto::key::Key([1; 8]));
    let data = Some(CapableData {
        len: 1,
        checksum: None,
    });
    let syn = Capable {
        version: 1,
        flags: CapableFlags::HMAC_SHA,
        sender_key: None,
        receiver_key: None,
        data: None,
    };
    check_no_form(MptcpOption::Capable(Capable {
        receiver_key: key,
        ..syn
    }));
    check_no_form(MptcpOption::Capable(Capable {
        sender_key: key,
        data,
        ..syn
    }));
    check_no_form(MptcpOption::Capable(Capable { version: 0, ..syn }));
    check_no_form(MptcpOption::Capable(Capable { version: 16, ..syn }));
    let ack = Capable {
        version: 0,
        sender_key: key,
        receiver_key: key,
        ..syn
    };
    check_no_form(MptcpOption::Capable(Capable { data, ..ack }));
}

#[test]
fn an_add_addr_that_no_form_holds_is_not_emitted() {
    let bytes = [30, 8, 0x31, 1, 10, 0, 2, 1];
    let Ok(MptcpOption::AddAddr(echo)) = MptcpOption::parse(Version::V1, &bytes) else {
        panic!("an echo is an ADD_ADDR");
    };
    check_no_form(MptcpOption::AddAddr(AddAddr {
        echo: false,
        ..echo
    }));
    check_no_form(MptcpOption::AddAddr(AddAddr {
        version: Version::V0,
        ..echo
    }));
}

#[test]
fn reserved_bits_are_reported_with_their_value() {
    let bits = |version, bytes: &[u8]| MptcpOption::parse(version, bytes).unwrap().reserved_bits();
    assert_eq!(bits(Version::V1, &[30, 4, 0x01, 0xff]), 0x1e);
    assert_eq!(bits(Version::V0, &option_of(12, 0x00, 0xff)), 0x3e);
    assert_eq!(bits(Version::V1, &[30, 3, 0x5f]), 7);
    assert_eq!(bits(Version::V1, &[30, 3, 0x51]), 0);
    let fail = MptcpOption::Fail(Fail {
        dsn: Dsn(1),
        reserved: 0x801,
    });
    assert_eq!(fail.reserved_bits(), 0x801);
}
