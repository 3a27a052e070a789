//! Segments are cut, joined, held back and answered.

use super::change::{Change, What, When};
use super::ground::{Plan, Trial};
use super::sides::{side, stream};
use super::{Case, FALLS, UNHARMED, check, check_with};
use crate::seen::Seen;

/// Both halves of a segment.
fn halves(packet: &Seen) -> Vec<Seen> {
    let middle = packet.payload.len() / 2;
    if middle == 0 {
        return vec![packet.clone()];
    }
    let (first, second) = packet.payload.split_at(middle);
    let len = u32::try_from(middle).unwrap();
    let first = Seen {
        payload: first.to_vec(),
        psh: false,
        fin: false,
        ..packet.clone()
    };
    let second = Seen {
        payload: second.to_vec(),
        sequence: packet.sequence.wrapping_add(len),
        ip_id: packet.ip_id.map(|id| id.wrapping_add(1)),
        ..packet.clone()
    };
    vec![first, second]
}

fn halves_with_options_on_the_first(packet: &Seen) -> Vec<Seen> {
    let mut halves = halves(packet);
    for half in halves.iter_mut().skip(1) {
        half.options.fill(1);
    }
    halves
}

const SPLIT: &[Case] = &[
    Case {
        spec: "split",
        change: Change::new(When::Data, What::Replace(halves)),
        ..UNHARMED
    },
    Case {
        spec: "split:options=first",
        change: Change::new(When::Data, What::Replace(halves_with_options_on_the_first)),
        ..UNHARMED
    },
];

#[test]
fn a_split_does_not_matter_where_a_mapping_covers_both_parts() {
    check(SPLIT);
}

/// Segments so short that two of them fit into one.
const COALESCE: &[Case] = &[Case {
    spec: "coalesce:toward=server",
    upstream: Some("rewrite:field=mss,set=700"),
    own: joined,
    ..UNHARMED
}];

/// Segments to the server are joined in pairs, with the options of the first.
fn joined(trial: &mut Trial) {
    assert_eq!(stream(&trial.near, true), stream(&trial.far, true));
    let mut pairs = 0;
    for packet in side(&trial.far, true).filter(|packet| !packet.payload.is_empty()) {
        let mut parts = side(&trial.near, true).filter(|part| part.sequence == packet.sequence);
        let first = parts.find(|part| !part.payload.is_empty()).unwrap();
        assert_eq!(packet.options, first.options);
        assert!(packet.payload.starts_with(&first.payload) && packet.payload.len() <= 1400);
        pairs += u32::from(packet.payload.len() > first.payload.len());
    }
    assert!(pairs >= 2, "{pairs} pairs");
    forget(trial, |packet| {
        packet.to_server() && !packet.payload.is_empty()
    });
}

/// Leaves these packets out of the comparison.
fn forget(trial: &mut Trial, which: fn(&Seen) -> bool) {
    trial.near.retain(|packet| !which(packet));
    trial.far.retain(|packet| !which(packet));
}

#[test]
fn joined_segments_do_not_matter_where_one_mapping_covers_them() {
    check(COALESCE);
}

const PROACTIVE: &[Case] = &[Case {
    spec: "proactive",
    own: acknowledged,
    mptcp: [FALLS, FALLS],
    incidents: [&["MPCapableDataFallback"], &["DssFallback"]],
    ..UNHARMED
}];

/// The ACKs of the box come from it, with a full TTL and without options, one for each segment.
fn acknowledged(trial: &mut Trial) {
    let made = |packet: &Seen| packet.is_pure_ack() && packet.options.is_empty();
    for (to, data_from, acks_to) in [
        (true, &trial.near, &trial.near),
        (false, &trial.far, &trial.far),
    ] {
        let data = side(data_from, to).filter(|packet| !packet.payload.is_empty());
        let ends: Vec<u32> = data
            .map(|packet| {
                let len = u32::try_from(packet.payload.len()).unwrap();
                packet.sequence.wrapping_add(len)
            })
            .collect();
        let acks: Vec<&Seen> = side(acks_to, !to).filter(|packet| made(packet)).collect();
        let numbers: Vec<u32> = acks.iter().map(|ack| ack.acknowledgment).collect();
        assert_eq!(numbers, ends);
        assert!(acks.iter().all(|ack| ack.ttl == 64 && ack.checksum_ok));
    }
    trial.near.retain(|packet| !made(packet));
    trial.far.retain(|packet| !made(packet));
}

