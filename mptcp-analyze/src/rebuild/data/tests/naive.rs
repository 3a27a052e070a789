//! The stores against a table with a row per byte.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Event {
    Mapping {
        subflow: usize,
        dsn: i64,
        ssn: i64,
        len: u16,
    },
    Infinite {
        subflow: usize,
        dsn: i64,
        ssn: i64,
    },
    Payload {
        subflow: usize,
        ssn: i64,
        len: u16,
    },
    Ack {
        dsn: i64,
    },
}

const SUBFLOWS: usize = 3;

fn event() -> impl Strategy<Value = Event> {
    let (subflow, at, len) = (0..SUBFLOWS, 1i64..150, 1u16..40);
    prop_oneof![
        // One offset in two is the same, so that mappings agree as often as they conflict.
        5 => (subflow.clone(), prop_oneof![Just(0i64), 0i64..150], at.clone(), len.clone())
            .prop_map(|(subflow, offset, ssn, len)| Event::Mapping {
                subflow, dsn: ssn + offset, ssn, len
            }),
        6 => (subflow.clone(), at.clone(), len)
            .prop_map(|(subflow, ssn, len)| Event::Payload { subflow, ssn, len }),
        1 => (1i64..300).prop_map(|dsn| Event::Ack { dsn }),
        1 => (subflow, 0i64..150, 100i64..150)
            .prop_map(|(subflow, offset, ssn)| Event::Infinite { subflow, dsn: ssn + offset, ssn }),
    ]
}

/// What one byte of a subflow's sequence space has been through.
#[derive(Debug, Clone, Copy, Default)]
struct Byte {
    dsn: Option<i64>,
    /// Frame and DATA_ACK when it was sent first.
    sent: Option<(u64, i64)>,
}

#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
struct Counts {
    unique: u64,
    tcp: u64,
    data: u64,
    reinjected: u64,
    spurious: u64,
    unmapped: u64,
}

#[derive(Default)]
struct Naive {
    bytes: [BTreeMap<i64, Byte>; SUBFLOWS],
    first: BTreeMap<i64, (usize, u64)>,
    counts: [Counts; SUBFLOWS],
    acked: i64,
}

impl Naive {
    /// Rows that an infinite mapping reaches.
    const END: i64 = 400;

    fn map(&mut self, subflow: usize, dsn: i64, ssn: i64, end: i64) {
        for at in ssn..end {
            let byte = self.bytes[subflow].entry(at).or_default();
            if byte.dsn.is_some() {
                continue;
            }
            let mapped = dsn + at - ssn;
            byte.dsn = Some(mapped);
            if let Some((frame, acked)) = byte.sent {
                self.counts[subflow].unmapped -= 1;
                self.claim(subflow, mapped, frame, acked);
            }
        }
    }

    fn claim(&mut self, subflow: usize, dsn: i64, frame: u64, acked: i64) -> (ByteClass, bool) {
        let counts = &mut self.counts[subflow];
        let (class, count) = match self.first.get(&dsn) {
            None => {
                self.first.insert(dsn, (subflow, frame));
                counts.unique += 1;
                return (ByteClass::New, false);
            }
            Some((first, _)) if *first == subflow => {
                (ByteClass::DataRetransmission, &mut counts.data)
            }
            Some((_, frame)) => (
                ByteClass::Reinjection { of_frame: *frame },
                &mut counts.reinjected,
            ),
        };
        *count += 1;
        counts.spurious += u64::from(dsn < acked);
        (class, dsn < acked)
    }

    fn pay(&mut self, subflow: usize, at: i64, frame: u64) -> (Option<i64>, ByteClass, bool) {
        let byte = self.bytes[subflow].entry(at).or_default();
        let dsn = byte.dsn;
        if byte.sent.is_some() {
            let spurious = dsn.is_some_and(|dsn| dsn < self.acked);
            self.counts[subflow].tcp += 1;
            self.counts[subflow].spurious += u64::from(spurious);
            return (dsn, ByteClass::TcpRetransmission, spurious);
        }
        byte.sent = Some((frame, self.acked));
        let Some(mapped) = dsn else {
            self.counts[subflow].unmapped += 1;
            return (None, ByteClass::Unmapped, false);
        };
        let (class, spurious) = self.claim(subflow, mapped, frame, self.acked);
        (dsn, class, spurious)
    }
}

