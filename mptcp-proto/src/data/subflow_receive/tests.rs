use proptest::prelude::*;

use super::*;
use crate::wire::mptcp::WireDsn;

const WINDOW: u64 = 1000;

fn byte(dsn: u64) -> u8 {
    (dsn % 251) as u8
}

fn bytes(dsn: u64, len: u64) -> Payload {
    Payload::from_vec((dsn..dsn + len).map(byte).collect())
}

/// The option that maps `len` bytes from the subflow position on to the data from `dsn` on.
fn option(position: u64, dsn: u64, len: u16) -> DssMapping {
    DssMapping {
        dsn: WireDsn::Long(dsn),
        ssn: Ssn(Dsn(position + 1).low()),
        len,
        checksum: None,
    }
}

fn with_checksum(position: u64, dsn: u64, len: u16) -> DssMapping {
    let mut option = option(position, dsn, len);
    let sum = PartialSum::of(&bytes(dsn, len.into()));
    option.checksum = Some(dss_checksum(Dsn(dsn), option.ssn, len, sum));
    option
}

fn plain() -> SubflowMappings {
    SubflowMappings::new(false, WINDOW)
}

fn checked() -> SubflowMappings {
    SubflowMappings::new(true, WINDOW)
}

fn map(mappings: &mut SubflowMappings, option: DssMapping) -> Result<Mapped, MappingFault> {
    mappings.map(&option, false, Dsn(0))
}

/// DSN and length of all data that are delivered; their bytes must be those of their DSNs.
#[track_caller]
fn delivered(mappings: &mut SubflowMappings) -> Vec<(u64, usize)> {
    let mut out: Vec<(u64, usize)> = Vec::new();
    while let Ok(Some(Delivered::Data { dsn, payload })) = mappings.poll() {
        assert_eq!(
            payload.as_slice(),
            bytes(dsn.0, payload.len() as u64).as_slice()
        );
        match out.last_mut() {
            Some((start, len)) if *start + *len as u64 == dsn.0 => *len += payload.len(),
            _ => out.push((dsn.0, payload.len())),
        }
    }
    out
}

#[test]
fn a_mapping_may_come_with_any_segment_of_its_data() {
    for with_segment in 0..3 {
        for mut mappings in [plain(), checked()] {
            for (segment, position, len) in [(0, 0, 10), (1, 10, 11), (2, 21, 10)] {
                if segment == with_segment {
                    map(&mut mappings, with_checksum(0, 500, 31)).unwrap();
                }
                mappings.push(position, bytes(500 + position, len));
            }
            assert_eq!(delivered(&mut mappings), [(500, 31)]);
            assert_eq!(mappings.unmapped_bytes(), 0);
        }
    }
}

#[test]
fn without_checksums_bytes_are_delivered_as_they_come() {
    let mut mappings = plain();
    map(&mut mappings, option(0, 500, 30)).unwrap();
    mappings.push(0, bytes(500, 10));
    assert_eq!(delivered(&mut mappings), [(500, 10)]);
    mappings.push(10, bytes(510, 20));
    assert_eq!(delivered(&mut mappings), [(510, 20)]);
}

#[test]
fn with_checksums_nothing_is_delivered_before_the_mapping_is_whole() {
    let mut mappings = checked();
    map(&mut mappings, with_checksum(0, 500, 30)).unwrap();
    mappings.push(0, bytes(500, 29));
    assert_eq!(delivered(&mut mappings), []);
    assert_eq!(mappings.unverified_bytes(), 29);
    assert_eq!(mappings.unverified_rest(), 1);
    mappings.push(29, bytes(529, 1));
    assert_eq!(delivered(&mut mappings), [(500, 30)]);
    assert_eq!(mappings.unverified_bytes(), 0);
    assert_eq!(mappings.unverified_rest(), 0);
}

#[test]
fn a_mapping_may_come_before_its_data() {
    let mut mappings = plain();
    map(&mut mappings, option(100, 600, 10)).unwrap();
    map(&mut mappings, option(0, 500, 100)).unwrap();
    mappings.push(0, bytes(500, 110));
    assert_eq!(delivered(&mut mappings), [(500, 110)]);
}

