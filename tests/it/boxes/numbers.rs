//! Numbers and bytes of the stream change, or the options of the SYN/ACK.

use super::change::{Change, What, When, options};
use super::ground::{Plan, Trial};
use super::segments::{LOSES_ONE, MUCH};
use super::sides::side;
use super::{Case, NO, UNHARMED, check_with};
use crate::seen::Seen;

/// The shift of the box unless told otherwise.
const DELTA: u32 = 0x1020_3040;

/// Sequence numbers to the server move, acknowledgments come back.
fn shift(packet: &mut Seen) {
    if packet.to_server() {
        packet.sequence = packet.sequence.wrapping_add(DELTA);
    } else if packet.ack {
        packet.acknowledgment = packet.acknowledgment.wrapping_sub(DELTA);
    }
}

fn shift_sack_too(packet: &mut Seen) {
    shift(packet);
    if packet.to_server() {
        return;
    }
    for (_, value) in options(packet).into_iter().filter(|(kind, _)| *kind == 5) {
        for edge in value.as_chunks_mut::<4>().0 {
            *edge = u32::from_be_bytes(*edge).wrapping_sub(DELTA).to_be_bytes();
        }
    }
}

/// With a loss before the box there are SACK blocks to forget.
const ISN: &[Case] = &[
    Case {
        spec: "isn",
        upstream: LOSES_ONE,
        change: Change::new(When::All, What::Edit(shift_sack_too)),
        own: |trial| assert_eq!(discarded(trial), 0),
        ..UNHARMED
    },
    Case {
        spec: "isn:sack=leave",
        upstream: LOSES_ONE,
        change: Change::new(When::All, What::Edit(shift)),
        own: |trial| assert!(discarded(trial) > 0),
        ..UNHARMED
    },
];

/// SACK blocks about numbers that the client never sent. It ignores them, so that the loss is
/// healed later, and nothing else.
fn discarded(trial: &Trial) -> u64 {
    let sacks = side(&trial.near, false).filter(|packet| packet.option(5).is_some());
    assert!(sacks.count() > 0);
    trial.hosts[0].counters.of("TcpExtTCPSACKDiscard")
}

#[test]
fn a_shift_of_all_numbers_does_not_matter() {
    check_with(ISN, &MUCH, "");
}

const MIRROR: &[Case] = &[Case {
    spec: "mirror",
    own: mirrored,
    mptcp: [NO, NO],
    incidents: [&["MPCapableFallbackSYNACK"], &["MPCapableFallbackACK"]],
    ..UNHARMED
}];

/// The client gets the options of its own SYN; taken back here.
fn mirrored(trial: &mut Trial) {
    let own = side(&trial.far, true)
        .find(|packet| packet.is_syn())
        .unwrap();
    let theirs = side(&trial.far, false)
        .find(|packet| packet.is_syn_ack())
        .unwrap();
    let answer = trial
        .near
        .iter_mut()
        .find(|packet| packet.is_syn_ack())
        .unwrap();
    assert_eq!(answer.options, own.options);
    assert_ne!(theirs.options, own.options);
    answer.options.clone_from(&theirs.options);
}

#[test]
fn an_echo_of_the_client_s_option_is_not_taken_for_an_answer() {
    // The server would refuse a third ACK that echoes a time which is not its own.
    check_with(
        MIRROR,
        &Plan::USUAL,
        "echo 0 > /proc/sys/net/ipv4/tcp_timestamps",
    );
}

/// For the list of all that is tried.
pub(super) const CASES: &[&[Case]] = &[ISN, MIRROR];
