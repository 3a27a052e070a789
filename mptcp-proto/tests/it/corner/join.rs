//! Joins that are refused, repeated, crossed or late (RFC 8684 §3.2).

use std::time::Duration;

use mptcp_proto::conn::{Config, State, SubflowEnd, Violation};
use mptcp_proto::endpoint::Endpoint;
use mptcp_proto::hmac::JoinHmac;
use mptcp_proto::key::{AddressId, Nonce};
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{MptcpOption, Priority, ResetFlags, ResetReason, Subtype, TcpReset};
use mptcp_proto::wire::segment::{Flags, Segment};

use super::puppet::{KEY, NONCE, Puppet, Reply, payload, reset};
use crate::endpoint::join::{SECOND, down, established, join, up};
use crate::endpoint::meddle::{blank, drop_if, meddle};
use crate::endpoint::pair::{
    SERVER, Seeded, Way, address, check_back_off, path, pattern, read_all,
};

const NEAR: &str = "10.0.1.1:40001";

#[track_caller]
fn check_refused(replies: &[Reply], reason: ResetReason) {
    let reset = reset(replies).expect("a reset");
    assert_eq!(reset.options().reset, Some(TcpReset::because(reason)));
}

/// Case 31
#[test]
fn a_join_to_a_token_of_no_living_connection_is_reset() {
    // A connection that fell back.
    let mut puppet = Puppet::established(Config::default());
    puppet.data(0, 0, b"data");
    let mapping = puppet.map_len(4, 5, 0, &[]);
    let option = puppet.dss(Some(mapping), false);
    puppet.ack(0, &[option]);
    assert!(puppet.conn().fallback().is_some());
    let line = puppet.line(NEAR, SERVER);
    let replies = puppet.join_syn(line, 1, NONCE);
    check_refused(&replies, ResetReason::MPTCP_SPECIFIC);
    // One that the handshake is not over for.
    let mut puppet = Puppet::begun(Config::default(), KEY);
    let line = puppet.line(NEAR, SERVER);
    let replies = puppet.join_syn(line, 1, NONCE);
    check_refused(&replies, ResetReason::MPTCP_SPECIFIC);
    // One that was aborted.
    let mut puppet = Puppet::established(Config::default());
    puppet.conn().abort();
    puppet.hear();
    let line = puppet.line(NEAR, SERVER);
    let replies = puppet.join_syn(line, 1, NONCE);
    check_refused(&replies, ResetReason::MPTCP_SPECIFIC);
}

/// Case 32
#[test]
fn an_hmac_of_zeros_or_of_another_join_proves_nothing() {
    let mut puppet = Puppet::established(Config::default());
    let first = puppet.line(NEAR, SERVER);
    let replies = puppet.join_syn(first, 1, NONCE);
    let replayed = puppet.join_hmac(&replies[0], NONCE);
    puppet.join_ack(first, replayed);
    assert_eq!(puppet.picked(up).len(), 2);
    // The same nonce and the same third ACK again, from elsewhere.
    for (n, forged) in [
        None,
        Some((0, 0xff)),
        Some((0, 0x80)),
        Some((19, 1)),
        Some((10, 16)),
    ]
    .into_iter()
    .enumerate()
    {
        let line = puppet.line(&format!("10.0.{}.1:40002", 2 + n), SERVER);
        let answer = puppet.join_syn(line, 2, NONCE);
        // Zeros; or the right one but for some bits, wherever they are; or that of the other join.
        let mut right = *puppet.join_hmac(&answer[0], NONCE).as_bytes();
        let hmac = match forged {
            Some((_, 0xff)) => JoinHmac::from_bytes([0; 20]),
            Some((at, bits)) => {
                right[at] ^= bits;
                JoinHmac::from_bytes(right)
            }
            None => replayed,
        };
        let replies = puppet.join_ack(line, hmac);
        check_refused(&replies, ResetReason::MPTCP_SPECIFIC);
        assert_eq!(puppet.violations().last(), Some(&Violation::JoinAckHmac));
        // What comes over it then belongs to nothing.
        let stray = puppet.data(line, 0, b"forged");
        assert!(reset(&stray).is_some());
        assert_eq!(puppet.read(), b"");
    }
    assert_eq!(puppet.violations().len(), 5);
    assert_eq!(puppet.picked(up).len(), 2);
    puppet.data(0, 0, b"goes on");
    assert_eq!(puppet.read(), b"goes on");
}

