//! The numbers of a connection are those that Linux gives in `struct mptcp_info` (include/uapi/linux/mptcp.h).

use std::time::Duration;

use mptcp_proto::conn::command::SubflowClose;
use mptcp_proto::conn::config::Offer;
use mptcp_proto::conn::handshake::Wishes;
use mptcp_proto::conn::{Config, MptcpInfo};
use mptcp_proto::key::AddressId;
use mptcp_proto::path::SubflowId;
use mptcp_proto::pm::{Kind, Limits, MAX_ADDRESSES};
use mptcp_proto::wire::mptcp::Priority;

use super::join::{SECOND, SECOND_SERVER, established, join};
use super::meddle::{blank, drop_if, meddle};
use super::pair::{Pair, Seeded, Way, address, pattern};

/// `mptcpi_write_seq`, `mptcpi_snd_una`, `mptcpi_rcv_nxt`.
#[test]
fn write_seq_counts_what_was_written_and_snd_una_what_was_acknowledged() {
    let (mut pair, ids) = established(&Config::default());
    let before = pair.client(ids[0]).info();
    assert_eq!(before.write_seq, before.snd_una);
    assert_eq!(before.write_seq, pair.server(ids[1]).info().rcv_nxt);
    // Nothing of it has left: sending is a matter of the next poll.
    pair.client(ids[0]).write(&pattern(100_000, 1)).unwrap();
    let written = pair.client(ids[0]).info();
    assert_eq!(written.write_seq, before.write_seq.add(100_000));
    assert_eq!(written.snd_nxt, before.snd_nxt);
    pair.run_for(Duration::from_millis(1));
    let sent = pair.client(ids[0]).info();
    let [left, rest] = [
        (sent.snd_nxt, before.snd_nxt),
        (written.write_seq, sent.snd_nxt),
    ]
    .map(|(to, from)| to.offset_from(from));
    assert!(left > 0 && rest > 0, "{left} sent, {rest} to send");
    assert_eq!(sent.snd_una, before.snd_una);
    pair.run_for(Duration::from_secs(1));
    let acked = pair.client(ids[0]).info();
    assert_eq!(acked.snd_una, written.write_seq);
    // DATA_FIN takes a number on both sides.
    pair.client(ids[0]).shutdown_write();
    pair.run_for(Duration::from_secs(1));
    let ended = pair.client(ids[0]).info();
    assert_eq!(ended.write_seq, written.write_seq.add(1));
    assert_eq!(ended.snd_una, ended.write_seq);
    assert_eq!(pair.server(ids[1]).info().rcv_nxt, ended.write_seq);
}

/// `mptcpi_bytes_sent`, `_received`, `_acked`, `_retrans`, `mptcpi_retransmits`.
#[test]
fn bytes_are_counted_once_and_retransmissions_for_themselves() {
    let (mut pair, ids) = established(&Config::default());
    join(&mut pair, ids[0], Priority::Regular);
    let second = address(SECOND);
    let mut random = Seeded(5);
    pair.hook = Some(drop_if(move |seen| {
        seen.segment.source == second && seen.has_data() && random.happens(80)
    }));
    let limit = Duration::from_secs(60);
    pair.transfer(ids, &pattern(500_000, 1), &pattern(70_000, 2), limit);
    pair.hook = None;
    pair.run_for(Duration::from_secs(60));
    let [client, server] = [pair.client(ids[0]).info(), pair.server(ids[1]).info()];
    // Five bytes and three were exchanged before.
    for (from, to, bytes) in [(client, server, 500_005), (server, client, 70_003)] {
        assert_eq!((from.bytes_sent, from.bytes_acked), (bytes, bytes));
        assert_eq!(to.bytes_received, bytes);
    }
    assert!(client.bytes_retrans > 1000 && client.retransmits > 0);
    assert_eq!((server.bytes_retrans, server.retransmits), (0, 0));
    assert!(server.bytes_duplicate <= client.bytes_retrans);
    assert_eq!(client.retransmits_in_a_row, 0);
    // While nothing comes back, expiries count.
    pair.hook = Some(drop_if(|seen| seen.way == Way::ToServer));
    pair.client(ids[0]).write(b"lost").unwrap();
    pair.run_for(Duration::from_secs(30));
    let stuck = pair.client(ids[0]).info();
    assert!(stuck.retransmits_in_a_row > 1, "{stuck:?}");
    assert_eq!(stuck.bytes_sent, client.bytes_sent + 4);
    assert_eq!(stuck.bytes_acked, client.bytes_acked);
}

