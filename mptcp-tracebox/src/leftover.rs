//! What a run that ends early leaves open at the target, and how it is taken back.

use mptcp_proto::seq::TcpSeq;
use mptcp_proto::wire::segment::Flags;
use mptcp_proto::wire::tcp_option::{KIND_MPTCP, TcpOptions};

use crate::engine::Transmit;
use crate::evidence::{Evidence, Purpose, Role, Sent};
use crate::packet::Packet;
use crate::probe::Probe;

/// RSTs with MP_FASTCLOSE for the connections that stand. A half-open one goes when its SYN/ACK comes again:
/// by then the port is free, and the kernel answers as it does for every such port.
pub(crate) fn resets(evidence: &Evidence) -> Vec<Transmit> {
    let flows = evidence.all().iter().map(|sent| sent.purpose.flow).max();
    let flows = 0..flows.map_or(0, |last| last + 1);
    flows.flat_map(|flow| resets_of(evidence, flow)).collect()
}

fn resets_of(evidence: &Evidence, flow: usize) -> Vec<Transmit> {
    let all = evidence.all().iter();
    let talk = all.filter(|sent| sent.purpose.flow == flow && is_of_connection(sent));
    let talk: Vec<(&Sent, Packet)> = talk
        .filter_map(|sent| Some((sent, Packet::parse(&sent.bytes)?)))
        .collect();
    let Some((_, last)) = talk.last() else {
        return Vec::new();
    };
    let is_open = last.flags.ack() && !last.flags.syn() && !last.flags.rst();
    let is_over = talk
        .iter()
        .flat_map(|(sent, _)| &sent.answers)
        .filter_map(|answer| answer.segment())
        .any(|segment| segment.flags.rst());
    if !is_open || is_over {
        return Vec::new();
    }
    let key = talk.iter().find_map(|(sent, _)| remote_key(sent));
    // What was sent last, and where the target was when it was heard last: one of them is what it expects
    // next, and it takes no other RST (RFC 5961 §3.2).
    let mut ends: Vec<TcpSeq> = vec![end(last)];
    let acks = talk.iter().flat_map(|(sent, _)| &sent.answers);
    let acked = acks.filter_map(|answer| answer.segment()).next_back();
    ends.extend(acked.map(|segment| TcpSeq(segment.ack)));
    ends.extend(
        talk.iter()
            .map(|(_, packet)| end(packet))
            .max_by_key(|end| {
                let first = talk.first().map_or(TcpSeq(0), |(_, packet)| packet.seq);
                end.distance_from(first).unwrap_or(0)
            }),
    );
    ends.sort_unstable_by_key(|end| end.0);
    ends.dedup();
    let resets = ends.into_iter().zip(1..);
    resets
        .filter_map(|(seq, number)| reset(last, flow, (seq, number), key))
        .collect()
}

fn is_of_connection(sent: &Sent) -> bool {
    sent.purpose.role == Role::Connection
}

/// The number behind a segment.
fn end(packet: &Packet) -> TcpSeq {
    let len = u32::try_from(packet.payload.len()).unwrap_or(0);
    packet.seq.add(len + u32::from(packet.flags.syn()))
}

/// The key in MP_CAPABLE of a SYN/ACK (RFC 8684 §3.1).
fn remote_key(sent: &Sent) -> Option<[u8; 8]> {
    let mut segments = sent.answers.iter().filter_map(|answer| answer.segment());
    segments.find_map(|segment| {
        let mut options = TcpOptions::new(&segment.options).map_while(Result::ok);
        let found = options.find(|option| option.kind == KIND_MPTCP && option.bytes.len() == 12)?;
        let is_capable = segment.flags.syn() && found.bytes.get(2)? >> 4 == 0;
        let key = found.bytes.get(4..)?.first_chunk().copied();
        key.filter(|_| is_capable)
    })
}