/// A row per byte. A run of reinjected bytes names the frame of its first byte, so `expected` lends
/// the frames of all bytes but the first.
fn per_byte(
    pieces: &[Piece],
    expected: &[(Option<i64>, ByteClass, bool)],
) -> Vec<(Option<i64>, ByteClass, bool)> {
    let rows = pieces.iter().flat_map(|piece| {
        (0..i64::from(piece.len))
            .map(move |at| (piece.dsn.map(|dsn| dsn + at), piece.class, piece.spurious))
    });
    rows.enumerate()
        .map(|(index, (dsn, class, spurious))| {
            let class = match (class, expected.get(index)) {
                (
                    ByteClass::Reinjection { .. },
                    Some((_, lent @ ByteClass::Reinjection { .. }, _)),
                ) if index > 0 => *lent,
                _ => class,
            };
            (dsn, class, spurious)
        })
        .collect()
}

fn counts(subflow: &SubflowDirection) -> Counts {
    let totals = subflow.totals();
    Counts {
        unique: totals.unique_bytes,
        tcp: totals.odd.tcp_retransmitted_bytes,
        data: totals.odd.data_retransmitted_bytes,
        reinjected: totals.odd.reinjected_bytes,
        spurious: totals.odd.spurious_bytes,
        unmapped: totals.odd.unmapped_bytes,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn events_in_any_order_count_as_in_a_table_of_bytes(
        events in prop::collection::vec(event(), 1..60)
    ) {
        let mut rig = Rig::new(SUBFLOWS);
        let mut naive = Naive { acked: i64::MIN, ..Naive::default() };
        for event in events {
            rig.frame += 1;
            match event {
                Event::Mapping { subflow, dsn, ssn, len } => {
                    rig.map(subflow, dsn, ssn, len);
                    naive.map(subflow, dsn, ssn, ssn + i64::from(len));
                }
                Event::Infinite { subflow, dsn, ssn } => {
                    rig.map(subflow, dsn, ssn, 0);
                    naive.map(subflow, dsn, ssn, Naive::END);
                }
                Event::Payload { subflow, ssn, len } => {
                    let pieces = rig.pay(subflow, ssn, &vec![0; usize::from(len)]);
                    let expected: Vec<_> = (ssn..ssn + i64::from(len))
                        .map(|at| naive.pay(subflow, at, rig.frame))
                        .collect();
                    let found = per_byte(&pieces, &expected);
                    prop_assert_eq!(found, expected);
                }
                Event::Ack { dsn } => {
                    rig.ack(dsn);
                    naive.acked = naive.acked.max(dsn);
                }
            }
        }
        let totals = rig.finish();
        for (subflow, expected) in rig.subflows.iter().zip(naive.counts) {
            prop_assert_eq!(counts(subflow), expected);
        }
        prop_assert_eq!(totals.unique_bytes, naive.first.len() as u64);
        let span = naive.first.keys().next().zip(naive.first.keys().next_back());
        prop_assert_eq!(totals.range, span.map(|(first, last)| (*first, last + 1)));
        let sum = |of: fn(&Counts) -> u64| naive.counts.iter().map(of).sum::<u64>();
        prop_assert_eq!(totals.unique_bytes, sum(|c| c.unique));
        prop_assert_eq!(totals.reinjected_bytes, sum(|c| c.reinjected));
        prop_assert_eq!(totals.data_retransmitted_bytes, sum(|c| c.data));
        prop_assert_eq!(totals.spurious_bytes, sum(|c| c.spurious));
    }
}
