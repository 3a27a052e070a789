use mptcp_proto::wire::segment::Flags;

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
        packet.options = vec![
            8,
            10,
            0,
            0,
            0,
            u8::try_from(number + 1).unwrap(),
            0,
            0,
            0,
            0,
            0,
            0,
        ];
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
    super::quoted(sent, Instant::from_millis(100), &error).map(|id| id.0)
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
    assert_eq!(quoted(&sent, Instant::from_millis(9), &error), None);
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
        let found = answered(&sent, Instant::from_millis(50), &fields);
        assert_eq!(found, Some(SentId(expected)), "{ack}");
    }
}
