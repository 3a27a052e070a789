//! Handshakes that go wrong or differently (RFC 8684 §3.1, appendix B).

use std::time::Duration;

use mptcp_proto::conn::config::Offer;
use mptcp_proto::conn::{Config, Event, FallbackReason, State};
use mptcp_proto::endpoint::{self, ConnId, Endpoint, SynCookies};
use mptcp_proto::random::RandomSource;
use mptcp_proto::tcp::{FastOpen, FastOpenCookie};
use mptcp_proto::wire::mptcp::{MptcpOption, Subtype};
use mptcp_proto::wire::segment::{Flags, Segment};

use super::puppet::{KEY, Puppet, payload, reset};
use crate::endpoint::handshake::{fallback, version};
use crate::endpoint::meddle::{drop_if, meddle, subtypes};
use crate::endpoint::pair::{CLIENT, Pair, SERVER, Seeded, Way, address, path, pattern, read_all};

/// Case 22
#[test]
fn a_box_that_copies_our_option_into_the_answer_makes_both_tcp() {
    for offer in [Offer::V0, Offer::V1] {
        let mut pair = Pair::new(11);
        let mut own = Vec::new();
        pair.hook = Some(meddle(move |seen, options, _| {
            let at = options
                .windows(2)
                .position(|two| two == [30, 12] || two == [30, 4]);
            if seen.is_syn()
                && let Some(at) = at
            {
                own = options[at..at + usize::from(options[at + 1])].to_vec();
            }
            if seen.is_syn_ack()
                && let Some(at) = at
            {
                options[at..at + 12].fill(1);
                options[at..at + own.len()].copy_from_slice(&own);
            }
            true
        }));
        let ours = pair.connect(version(offer), version(offer));
        pair.run_for(Duration::from_millis(200));
        let theirs = pair.accepted();
        assert!(pair.client(ours).session().is_none(), "{offer:?}");
        pair.exchange([ours, theirs], &pattern(50_000, 1), &pattern(50_000, 2));
        assert_eq!([0, 1].map(|side| pair.picked(side, fallback).len()), [1, 1]);
    }
}

/// Case 23
#[test]
fn a_syn_that_comes_again_without_the_option_is_answered_without_it() {
    // Linux answers with the option again. Where a box lets no such answer pass, that would never end.
    let mut puppet = Puppet::begun(Config::default(), KEY);
    let replies = puppet.send(0, 0, Flags::SYN, &[], &[]);
    assert!(replies.iter().all(|reply| reply.options().is_empty()));
    puppet.ack(0, &[]);
    assert_eq!(puppet.fallbacks(), [FallbackReason::SynOptionMissing]);
    // The other order: the bare one came first, and the connection is TCP.
    let mut puppet = Puppet::before(Config::default(), KEY);
    puppet.send(0, 0, Flags::SYN, &[], &[]);
    let replies = puppet.syn();
    assert!(replies.iter().all(|reply| reply.options().is_empty()));
    puppet.ack(0, &[]);
    assert_eq!(puppet.fallbacks(), [FallbackReason::SynOptionMissing]);
}

/// Case 23
#[test]
fn an_answer_with_the_option_to_a_syn_without_it_is_tcp() {
    let mut puppet = Puppet::calling(Config::default());
    let replies = puppet.wait(Duration::from_secs(8));
    let last = replies.last().unwrap();
    assert!(last.segment().flags.syn() && last.options().is_empty());
    let answer = puppet.capable_answer();
    let replies = puppet.send(0, 0, Flags::SYN.with(Flags::ACK), &[answer], &[]);
    assert!(replies.iter().all(|reply| reply.options().is_empty()));
    assert_eq!(puppet.fallbacks(), [FallbackReason::Blackhole]);
    assert_eq!(puppet.state(), State::Established);
}

