//! Wrong checksums, MP_FAIL and infinite mappings (RFC 8684 §3.7).

use std::collections::BTreeSet;
use std::time::Duration;

use mptcp_proto::conn::received::ReceivedOptions;
use mptcp_proto::conn::{
    Config, ConnectionEnd, Event, FallbackReason, State, SubflowEnd, Violation,
};
use mptcp_proto::path::SubflowId;
use mptcp_proto::seq::Dsn;
use mptcp_proto::time::Instant;
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{Fail, MptcpOption, Priority, ResetReason};
use mptcp_proto::wire::segment::{Flags, Segment};

use super::puppet::{Puppet, Reply, payload, reset};
use crate::endpoint::handshake::fallback;
use crate::endpoint::join::{down, established, join};
use crate::endpoint::meddle::{meddle, reset_of};
use crate::endpoint::pair::{Pair, Way, pattern, read_all};

fn checksums() -> Config {
    let mut config = Config::default();
    config.wishes.checksum = true;
    config
}

fn fails(replies: &[Reply]) -> Vec<Dsn> {
    replies
        .iter()
        .filter_map(|reply| Some(reply.options().fail?.dsn))
        .collect()
}

/// Data of a line whose checksum is wrong.
fn send_wrong(puppet: &mut Puppet, line: usize, dsn: u64, data: &[u8]) -> Vec<Reply> {
    let ssn = puppet.lines[line].next;
    let mut mapping = puppet.map(dsn, ssn, data);
    mapping.checksum = mapping.checksum.map(|sum| sum ^ 0x0110);
    let option = puppet.dss(Some(mapping), false);
    puppet.at(line, ssn, &[option], data)
}

/// Case 13
#[test]
fn a_wrong_checksum_on_all_of_several_subflows_resets_all_but_the_last() {
    let mut puppet = Puppet::established(checksums());
    let line = puppet.join("10.0.1.1:40001", 1);
    let data = pattern(100, 1);
    puppet.data(0, 0, &data);
    let replies = send_wrong(&mut puppet, line, 100, &data);
    let told = reset(&replies).expect("a reset").options();
    assert_eq!(told.fail.unwrap().dsn, puppet.dsn(100));
    let reason = ResetReason::MIDDLEBOX_INTERFERENCE;
    assert_eq!(told.reset.unwrap().reason, reason);
    assert!(puppet.fallbacks().is_empty());
    // The same data over the last subflow, wrong again: kept as TCP would keep them.
    let replies = send_wrong(&mut puppet, 0, 100, &data);
    assert!(reset(&replies).is_none());
    assert_eq!(fails(&replies), [puppet.dsn(100)]);
    assert_eq!(puppet.fallbacks(), [FallbackReason::Checksum]);
    assert_eq!(puppet.read(), [data.clone(), data].concat());
}

/// Case 13
#[test]
fn a_wrong_checksum_on_a_retransmission_falls_back_like_any_other() {
    let mut pair = Pair::new(11);
    let mut lost = None;
    let (mut count, mut is_changed) = (0, false);
    pair.hook = Some(meddle(move |seen, _, payload| {
        if seen.way == Way::ToClient || !seen.has_data() {
            return true;
        }
        count += 1;
        if count == 12 {
            lost = Some(seen.segment.seq);
            return false;
        }
        if lost == Some(seen.segment.seq) && !is_changed {
            is_changed = true;
            payload[0] ^= 0xff;
        }
        true
    }));
    let ours = pair.connect(checksums(), checksums());
    pair.run_for(Duration::from_millis(50));
    let theirs = pair.accepted();
    let data = pattern(200_000, 1);
    let (mut done, mut got) = (0, Vec::new());
    pair.run_until(Duration::from_secs(60), |pair| {
        done += pair.client(ours).write(&data[done..]).unwrap();
        read_all(pair.server(theirs), &mut got);
        got.len() >= data.len()
    });
    let differing = got.iter().zip(&data).filter(|(a, b)| a != b).count();
    assert_eq!((got.len(), differing), (data.len(), 1));
    assert_eq!(pair.picked(1, fallback), [FallbackReason::Checksum]);
    assert_eq!(pair.picked(0, fallback), [FallbackReason::FailReceived]);
    pair.exchange([ours, theirs], b"", b"bye");
}

