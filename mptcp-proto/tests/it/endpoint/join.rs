//! Further subflows (RFC 8684 §3.2).

use std::time::Duration;

use mptcp_proto::conn::config::Offer;
use mptcp_proto::conn::received::ReceivedOptions;
use mptcp_proto::conn::{Config, Event, SubflowEnd, Violation};
use mptcp_proto::endpoint::{self, ConnId, Endpoint};
use mptcp_proto::path::SubflowId;
use mptcp_proto::seq::TcpSeq;
use mptcp_proto::time::Instant;
use mptcp_proto::wire::mptcp::{Priority, ResetReason, Subtype};
use mptcp_proto::wire::segment::{Ecn, Flags, Segment};

use super::handshake::{fallback, version};
use super::meddle::{Seen, drop_if, flip, meddle, strip, subtypes};
use super::pair::{CLIENT, Pair, SERVER, Seeded, Way, address, check_back_off, pattern};

pub(crate) const SECOND: &str = "10.0.1.1:40001";
pub(crate) const SECOND_SERVER: &str = "10.9.1.1:80";

pub(crate) fn up(event: &Event) -> Option<SubflowId> {
    match event {
        Event::SubflowUp { id } => Some(*id),
        _ => None,
    }
}

pub(crate) fn down(event: &Event) -> Option<(SubflowId, SubflowEnd)> {
    match event {
        Event::SubflowDown { id, how } => Some((*id, *how)),
        _ => None,
    }
}

pub(crate) fn violation(event: &Event) -> Option<Violation> {
    match event {
        Event::Violation { violation, .. } => Some(*violation),
        _ => None,
    }
}

/// A connection over which a few bytes went, so that joins are possible.
pub(crate) fn established(config: &Config) -> (Pair, [ConnId; 2]) {
    let (mut pair, ours, theirs) = Pair::established(config.clone(), config.clone());
    pair.transfer([ours, theirs], b"hello", b"you", Duration::from_secs(5));
    pair.run_for(Duration::from_millis(100));
    (pair, [ours, theirs])
}

/// The client opens a subflow from [`SECOND`].
pub(crate) fn join(pair: &mut Pair, id: ConnId, priority: Priority) {
    let (local, remote) = (address(SECOND), address(SERVER));
    pair.client(id)
        .open_subflow(local, remote, priority)
        .unwrap();
    pair.run_for(Duration::from_millis(200));
}

#[track_caller]
fn check_both_carry(pair: &Pair) {
    for side in [&pair.client, &pair.server] {
        let connection = side.connections().next().unwrap();
        for subflow in connection.subflows() {
            assert!(subflow.is_up, "{subflow:?}");
            assert!(subflow.tcp.counters.segments_out > 10, "{subflow:?}");
        }
        assert_eq!(connection.info().subflows, 1);
    }
}

#[test]
fn a_joined_subflow_carries_data_in_both_versions() {
    for offer in [Offer::V0, Offer::V1] {
        let (mut pair, ids) = established(&version(offer));
        join(&mut pair, ids[0], Priority::Regular);
        let limit = Duration::from_secs(20);
        pair.transfer(ids, &pattern(2_000_000, 1), &pattern(2_000_000, 2), limit);
        check_both_carry(&pair);
        pair.exchange(ids, &pattern(1000, 3), &pattern(1000, 4));
        pair.run_for(Duration::from_secs(200));
        assert_eq!(
            pair.client.connection_count() + pair.server.connection_count(),
            0
        );
    }
}

#[test]
fn the_server_may_join_as_well() {
    let (mut pair, ids) = established(&Config::default());
    let (local, remote) = (address("10.9.1.1:777"), address("10.0.0.1:778"));
    pair.server(ids[1])
        .open_subflow(local, remote, Priority::Regular)
        .unwrap();
    pair.run_for(Duration::from_millis(200));
    let limit = Duration::from_secs(20);
    pair.transfer(ids, &pattern(2_000_000, 1), &pattern(2_000_000, 2), limit);
    check_both_carry(&pair);
}