/// Case 24
#[test]
fn a_server_with_data_waits_for_a_third_ack_that_was_lost() {
    let mut puppet = Puppet::begun(Config::default(), KEY);
    assert!(puppet.write(b"220 ready").is_empty());
    // The SYN/ACK is repeated, and the client answers that with its third ACK again.
    let replies = puppet.wait(Duration::from_secs(2));
    assert!(replies.iter().all(|reply| reply.segment().flags.syn()));
    assert!(!replies.is_empty());
    assert_eq!(payload(&replies), 0);
    let replies = puppet.third_ack();
    assert_eq!(replies[0].segment().payload, b"220 ready");
    let mapping = replies[0].mapping().expect("a mapping");
    assert_eq!((mapping.ssn.0, mapping.len), (1, 9));
    assert_eq!(mapping.dsn.expand(puppet.host_dsn(0)), puppet.host_dsn(0));
    assert!(puppet.fallbacks().is_empty());
}

/// Case 24
#[test]
fn a_client_with_data_and_a_lost_third_ack_closes_well_too() {
    for lost in 1..4 {
        let mut pair = Pair::new(3);
        pair.hook = Some(drop_if(move |seen| {
            seen.way == Way::ToServer && (1..=lost).contains(&seen.number)
        }));
        let ours = pair.connect(Config::default(), Config::default());
        pair.client(ours).write(b"all there is").unwrap();
        pair.client(ours).shutdown_write();
        pair.run_for(Duration::from_secs(20));
        let theirs = pair.accepted();
        let mut got = Vec::new();
        read_all(pair.server(theirs), &mut got);
        assert_eq!(got, b"all there is");
        // As MPTCP or as TCP, the end arrives too.
        assert_eq!(pair.server(theirs).state(), State::CloseWait);
    }
}

/// Case 25
#[test]
fn first_data_that_come_again_with_another_length_keep_their_first_mapping() {
    let mut puppet = Puppet::begun(Config::default(), KEY);
    let data = pattern(2000, 1);
    let short = puppet.capable_keys(&data[..500]);
    puppet.at(0, 1, &[short], &data[..500]);
    let long = puppet.capable_keys(&data[..1200]);
    puppet.at(0, 1, &[long], &data[..1200]);
    assert_eq!(puppet.read(), &data[..500]);
    puppet.lines[0].next = 1201;
    let rest = puppet.mapped(500, 501, &data[500..]);
    puppet.at(0, 1201, &[rest], &data[1200..]);
    assert_eq!(puppet.read(), &data[500..]);
    assert!(puppet.fallbacks().is_empty());
}

/// Case 25
#[test]
fn lost_first_data_come_again_with_mp_capable() {
    for lost in 1..4 {
        let mut pair = Pair::new(3);
        let mut left = lost;
        pair.hook = Some(drop_if(move |seen| {
            let is_due = seen.way == Way::ToServer && seen.has_data() && left > 0;
            left -= i32::from(is_due);
            is_due
        }));
        let ours = pair.connect(Config::default(), Config::default());
        pair.run_for(Duration::from_millis(100));
        pair.client(ours).write(&pattern(3000, 1)).unwrap();
        pair.run_for(Duration::from_secs(10));
        let theirs = pair.accepted();
        let mut got = Vec::new();
        read_all(pair.server(theirs), &mut got);
        assert_eq!(got, pattern(3000, 1));
        assert!(pair.picked(0, fallback).is_empty() && pair.picked(1, fallback).is_empty());
    }
}

/// Case 26
#[test]
fn first_data_before_the_third_ack_are_taken() {
    let mut puppet = Puppet::begun(Config::default(), KEY);
    let data = pattern(1000, 1);
    let option = puppet.capable_keys(&data[..400]);
    let later = puppet.mapped(400, 401, &data[400..]);
    puppet.at(0, 1, &[option], &data[..400]);
    puppet.lines[0].next = 1;
    puppet.third_ack();
    puppet.lines[0].next = 401;
    puppet.at(0, 401, &[later], &data[400..]);
    assert_eq!(puppet.read(), data);
    assert!(puppet.fallbacks().is_empty() && puppet.violations().is_empty());
}

