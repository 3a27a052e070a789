use mptcp_proto::wire::segment::Flags;

use super::index::MAX_ALIKE;
use super::*;
use crate::evidence::Purpose;
use crate::packet::tests::sample;
use crate::probe::Probe;
use crate::quote::ErrorKind;

/// Packets of one flow with these TTLs, one each millisecond; `seq` as given.
fn sent(packets: &[(u8, u32)]) -> Vec<Sent> {
    let numbered = packets.iter().enumerate();
    let made = numbered.map(|(number, &(ttl, seq))| {
        let small = u16::try_from(number).unwrap();
        let mut packet = sample("10.0.0.1:9", "10.0.0.2:80");
        packet.ttl = ttl;
        packet.seq.0 = seq;
        packet.ip_id = 0x0100 + small;
        let time = u32::try_from(number + 1).unwrap().to_be_bytes();
        packet.options = [&[8, 10][..], &time, &[0; 6]].concat();
        Sent {
            purpose: Purpose {
                flow: 0,
                probe: Probe::Syn,
                role: Role::Ladder,
                ttl,
                attempt: 0,
            },
            at: Instant::from_millis(u64::from(small)),
            bytes: packet.emit().unwrap(),
            answers: Vec::new(),
        }
    });
    made.collect()
}

fn index(sent: &[Sent]) -> Index {
    let mut index = Index::default();
    for (number, sent) in sent.iter().enumerate() {
        index.note_sent(number, sent);
    }
    index
}

/// The packet that a quote of so many bytes of TCP is about, after these bytes were changed.
fn matched(sent: &[Sent], quoted: usize, tcp: usize, edits: &[(usize, u8)]) -> Option<usize> {
    let mut quote = sent[quoted].bytes[..20 + tcp].to_vec();
    for &(at, byte) in edits {
        quote[at] = byte;
    }
    let error = IcmpError {
        from: "10.0.9.9".parse().unwrap(),
        to: "10.0.0.1".parse().unwrap(),
        ttl: 60,
        kind: ErrorKind::TimeExceeded,
        quote: &quote,
        extension: Vec::new(),
    };
    let index = &index(sent);
    let known = Known { sent, index };
    super::quoted(known, Instant::from_millis(100), &error).map(|id| id.0)
}

/// Another sequence number.
const SEQ: (usize, u8) = (24, 0xee);
/// Another IP id.
const ID: (usize, u8) = (4, 0xee);

#[test]
fn sequence_number_id_or_timestamp_is_enough() {
    let sent = sent(&[(1, 100), (2, 200), (3, 300)]);
    for at in 0..3 {
        assert_eq!(matched(&sent, at, 8, &[]), Some(at));
        assert_eq!(matched(&sent, at, 8, &[ID]), Some(at));
        assert_eq!(matched(&sent, at, 8, &[SEQ]), Some(at));
        assert_eq!(matched(&sent, at, 32, &[SEQ, ID]), Some(at));
        assert_eq!(matched(&sent, at, 8, &[SEQ, ID]), None);
    }
}

#[test]
fn an_id_in_the_order_of_the_router_is_the_same_id() {
    let sent = sent(&[(1, 100), (2, 200), (3, 300)]);
    assert_eq!(matched(&sent, 2, 8, &[(4, 0x02), (5, 0x01), SEQ]), Some(2));
}

#[test]
fn an_id_alone_proves_nothing_against_a_timestamp_or_after_an_answer() {
    let mut sent = sent(&[(1, 100), (2, 200)]);
    // The id of the first packet, the timestamp of no packet.
    assert_eq!(matched(&sent, 0, 32, &[SEQ, (20 + 20 + 5, 0xee)]), None);
    let answer = crate::evidence::Answer {
        at: Instant::from_millis(9),
        from: "10.0.9.9".parse().unwrap(),
        ttl: 60,
        kind: crate::evidence::AnswerKind::Segment(crate::evidence::SegmentAnswer {
            flags: Flags::ACK,
            seq: 0,
            ack: 0,
            window: 0,
            tos: 0,
            options: Vec::new(),
            payload_len: 0,
        }),
    };
    sent[0].answers.push(answer);
    assert_eq!(matched(&sent, 0, 8, &[SEQ]), None);
    assert_eq!(matched(&sent, 0, 8, &[]), Some(0));
}

