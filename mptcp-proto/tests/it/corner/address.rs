//! Addresses that are wrong, late, repeated or gone (RFC 8684 §3.4).

use std::time::Duration;

use mptcp_proto::conn::{Config, Event, Violation};
use mptcp_proto::hmac::{AddAddrHmac, add_addr_hmac};
use mptcp_proto::key::AddressId;
use mptcp_proto::path::SubflowId;
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{AddAddr, AddressIds, MptcpOption, Priority, RemoveAddr};
use mptcp_proto::wire::segment::{Flags, Segment};
use mptcp_proto::wire::tcp_option::{KIND_TIMESTAMPS, TcpOptions};

use super::puppet::{Puppet, Reply, payload};
use crate::endpoint::join::{down, established, join};
use crate::endpoint::meddle::{Seen, drop_if, subtypes};
use crate::endpoint::pair::{CLIENT, Pair, address, pattern, read_all};

fn add(puppet: &Puppet, id: u8, text: &str, port: Option<u16>) -> MptcpOption {
    let ip = text.parse().unwrap();
    let hmac = add_addr_hmac(puppet.key, puppet.host_key, AddressId(id), ip, port);
    add_with(id, text, port, Some(hmac))
}

fn add_with(id: u8, text: &str, port: Option<u16>, hmac: Option<AddAddrHmac>) -> MptcpOption {
    MptcpOption::AddAddr(AddAddr {
        version: Version::V1,
        echo: hmac.is_none(),
        address_id: AddressId(id),
        address: text.parse().unwrap(),
        port,
        hmac,
        reserved: 0,
    })
}

fn remove(ids: &[u8]) -> MptcpOption {
    let ids: Vec<AddressId> = ids.iter().map(|id| AddressId(*id)).collect();
    MptcpOption::RemoveAddr(RemoveAddr {
        ids: AddressIds::new(&ids).unwrap(),
        reserved: 0,
    })
}

fn announced(event: &Event) -> Option<(u8, String)> {
    match event {
        Event::AddressAnnounced { id, address } => Some((id.0, address.to_string())),
        _ => None,
    }
}

fn echoed(event: &Event) -> Option<u8> {
    match event {
        Event::AddressEchoed { id } => Some(id.0),
        _ => None,
    }
}

fn echoes(replies: &[Reply]) -> usize {
    let with_echo = |reply: &&Reply| reply.options().add_addr_echo.is_some();
    replies.iter().filter(with_echo).count()
}

/// Case 41
#[test]
fn an_advertised_address_counts_only_when_it_is_proven_new_and_not_ours() {
    let mut puppet = Puppet::established(Config::default());
    let wrong = add_with(1, "10.0.5.1", None, Some(AddAddrHmac::from_bytes([9; 8])));
    let replies = puppet.ack(0, &[wrong]);
    assert_eq!((echoes(&replies), puppet.picked(announced).len()), (0, 0));
    let right = add(&puppet, 1, "10.0.5.1", None);
    let replies = puppet.ack(0, &[right]);
    assert_eq!((echoes(&replies), puppet.picked(announced).len()), (1, 1));
    // Again: an echo, and nothing new.
    let replies = puppet.ack(0, &[right]);
    assert_eq!((echoes(&replies), puppet.picked(announced).len()), (1, 1));
    // The host's own address.
    let own = add(&puppet, 2, "10.9.0.1", None);
    puppet.ack(0, &[own]);
    assert_eq!(puppet.picked(announced).len(), 1);
    assert!(puppet.violations().contains(&Violation::AddAddrUnusable));
    // The id of a living subflow, with another address.
    puppet.join("10.0.6.1:40006", 6);
    let taken = add(&puppet, 6, "10.0.7.1", None);
    puppet.ack(0, &[taken]);
    assert_eq!(puppet.picked(announced).len(), 1);
}