#[test]
fn the_same_mapping_again_changes_nothing_before_and_after_delivery() {
    let mut mappings = plain();
    assert_eq!(map(&mut mappings, option(0, 500, 10)), Ok(Mapped::New));
    assert_eq!(map(&mut mappings, option(0, 500, 10)), Ok(Mapped::Repeated));
    mappings.push(0, bytes(500, 10));
    mappings.push(0, bytes(500, 10));
    assert_eq!(map(&mut mappings, option(0, 500, 10)), Ok(Mapped::Repeated));
    assert_eq!(delivered(&mut mappings), [(500, 10)]);
}

/// Corner case 51: Linux adds DATA_FIN to the segments of a mapping that leave after `shutdown`.
#[test]
fn a_mapping_may_gain_a_data_fin_before_and_after_its_last_byte_came() {
    for came in [5, 10] {
        let mut mappings = plain();
        map(&mut mappings, option(0, 500, 10)).unwrap();
        mappings.push(0, bytes(500, came));
        let near = Dsn(500);
        let longer = mappings.map(&option(0, 500, 11), true, near);
        assert_eq!(longer, Ok(Mapped::Repeated));
        mappings.push(0, bytes(500, 10));
        let mut fins = 0;
        while let Ok(Some(delivered)) = mappings.poll() {
            fins += u32::from(delivered == Delivered::Fin(Dsn(510)));
        }
        assert_eq!(fins, 1, "{came}");
        assert_eq!(
            mappings.map(&option(0, 500, 10), false, near),
            Ok(Mapped::Repeated)
        );
    }
}

#[test]
fn another_mapping_for_the_same_bytes_is_a_conflict_before_and_after_delivery() {
    for is_delivered in [false, true] {
        let mut mappings = plain();
        map(&mut mappings, option(10, 500, 10)).unwrap();
        if is_delivered {
            mappings.push(0, bytes(490, 20));
        }
        for (position, dsn, len) in [
            (10, 501, 10),
            (10, 500, 9),
            (12, 502, 3),
            (19, 509, 5),
            (0, 490, 11),
        ] {
            let conflict = Err(MappingFault::Conflict { position });
            assert_eq!(
                map(&mut mappings, option(position, dsn, len)),
                conflict,
                "{position}"
            );
        }
        mappings.push(0, bytes(490, 20));
        assert_eq!(delivered(&mut mappings), [(500, 10)]);
    }
}

#[test]
fn bytes_between_two_mappings_wait_for_theirs() {
    let mut mappings = plain();
    map(&mut mappings, option(0, 500, 10)).unwrap();
    map(&mut mappings, option(20, 520, 10)).unwrap();
    mappings.push(0, bytes(500, 30));
    assert_eq!(delivered(&mut mappings), [(500, 10), (520, 10)]);
    assert_eq!(mappings.unmapped_bytes(), 10);
    assert_eq!(map(&mut mappings, option(10, 510, 10)), Ok(Mapped::New));
    assert_eq!(delivered(&mut mappings), [(510, 10)]);
    assert_eq!(mappings.unmapped_bytes(), 0);
}

#[test]
fn more_than_a_window_without_mapping_is_a_fault() {
    let mut mappings = plain();
    map(&mut mappings, option(0, 500, 10)).unwrap();
    mappings.push(0, bytes(500, 10 + WINDOW));
    assert_eq!(delivered(&mut mappings), [(500, 10)]);
    assert_eq!(mappings.poll(), Ok(None));
    mappings.push(10 + WINDOW, bytes(0, 1));
    assert_eq!(
        mappings.poll(),
        Err(MappingFault::Unmapped { position: 10 })
    );
}