/// Case 33
#[test]
fn nothing_is_sent_on_a_joined_subflow_before_its_fourth_ack_which_may_be_a_plain_one() {
    let (mut pair, ids) = established(&Config::default());
    let second = address(SECOND);
    // No option on what the server says first there, and nothing at all for a second.
    let (mut bare, mut silent) = (1, 3);
    pair.hook = Some(meddle(move |seen, options, _| {
        let is_answer = seen.segment.destination == second && !seen.segment.flags.syn();
        if is_answer && silent > 0 {
            silent -= 1;
            return false;
        }
        if is_answer && bare > 0 {
            bare -= 1;
            blank(options, |_| true);
        }
        true
    }));
    pair.client(ids[0]).write(&pattern(200_000, 1)).unwrap();
    join(&mut pair, ids[0], Priority::Regular);
    let mut got = Vec::new();
    pair.run_until(Duration::from_secs(20), |pair| {
        read_all(pair.server(ids[1]), &mut got);
        got.len() == 200_000
    });
    pair.run_for(Duration::from_secs(5));
    let sent = pair.log.iter().filter_map(|sent| {
        let segment = Segment::parse(&sent.packet, false).unwrap();
        (segment.source == second && !segment.flags.syn()).then(|| {
            let has_join = crate::endpoint::meddle::subtypes(&segment).contains(&Subtype::JOIN);
            (sent.at, has_join, segment.payload.len())
        })
    });
    let sent: Vec<_> = sent.collect();
    let repeated: Vec<_> = sent
        .iter()
        .take_while(|(_, has_join, _)| *has_join)
        .collect();
    assert!(repeated.len() >= 3, "{sent:?}");
    assert!(repeated.iter().all(|(.., len)| *len == 0));
    let times: Vec<_> = repeated.iter().map(|(at, ..)| *at).collect();
    check_back_off(&times);
    assert_eq!([0, 1].map(|side| pair.picked(side, up).len()), [2, 2]);
}

/// Case 33
#[test]
fn data_before_the_third_ack_of_a_join_reset_it() {
    let mut puppet = Puppet::established(Config::default());
    let line = puppet.line(NEAR, SERVER);
    puppet.join_syn(line, 1, NONCE);
    let replies = puppet.data(line, 0, b"too early");
    check_refused(&replies, ResetReason::MPTCP_SPECIFIC);
    puppet.data(0, 0, b"in time");
    assert_eq!(puppet.read(), b"in time");
}

/// Case 34
#[test]
fn a_join_that_begins_again_with_another_nonce_replaces_the_half_open_one() {
    let mut puppet = Puppet::established(Config::default());
    let line = puppet.line(NEAR, SERVER);
    puppet.join_syn(line, 1, NONCE);
    let other = Nonce(0x5566_7788);
    puppet.lines[line].isn += 0x10_0000;
    let replies = puppet.join_syn(line, 1, other);
    let syn_ack = replies.iter().find(|reply| reply.segment().flags.syn());
    let hmac = puppet.join_hmac(syn_ack.expect("a SYN/ACK"), other);
    puppet.join_ack(line, hmac);
    assert_eq!(puppet.picked(up).len(), 2);
    assert_eq!(puppet.conn().info().subflows_total, 2);
}

/// Case 35
#[test]
fn joins_that_cross_between_the_same_ends_never_make_two_subflows() {
    let (mut pair, ids) = established(&Config::default());
    let (near, far) = (address(SECOND), address("10.9.1.1:777"));
    pair.client(ids[0])
        .open_subflow(near, far, Priority::Regular)
        .unwrap();
    pair.server(ids[1])
        .open_subflow(far, near, Priority::Regular)
        .unwrap();
    pair.run_for(Duration::from_secs(20));
    // They did cross: both SYNs were under way before anything answered.
    let first: Vec<_> = pair
        .log
        .iter()
        .filter_map(|sent| {
            let segment = Segment::parse(&sent.packet, false).unwrap();
            let is_theirs = [segment.source, segment.destination].contains(&near);
            is_theirs.then_some((sent.way, segment.flags))
        })
        .take(2)
        .collect();
    assert_eq!(
        first,
        [(Way::ToServer, Flags::SYN), (Way::ToClient, Flags::SYN)]
    );
    for side in 0..2 {
        let ups = pair.picked(side, up).len();
        let ends = pair.picked(side, down).len();
        assert!(ups <= 2, "host {side} has {ups} subflows up");
        // Whoever gave up its own was told so.
        assert!(ups == 2 || ends > 0, "host {side}: {ups} up, {ends} ended");
    }
    let totals = [
        pair.client(ids[0]).info().subflows_total,
        pair.server(ids[1]).info().subflows_total,
    ];
    assert!(totals == [1, 1] || totals == [2, 2], "{totals:?}");
    pair.exchange(ids, &pattern(300_000, 1), &pattern(300_000, 2));
}