/// `mptcpi_last_data_sent`, `_last_data_recv`, `_last_ack_recv`.
#[test]
fn times_are_those_of_data_and_of_acknowledgements() {
    let (mut pair, ids) = established(&Config::default());
    pair.run_for(Duration::from_secs(3));
    let sent = pair.now;
    pair.transfer(ids, b"there", b"", Duration::from_secs(5));
    pair.run_for(Duration::from_secs(3));
    let (delay, round_trip) = (pair.delay, pair.delay * 2);
    let [client, server] = [pair.client(ids[0]).info(), pair.server(ids[1]).info()];
    assert_eq!(client.last_data_sent, sent);
    assert_eq!(server.last_data_received, sent + delay);
    assert!(client.last_ack_received >= sent + round_trip);
    assert!(client.last_ack_received <= sent + round_trip + Duration::from_millis(200));
    assert!(client.last_data_received < sent && server.last_data_sent < sent);
}

fn flags(pair: &mut Pair, ids: [mptcp_proto::endpoint::ConnId; 2]) -> [u32; 2] {
    [
        pair.client(ids[0]).info().flags(),
        pair.server(ids[1]).info().flags(),
    ]
}

/// `mptcpi_flags`, `mptcpi_csum_enabled`, `mptcpi_token`.
#[test]
fn flags_tell_of_the_fallback_and_of_the_peers_key() {
    let config = Config {
        wishes: Wishes {
            checksum: true,
            ..Wishes::default()
        },
        ..Config::default()
    };
    let (mut pair, ids) = established(&config);
    let key = MptcpInfo::FLAG_REMOTE_KEY_RECEIVED;
    assert_eq!(flags(&mut pair, ids), [key, key]);
    let info = pair.client(ids[0]).info();
    let session = *pair.client(ids[0]).session().unwrap();
    assert!(info.has_checksums);
    assert_eq!(info.token, Some(session.local_token));
    assert_eq!(pair.server(ids[1]).info().token, Some(session.remote_token));
    // The options vanish: both were MPTCP, and are TCP.
    pair.hook = Some(meddle(|_, options, _| {
        blank(options, |_| true);
        true
    }));
    let limit = Duration::from_secs(60);
    pair.transfer(ids, &pattern(10_000, 1), &pattern(10_000, 2), limit);
    let both = key | MptcpInfo::FLAG_FALLBACK;
    assert_eq!(flags(&mut pair, ids), [both, both]);
    assert_eq!(pair.client(ids[0]).info().bytes_received, 10_003);
    // One that never was MPTCP has no key.
    let off = Config {
        mptcp: Offer::Off,
        ..Config::default()
    };
    let (mut pair, ids) = established(&off);
    let fallback = MptcpInfo::FLAG_FALLBACK;
    assert_eq!(flags(&mut pair, ids), [fallback, fallback]);
    assert_eq!(pair.client(ids[0]).info().token, None);
}