#[test]
fn after_fallback_a_mapping_with_a_wrong_dsn_follows_its_place() {
    let mut mappings = checked();
    map(&mut mappings, with_checksum(0, 700, 10)).unwrap();
    let mut wrong = with_checksum(10, 710, 10);
    wrong.dsn = WireDsn::Long(711);
    map(&mut mappings, wrong).unwrap();
    map(&mut mappings, with_checksum(20, 720, 10)).unwrap();
    mappings.push(0, bytes(700, 25));
    assert_eq!(delivered(&mut mappings), [(700, 10)]);
    mappings.fall_back(10, Dsn(710));
    mappings.push(25, bytes(725, 15));
    assert_eq!(delivered(&mut mappings), [(710, 30)]);
}

#[test]
fn a_wrong_checksum_stops_the_subflow_and_says_whether_it_was_the_first() {
    for (good, was_first) in [(0, true), (1, false)] {
        let mut mappings = checked();
        for n in 0..good {
            map(&mut mappings, with_checksum(n * 10, n * 10, 10)).unwrap();
            mappings.push(n * 10, bytes(n * 10, 10));
        }
        let at = good * 10;
        map(&mut mappings, with_checksum(at, 700, 10)).unwrap();
        map(&mut mappings, with_checksum(at + 10, 710, 10)).unwrap();
        mappings.push(at, bytes(700, 9));
        mappings.push(at + 9, Payload::from_slice(&[0xee]));
        mappings.push(at + 10, bytes(710, 10));
        assert_eq!(delivered(&mut mappings).len(), usize::from(!was_first));
        let dsn = Dsn(700);
        assert_eq!(
            mappings.poll(),
            Err(MappingFault::Checksum { dsn, was_first })
        );
        // The last subflow falls back and keeps the data, as TCP would.
        let (position, dsn) = mappings.mapped_end().unwrap();
        mappings.fall_back(position, dsn);
        let mut places = Vec::new();
        while let Ok(Some(Delivered::Data { dsn, payload })) = mappings.poll() {
            places.push((dsn.0, payload.len()));
        }
        assert_eq!(places, [(700, 10), (710, 10)]);
        mappings.push(at + 20, bytes(720, 5));
        assert_eq!(delivered(&mut mappings), [(720, 5)]);
    }
}

#[test]
fn a_mapping_without_the_agreed_checksum_is_a_fault_and_one_too_many_is_ignored() {
    let dsn = Dsn(500);
    assert_eq!(
        map(&mut checked(), option(0, 500, 10)),
        Err(MappingFault::NoChecksum { dsn })
    );
    let mut mappings = plain();
    let mut option = option(0, 500, 10);
    option.checksum = Some(0xdead);
    map(&mut mappings, option).unwrap();
    mappings.push(0, bytes(500, 10));
    assert_eq!(delivered(&mut mappings), [(500, 10)]);
}

#[test]
fn the_kernels_checksum_holds() {
    let mut mappings = checked();
    let mut option = option(0, 0x36b3_e08d_bf58_f47b, 12);
    option.checksum = Some(0xadaa);
    map(&mut mappings, option).unwrap();
    mappings.push(0, Payload::from_slice(b"hello "));
    mappings.push(6, Payload::from_slice(b"kernel"));
    let payload = Payload::from_slice(b"hello kernel");
    let dsn = Dsn(0x36b3_e08d_bf58_f47b);
    assert_eq!(mappings.poll(), Ok(Some(Delivered::Data { dsn, payload })));
}

#[test]
fn the_infinite_mapping_takes_what_waited_and_what_comes() {
    let mut mappings = plain();
    map(&mut mappings, option(0, 500, 10)).unwrap();
    mappings.push(0, bytes(500, 25));
    assert_eq!(map(&mut mappings, option(10, 510, 0)), Ok(Mapped::Infinite));
    mappings.push(25, bytes(525, 5));
    assert_eq!(delivered(&mut mappings), [(500, 30)]);
    assert!(mappings.is_infinite());
    mappings.push(30, bytes(530, 10 * WINDOW));
    assert_eq!(delivered(&mut mappings), [(530, 10_000)]);
}