/// Case 36
#[test]
fn a_join_before_the_first_data_is_taken_and_before_the_third_ack_is_not() {
    let mut puppet = Puppet::begun(Config::default(), KEY);
    let line = puppet.line(NEAR, SERVER);
    let replies = puppet.join_syn(line, 1, NONCE);
    assert!(reset(&replies).is_some());
    puppet.third_ack();
    // Linux takes joins before any DSS was exchanged (K16).
    let line = puppet.line("10.0.2.1:40002", SERVER);
    let replies = puppet.join_syn(line, 1, NONCE);
    let hmac = puppet.join_hmac(&replies[0], NONCE);
    puppet.join_ack(line, hmac);
    assert_eq!(puppet.conn().info().subflows_total, 2);
    puppet.data(line, 0, b"over the second");
    assert_eq!(puppet.read(), b"over the second");
}

/// Case 38
#[test]
fn id_0_and_ids_in_use_are_taken_from_any_address_and_the_ends_of_a_living_subflow_are_not() {
    let mut puppet = Puppet::established(Config::default());
    // Id 0 is the initial address, which a NAT on one path shows as another (RFC 8684 §3.2).
    let line = puppet.join(NEAR, 0);
    // Linux takes an id that is in use (K20).
    puppet.join("10.0.2.1:40002", 0);
    assert_eq!(puppet.conn().info().subflows_total, 3);
    // The ends of a subflow: a challenge (RFC 5961 §4), and the subflow stays.
    let replies = puppet.join_syn(line, 6, NONCE);
    assert!(reset(&replies).is_none());
    assert!(
        replies
            .iter()
            .all(|reply| reply.segment().flags == Flags::ACK)
    );
    assert_eq!(puppet.conn().info().subflows_total, 3);
    puppet.data(line, 0, b"still here");
    assert_eq!(puppet.read(), b"still here");
}

/// Case 39
#[test]
fn a_join_is_welcome_until_both_data_fins_are_acknowledged() {
    // The peer has closed, the host has closed, both have.
    for (theirs, ours) in [(true, false), (false, true), (true, true)] {
        let mut puppet = Puppet::established(Config::default());
        let mut place = 0;
        if theirs {
            let option = puppet.data_fin(0);
            puppet.ack(0, &[option]);
            place = 1;
        }
        if ours {
            puppet.conn().shutdown_write();
            puppet.hear();
            puppet.got += 1;
            let option = puppet.data_ack();
            puppet.ack(0, &[option]);
        }
        let line = puppet.line(NEAR, SERVER);
        let replies = puppet.join_syn(line, 1, NONCE);
        if theirs && ours {
            assert!(reset(&replies).is_some());
            continue;
        }
        let hmac = puppet.join_hmac(&replies[0], NONCE);
        puppet.join_ack(line, hmac);
        assert_eq!(puppet.conn().info().subflows_total, 2);
        assert!(puppet.state() != State::Closed && place <= 1);
    }
}

/// Case 40
#[test]
fn a_join_through_a_nat_is_known_by_its_token() {
    let (mut pair, ids) = established(&Config::default());
    let (inside, outside) = (address(SECOND), address("203.0.113.9:6000"));
    pair.hook = Some(Box::new(move |_, way, packet| {
        let mut segment = Segment::parse(&packet, false).unwrap();
        match way {
            Way::ToServer if segment.source == inside => segment.source = outside,
            Way::ToClient if segment.destination == outside => segment.destination = inside,
            _ => {}
        }
        let mut out = Vec::new();
        segment.emit(&mut out).unwrap();
        vec![out]
    }));
    join(&mut pair, ids[0], Priority::Regular);
    let seen = pair.server(ids[1]).subflows().nth(1).unwrap();
    assert_eq!((seen.path.remote, seen.is_up), (outside, true));
    // Each knows it by the address that it sees, and both by the id of MP_JOIN.
    let ours = pair.client(ids[0]).subflows().nth(1).unwrap();
    assert_eq!((ours.path.local, ours.local_id), (inside, seen.remote_id));
    let limit = Duration::from_secs(20);
    pair.transfer(ids, &pattern(500_000, 1), &pattern(500_000, 2), limit);
    for subflow in pair.server(ids[1]).subflows() {
        assert!(subflow.tcp.counters.segments_in > 50, "{subflow:?}");
    }
}