#[test]
fn data_arrive_over_several_lossy_paths_of_different_delay() {
    for seed in 0..6 {
        let (mut pair, ids) = established(&Config::default());
        join(&mut pair, ids[0], Priority::Regular);
        pair.delays
            .insert(address(SECOND), Duration::from_millis(60));
        let mut random = Seeded(seed);
        pair.hook = Some(drop_if(move |_| random.happens(2)));
        pair.exchange(ids, &pattern(600_000, seed), &pattern(600_000, !seed));
        assert!(pair.picked(0, fallback).is_empty());
    }
}

#[test]
fn a_path_that_dies_leaves_its_data_to_the_other() {
    for dead in [CLIENT, SECOND] {
        let (mut pair, ids) = established(&Config::default());
        join(&mut pair, ids[0], Priority::Regular);
        let dead = address(dead);
        pair.hook = Some(drop_if(move |seen| {
            seen.number > 200 && [seen.segment.source, seen.segment.destination].contains(&dead)
        }));
        let limit = Duration::from_secs(60);
        pair.transfer(ids, &pattern(1_500_000, 1), &pattern(1_500_000, 2), limit);
    }
}

#[test]
fn a_reset_of_one_subflow_leaves_its_data_to_the_other() {
    let (mut pair, ids) = established(&Config::default());
    join(&mut pair, ids[0], Priority::Regular);
    let mut count = 0;
    pair.hook = Some(Box::new(move |_, way, packet| {
        let segment = Segment::parse(&packet, false).unwrap();
        let is_first = segment.source == address(CLIENT);
        count += usize::from(is_first && way == Way::ToServer);
        if is_first && count == 100 {
            vec![super::meddle::reset_of(&segment)]
        } else {
            vec![packet]
        }
    }));
    let limit = Duration::from_secs(60);
    pair.transfer(ids, &pattern(1_500_000, 1), &pattern(1_500_000, 2), limit);
    assert!(matches!(
        pair.picked(1, down)[..],
        [(SubflowId(0), SubflowEnd::ResetByPeer { .. })]
    ));
    pair.exchange(ids, &pattern(1000, 3), &pattern(1000, 4));
}