#[test]
fn a_data_fin_comes_with_the_last_data_or_alone() {
    let mut mappings = plain();
    assert_eq!(
        mappings.map(&option(0, 500, 11), true, Dsn(500)),
        Ok(Mapped::New)
    );
    assert_eq!(mappings.poll(), Ok(None));
    mappings.push(0, bytes(500, 10));
    assert_eq!(delivered(&mut mappings), [(500, 10)]);
    for ssn in [0, 77] {
        let mut alone = option(0, 510, 1);
        alone.ssn = Ssn(ssn);
        assert_eq!(mappings.map(&alone, true, Dsn(500)), Ok(Mapped::FinOnly));
        assert_eq!(mappings.poll(), Ok(Some(Delivered::Fin(Dsn(510)))));
    }
    let mut empty = option(0, 510, 0);
    empty.ssn = Ssn(0);
    assert_eq!(mappings.map(&empty, true, Dsn(500)), Ok(Mapped::Repeated));
    assert!(!mappings.is_infinite());
}

#[test]
fn the_data_fin_of_a_mapping_follows_its_data() {
    let mut mappings = plain();
    mappings.map(&option(0, 500, 3), true, Dsn(500)).unwrap();
    mappings.push(0, bytes(500, 2));
    let data = Delivered::Data {
        dsn: Dsn(500),
        payload: bytes(500, 2),
    };
    assert_eq!(mappings.poll(), Ok(Some(data)));
    assert_eq!(mappings.poll(), Ok(Some(Delivered::Fin(Dsn(502)))));
}

#[test]
fn a_data_fin_without_data_is_verified_too() {
    let mut mappings = checked();
    let mut alone = option(0, 500, 1);
    alone.ssn = Ssn(0);
    let sum = dss_checksum(Dsn(500), Ssn(0), 1, PartialSum::default());
    alone.checksum = Some(sum ^ 1);
    let was_first = true;
    let fault = MappingFault::Checksum {
        dsn: Dsn(500),
        was_first,
    };
    assert_eq!(mappings.map(&alone, true, Dsn(0)), Err(fault));
    alone.checksum = Some(sum);
    assert_eq!(mappings.map(&alone, true, Dsn(0)), Ok(Mapped::FinOnly));
}

#[test]
fn short_dsns_and_wrapped_subflow_sequence_numbers_are_expanded() {
    let mut mappings = plain();
    let start = (1 << 32) - 3;
    mappings.received = start;
    let near = Dsn(0x7_ffff_fff0);
    for n in 0..4 {
        let mut short = option(start + 4 * n, 0, 4);
        short.dsn = WireDsn::Short(Dsn(0xffff_fff8 + 4 * n).low());
        assert_eq!(mappings.map(&short, false, near), Ok(Mapped::New));
        mappings.push(start + 4 * n, bytes(0x7_ffff_fff8 + 4 * n, 4));
    }
    assert_eq!(delivered(&mut mappings), [(0x7_ffff_fff8, 16)]);
}

#[test]
fn the_mapping_of_mp_capable_begins_with_the_first_byte_and_keeps_its_first_length() {
    let mut mappings = plain();
    assert_eq!(mappings.map_capable(5, None, Dsn(900)), Ok(Mapped::New));
    assert_eq!(
        mappings.map_capable(5, None, Dsn(900)),
        Ok(Mapped::Repeated)
    );
    assert_eq!(
        mappings.map_capable(9, None, Dsn(900)),
        Ok(Mapped::Repeated)
    );
    mappings.push(0, bytes(900, 9));
    assert_eq!(delivered(&mut mappings), [(900, 5)]);
    let position = 4;
    let conflict = Err(MappingFault::Conflict { position });
    assert_eq!(map(&mut mappings, option(position, 904, 5)), conflict);
    assert_eq!(map(&mut mappings, option(5, 905, 4)), Ok(Mapped::New));
    assert_eq!(delivered(&mut mappings), [(905, 4)]);
}

#[test]
fn a_mapping_that_no_window_reaches_is_a_fault() {
    let position = SubflowMappings::MAX_DISTANCE + 1;
    let fault = Err(MappingFault::Beyond { position });
    assert_eq!(map(&mut plain(), option(position, 0, 10)), fault);
}