/// Case 13
#[test]
fn a_data_fin_with_a_wrong_checksum_is_dropped_and_answered_with_mp_fail() {
    let mut puppet = Puppet::established(checksums());
    puppet.data(0, 0, b"data");
    let mut mapping = puppet.map_len(4, 0, 1, &[]);
    mapping.checksum = mapping.checksum.map(|sum| sum ^ 1);
    let option = puppet.dss(Some(mapping), true);
    let replies = puppet.ack(0, &[option]);
    assert_eq!(fails(&replies), [puppet.dsn(4)]);
    assert_eq!(puppet.violations(), [Violation::Checksum]);
    assert_eq!(puppet.state(), State::Established);
    assert_eq!(puppet.read(), b"data");
}

/// Case 14
#[test]
fn a_connection_whose_subflows_are_reset_at_once_waits_for_another_and_then_ends() {
    for is_saved in [false, true] {
        let (mut pair, ids) = established(&Config::default());
        join(&mut pair, ids[0], Priority::Regular);
        let data = pattern(100_000, 1);
        pair.client(ids[0]).write(&data).unwrap();
        // The paths reset both subflows; the server answers what comes then with RST.
        let mut done = Vec::new();
        pair.hook = Some(Box::new(move |_, _, packet| {
            let segment = Segment::parse(&packet, false).unwrap();
            let ends = (segment.source, segment.destination);
            if segment.payload.is_empty() || done.contains(&ends) {
                return vec![packet];
            }
            done.push(ends);
            vec![reset_of(&segment)]
        }));
        pair.run_for(Duration::from_millis(300));
        pair.hook = None;
        assert_eq!(pair.picked(0, down).len(), 2);
        assert_eq!(pair.client(ids[0]).info().subflows_total, 0);
        // Only what arrived before the resets is there.
        let mut got = Vec::new();
        read_all(pair.server(ids[1]), &mut got);
        assert!(got.len() < data.len() && got == data[..got.len()]);
        assert_eq!(pair.client(ids[0]).state(), State::Established);
        if is_saved {
            let ends = ("10.0.2.1:40002", crate::endpoint::pair::SERVER);
            let (local, remote) = (ends.0.parse().unwrap(), ends.1.parse().unwrap());
            pair.client(ids[0])
                .open_subflow(local, remote, Priority::Regular)
                .unwrap();
            pair.run_until(Duration::from_secs(10), |pair| {
                read_all(pair.server(ids[1]), &mut got);
                got.len() == data.len()
            });
            assert!(got == data);
        } else {
            // A minute is what it waits, on both sides, and no longer.
            let closed = |pair: &Pair, side| {
                pair.picked(side, |event| match event {
                    Event::Closed { how } => Some(*how),
                    _ => None,
                })
            };
            pair.run_for(Duration::from_secs(55));
            assert_eq!((closed(&pair, 0), closed(&pair, 1)), (vec![], vec![]));
            assert_eq!(pair.client(ids[0]).state(), State::Established);
            pair.run_for(Duration::from_secs(10));
            let end = vec![ConnectionEnd::TimedOut];
            assert_eq!((closed(&pair, 0), closed(&pair, 1)), (end.clone(), end));
            pair.run_for(Duration::from_secs(300));
            assert_eq!(pair.client.table_sizes().tokens, 0);
        }
    }
}

fn fail(dsn: Dsn) -> MptcpOption {
    MptcpOption::Fail(Fail { dsn, reserved: 0 })
}

/// Case 13
#[test]
fn a_peer_that_does_not_react_to_mp_fail_is_reset() {
    let mut puppet = Puppet::established(checksums());
    puppet.data(0, 0, b"question");
    let option = puppet.mapped(8, 9, b"good");
    let replies = puppet.at(0, 9, &[option], b"bad!");
    assert_eq!(fails(&replies), [puppet.dsn(8)]);
    let replies = puppet.wait(Duration::from_secs(2));
    assert!(reset(&replies).is_none());
    let replies = puppet.wait(Duration::from_secs(2));
    assert!(reset(&replies).is_some());
    let closed = puppet.picked(|event| match event {
        Event::Closed { how } => Some(*how),
        _ => None,
    });
    assert_eq!(closed, [ConnectionEnd::Violation(Violation::Checksum)]);
}

