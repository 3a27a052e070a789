//! Notes come back as they were written.

use mptcp_proto::seq::{Dsn, Ssn};
use mptcp_proto::wire::mptcp::{DataAck, DssMapping, WireDsn};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::model::Timestamp;

/// Numbers of any size, most of them small.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64_u32).prop_map(|(number, shift)| number >> shift)
}

fn small() -> impl Strategy<Value = u32> {
    number().prop_map(|number| Dsn(number).low())
}

fn mapping() -> impl Strategy<Value = DssMapping> {
    (
        number(),
        any::<bool>(),
        small(),
        any::<u16>(),
        any::<Option<u16>>(),
    )
        .prop_map(|(dsn, is_long, ssn, len, checksum)| DssMapping {
            dsn: if is_long {
                WireDsn::Long(dsn)
            } else {
                WireDsn::Short(Dsn(dsn).low())
            },
            ssn: Ssn(ssn),
            len,
            checksum,
        })
}

fn data_ack() -> impl Strategy<Value = DataAck> {
    prop_oneof![
        number().prop_map(DataAck::Long),
        small().prop_map(DataAck::Short)
    ]
}

fn note() -> impl Strategy<Value = Note> {
    let where_ = (0..3_usize, 0..2_usize, number(), number(), small(), small());
    let what = (
        proptest::option::of(data_ack()),
        proptest::option::of(mapping()),
        0..6_u16,
    );
    (where_, what).prop_map(
        |((stream, end, frame, at, seq, payload_len), (data_ack, mapping, verdict))| Note {
            stream,
            end,
            frame,
            at: Timestamp(at.cast_signed()),
            seq: TcpSeq(seq),
            payload_len,
            data_ack,
            mapping,
            verdict: TcpVerdict::from_bits(verdict),
        },
    )
}

fn ends() -> [[JournalEnd; 2]; 3] {
    let end = |direction| JournalEnd {
        copies: Few::default(),
        next: TcpSeq(0xffff_fff0),
        ssn_0: TcpSeq(0x8000_0000),
        unverified: 0,
        mapped: 0,
        direction,
    };
    [Direction::BOTH.map(end); 3]
}

proptest! {
    #[test]
    fn a_note_says_what_was_written(notes in vec(note(), 1..20)) {
        let (mut numbers, mut own) = (Numbers::default(), ends());
        let mut bytes = Vec::new();
        for note in &notes {
            let before = bytes.len();
            note.write(&mut numbers, &mut own[note.stream][note.end], &mut bytes);
            prop_assert!(bytes.len() - before <= MAX_NOTE);
        }
        let (mut numbers, mut own) = (Numbers::default(), ends());
        let mut rest = bytes.as_slice();
        let read = std::iter::from_fn(|| Note::read(&mut numbers, &mut own, &mut rest));
        prop_assert_eq!(read.collect::<Vec<_>>(), notes);
        prop_assert!(rest.is_empty());
    }
}