/// Case 40
#[test]
fn an_advertised_address_that_nobody_reaches_is_tried_and_given_up() {
    let config = Config {
        path_manager: mptcp_proto::pm::Kind::Fullmesh,
        ..Config::default()
    };
    let (mut pair, ids) = established(&config);
    pair.client.address_up("10.0.0.1".parse().unwrap());
    let private = address("192.168.7.7:80");
    pair.hook = Some(drop_if(move |seen| seen.segment.destination == private));
    pair.server(ids[1]).announce(AddressId(3), private);
    pair.run_for(Duration::from_secs(10_000));
    let syns = pair.log.iter().filter(|sent| {
        let segment = Segment::parse(&sent.packet, false).unwrap();
        segment.destination == private
    });
    let syns: Vec<_> = syns.map(|sent| sent.at).collect();
    // Eight tries, each of as many SYNs with growing waits, and each begins later after the last one.
    let tries: Vec<_> = syns.chunks(8).collect();
    assert_eq!((syns.len(), tries.len()), (64, 8));
    for times in &tries {
        check_back_off(&times[..7]);
    }
    let rests = tries
        .windows(2)
        .map(|two| two[1][0].since(two[0][7]).as_secs());
    assert_eq!(
        rests.collect::<Vec<_>>(),
        [121, 122, 124, 128, 136, 152, 184]
    );
    assert_eq!(pair.client(ids[0]).info().subflows_total, 1);
    pair.exchange(ids, &pattern(1000, 1), &pattern(1000, 2));
}

/// Case 76
#[test]
fn a_peer_that_never_sends_the_fourth_ack_is_asked_less_and_less_and_given_up() {
    let mut puppet = Puppet::called(Config::default());
    let option = puppet.data_ack();
    puppet.ack(0, &[option]);
    let (near, far) = (address("10.0.1.1:40001"), address(SERVER));
    puppet
        .conn()
        .open_subflow(near, far, Priority::Regular)
        .unwrap();
    let line = puppet.line(SERVER, "10.0.1.1:40001");
    let syn = puppet.hear();
    let Some(mptcp_proto::wire::mptcp::Join::Syn { nonce, .. }) = syn[0].options().join else {
        panic!("a SYN with MP_JOIN");
    };
    let hmac = mptcp_proto::hmac::join_hmac(Version::V1, KEY, puppet.host_key, NONCE, nonce);
    let answer = mptcp_proto::wire::mptcp::Join::SynAck {
        priority: Priority::Regular,
        address_id: AddressId(0),
        hmac: hmac.truncated(),
        nonce: NONCE,
        reserved: 0,
    };
    let options = [MptcpOption::Join(answer)];
    let mut acks = puppet.send(line, 0, Flags::SYN.with(Flags::ACK), &options, &[]);
    puppet.write(&pattern(100_000, 1));
    acks.extend(puppet.wait(Duration::from_secs(300)));
    let second = address("10.0.1.1:40001");
    acks.retain(|reply| reply.segment().source == second);
    let joins: Vec<_> = acks
        .iter()
        .filter(|reply| reply.options().join.is_some())
        .collect();
    assert!((3..20).contains(&joins.len()), "{} third ACKs", joins.len());
    let times: Vec<_> = joins.iter().map(|reply| reply.at).collect();
    check_back_off(&times);
    assert_eq!(payload(&acks), 0);
    check_refused(&acks, ResetReason::UNACCEPTABLE_PERFORMANCE);
    assert!(acks.last().unwrap().segment().flags.rst());
    assert_eq!(puppet.conn().info().subflows_total, 1);
}