#[track_caller]
fn check_refused(
    change: impl FnMut(&Seen<'_>, &mut Vec<u8>, &mut Vec<u8>) -> bool + 'static,
    side: usize,
    expected: Violation,
) {
    let (mut pair, ids) = established(&Config::default());
    pair.hook = Some(meddle(change));
    join(&mut pair, ids[0], Priority::Regular);
    pair.run_for(Duration::from_secs(2));
    assert!(pair.picked(side, violation).contains(&expected));
    assert!(
        pair.picked(0, down)
            .iter()
            .any(|(id, _)| *id == SubflowId(1))
    );
    let reasons = pair.picked(1 - side, |event| match down(event) {
        Some((_, SubflowEnd::ResetByPeer { reason })) => reason,
        _ => None,
    });
    assert_eq!(reasons, [(ResetReason::MPTCP_SPECIFIC, false)]);
    // RFC 8684 §3.2: the connection goes on.
    pair.hook = None;
    pair.exchange(ids, &pattern(100_000, 1), &pattern(100_000, 2));
    assert!(pair.picked(0, fallback).is_empty());
}

#[test]
fn a_wrong_hmac_in_the_syn_ack_resets_the_subflow() {
    check_refused(
        |seen, options, _| {
            if seen.is_syn_ack() {
                // The last four bytes are the nonce, over which the HMAC goes.
                flip(options, Subtype::JOIN);
            }
            true
        },
        0,
        Violation::JoinSynAckHmac,
    );
}

#[test]
fn a_wrong_hmac_in_the_third_ack_resets_the_subflow() {
    check_refused(
        |seen, options, _| {
            if !seen.segment.flags.syn() {
                flip(options, Subtype::JOIN);
            }
            true
        },
        1,
        Violation::JoinAckHmac,
    );
}

#[test]
fn a_syn_ack_without_mp_join_resets_the_subflow() {
    check_refused(
        |seen, options, _| {
            if seen.is_syn_ack() {
                super::meddle::blank(options, |_| true);
            }
            true
        },
        0,
        Violation::JoinSynAckMissing,
    );
}

#[test]
fn a_third_ack_without_mp_join_resets_the_subflow() {
    check_refused(
        |seen, options, _| {
            if !seen.segment.flags.syn() {
                super::meddle::blank(options, |subtype| subtype == Subtype::JOIN);
            }
            true
        },
        1,
        Violation::JoinAckMissing,
    );
}

#[test]
fn a_join_with_an_unknown_token_is_reset_with_reason_1() {
    let (mut pair, ids) = established(&Config::default());
    pair.hook = Some(meddle(|seen, options, _| {
        if seen.is_syn()
            && let Some(at) = options.windows(2).position(|pair| pair == [30, 12])
        {
            options[at + 4] ^= 1;
        }
        true
    }));
    join(&mut pair, ids[0], Priority::Regular);
    let refused = SubflowEnd::ResetByPeer {
        reason: Some((ResetReason::MPTCP_SPECIFIC, false)),
    };
    assert_eq!(pair.picked(0, down), [(SubflowId(1), refused)]);
}

/// What a host whose listener accepts this answers to a join of a connection that it has not.
fn answer_to_stray_join(mptcp: Offer) -> (Flags, Vec<u8>) {
    let mut server = Endpoint::new(endpoint::Config::default(), Box::new(Seeded(1)));
    let config = Config {
        mptcp,
        ..Config::default()
    };
    server.listen(address(SERVER), 1, config).unwrap();
    let syn = Segment {
        source: address(CLIENT),
        destination: address(SERVER),
        seq: TcpSeq(1),
        ack: TcpSeq(0),
        flags: Flags::SYN,
        window: 1000,
        urgent: 0,
        ecn: Ecn::NotCapable,
        options: &[30, 12, 0x10, 1, 1, 2, 3, 4, 5, 6, 7, 8],
        payload: &[],
        payload_sum: None,
    };
    let (mut packet, mut answer) = (Vec::new(), Vec::new());
    syn.emit(&mut packet).unwrap();
    server.handle_packet(Instant::ZERO, &packet);
    assert!(server.poll_transmit(Instant::ZERO, &mut answer));
    let answer = Segment::parse(&answer, false).unwrap();
    (answer.flags, answer.options.to_vec())
}

#[test]
fn a_stray_join_is_answered_by_what_the_listener_speaks() {
    // RFC 8684 §3.2; RFC 6824 has no MP_TCPRST; who speaks TCP alone does not know the option, and Linux
    // answers it there with a SYN/ACK.
    let reset = Flags::RST.with(Flags::ACK);
    let reason = [30, 4, 0x80, 1];
    for mptcp in [Offer::V1, Offer::Both] {
        assert_eq!(answer_to_stray_join(mptcp), (reset, reason.to_vec()));
    }
    assert_eq!(answer_to_stray_join(Offer::V0), (reset, vec![]));
    let (flags, options) = answer_to_stray_join(Offer::Off);
    assert_eq!(flags, Flags::SYN.with(Flags::ACK));
    assert!(!options.contains(&30));
}

#[test]
fn lost_third_and_fourth_acks_are_repeated() {
    // So many third ACKs, and so many answers to them.
    for lost in [[3, 0], [0, 3], [2, 2]] {
        let (mut pair, ids) = established(&Config::default());
        let mut left = lost;
        pair.hook = Some(drop_if(move |seen| {
            let ends = [seen.segment.source, seen.segment.destination];
            let left: &mut i32 = &mut left[seen.way as usize];
            let is_due = ends.contains(&address(SECOND)) && !seen.segment.flags.syn() && *left > 0;
            *left -= i32::from(is_due);
            is_due
        }));
        join(&mut pair, ids[0], Priority::Regular);
        pair.run_for(Duration::from_secs(20));
        let third_acks = pair.log.iter().filter_map(|sent| {
            let segment = Segment::parse(&sent.packet, false).unwrap();
            let is_join = segment.source == address(SECOND)
                && !segment.flags.syn()
                && subtypes(&segment).contains(&Subtype::JOIN);
            is_join.then_some(sent.at)
        });
        let mut times: Vec<_> = third_acks.collect();
        // What answers a SYN/ACK that comes again may stand between.
        if lost[1] > 0 && lost[0] == 0 {
            assert_eq!(times.len(), 4);
            check_back_off(&times);
        }
        times.dedup();
        assert!(times.len() > 3, "{lost:?}: {times:?}");
        assert_eq!(pair.picked(0, up).len(), 2);
        assert_eq!(pair.picked(1, up).len(), 2);
        let limit = Duration::from_secs(20);
        pair.transfer(ids, &pattern(500_000, 1), &pattern(500_000, 2), limit);
    }
}

#[test]
fn options_lost_on_a_joined_subflow_reset_it_and_nothing_else() {
    let (mut pair, ids) = established(&Config::default());
    join(&mut pair, ids[0], Priority::Regular);
    pair.hook = Some(strip(|seen| {
        let ends = [seen.segment.source, seen.segment.destination];
        ends.contains(&address(SECOND))
    }));
    let limit = Duration::from_secs(60);
    pair.transfer(ids, &pattern(1_000_000, 1), &pattern(1_000_000, 2), limit);
    let ended: Vec<_> = [0, 1]
        .iter()
        .flat_map(|side| pair.picked(*side, down))
        .collect();
    let reason = ResetReason::MIDDLEBOX_INTERFERENCE;
    let is_such = |(id, how): &(SubflowId, SubflowEnd)| {
        *id == SubflowId(1)
            && (*how == SubflowEnd::ResetByUs { reason }
                || matches!(how, SubflowEnd::ResetByPeer { .. }))
    };
    assert!(ended.len() == 2 && ended.iter().all(is_such), "{ended:?}");
    // What says so left with the reason, though the box took it away.
    let resets = pair.log.iter().filter_map(|sent| {
        let segment = Segment::parse(&sent.packet, false).unwrap();
        let options = ReceivedOptions::parse(None, segment.options);
        let reason = options.reset.map(|reset| reset.reason);
        segment.flags.rst().then_some((segment.source.ip(), reason))
    });
    let resets: Vec<_> = resets.collect();
    assert_eq!(resets[0].1, Some(reason), "{resets:?}");
    assert!(pair.picked(0, fallback).is_empty() && pair.picked(1, fallback).is_empty());
}

#[test]
fn a_backup_carries_data_only_when_the_regular_subflow_is_gone() {
    let (mut pair, ids) = established(&Config::default());
    join(&mut pair, ids[0], Priority::Backup);
    let limit = Duration::from_secs(60);
    pair.transfer(ids, &pattern(300_000, 1), &pattern(300_000, 2), limit);
    for host in [&pair.client, &pair.server] {
        let connection = host.connections().next().unwrap();
        let backup = connection.subflows().nth(1).unwrap();
        assert!(
            backup.is_up && backup.tcp.counters.segments_out < 10,
            "{backup:?}"
        );
    }
    let dead = address(CLIENT);
    pair.hook = Some(drop_if(move |seen| {
        [seen.segment.source, seen.segment.destination].contains(&dead)
    }));
    pair.transfer(ids, &pattern(300_000, 3), &pattern(300_000, 4), limit);
}

#[test]
fn a_connection_without_subflows_goes_on_when_one_is_joined() {
    let (mut pair, ids) = established(&Config::default());
    let data = pattern(100_000, 5);
    pair.client(ids[0]).write(&data).unwrap();
    pair.run_for(Duration::from_millis(15));
    // The server loses the subflow, and resets it when the client goes on.
    let mut is_done = false;
    pair.hook = Some(Box::new(move |_, way, packet| {
        if way == Way::ToClient || std::mem::replace(&mut is_done, true) {
            return vec![packet];
        }
        let segment = Segment::parse(&packet, false).unwrap();
        vec![super::meddle::reset_of(&segment)]
    }));
    pair.run_for(Duration::from_millis(400));
    pair.hook = None;
    assert_eq!(pair.client(ids[0]).info().subflows_total, 0);
    join(&mut pair, ids[0], Priority::Regular);
    let mut got = Vec::new();
    pair.run_until(Duration::from_secs(10), |pair| {
        super::pair::read_all(pair.server(ids[1]), &mut got);
        got.len() >= data.len()
    });
    assert!(got == data);
}
