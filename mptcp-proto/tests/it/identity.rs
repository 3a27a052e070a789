//! Bytes to value and value to bytes are each other's inverse, and nothing panics on the way.

use mptcp_proto::seq::{Dsn, Ssn};
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::dss::StrayWidths;
use mptcp_proto::wire::mptcp::{Dss, EmitError, MptcpOption};
use mptcp_proto::wire::tcp_option::TcpOptions;
use mptcp_proto::wire::writer::{MAX_OPTION_AREA, NoRoom, OptionArea};
use proptest::prelude::*;

use crate::strategy::{option, version};

/// An option with any subtype, any content and a length field that is right.
fn plausible_bytes() -> impl Strategy<Value = Vec<u8>> {
    (0..16_u8, prop::collection::vec(any::<u8>(), 1..=38)).prop_map(|(subtype, mut data)| {
        data[0] = (subtype << 4) | (data[0] & 0x0f);
        let len = u8::try_from(data.len() + 2).unwrap();
        [&[30, len], &data[..]].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn an_emitted_option_parses_to_itself(
        (version, option) in version().prop_flat_map(|v| (Just(v), option(v)))
    ) {
        let mut area = OptionArea::new();
        let bytes = option.emit(&mut area).unwrap();
        prop_assert_eq!(MptcpOption::parse(version, bytes), Ok(option));
        if let MptcpOption::Dss(dss) = option {
            let is_plain = dss.reserved == 0 && dss.stray == StrayWidths::default();
            prop_assert_eq!(Dss::parse_plain(bytes), is_plain.then_some(dss));
        }
        prop_assert_eq!(area.as_bytes()[1], u8::try_from(area.as_bytes().len()).unwrap());
    }

    #[test]
    fn a_parsed_option_emits_the_bytes_it_came_from(
        version in version(),
        bytes in plausible_bytes(),
    ) {
        if let Some(dss) = Dss::parse_plain(&bytes) {
            prop_assert_eq!(MptcpOption::parse(version, &bytes), Ok(MptcpOption::Dss(dss)));
        }
        let parsed = [MptcpOption::parse(version, &bytes), MptcpOption::parse_unversioned(&bytes)];
        for option in parsed.into_iter().flatten() {
            let mut area = OptionArea::new();
            prop_assert_eq!(option.emit(&mut area).unwrap(), &bytes[..]);
            prop_assert_eq!(option.subtype().0, bytes[2] >> 4);
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(
        version in version(),
        bytes in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let _ = MptcpOption::parse(version, &bytes);
        let _ = Dss::parse_plain(&bytes);
        let _ = MptcpOption::parse_lax(Some(version), &bytes);
        let covered: usize = TcpOptions::new(&bytes).flatten().map(|o| o.bytes.len()).sum();
        prop_assert!(covered <= bytes.len());
    }

    #[test]
    fn an_option_goes_into_an_area_whole_or_not_at_all(
        option in option(Version::V1),
        taken in 0..=MAX_OPTION_AREA,
    ) {
        let mut area = OptionArea::new();
        area.push(&vec![1; taken]).unwrap();
        let mut alone = OptionArea::new();
        let needed = option.emit(&mut alone).unwrap().len();
        let have = MAX_OPTION_AREA - taken;
        if needed <= have {
            prop_assert_eq!(option.emit(&mut area), Ok(alone.as_bytes()));
        } else {
            let error = EmitError::NoRoom(NoRoom { needed, have });
            prop_assert_eq!(option.emit(&mut area), Err(error));
            prop_assert_eq!(area.room(), have);
        }
    }

    #[test]
    fn options_in_a_row_are_walked_in_order(
        options in prop::collection::vec(option(Version::V1), 1..5)
    ) {
        let mut area = OptionArea::new();
        let fitting: Vec<_> =
            options.into_iter().filter(|option| option.emit(&mut area).is_ok()).collect();
        area.pad();
        let walked: Vec<_> = TcpOptions::new(area.as_bytes())
            .map(Result::unwrap)
            .filter(|option| option.kind == 30)
            .map(|option| MptcpOption::parse(Version::V1, option.bytes).unwrap())
            .collect();
        prop_assert_eq!(walked, fitting);
    }

    #[test]
    fn a_short_dsn_expands_to_the_nearest_number(low: u32, near: u64) {
        let near = u128::from(near) + (1 << 64);
        let epoch = near >> 32;
        let candidates = [epoch - 1, epoch, epoch + 1].map(|high| (high << 32) | u128::from(low));
        // Of two that are equally near the later one wins, which `min_by_key` takes when it comes
        // first.
        let nearest = candidates.into_iter().rev().min_by_key(|c| c.abs_diff(near)).unwrap();
        let wrapped = |number: u128| Dsn(u64::try_from(number & u128::from(u64::MAX)).unwrap());
        prop_assert_eq!(Dsn::expand(low, wrapped(near)), wrapped(nearest));
        prop_assert_eq!(Dsn::expand(low, wrapped(near)).low(), low);
    }

    #[test]
    fn distances_and_offsets_undo_additions(start: u32, forwards in 0..=u32::MAX / 2) {
        let end = Ssn(start).add(forwards);
        prop_assert_eq!(end.distance_from(Ssn(start)), Some(forwards));
        prop_assert_eq!(i64::from(end.offset_from(Ssn(start))), i64::from(forwards));
        if forwards > 0 {
            prop_assert_eq!(Ssn(start).distance_from(end), None);
            prop_assert_eq!(i64::from(Ssn(start).offset_from(end)), -i64::from(forwards));
        }
    }
}