/// Case 41
#[test]
fn only_the_right_echo_ends_the_repetitions_and_only_once() {
    let mut config = Config::default();
    config.patience.add_addr = Duration::from_millis(200);
    let mut puppet = Puppet::established(config.clone());
    puppet
        .conn()
        .announce(AddressId(3), address("10.9.1.1:9999"));
    let count = |replies: &[Reply]| {
        let with_address = |reply: &&Reply| reply.options().add_addr.is_some();
        replies.iter().filter(with_address).count()
    };
    assert_eq!(count(&puppet.hear()), 1);
    // The wrong port, and the wrong id.
    for (id, port) in [(3, Some(9998)), (3, None), (4, Some(9999))] {
        puppet.ack(0, &[add_with(id, "10.9.1.1", port, None)]);
    }
    assert!(puppet.picked(echoed).is_empty());
    assert_eq!(count(&puppet.wait(Duration::from_millis(300))), 1);
    for _ in 0..2 {
        puppet.ack(0, &[add_with(3, "10.9.1.1", Some(9999), None)]);
    }
    assert_eq!(puppet.picked(echoed), [3]);
    assert_eq!(count(&puppet.wait(Duration::from_secs(60))), 0);
    // No echo at all: a few times, and no more.
    let mut puppet = Puppet::established(config);
    puppet.conn().announce(AddressId(3), address("10.9.1.1:80"));
    let sent = puppet.wait(Duration::from_secs(600));
    assert!((2..10).contains(&count(&sent)));
}

/// What the host says of addresses and priorities in these replies.
fn signals(replies: &[Reply]) -> usize {
    let is_signal = |reply: &&Reply| {
        let options = reply.options();
        options.add_addr.is_some() || options.remove_addr.is_some() || options.prio.is_some()
    };
    replies.iter().filter(is_signal).count()
}

/// RFC 8684 §3: at most two in a row.
#[test]
fn of_many_addresses_two_are_advertised_and_each_echo_lets_the_next_follow() {
    let mut puppet = Puppet::established(Config::default());
    for id in 1..9 {
        let near = address(&format!("10.9.1.{id}:80"));
        puppet.conn().announce(AddressId(id), near);
    }
    let mut replies = puppet.hear();
    let mut all = Vec::new();
    for expected in [2, 1, 1, 1, 1, 1, 1, 0, 0] {
        assert_eq!((replies.len(), signals(&replies)), (expected, expected));
        all.extend(replies.iter().filter_map(|reply| reply.options().add_addr));
        let id = u8::try_from(puppet.picked(echoed).len() + 1).unwrap();
        replies = puppet.ack(0, &[add_with(id, &format!("10.9.1.{id}"), None, None)]);
    }
    let ids: Vec<u8> = all.iter().map(|option| option.address_id.0).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7, 8]);
    // A peer that echoes nothing hears two for each retransmission timeout.
    let mut puppet = Puppet::established(Config::default());
    for id in 1..9 {
        let near = address(&format!("10.9.1.{id}:80"));
        puppet.conn().announce(AddressId(id), near);
    }
    let replies = puppet.wait(Duration::from_secs(10));
    assert_eq!((replies.len(), signals(&replies)), (8, 8));
    let rto = puppet.conn().subflows().next().unwrap().tcp.rto;
    for three in replies.windows(3) {
        assert!(three[2].at.since(three[0].at) >= rto);
    }
}

/// RFC 8684 §3: at most two in a row.
#[test]
fn removals_and_priorities_in_a_row_wait_for_the_peer_too() {
    let mut puppet = Puppet::established(Config::default());
    for id in 1..21 {
        let near = address(&format!("10.9.1.{id}:80"));
        puppet.conn().announce(AddressId(id), near);
    }
    puppet.wait(Duration::from_secs(20));
    for id in 1..21 {
        puppet.conn().remove_address(AddressId(id));
    }
    // Eight ids in each.
    assert_eq!(signals(&puppet.hear()), 2);
    let replies = puppet.data(0, 0, b"progress");
    assert_eq!(signals(&replies), 1);

    let mut puppet = Puppet::established(Config::default());
    let mut heard = Vec::new();
    for priority in [Priority::Backup, Priority::Regular, Priority::Backup] {
        puppet.conn().set_priority(SubflowId(0), priority).unwrap();
        heard.push(puppet.hear().len());
    }
    assert_eq!(heard, [1, 1, 0]);
    let late = puppet.wait(Duration::from_secs(5));
    let prio = late.iter().find_map(|reply| reply.options().prio);
    assert_eq!(prio.unwrap().priority, Priority::Backup);
    assert_eq!(late.len(), 1);
}