#[test]
fn mappings_without_data_are_bounded() {
    let mut mappings = plain();
    let max = SubflowMappings::MAX_PENDING as u64;
    for n in 0..max {
        assert_eq!(map(&mut mappings, option(n, n, 1)), Ok(Mapped::New));
    }
    assert_eq!(map(&mut mappings, option(max, max, 1)), Ok(Mapped::Dropped));
    assert_eq!(mappings.dropped(), 1);
    mappings.push(0, bytes(0, max));
    assert_eq!(
        delivered(&mut mappings),
        [(0, SubflowMappings::MAX_PENDING)]
    );
    assert!(mappings.mappings.len() <= SubflowMappings::MAX_HISTORY);
    assert_eq!(map(&mut mappings, option(max, max, 1)), Ok(Mapped::New));
}

/// Cuts of a subflow's bytes: (length of a mapping, gap in the data before it).
fn mappings() -> impl Strategy<Value = Vec<(u16, u64)>> {
    prop::collection::vec((1_u16..60, 0_u64..50), 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn however_bytes_and_mappings_arrive_the_data_are_the_same(
        cuts in mappings(),
        segments in prop::collection::vec(1_usize..80, 1..60),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        with_checksums: bool,
    ) {
        let (mut options, mut stream, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        let mut dsn = 1_u64;
        for (len, gap) in cuts {
            dsn += gap;
            options.push(with_checksum(stream.len() as u64, dsn, len));
            let data = bytes(dsn, len.into());
            expected.extend((dsn..).zip(data.iter().copied()));
            stream.extend_from_slice(&data);
            dsn += u64::from(len);
        }
        let mut mappings = SubflowMappings::new(with_checksums, 1 << 20);
        let mut got = Vec::new();
        let mut position = 0;
        let mut segments = segments.into_iter().cycle();
        let mut order = order.into_iter();
        // Mappings in any order, a segment now and then; in the end the rest.
        while !options.is_empty() || position < stream.len() {
            match order.next() {
                Some(index) if !options.is_empty() => {
                    let option = options.swap_remove(index.index(options.len()));
                    prop_assert_eq!(mappings.map(&option, false, Dsn(0)), Ok(Mapped::New));
                    prop_assert_eq!(mappings.map(&option, false, Dsn(0)), Ok(Mapped::Repeated));
                }
                _ if position < stream.len() => {
                    let end = (position + segments.next().unwrap_or(1)).min(stream.len());
                    mappings.push(position as u64, Payload::from_slice(&stream[position..end]));
                    position = end;
                }
                _ => {
                    let option = options.remove(0);
                    prop_assert_eq!(mappings.map(&option, false, Dsn(0)), Ok(Mapped::New));
                }
            }
            while let Some(Delivered::Data { dsn, payload }) = mappings.poll().unwrap() {
                got.extend((dsn.0..).zip(payload.iter().copied()));
            }
        }
        got.sort_unstable();
        prop_assert_eq!(got, expected);
        prop_assert_eq!(mappings.unmapped_bytes(), 0);
    }

    #[test]
    fn no_option_and_no_segment_panics(
        steps in prop::collection::vec(
            (any::<u32>(), any::<u64>(), any::<u16>(), any::<bool>(), 0_u8..4, 0_u64..4000), 0..40,
        ),
        with_checksums: bool,
    ) {
        let mut mappings = SubflowMappings::new(with_checksums, WINDOW);
        for (number, dsn, len, flag, what, position) in steps {
            let mapping = DssMapping {
                dsn: if flag { WireDsn::Short(number) } else { WireDsn::Long(dsn) },
                ssn: Ssn(if len % 3 == 0 { number } else { number % 4000 }),
                len: if len % 7 == 0 { 0 } else { len },
                checksum: (len % 2 == 0).then_some(len),
            };
            match what {
                0 => mappings.push(position, bytes(0, len.into())),
                1 => mappings.push(dsn, bytes(0, u64::from(len % 50))),
                _ => drop(mappings.map(&mapping, flag, Dsn(dsn))),
            }
            while let Ok(Some(_)) = mappings.poll() {}
            let held = mappings.unmapped_bytes();
            prop_assert!(held <= WINDOW || mappings.fault.is_some());
        }
    }
}