/// Case 26
#[test]
fn later_data_that_overtake_the_first_and_the_third_ack_are_taken_when_they_come_again() {
    let mut puppet = Puppet::begun(Config::default(), KEY);
    let data = pattern(1000, 1);
    let later = puppet.mapped(400, 401, &data[400..]);
    puppet.at(0, 401, &[later], &data[400..]);
    assert!(puppet.fallbacks().is_empty());
    assert_eq!(puppet.read(), b"");
    let option = puppet.capable_keys(&data[..400]);
    let replies = puppet.at(0, 1, &[option], &data[..400]);
    // What overtook them belonged to nothing yet, and is asked for.
    let asked = puppet.lines[0].isn.wrapping_add(401);
    assert!(replies.iter().all(|reply| reply.segment().ack.0 == asked));
    puppet.third_ack();
    puppet.at(0, 401, &[later], &data[400..]);
    assert_eq!(puppet.read(), data);
    assert!(puppet.conn().session().is_some());
    assert!(puppet.fallbacks().is_empty() && puppet.violations().is_empty());
}

#[test]
fn a_signed_syn_is_answered_without_mptcp() {
    for (kind, cookies) in [(19, false), (29, false), (19, true)] {
        let config = endpoint::Config {
            syn_cookies: if cookies {
                SynCookies::Always
            } else {
                SynCookies::Never
            },
            ..Default::default()
        };
        let host = Endpoint::new(config, Box::new(Seeded(3)));
        let mut puppet = Puppet::with_host(host, KEY);
        puppet
            .host
            .listen(address(SERVER), 16, Config::default())
            .unwrap();
        puppet.line(CLIENT, SERVER);
        puppet.syn_options = vec![0x55; 18];
        puppet.syn_options[..2].copy_from_slice(&[kind, 18]);
        let replies = puppet.syn();
        let answer = replies[0].segment();
        assert!(answer.flags.syn() && answer.flags.ack());
        assert!(replies[0].options().is_empty(), "{kind}");
    }
}

/// Case 27
#[test]
fn late_duplicates_of_the_handshake_change_nothing() {
    // A third ACK with another key, after establishment.
    let mut puppet = Puppet::established(Config::default());
    let session = *puppet.conn().session().unwrap();
    puppet.key.0[0] ^= 1;
    puppet.third_ack();
    puppet.key.0[0] ^= 1;
    assert_eq!(*puppet.conn().session().unwrap(), session);
    puppet.data(0, 0, b"data");
    assert_eq!(puppet.read(), b"data");
    // A SYN/ACK again, with the same key and with another.
    let mut puppet = Puppet::called(Config::default());
    let session = *puppet.conn().session().unwrap();
    for bit in [0, 1] {
        puppet.key.0[0] ^= bit;
        let answer = puppet.capable_answer();
        let replies = puppet.send(0, 0, Flags::SYN.with(Flags::ACK), &[answer], &[]);
        puppet.key.0[0] ^= bit;
        // The third ACK again (RFC 8684 §3.1), or a challenge ACK (RFC 5961 §4); never with another key.
        let keys = replies.iter().filter_map(|reply| reply.options().capable);
        assert!(
            keys.map(|keys| keys.receiver_key)
                .all(|key| key == Some(puppet.key))
        );
        assert!(
            replies
                .iter()
                .all(|reply| reply.segment().flags == Flags::ACK)
        );
        assert!(!replies.is_empty());
        assert_eq!(*puppet.conn().session().unwrap(), session);
    }
    puppet.data(0, 0, b"data");
    assert_eq!(puppet.read(), b"data");
}

/// Case 28
#[test]
fn a_server_speaks_first_after_the_third_ack_and_is_answered_with_a_dss() {
    let mut puppet = Puppet::called(Config::default());
    let replies = puppet.data(0, 0, b"220 ready");
    let mut replies = [replies, puppet.wait(Duration::from_millis(300))].concat();
    let ack = replies
        .pop()
        .unwrap()
        .options()
        .dss
        .unwrap()
        .data_ack
        .unwrap();
    assert_eq!(ack.expand(puppet.dsn(0)), puppet.dsn(9));
    assert_eq!(puppet.read(), b"220 ready");
}

/// Gives the same bytes for ever.
struct Stuck;