/// Case 42
#[test]
fn addresses_that_cannot_be_hosts_are_refused_and_odd_ports_are_not() {
    for text in [
        "224.0.0.5",
        "255.255.255.255",
        "0.0.0.0",
        "127.0.0.1",
        "::1",
        "ff02::1",
        "::",
    ] {
        let mut puppet = Puppet::established(Config::default());
        let option = add(&puppet, 1, text, None);
        puppet.ack(0, &[option]);
        assert!(puppet.picked(announced).is_empty(), "{text}");
        assert_eq!(puppet.violations(), [Violation::AddAddrUnusable], "{text}");
    }
    let mut puppet = Puppet::established(Config::default());
    // A port of no listener is no matter of the one who hears of it; IPv4 in IPv6 clothes is IPv4.
    let (port, mapped) = (
        add(&puppet, 1, "10.0.5.1", Some(9)),
        add(&puppet, 2, "::ffff:10.0.5.2", None),
    );
    puppet.ack(0, &[port]);
    puppet.ack(0, &[mapped]);
    let addresses: Vec<_> = puppet
        .picked(announced)
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(addresses, ["10.0.5.1:9", "10.0.5.2:40000"]);
    // The HMAC of an absent port is that of port 0 (RFC 8684 §3.4.1).
    let key = (puppet.key, puppet.host_key);
    let ip = "10.0.5.3".parse().unwrap();
    let zero = add_addr_hmac(key.0, key.1, AddressId(3), ip, Some(0));
    puppet.ack(0, &[add_with(3, "10.0.5.3", None, Some(zero))]);
    assert_eq!(puppet.picked(announced).len(), 3);
}

/// Case 42
#[test]
fn only_advertised_addresses_that_can_be_hosts_are_joined_and_a_refusal_ends_nothing_else() {
    let config = Config {
        path_manager: mptcp_proto::pm::Kind::Fullmesh,
        ..Config::default()
    };
    let mut puppet = Puppet::called(config);
    puppet.host.address_up("10.0.0.1".parse().unwrap());
    let option = puppet.data_ack();
    puppet.ack(0, &[option]);
    let mut replies = Vec::new();
    for (id, text) in [
        (1, "224.0.0.5"),
        (2, "127.0.0.1"),
        (3, "10.0.5.1"),
        (4, "0.0.0.0"),
    ] {
        let option = add(&puppet, id, text, Some(9));
        replies.extend(puppet.ack(0, &[option]));
    }
    replies.extend(puppet.wait(Duration::from_millis(500)));
    let syns: Vec<_> = replies
        .iter()
        .filter(|reply| reply.segment().flags == Flags::SYN)
        .collect();
    let [syn] = syns[..] else {
        panic!("{} SYNs", syns.len());
    };
    assert_eq!(syn.segment().destination, address("10.0.5.1:9"));
    let near = syn.segment().source.to_string();
    let line = puppet.line("10.0.5.1:9", &near);
    puppet.lines[line].expected = syn.segment().seq.0.wrapping_add(1);
    puppet.send(line, 0, Flags::RST.with(Flags::ACK), &[], &[]);
    assert_eq!(puppet.conn().info().subflows_total, 1);
    assert_eq!(puppet.write(b"goes on").len(), 1);
}