/// `mptcpi_subflows`, `_subflows_max`, `_subflows_total`, `_local_addr_used`, `_local_addr_max`.
#[test]
fn subflows_and_their_addresses_are_counted() {
    let config = Config {
        limits: Some(Limits {
            subflows: 3,
            add_addr_accepted: 2,
        }),
        ..Config::default()
    };
    let (mut pair, ids) = established(&config);
    let counts = |pair: &mut Pair| {
        let info = pair.client(ids[0]).info();
        (info.subflows, info.subflows_total, info.local_addr_used)
    };
    assert_eq!(counts(&mut pair), (0, 1, 0));
    join(&mut pair, ids[0], Priority::Regular);
    assert_eq!(counts(&mut pair), (1, 2, 1));
    // A second one from the same address uses no other.
    let (near, far) = (address("10.0.1.1:40005"), address(SECOND_SERVER));
    let opened = pair
        .client(ids[0])
        .open_subflow(near, far, Priority::Regular);
    opened.unwrap();
    pair.run_for(Duration::from_millis(300));
    assert_eq!(counts(&mut pair), (2, 3, 1));
    // The initial one may go.
    let initial = SubflowId(0);
    pair.client(ids[0])
        .close_subflow(initial, SubflowClose::Fin)
        .unwrap();
    pair.run_for(Duration::from_secs(1));
    assert_eq!(counts(&mut pair), (2, 2, 1));
    let info = pair.client(ids[0]).info();
    assert_eq!((info.subflows_max, info.add_addr_accepted_max), (3, 2));
    assert_eq!(info.local_addr_max as usize, MAX_ADDRESSES);
}

/// `mptcpi_add_addr_signal`, `_add_addr_accepted`, and what they may be.
#[test]
fn addresses_are_counted_while_they_are_advertised() {
    let limits = Limits {
        subflows: 0,
        add_addr_accepted: 2,
    };
    let client = Config {
        limits: Some(limits),
        path_manager: Kind::User,
        ..Config::default()
    };
    let (mut pair, ids) = established(&client);
    let counts = |pair: &mut Pair| {
        let signal = pair.server(ids[1]).info().add_addr_signal;
        (signal, pair.client(ids[0]).info().add_addr_accepted)
    };
    assert_eq!(counts(&mut pair), (0, 0));
    // Two are accepted, as the limit has it.
    for (n, expected) in [(1, (1, 1)), (2, (2, 2)), (3, (3, 2))] {
        let at = address(&format!("10.9.1.{n}:80"));
        pair.server(ids[1]).announce(AddressId(n), at);
        pair.run_for(Duration::from_millis(300));
        assert_eq!(counts(&mut pair), expected);
    }
    for (n, expected) in [(3, (2, 2)), (2, (1, 1)), (1, (0, 0))] {
        pair.server(ids[1]).remove_address(AddressId(n));
        pair.run_for(Duration::from_millis(300));
        assert_eq!(counts(&mut pair), expected);
    }
    assert_eq!(pair.client(ids[0]).info().add_addr_signal_max, 64);
}

/// `TCP_INFO` of a subflow: what only its own segments tell.
#[test]
fn each_subflow_has_the_numbers_of_its_tcp() {
    let (mut pair, ids) = established(&Config::default());
    join(&mut pair, ids[0], Priority::Regular);
    let delay = Duration::from_millis(40);
    pair.delays.insert(address(SECOND), delay);
    let limit = Duration::from_secs(60);
    pair.transfer(ids, &pattern(2_000_000, 1), &[], limit);
    pair.run_for(Duration::from_secs(1));
    let subflows: Vec<_> = pair.client(ids[0]).subflows().collect();
    assert_eq!(subflows.len(), 2);
    assert!(subflows[1].tcp.srtt > 2 * subflows[0].tcp.srtt);
    for subflow in &subflows {
        let (tcp, delay) = (subflow.tcp, pair.delay);
        assert!(
            tcp.min_rtt >= delay * 2 && tcp.srtt >= tcp.min_rtt,
            "{tcp:?}"
        );
        assert!(tcp.rto >= tcp.srtt + tcp.rttvar.min(Duration::from_millis(200)));
        assert!(subflow.cwnd >= u64::from(tcp.mss) && tcp.mss <= 1460);
        assert!(tcp.counters.segments_out > 10 && tcp.counters.segments_in > 10);
    }
}