#[test]
fn copies_with_other_ttls_are_not_guessed_at() {
    let sent = sent(&[(1, 7), (2, 7)]);
    assert_eq!(matched(&sent, 1, 8, &[]), Some(1));
    assert_eq!(matched(&sent, 0, 8, &[ID]), None);
    assert_eq!(matched(&sent, 0, 32, &[ID]), Some(0));
}

#[test]
fn an_error_for_somebody_else_is_about_nothing_of_ours() {
    let sent = sent(&[(1, 7)]);
    let error = IcmpError {
        from: "10.0.9.9".parse().unwrap(),
        to: "10.0.0.77".parse().unwrap(),
        ttl: 60,
        kind: ErrorKind::TimeExceeded,
        quote: &sent[0].bytes,
        extension: Vec::new(),
    };
    let known = Known {
        sent: &sent,
        index: &index(&sent),
    };
    assert_eq!(quoted(known, Instant::from_millis(9), &error), None);
}

#[test]
fn a_segment_answers_what_it_acknowledges() {
    let sent = sent(&[(64, 100), (64, 200)]);
    for (ack, expected) in [(104, 0), (204, 1)] {
        let mut packet = sample("10.0.0.2:80", "10.0.0.1:9");
        packet.flags = Flags(0x12);
        packet.ack.0 = ack;
        packet.options = Vec::new();
        let bytes = packet.emit().unwrap();
        let fields = Fields::parse(&bytes).unwrap();
        let known = Known {
            sent: &sent,
            index: &index(&sent),
        };
        let found = answered(known, Instant::from_millis(50), &fields);
        assert_eq!(found, Some(SentId(expected)), "{ack}");
    }
}

#[test]
fn a_number_is_found_across_its_wrap_and_a_part_by_the_number_before() {
    let mut sent = sent(&[(1, 0xffff_fffe), (2, 0x8000_0000)]);
    for (number, sent) in sent.iter_mut().enumerate() {
        let mut packet = crate::packet::Packet::parse(&sent.bytes).unwrap();
        packet.payload = vec![b'x'; 4 + 10 * number];
        sent.bytes = packet.emit().unwrap();
    }
    let part = |quoted, seq: u32| {
        let bytes = seq.to_be_bytes();
        let edits: Vec<_> = (24..).zip(bytes).collect();
        // With another id, so that only the number tells.
        matched(&sent, quoted, 8, &[&edits[..], &[ID]].concat())
    };
    assert_eq!(part(0, 0xffff_ffff), Some(0));
    assert_eq!(part(0, 1), Some(0));
    assert_eq!(part(0, 2), None);
    assert_eq!(part(1, 0x8000_000d), Some(1));
    assert_eq!(part(1, 0x8000_000e), None);
}

#[test]
fn an_answer_is_compared_with_as_many_packets_however_many_were_sent() {
    let compared = |count: u32, step: u32| -> usize {
        let packets: Vec<(u8, u32)> = (0..count).map(|at| (1, at * step)).collect();
        let mut sent = sent(&packets);
        if step == 0 {
            let first = sent[0].bytes.clone();
            for sent in &mut sent {
                sent.bytes.clone_from(&first);
            }
        }
        let index = index(&sent);
        let compared = sent.iter().map(|sent| {
            let quote = Fields::parse(&sent.bytes).unwrap();
            let mut answer = sample("10.0.0.2:80", "10.0.0.1:9");
            answer.ack = quote.tcp.seq().unwrap().add(4);
            let answer = answer.emit().unwrap();
            let answer = Fields::parse(&answer).unwrap();
            let asked = index.answered(&answer, |_| Some(false)).len();
            index.quoted(&quote).len() + asked
        });
        compared.max().unwrap()
    };
    // As in a run: each has a number of its own.
    assert!(
        compared(6000, 0x1_0000) <= 8,
        "{}",
        compared(6000, 0x1_0000)
    );
    // As somebody may write a file: all look alike.
    let alike = compared(6000, 0);
    assert!(alike <= 2 * 3 * MAX_ALIKE, "{alike}");
    assert_eq!(compared(3000, 0), alike);
}