/// Case 43
#[test]
fn an_ipv6_address_with_port_goes_alone_where_timestamps_leave_no_room() {
    let (mut pair, ids) = established(&Config::default());
    let before = pair.log.len();
    pair.server(ids[1])
        .announce(AddressId(6), address("[fd00::6]:9999"));
    pair.run_for(Duration::from_millis(300));
    let with_address: Vec<_> = pair.log[before..]
        .iter()
        .map(|sent| Segment::parse(&sent.packet, false).unwrap())
        .filter(|segment| segment.options.windows(2).any(|two| two == [30, 30]))
        .collect();
    assert!(!with_address.is_empty());
    for segment in &with_address {
        let has_timestamps = TcpOptions::new(segment.options)
            .flatten()
            .any(|option| option.kind == KIND_TIMESTAMPS);
        assert!(segment.payload.is_empty() && !has_timestamps);
        assert_eq!(subtypes(segment).len(), 1);
    }
    assert_eq!(
        pair.picked(0, announced),
        [(6, "[fd00::6]:9999".to_owned())]
    );
    pair.exchange(ids, &pattern(1000, 1), &pattern(1000, 2));
}

/// Case 44
#[test]
fn add_remove_and_add_of_one_id_end_with_the_last_address() {
    let mut puppet = Puppet::established(Config::default());
    let (first, last) = (
        add(&puppet, 1, "10.0.5.1", None),
        add(&puppet, 1, "10.0.5.2", None),
    );
    for option in [first, remove(&[1]), last] {
        let replies = puppet.ack(0, &[option]);
        // The echo names what was received.
        for echo in replies
            .iter()
            .filter_map(|reply| reply.options().add_addr_echo)
        {
            let MptcpOption::AddAddr(sent) = option else {
                panic!("an echo of nothing");
            };
            assert_eq!(echo.address, sent.address);
        }
    }
    let addresses: Vec<_> = puppet
        .picked(announced)
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(addresses, ["10.0.5.1:40000", "10.0.5.2:40000"]);
    // The removal comes late, after the second address: the id is gone.
    let mut puppet = Puppet::established(Config::default());
    for option in [first_of(&puppet), remove(&[1])] {
        puppet.ack(0, &[option]);
    }
    let removed =
        puppet.picked(|event| matches!(event, Event::AddressRemoved { .. }).then_some(()));
    assert_eq!(removed.len(), 1);
}

/// Case 44
#[test]
fn in_whichever_order_add_remove_and_add_arrive_the_last_counts_and_echoes_name_what_came() {
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut puppet = Puppet::established(Config::default());
        let names = ["10.0.5.1", "", "10.0.5.2"];
        let options = [
            add(&puppet, 1, names[0], None),
            remove(&[1]),
            add(&puppet, 1, names[2], None),
        ];
        for which in order {
            let replies = puppet.ack(0, &[options[which]]);
            let echoed: Vec<_> = replies
                .iter()
                .filter_map(|reply| reply.options().add_addr_echo)
                .map(|echo| echo.address.to_string())
                .collect();
            let expected: &[&str] = if which == 1 { &[] } else { &[names[which]] };
            assert_eq!(echoed, expected, "{order:?}");
        }
        let last = puppet.picked(|event| match event {
            Event::AddressAnnounced { address, .. } => Some(address.ip().to_string()),
            Event::AddressRemoved { .. } => Some(String::new()),
            _ => None,
        });
        assert_eq!(last.last().unwrap(), names[order[2]], "{order:?}");
    }
}

fn first_of(puppet: &Puppet) -> MptcpOption {
    add(puppet, 1, "10.0.5.1", None)
}

/// Case 45
#[test]
fn ids_that_are_unknown_doubled_or_those_of_the_last_subflow_remove_nothing_living() {
    let mut puppet = Puppet::established(Config::default());
    let all: Vec<u8> = (0..=255).collect();
    // An option holds 37 ids at most beside its header; all of them take seven.
    for chunk in all.chunks(32) {
        let replies = puppet.ack(0, &[remove(chunk)]);
        assert!(replies.iter().all(|reply| !reply.segment().flags.rst()));
    }
    puppet.ack(0, &[remove(&[9, 9, 9, 9])]);
    assert_eq!(puppet.conn().info().subflows_total, 1);
    let replies = puppet.wait(Duration::from_secs(1));
    assert!(replies.iter().all(|reply| !reply.segment().flags.fin()));
    puppet.data(0, 0, b"still here");
    assert_eq!(puppet.read(), b"still here");
}