/// The SYNs of joins among these, by their time.
fn join_syns(replies: &[Reply]) -> Vec<Reply> {
    let is_syn = |reply: &&Reply| reply.segment().flags.syn() && reply.options().join.is_some();
    replies.iter().filter(is_syn).cloned().collect()
}

/// Case 76
#[test]
fn a_join_that_is_reset_is_tried_again_only_if_the_condition_is_transient() {
    let config = Config {
        path_manager: mptcp_proto::pm::Kind::Fullmesh,
        ..Config::default()
    };
    for flags in [ResetFlags::TRANSIENT, ResetFlags::default()] {
        let mut puppet = Puppet::called(config.clone());
        let option = puppet.data_ack();
        let mut replies = puppet.ack(0, &[option]);
        puppet.host.address_up("10.0.1.1".parse().unwrap());
        let told = MptcpOption::TcpReset(TcpReset {
            flags,
            reason: ResetReason::LACK_OF_RESOURCES,
        });
        let mut times = Vec::new();
        for wait in [1, 2, 4, 8] {
            replies.extend(puppet.wait(Duration::from_millis(100)));
            let [syn] = &join_syns(&replies)[..] else {
                break;
            };
            times.push(syn.at);
            let from = syn.segment().source.to_string();
            let line = puppet.line(SERVER, &from);
            puppet.lines[line].expected = syn.segment().seq.0.wrapping_add(1);
            puppet.send(line, 0, Flags::RST.with(Flags::ACK), &[told], &[]);
            replies = puppet.wait(Duration::from_secs(wait));
        }
        replies.extend(puppet.wait(Duration::from_secs(600)));
        if flags.transient() {
            assert_eq!(times.len(), 4);
            check_back_off(&times);
            assert!(!join_syns(&replies).is_empty());
        } else {
            assert_eq!((times.len(), join_syns(&replies).len()), (1, 0));
        }
        let ends: Vec<_> = puppet
            .picked(down)
            .into_iter()
            .map(|(_, how)| how)
            .collect();
        let reason = Some((ResetReason::LACK_OF_RESOURCES, flags.transient()));
        assert_eq!(ends[0], SubflowEnd::ResetByPeer { reason });
        assert_eq!(puppet.conn().info().subflows_total, 1);
        assert_eq!(payload(&puppet.write(b"goes on")), 7);
    }
}

/// Case 77
#[test]
fn the_ends_of_a_subflow_in_time_wait_serve_a_join_of_another_connection() {
    let (mut pair, ids) = established(&Config::default());
    join(&mut pair, ids[0], Priority::Regular);
    let other = path("10.0.0.1:40009", SERVER);
    let other = pair
        .client
        .connect(pair.now, other, Config::default())
        .unwrap();
    pair.run_for(Duration::from_millis(200));
    pair.client(ids[0]).shutdown_write();
    pair.run_for(Duration::from_millis(200));
    pair.server(ids[1]).shutdown_write();
    pair.run_for(Duration::from_millis(500));
    let incoming = pair.picked_ids(1, |event| {
        matches!(event, mptcp_proto::conn::Event::Incoming { .. })
    });
    let theirs = incoming[1];
    pair.transfer([other, theirs], b"c", b"d", Duration::from_secs(1));
    // The client is in TIME-WAIT there, and the server, whose part that is, joins with a new SYN.
    let (near, far) = (address(SERVER), address(SECOND));
    let sizes = [&pair.client, &pair.server].map(Endpoint::table_sizes);
    let sizes = sizes.map(|sizes| (sizes.connections, sizes.paths));
    assert_eq!(sizes, [(2, 1 + 2), (1, 1)]);
    pair.server(theirs)
        .open_subflow(near, far, Priority::Regular)
        .unwrap();
    pair.run_for(Duration::from_secs(5));
    assert_eq!(pair.server(theirs).info().subflows_total, 2);
    let limit = Duration::from_secs(20);
    pair.transfer(
        [other, theirs],
        &pattern(300_000, 1),
        &pattern(300_000, 2),
        limit,
    );
    let ends = pair.picked(0, down);
    assert!(
        ends.iter().all(|(_, how)| *how == SubflowEnd::Closed),
        "{ends:?}"
    );
}