fn reset(
    last: &Packet,
    flow: usize,
    (seq, number): (TcpSeq, u16),
    key: Option<[u8; 8]>,
) -> Option<Transmit> {
    let mut options = Vec::new();
    if let Some(key) = key {
        // RFC 8684 §3.5.
        options.extend([KIND_MPTCP, 12, 0x70, 0]);
        options.extend(key);
    }
    let packet = Packet {
        seq,
        flags: Flags::RST.with(Flags::ACK),
        // Zero would be filled in by Linux.
        ip_id: last.ip_id.wrapping_add(number).max(1),
        window: 0,
        options,
        payload: Vec::new(),
        ..last.clone()
    };
    let purpose = Purpose {
        flow,
        probe: Probe::Dss,
        role: Role::Reset,
        ttl: last.ttl,
        attempt: 0,
    };
    let bytes = packet.emit().ok()?;
    Some(Transmit { purpose, bytes })
}

#[cfg(test)]
mod tests {
    use mptcp_proto::time::Instant;

    use super::*;
    use crate::packet::fields::Fields;
    use crate::packet::tests::sample;

    const OURS: &str = "10.0.0.1:9";
    const THEIRS: &str = "10.0.0.2:80";

    fn packet(flags: Flags, seq: u32, payload: &[u8]) -> Packet {
        Packet {
            flags,
            seq: TcpSeq(seq),
            ttl: 64,
            options: Vec::new(),
            payload: payload.to_vec(),
            ..sample(OURS, THEIRS)
        }
    }

    fn send(evidence: &mut Evidence, packet: &Packet) {
        let purpose = Purpose {
            flow: 0,
            probe: Probe::Dss,
            role: Role::Connection,
            ttl: 64,
            attempt: 0,
        };
        let bytes = packet.emit().unwrap();
        evidence.note_sent(Instant::ZERO, purpose, bytes).unwrap();
    }

    fn receive(evidence: &mut Evidence, flags: Flags, ack: u32, options: &[u8]) {
        let answer = Packet {
            flags,
            ack: TcpSeq(ack),
            options: options.to_vec(),
            payload: Vec::new(),
            ..sample(THEIRS, OURS)
        };
        let bytes = answer.emit().unwrap();
        evidence
            .note_received(Instant::from_millis(1), &bytes)
            .unwrap();
    }

    /// The handshake, and three bytes that nobody acknowledged yet.
    fn talk() -> Evidence {
        let mut evidence = Evidence::default();
        send(&mut evidence, &packet(Flags::SYN, 99, b""));
        let capable = [30, 12, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8];
        receive(&mut evidence, Flags::SYN.with(Flags::ACK), 100, &capable);
        send(&mut evidence, &packet(Flags::ACK, 100, b""));
        send(&mut evidence, &packet(Flags::ACK, 100, b"abc"));
        evidence
    }

    #[test]
    fn a_connection_that_stands_is_taken_back_wherever_the_target_is() {
        let resets = resets(&talk());
        let fields: Vec<Fields<'_>> = resets
            .iter()
            .map(|reset| Fields::parse(&reset.bytes).unwrap())
            .collect();
        let numbers: Vec<u32> = fields
            .iter()
            .map(|reset| reset.tcp.seq().unwrap().0)
            .collect();
        assert_eq!(numbers, [100, 103]);
        for reset in fields {
            assert!(reset.tcp.flags().unwrap().rst());
            let fastclose = [30, 12, 0x70, 0, 1, 2, 3, 4, 5, 6, 7, 8];
            assert_eq!(reset.tcp.options(), fastclose);
        }
    }

    #[test]
    fn what_is_not_open_is_not_reset() {
        assert!(resets(&Evidence::default()).is_empty());
        let mut evidence = Evidence::default();
        send(&mut evidence, &packet(Flags::SYN, 99, b""));
        assert!(resets(&evidence).is_empty(), "no answer yet");
        let mut evidence = talk();
        send(&mut evidence, &packet(Flags::RST, 103, b""));
        assert!(resets(&evidence).is_empty(), "closed by us");
        let mut evidence = talk();
        receive(&mut evidence, Flags::RST, 103, &[]);
        assert!(resets(&evidence).is_empty(), "closed by the target");
    }
}