#[test]
fn an_ack_without_data_ack_ends_mptcp() {
    check(PROACTIVE);
}

/// The router before the box loses a segment in the middle of the data.
pub(super) const LOSES_ONE: Option<&str> = Some("refuse:on=data,toward=server,from=12,count=1");

const HOLE: &[Case] = &[Case {
    spec: "hole",
    upstream: LOSES_ONE,
    own: dropped_after_hole,
    ..UNHARMED
}];

/// What passes has no hole, and nothing else is missing.
fn dropped_after_hole(trial: &mut Trial) {
    let data = |packets: &[Seen]| -> Vec<Seen> {
        let data = side(packets, true).filter(|packet| !packet.payload.is_empty());
        data.cloned().collect()
    };
    let (came, passed) = (data(&trial.near), data(&trial.far));
    let mut next = came[0].sequence;
    let mut left = passed.iter();
    let mut dropped = 0;
    for packet in &came {
        let is_behind_hole = packet.sequence.wrapping_sub(next).cast_signed() > 0;
        if is_behind_hole {
            dropped += 1;
            continue;
        }
        let end = packet.sequence + u32::try_from(packet.payload.len()).unwrap();
        if end.wrapping_sub(next).cast_signed() > 0 {
            next = end;
        }
        let passed = left.next().unwrap();
        assert_eq!(
            (passed.sequence, &passed.payload),
            (packet.sequence, &packet.payload)
        );
    }
    assert!(dropped > 0 && left.next().is_none());
    // The server never saw a hole.
    assert_eq!(trial.hosts[1].counters.of("TcpExtTCPOFOQueue"), 0);
    forget(trial, |packet| {
        packet.to_server() && !packet.payload.is_empty()
    });
}

/// Enough data that some follow the lost segment.
pub(super) const MUCH: Plan = Plan {
    turns: &[20_000, 2000, 500],
    ..Plan::USUAL
};

#[test]
fn data_behind_a_hole_come_again() {
    check_with(HOLE, &MUCH, "");
}

/// The first long segment passes by the box.
const PASSES_BY: &str = "
    for tables in iptables ip6tables; do
      $tables -w -t mangle -F FORWARD
      $tables -w -t mangle -A FORWARD -i near -p tcp -m length --length 900:65535 -m quota --quota 1100 -j ACCEPT
    done";

const ACK: &[Case] = &[
    Case {
        spec: "ack:how=drop,toward=client",
        before: PASSES_BY,
        own: |trial| unseen(trial, true),
        ..UNHARMED
    },
    Case {
        spec: "ack:how=correct,toward=client",
        before: PASSES_BY,
        own: |trial| unseen(trial, false),
        ..UNHARMED
    },
];

/// ACKs of the first segment were dropped or lowered, all of them until the box saw a packet of
/// the client that is behind the segment, or the segment again.
fn unseen(trial: &mut Trial, dropped: bool) {
    let mut sent = side(&trial.near, true).skip_while(|packet| packet.payload.is_empty());
    let first = sent.next().unwrap().clone();
    let known = sent.next().unwrap().time;
    drop(sent);
    let mut changed = 0;
    trial.far.retain(|ack| {
        if ack.to_server() || ack.acknowledgment <= first.sequence {
            return true;
        }
        let here = side(&trial.near, false);
        let here: Vec<u32> = here
            .filter(|other| (&other.options, other.sequence) == (&ack.options, ack.sequence))
            .map(|other| other.acknowledgment)
            .collect();
        let passed = here.contains(&ack.acknowledgment);
        if !passed {
            changed += 1;
            assert_eq!(here.contains(&first.sequence), !dropped);
        }
        assert!(!passed || ack.time > known);
        passed
    });
    assert!(changed > 0);
    trial.near.retain(|packet| {
        packet.to_server() || packet.syn || packet.acknowledgment > first.sequence
    });
}

#[test]
fn an_ack_for_unseen_data_is_lost_or_lowered() {
    let plan = Plan {
        turns: &[1000, 2000, 500],
        ..Plan::USUAL
    };
    check_with(ACK, &plan, "");
}

/// For the list of all that is tried.
pub(super) const CASES: &[&[Case]] = &[SPLIT, COALESCE, PROACTIVE, HOLE, ACK];