/// SYNs with the right token from everywhere, as from one who has seen the SYN of a true join.
fn forge_joins(puppet: &mut Puppet, count: usize) -> Vec<usize> {
    let forge = |n| {
        let count = puppet.lines.len();
        let from = format!("11.0.{}.{}:{}", count / 250, 1 + count % 250, 1000 + n);
        let line = puppet.line(&from, SERVER);
        let replies = puppet.join_syn(line, 1, Nonce(7));
        let flags = replies[0].segment().flags;
        assert!(flags.syn() && flags.ack(), "join {n}");
        line
    };
    (0..count).map(forge).collect()
}

/// Connections to a host that gives no cookies.
fn without_cookies() -> Puppet {
    let config = mptcp_proto::endpoint::Config {
        syn_cookies: mptcp_proto::endpoint::SynCookies::Never,
        ..Default::default()
    };
    let host = Endpoint::new(config, Box::new(Seeded(3)));
    let mut puppet = Puppet::with_host(host, KEY);
    puppet
        .host
        .listen(address(SERVER), 16, Config::default())
        .unwrap();
    puppet.line(crate::endpoint::pair::CLIENT, SERVER);
    let replies = puppet.syn();
    puppet.host_key = replies[0].options().capable.unwrap().sender_key.unwrap();
    puppet.third_ack();
    let option = puppet.data_ack();
    puppet.ack(0, &[option]);
    puppet
}

#[test]
fn half_open_joins_take_no_place_of_true_ones() {
    // The limit is two subflows beside the initial one.
    for mut puppet in [Puppet::established(Config::default()), without_cookies()] {
        forge_joins(&mut puppet, 20);
        assert_eq!(puppet.conn().subflows().count(), 1 + 8);
        puppet.join(NEAR, 1);
        puppet.join("10.0.2.1:40002", 2);
        assert_eq!(puppet.picked(up).len(), 3);
        // Nor does the host's own path manager find its places taken.
        let (local, remote) = (address(SERVER), address("10.0.3.1:778"));
        assert!(
            puppet
                .conn()
                .open_subflow(local, remote, Priority::Regular)
                .is_ok()
        );
    }
}

#[test]
fn of_half_open_joins_the_oldest_makes_room_and_nobody_hears_of_it() {
    let mut puppet = without_cookies();
    let true_one = puppet.line(NEAR, SERVER);
    let answer = puppet.join_syn(true_one, 1, NONCE);
    // As many as there is room for: the first is still there.
    forge_joins(&mut puppet, 7);
    let hmac = puppet.join_hmac(&answer[0], NONCE);
    puppet.join_ack(true_one, hmac);
    assert_eq!(puppet.picked(up).len(), 2);
    let second = puppet.line("10.0.2.1:40002", SERVER);
    let answer = puppet.join_syn(second, 2, NONCE);
    let forged = forge_joins(&mut puppet, 3000);
    assert_eq!(puppet.conn().subflows().count(), 2 + 8);
    assert_eq!(puppet.host.table_sizes().paths, 2 + 8);
    assert!(puppet.picked(down).is_empty());
    // Its third ACK comes too late, and belongs to nothing.
    let hmac = puppet.join_hmac(&answer[0], NONCE);
    assert!(reset(&puppet.join_ack(second, hmac)).is_some());
    // The newest is there.
    let newest = *forged.last().unwrap();
    let replies = puppet.join_ack(newest, JoinHmac::from_bytes([0; 20]));
    check_refused(&replies, ResetReason::MPTCP_SPECIFIC);
}

#[test]
fn a_join_that_finds_all_places_taken_at_its_third_ack_is_reset_with_reason_3() {
    let mut puppet = Puppet::established(Config::default());
    let line = puppet.line("10.0.3.1:40003", SERVER);
    let answer = puppet.join_syn(line, 3, NONCE);
    puppet.join(NEAR, 1);
    puppet.join("10.0.2.1:40002", 2);
    let hmac = puppet.join_hmac(&answer[0], NONCE);
    let replies = puppet.join_ack(line, hmac);
    check_refused(&replies, ResetReason::ADMINISTRATIVELY_PROHIBITED);
    assert_eq!(puppet.picked(up).len(), 3);
    // A SYN that comes then is refused at once.
    let line = puppet.line("10.0.4.1:40004", SERVER);
    let replies = puppet.join_syn(line, 4, NONCE);
    check_refused(&replies, ResetReason::ADMINISTRATIVELY_PROHIBITED);
}