/// Case 15
#[test]
fn an_mp_fail_is_answered_once_and_only_for_data_that_were_sent() {
    let mut puppet = Puppet::established(checksums());
    puppet.data(0, 0, b"question");
    puppet.write(&pattern(1000, 1));
    puppet.got = 1000;
    let (ack, never_sent) = (puppet.data_ack(), fail(puppet.host_dsn(5000)));
    let replies = puppet.ack(0, &[ack, never_sent]);
    assert!(fails(&replies).is_empty() && puppet.fallbacks().is_empty());
    // Linux sends it together with the DATA_ACK of the data in question.
    let known = fail(puppet.host_dsn(0));
    let replies = puppet.ack(0, &[ack, known]);
    assert_eq!(fails(&replies), [puppet.dsn(8)]);
    assert_eq!(puppet.fallbacks(), [FallbackReason::FailReceived]);
    // Again, and after fallback.
    let replies = puppet.ack(0, &[ack, known]);
    assert!(fails(&replies).is_empty());
    let replies = puppet.write(&pattern(100, 2));
    assert!(fails(&replies).is_empty());
    let infinite = replies[0].mapping().expect("the infinite mapping");
    assert_eq!(infinite.len, 0);
    assert_eq!(puppet.fallbacks().len(), 1);
}

/// When the first segment with such options left this way.
#[track_caller]
fn first(pair: &Pair, way: Way, is_such: impl Fn(&ReceivedOptions) -> bool) -> Instant {
    let mut sent = pair.log.iter().filter(|sent| sent.way == way);
    let found = sent.find(|sent| {
        let segment = Segment::parse(&sent.packet, false).unwrap();
        is_such(&ReceivedOptions::parse(Some(Version::V1), segment.options))
    });
    found.expect("such a segment").at
}

/// Case 16
#[test]
fn mp_fails_that_cross_make_both_directions_infinite() {
    let mut pair = Pair::new(11);
    let mut counts = [0, 0];
    pair.hook = Some(meddle(move |seen, _, payload| {
        if seen.has_data() {
            counts[seen.way as usize] += 1;
            if counts[seen.way as usize] == 12 {
                payload[0] ^= 0xff;
            }
        }
        true
    }));
    let ours = pair.connect(checksums(), checksums());
    pair.run_for(Duration::from_millis(50));
    let theirs = pair.accepted();
    let data = [pattern(200_000, 1), pattern(200_000, 2)];
    let (mut done, mut got) = ([0, 0], [Vec::new(), Vec::new()]);
    pair.run_until(Duration::from_secs(60), |pair| {
        done[0] += pair.client(ours).write(&data[0][done[0]..]).unwrap();
        done[1] += pair.server(theirs).write(&data[1][done[1]..]).unwrap();
        read_all(pair.server(theirs), &mut got[0]);
        read_all(pair.client(ours), &mut got[1]);
        got[0].len() >= data[0].len() && got[1].len() >= data[1].len()
    });
    for (got, data) in got.iter().zip(&data) {
        let differing = got.iter().zip(data).filter(|(a, b)| a != b).count();
        assert_eq!((got.len(), differing), (data.len(), 1));
    }
    for side in 0..2 {
        assert_eq!(pair.picked(side, fallback), [FallbackReason::Checksum]);
    }
    // Each left before the other arrived, and each direction has its infinite mapping.
    let failed = [Way::ToServer, Way::ToClient]
        .map(|way| first(&pair, way, |options| options.fail.is_some()));
    let (earlier, later) = (failed[0].min(failed[1]), failed[0].max(failed[1]));
    assert!(later.since(earlier) < pair.delay, "{failed:?}");
    for way in [Way::ToServer, Way::ToClient] {
        let is_infinite = |options: &ReceivedOptions| {
            let mapping = options.dss.and_then(|dss| dss.mapping);
            mapping.is_some_and(|mapping| mapping.is_infinite())
        };
        assert!(first(&pair, way, is_infinite) >= earlier);
    }
    pair.exchange([ours, theirs], b"", b"");
}

/// Case 17
#[test]
fn a_lost_infinite_mapping_is_repeated_until_it_is_acknowledged() {
    for lost in 1..4 {
        let mut pair = Pair::new(11);
        let (mut count, mut left) = (0, lost);
        pair.hook = Some(meddle(move |seen, options, payload| {
            if seen.way == Way::ToServer && seen.has_data() {
                count += 1;
                if count == 12 {
                    payload[0] ^= 0xff;
                }
                let received = ReceivedOptions::parse(None, options);
                let mapping = received.dss.and_then(|dss| dss.mapping);
                if mapping.is_some_and(|mapping| mapping.is_infinite()) && left > 0 {
                    left -= 1;
                    return false;
                }
            }
            true
        }));
        let ours = pair.connect(checksums(), checksums());
        pair.run_for(Duration::from_millis(50));
        let theirs = pair.accepted();
        let data = pattern(200_000, 1);
        let (mut done, mut got) = (0, Vec::new());
        pair.run_until(Duration::from_secs(60), |pair| {
            done += pair.client(ours).write(&data[done..]).unwrap();
            read_all(pair.server(theirs), &mut got);
            got.len() >= data.len()
        });
        let differing = got.iter().zip(&data).filter(|(a, b)| a != b).count();
        assert_eq!((got.len(), differing), (data.len(), 1));
        pair.exchange([ours, theirs], b"", b"bye");
    }
}