/// Segments that ask the other end of this line for an answer.
fn keep_alives(puppet: &Puppet, line: usize, replies: &[Reply]) -> usize {
    let end = puppet.lines[line];
    let is_keep_alive = |reply: &&Reply| {
        let segment = reply.segment();
        (segment.destination, segment.source) == (end.near, end.far)
            && segment.seq.0 == end.expected.wrapping_sub(1)
            && segment.payload.is_empty()
    };
    replies.iter().filter(is_keep_alive).count()
}

/// Case 45
#[test]
fn each_subflow_of_a_withdrawn_address_is_tested_and_reset_when_nothing_answers() {
    let mut puppet = Puppet::established(Config::default());
    let lines = ["10.0.1.1:40001", "10.0.1.1:40002"].map(|near| puppet.join(near, 1));
    let replies = puppet.ack(0, &[remove(&[1])]);
    for line in lines {
        assert_eq!(keep_alives(&puppet, line, &replies), 1);
    }
    assert_eq!(keep_alives(&puppet, 0, &replies), 0);
    // One path is alive: it is the peer's to close. The other is asked twice more.
    puppet.ack(lines[1], &[]);
    let replies = puppet.wait(Duration::from_secs(10));
    assert_eq!(keep_alives(&puppet, lines[0], &replies), 2);
    assert_eq!(keep_alives(&puppet, lines[1], &replies), 0);
    let resets = replies.iter().filter(|reply| reply.segment().flags.rst());
    let ends: Vec<_> = resets.map(|reply| reply.segment().destination).collect();
    assert_eq!(ends, [address("10.0.1.1:40001")]);
    assert_eq!(puppet.conn().info().subflows_total, 2);
    puppet.data(lines[1], 0, b"alive");
    assert_eq!(puppet.read(), b"alive");
}

/// Case 45
#[test]
fn the_last_subflow_is_asked_whether_it_lives_when_its_address_is_withdrawn() {
    let mut puppet = Puppet::established(Config::default());
    let replies = puppet.ack(0, &[remove(&[0])]);
    assert_eq!(keep_alives(&puppet, 0, &replies), 1);
    // It is answered, and all goes on.
    puppet.ack(0, &[]);
    puppet.data(0, 0, b"alive");
    assert_eq!(puppet.read(), b"alive");
    assert_eq!(puppet.conn().info().subflows_total, 1);
}

/// Case 46
#[test]
fn data_that_wait_without_a_subflow_go_on_when_one_is_joined() {
    let (mut pair, ids) = established(&Config::default());
    let data = pattern(300_000, 1);
    let mut done = pair.client(ids[0]).write(&data).unwrap();
    pair.run_for(Duration::from_millis(25));
    let reset = mptcp_proto::conn::command::SubflowClose::Reset(
        mptcp_proto::wire::mptcp::ResetReason::LACK_OF_RESOURCES,
    );
    pair.client(ids[0])
        .close_subflow(SubflowId(0), reset)
        .unwrap();
    pair.run_for(Duration::from_secs(3));
    assert_eq!(pair.server(ids[1]).info().subflows_total, 0);
    join(&mut pair, ids[0], Priority::Regular);
    let mut got = Vec::new();
    pair.run_until(Duration::from_secs(30), |pair| {
        done += pair.client(ids[0]).write(&data[done..]).unwrap();
        read_all(pair.server(ids[1]), &mut got);
        got.len() == data.len()
    });
    assert!(got == data);
    pair.exchange(ids, b"", b"bye");
}

fn is_of(text: &'static str) -> impl Fn(&Seen<'_>) -> bool {
    move |seen| [seen.segment.source, seen.segment.destination].contains(&address(text))
}

