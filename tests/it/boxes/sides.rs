//! The two sides of a box, packet by packet.

use super::change::{Change, Position};
use super::ground::Trial;
use crate::seen::Seen;

/// A packet that came to the box.
pub(super) struct Arrival<'a> {
    pub(super) packet: &'a Seen,
    pub(super) position: Position,
}

/// The packets that came to the box before the end, in their order.
pub(super) fn arrivals(trial: &Trial) -> Vec<Arrival<'_>> {
    let mut all: Vec<&Seen> = side(&trial.near, true).collect();
    all.extend(side(&trial.far, false));
    all.retain(|packet| packet.time < trial.end);
    all.sort_by_key(|packet| packet.time);
    let syn = all.iter().find(|packet| packet.is_syn());
    let first = syn.map(|syn| syn.sequence.wrapping_add(1));
    let mut acknowledged = false;
    let mut found = Vec::new();
    for (number, packet) in (1..).zip(all) {
        let to_server = packet.to_server();
        let first_ack = to_server && packet.is_pure_ack() && Some(packet.sequence) == first;
        let copy = packet.mptcp(0).is_some() || packet.mptcp(1).is_some();
        let third_ack = first_ack && (copy || !acknowledged);
        acknowledged |= first_ack;
        found.push(Arrival {
            packet,
            position: Position {
                number,
                to_server,
                third_ack,
            },
        });
    }
    found
}

/// The packets of one side that travel one way.
pub(super) fn side(packets: &[Seen], to: bool) -> impl Iterator<Item = &Seen> {
    packets
        .iter()
        .filter(move |packet| packet.to_server() == to)
}

/// Where the packets that left are not those that should have left, one way after the other.
pub(super) fn differences(trial: &Trial, change: &Change) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut expected = [Vec::new(), Vec::new()];
    let mut changed = 0;
    for Arrival { packet, position } in arrivals(trial) {
        let new = change.of(packet, position);
        changed += usize::from(new.is_some());
        let checksum_ok = !(change.stale && new.is_some());
        for new in new.unwrap_or_else(|| vec![packet.clone()]) {
            let forwarded = Seen {
                ttl: new.ttl - 1,
                checksum_ok,
                ..new
            };
            expected[usize::from(position.to_server)].push((position.number, forwarded));
        }
    }
    for (to, onto) in [(true, &trial.far), (false, &trial.near)] {
        let left: Vec<&Seen> = side(onto, to).collect();
        let expected = &expected[usize::from(to)];
        let early = left.iter().filter(|packet| packet.time < trial.end).count();
        if left.len() < expected.len() || early > expected.len() {
            let (left, expected) = (left.len(), expected.len());
            wrong.push(format!(
                "{left} packets left (to server: {to}), not {expected}"
            ));
        }
        // Two processors may pass packets on in another order than they came.
        let mut left: Vec<&Seen> = left;
        let mut missing = Vec::new();
        for (number, expected) in expected {
            match left
                .iter()
                .position(|left| differing(left, expected).is_none())
            {
                Some(at) => drop(left.remove(at)),
                None => missing.push((number, expected)),
            }
        }
        let mut pairs = left.into_iter().zip(missing);
        // What follows a packet that is wrong is often wrong because of it.
        let first = pairs.find_map(|(left, (number, expected))| {
            let (left, expected) = differing(left, expected)?;
            Some(format!("packet {number}: {left}, not {expected}"))
        });
        wrong.extend(first);
    }
    if changed == 0 && !change.is_none() {
        wrong.push("no packet was to be changed".to_owned());
    }
    wrong
}

/// The fields of two packets that differ, their times apart; none if they are equal.
fn differing(one: &Seen, other: &Seen) -> Option<(String, String)> {
    let fields = |packet: &Seen| {
        let packet = Seen {
            time: one.time,
            ..packet.clone()
        };
        let text = format!("{packet:#?}").replace(",\n        ", ", ");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let pairs = fields(one).into_iter().zip(fields(other));
    let (one, other): (Vec<_>, Vec<_>) = pairs.filter(|(one, other)| one != other).unzip();
    (!one.is_empty()).then(|| (one.concat(), other.concat()))
}

/// The bytes that travelled one way, in their order.
pub(super) fn stream(packets: &[Seen], to: bool) -> Vec<u8> {
    let mut data: Vec<&Seen> = side(packets, to).collect();
    data.retain(|packet| !packet.payload.is_empty());
    let Some(first) = data.first().map(|packet| packet.sequence) else {
        return Vec::new();
    };
    data.sort_by_key(|packet| packet.sequence.wrapping_sub(first));
    let mut bytes = Vec::new();
    for packet in data {
        let offset = usize::try_from(packet.sequence.wrapping_sub(first)).unwrap();
        let known = bytes.len().saturating_sub(offset);
        bytes.extend(packet.payload.iter().skip(known));
    }
    bytes
}