/// Case 17
#[test]
fn an_infinite_mapping_covers_data_that_came_before_it_without_one() {
    let mut puppet = Puppet::established(checksums());
    let data = pattern(30, 1);
    puppet.data(0, 0, &data[..10]);
    // What follows overtakes the segment with the infinite mapping.
    puppet.at(0, 21, &[], &data[20..]);
    assert_eq!(puppet.read(), &data[..10]);
    let mut mapping = puppet.map_len(10, 11, 0, &[]);
    mapping.checksum = Some(0);
    let option = puppet.dss(Some(mapping), false);
    puppet.at(0, 11, &[option], &data[10..20]);
    assert_eq!(puppet.read(), &data[10..]);
    assert_eq!(puppet.fallbacks(), [FallbackReason::InfiniteMapping]);
}

/// Case 18
#[test]
fn an_mp_fail_while_the_data_lie_on_several_subflows_resets_its_own() {
    let mut puppet = Puppet::established(checksums());
    let line = puppet.join("10.0.1.1:40001", 1);
    let first_replies = puppet.write(&pattern(30_000, 1));
    let near = puppet.lines[line].near;
    let is_there = |reply: &&Reply| reply.segment().destination == near;
    let there = first_replies.iter().filter(is_there).count();
    assert!(there > 0 && there < first_replies.len());
    let (ack, failed) = (puppet.data_ack(), fail(puppet.host_dsn(0)));
    let replies = puppet.ack(line, &[ack, failed]);
    assert!(puppet.fallbacks().is_empty());
    let told = reset(&replies).expect("a reset");
    assert_eq!(told.segment().destination, puppet.lines[line].near);
    let reason = ResetReason::MIDDLEBOX_INTERFERENCE;
    assert_eq!(told.options().reset.unwrap().reason, reason);
    assert_eq!(
        puppet.picked(down),
        [(SubflowId(1), SubflowEnd::ResetByUs { reason })]
    );
    // All that went there goes over the other, as the window of its TCP lets it.
    let mut missing: BTreeSet<u64> = (0..30_000).collect();
    let mut sent: Vec<Reply> = first_replies;
    sent.extend(replies);
    for _ in 0..100 {
        let option = puppet.data_ack();
        sent.extend(puppet.ack(0, &[option]));
        sent.extend(puppet.wait(Duration::from_millis(20)));
    }
    for reply in sent {
        let segment = reply.segment();
        if segment.destination == puppet.lines[0].near
            && let Some(mapping) = reply.mapping()
        {
            let place = mapping.dsn.expand(puppet.host_dsn(0));
            let place = place.distance_from(puppet.host_dsn(0)).unwrap();
            for byte in place..place + u64::from(mapping.len) {
                missing.remove(&byte);
            }
        }
    }
    assert!(missing.is_empty(), "{} bytes", missing.len());
}

/// Case 18
#[test]
fn an_mp_fail_while_only_the_rest_of_the_data_waits_to_be_sent_again_makes_the_connection_tcp() {
    let mut puppet = Puppet::established(checksums());
    let line = puppet.join("10.0.1.1:40001", 1);
    let replies = puppet.write(&pattern(20_000, 1));
    let near = puppet.lines[line].near;
    let is_on_second = |reply: &Reply| reply.segment().destination == near;
    let (second, first): (Vec<Reply>, Vec<Reply>) = replies.into_iter().partition(is_on_second);
    let (second, first) = (payload(&second), payload(&first));
    assert!(second > 0 && first + second == 20_000);
    let ssn = puppet.lines[line].next;
    puppet.send(line, ssn, Flags::RST, &[], &[]);
    let (ack, failed) = (puppet.data_ack(), fail(puppet.host_dsn(0)));
    let mut replies = puppet.ack(0, &[ack, failed]);
    assert_eq!(puppet.fallbacks(), [FallbackReason::FailReceived]);
    replies.extend(puppet.ack(0, &[]));
    assert_eq!(payload(&replies), second);
}