/// Case 47
#[test]
fn backups_carry_the_data_when_all_subflows_are_backups() {
    let mut puppet = Puppet::established(Config::default());
    let line = puppet.join("10.0.1.1:40001", 1);
    let backup = MptcpOption::Prio(mptcp_proto::wire::mptcp::Prio {
        priority: Priority::Backup,
        address_id: None,
        reserved: 0,
    });
    let ack = puppet.data_ack();
    puppet.ack(line, &[ack, backup]);
    puppet.ack(0, &[ack, backup]);
    let replies = puppet.write(&pattern(5000, 1));
    assert_eq!(payload(&replies), 5000);
}

/// Case 47
#[test]
fn data_queued_on_a_subflow_that_becomes_a_backup_still_arrive() {
    // A small window, so that the switch comes in the midst of many round trips.
    let mut config = Config::default();
    (config.buffers.receive, config.buffers.max_receive) = (60_000, 60_000);
    let (mut pair, ids) = established(&config);
    join(&mut pair, ids[0], Priority::Regular);
    let data = pattern(1_000_000, 1);
    let (mut done, mut got, mut switched) = (0, Vec::new(), None);
    let segments = |pair: &mut Pair| {
        let subflows = pair.client(ids[0]).subflows();
        subflows
            .map(|subflow| subflow.tcp.counters.segments_out)
            .collect::<Vec<_>>()
    };
    let (mut at_switch, mut settled) = (Vec::new(), None);
    pair.run_until(Duration::from_secs(60), |pair| {
        done += pair.client(ids[0]).write(&data[done..]).unwrap();
        read_all(pair.server(ids[1]), &mut got);
        if got.len() > 200_000 && switched.is_none() {
            switched = Some(pair.now);
            at_switch = segments(pair);
            // What the client sends obeys what the server says.
            let backup = Priority::Backup;
            pair.server(ids[1])
                .set_priority(SubflowId(1), backup)
                .unwrap();
        }
        if switched.is_some_and(|at| pair.now >= at + Duration::from_millis(60)) {
            settled.get_or_insert_with(|| (got.len(), segments(pair)));
        }
        got.len() == data.len()
    });
    assert!(got == data);
    let (arrived, before) = settled.expect("it took longer");
    let after = segments(&mut pair);
    // Both had carried data until then; what was left went over the other.
    assert!(at_switch.iter().all(|count| *count > 40), "{at_switch:?}");
    let left = u64::try_from(data.len() - arrived).unwrap();
    assert!(left > 300_000, "{left}");
    assert_eq!(after[1], before[1]);
    assert!(after[0] - before[0] > left / 1460 - 45);
    // Nothing that was queued there was sent again elsewhere.
    assert_eq!(pair.client(ids[0]).info().retransmits, 0);
    assert!(pair.picked(0, down).is_empty());
}

/// Case 48
#[test]
fn a_backup_stands_in_for_a_stale_subflow_until_that_recovers() {
    let (mut pair, ids) = established(&Config::default());
    join(&mut pair, ids[0], Priority::Backup);
    let bytes = |pair: &Pair, n| {
        let connection = pair.client.connections().next().unwrap();
        let subflow = connection.subflows().nth(n).unwrap();
        subflow.tcp.counters.segments_out
    };
    let limit = Duration::from_secs(60);
    let before = bytes(&pair, 1);
    pair.hook = Some(drop_if(is_of(CLIENT)));
    pair.transfer(ids, &pattern(300_000, 1), &[], limit);
    assert!(bytes(&pair, 1) > before + 100);
    pair.hook = None;
    // The next timeout of the regular subflow finds its path in order again.
    pair.run_for(Duration::from_secs(60));
    let before = [bytes(&pair, 0), bytes(&pair, 1)];
    pair.transfer(ids, &pattern(500_000, 2), &[], limit);
    assert!(bytes(&pair, 0) > before[0] + 300);
    assert!(bytes(&pair, 1) < before[1] + 20);
}