impl RandomSource for Stuck {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

/// Case 29
#[test]
fn a_host_that_finds_no_free_token_speaks_tcp() {
    for is_server_stuck in [false, true] {
        let host = |is_stuck: bool, seed| {
            let config = endpoint::Config::default();
            if is_stuck {
                Endpoint::new(config, Box::new(Stuck))
            } else {
                Endpoint::new(config, Box::new(Seeded(seed)))
            }
        };
        let mut pair = Pair::with_hosts(host(!is_server_stuck, 1), host(is_server_stuck, 2));
        let first = pair.connect(Config::default(), Config::default());
        pair.run_for(Duration::from_millis(100));
        let second = path("10.0.0.1:40009", SERVER);
        let second = pair
            .client
            .connect(pair.now, second, Config::default())
            .unwrap();
        pair.run_for(Duration::from_millis(100));
        assert!(pair.client(first).session().is_some());
        assert!(pair.client(second).session().is_none());
        let side = usize::from(is_server_stuck);
        assert!(
            pair.picked(side, fallback)
                .contains(&FallbackReason::NoToken)
        );
        let ids = pair.picked_ids(1, |event| matches!(event, Event::Incoming { .. }));
        pair.exchange([second, ids[1]], &pattern(10_000, 1), &pattern(10_000, 2));
    }
}

/// Case 29
#[test]
fn a_key_that_an_incoming_connection_has_is_not_taken_for_an_outgoing_one_nor_the_reverse() {
    // The client listens as well; all keys that it chooses are the same.
    const LISTENER: &str = "10.0.0.1:81";
    for is_incoming_first in [true, false] {
        let host = endpoint::Config::default();
        let stuck = Endpoint::new(host.clone(), Box::new(Stuck));
        let mut pair = Pair::with_hosts(stuck, Endpoint::new(host, Box::new(Seeded(2))));
        let listener = address(LISTENER);
        pair.client.listen(listener, 16, Config::default()).unwrap();
        let mut incoming = None;
        if is_incoming_first {
            incoming = Some(call_back(&mut pair, LISTENER));
        }
        let ours = pair.connect(Config::default(), Config::default());
        pair.run_for(Duration::from_millis(100));
        let [incoming, theirs] = incoming.unwrap_or_else(|| call_back(&mut pair, LISTENER));
        let is_mptcp = [incoming, ours].map(|id| pair.client(id).session().is_some());
        assert_eq!(is_mptcp, [is_incoming_first, !is_incoming_first]);
        assert_eq!(pair.picked(0, fallback), [FallbackReason::NoToken]);
        assert_eq!(pair.client.table_sizes().tokens, 1);
        let up = pattern(10_000, 1);
        pair.exchange([ours, pair.accepted()], &up, &pattern(10_000, 2));
        pair.exchange([incoming, theirs], &up, &pattern(10_000, 2));
    }
}

/// The server connects to the client: the names that the two have for the connection.
fn call_back(pair: &mut Pair, listener: &str) -> [ConnId; 2] {
    let ends = path("10.9.0.1:5000", listener);
    let theirs = pair
        .server
        .connect(pair.now, ends, Config::default())
        .unwrap();
    pair.run_for(Duration::from_millis(100));
    let is_incoming = |event: &Event| matches!(event, Event::Incoming { .. });
    [pair.picked_ids(0, is_incoming)[0], theirs]
}

/// Case 68
#[test]
fn data_of_a_syn_without_cookie_come_again_with_the_first_mapping() {
    for accepts in [FastOpen::Off, FastOpen::Accept(None)] {
        let mut config = Config::default();
        config.tcp.fast_open = accepts;
        let mut puppet = Puppet::before(config, KEY);
        let option = puppet.capable_syn();
        let replies = puppet.send(0, 0, Flags::SYN, &[option], b"early");
        puppet.host_key = replies[0].options().capable.unwrap().sender_key.unwrap();
        let acked = replies[0].segment().ack.0 - puppet.lines[0].isn;
        // Without a cookie, or with MPTCP, the data are not taken, as Linux does without a cookie
        // (RFC 7413 §4.2.2, K54); they come again, and now with their mapping.
        assert_eq!(acked, 1);
        puppet.lines[0].next = 1;
        let keys = puppet.capable_keys(b"early");
        puppet.at(0, 1, &[keys], b"early");
        assert_eq!(puppet.read(), b"early");
        assert!(puppet.fallbacks().is_empty());
    }
}

/// Case 68
#[test]
fn a_syn_with_data_whose_third_ack_is_lost_is_made_up_for_by_the_first_data() {
    let cookie = FastOpenCookie::new(&[7; 6]).unwrap();
    let mut config = Config::default();
    config.tcp.fast_open = FastOpen::Cookie(cookie);
    let mut server = Config::default();
    server.tcp.fast_open = FastOpen::Accept(Some(cookie));
    let mut pair = Pair::new(3);
    pair.hook = Some(drop_if(|seen| {
        seen.way == Way::ToServer && seen.number == 1
    }));
    let ours = pair.connect(config, server);
    pair.client(ours).write(b"early ").unwrap();
    pair.run_for(Duration::from_millis(50));
    let [syn, answer, third] = [0, 1, 2].map(|n| pair.log[n].packet.clone());
    let [syn, answer, third] =
        [&syn, &answer, &third].map(|packet| Segment::parse(packet, false).unwrap());
    assert_eq!(syn.payload, b"early ");
    // The data are taken, and what says so is answered by the third ACK, which is lost.
    assert_eq!(answer.ack, syn.seq.add(1 + 6));
    assert_eq!(subtypes(&third), [Subtype::CAPABLE]);
    assert!(third.payload.is_empty());
    pair.client(ours).write(b"hello").unwrap();
    pair.run_for(Duration::from_millis(100));
    let theirs = pair.accepted();
    let mut got = Vec::new();
    read_all(pair.server(theirs), &mut got);
    assert_eq!(got, b"early hello");
    assert!(pair.server(theirs).session().is_some());
    assert_eq!([0, 1].map(|side| pair.picked(side, fallback).len()), [0, 0]);
    pair.exchange([ours, theirs], &pattern(10_000, 1), &pattern(10_000, 2));
}

/// Case 69
#[test]
fn a_cookie_with_a_lost_third_ack_is_mptcp_in_version_1_and_tcp_in_version_0() {
    for (offer, is_mptcp) in [(Offer::V1, true), (Offer::V0, false)] {
        let config = endpoint::Config {
            syn_cookies: SynCookies::Always,
            ..endpoint::Config::default()
        };
        let client = Endpoint::new(endpoint::Config::default(), Box::new(Seeded(1)));
        let mut pair = Pair::with_hosts(client, Endpoint::new(config, Box::new(Seeded(2))));
        pair.hook = Some(drop_if(|seen| {
            seen.way == Way::ToServer && seen.number == 1
        }));
        let ours = pair.connect(version(offer), Config::default());
        pair.run_for(Duration::from_millis(50));
        pair.client(ours).write(b"hello").unwrap();
        pair.run_for(Duration::from_secs(2));
        let theirs = pair.accepted();
        assert_eq!(
            pair.server(theirs).session().is_some(),
            is_mptcp,
            "{offer:?}"
        );
        let mut got = Vec::new();
        read_all(pair.server(theirs), &mut got);
        assert_eq!(got, b"hello");
        pair.exchange([ours, theirs], &pattern(10_000, 1), &pattern(10_000, 2));
    }
}

/// Case 70
#[test]
fn a_syn_of_an_unknown_version_is_answered_with_ours_or_as_tcp() {
    // A newer one: RFC 8684 §3.1, the highest version that both may speak.
    let mut puppet = Puppet::before(Config::default(), KEY);
    let MptcpOption::Capable(mut capable) = puppet.capable_syn() else {
        unreachable!("it is MP_CAPABLE");
    };
    capable.version = 2;
    let replies = puppet.send(0, 0, Flags::SYN, &[MptcpOption::Capable(capable)], &[]);
    assert_eq!(replies[0].options().capable.unwrap().version, 1);
    // Version 0 to a host of version 1 only.
    let mut puppet = Puppet::before(version(Offer::V1), KEY);
    capable.version = 0;
    capable.sender_key = Some(KEY);
    let replies = puppet.send(0, 0, Flags::SYN, &[MptcpOption::Capable(capable)], &[]);
    assert!(replies[0].options().is_empty());
    // A host that offered version 1 and hears version 0 goes on as TCP.
    let mut puppet = Puppet::calling(Config::default());
    let options = [MptcpOption::Capable(capable)];
    puppet.send(0, 0, Flags::SYN.with(Flags::ACK), &options, &[]);
    assert_eq!(puppet.fallbacks(), [FallbackReason::Version]);
    assert!(reset(&puppet.write(b"plain")).is_none());
}
