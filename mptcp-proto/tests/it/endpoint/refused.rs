//! SYNs with MP_CAPABLE that are answered with RST, or forbidden by ICMP.

use std::time::Duration;

use mptcp_proto::conn::config::Switch;
use mptcp_proto::conn::{Config, ConnectionEnd, Event, FallbackReason};
use mptcp_proto::endpoint::{ConnId, TableSizes};
use mptcp_proto::seq::TcpSeq;
use mptcp_proto::tcp::{FastOpen, FastOpenCookie, IcmpError, Path};
use mptcp_proto::wire::mptcp::Subtype;
use mptcp_proto::wire::segment::{Flags, Segment};

use super::handshake::fallback;
use super::meddle::{drop_if, subtypes};
use super::pair::{CLIENT, Pair, SERVER, Way, path, pattern, read_all};

/// What a firewall that takes MP_CAPABLE amiss would send for this SYN.
fn reset(syn: &Segment<'_>) -> Vec<u8> {
    let reset = Segment {
        source: syn.destination,
        destination: syn.source,
        seq: TcpSeq(0),
        ack: syn.seq.add(syn.seq_len()),
        flags: Flags::RST.with(Flags::ACK),
        options: &[],
        payload: &[],
        ..*syn
    };
    let mut out = Vec::new();
    reset.emit(&mut out).unwrap();
    out
}

/// Lets the client send its SYN, which a firewall answers with RST if it has the option.
#[track_caller]
fn refuse(pair: &mut Pair) {
    pair.hook = Some(drop_if(|seen| seen.is_syn() && seen.has(Subtype::CAPABLE)));
    pair.run_for(Duration::from_millis(5));
    let syn = pair.log.last().unwrap().packet.clone();
    let syn = Segment::parse(&syn, false).unwrap();
    assert_eq!(subtypes(&syn), [Subtype::CAPABLE]);
    pair.client.handle_packet(pair.now, &reset(&syn));
}

fn ends(pair: &Pair, id: ConnId) -> Vec<ConnectionEnd> {
    let events = pair.events[0].iter().filter(|(of, _)| *of == id);
    let end = |(_, event): &(ConnId, Event)| match event {
        Event::Closed { how } => Some(*how),
        _ => None,
    };
    events.filter_map(end).collect()
}

fn syns(pair: &Pair) -> Vec<Vec<Subtype>> {
    let out = pair.log.iter().filter(|sent| sent.way == Way::ToServer);
    let segments = out.map(|sent| Segment::parse(&sent.packet, false).unwrap());
    segments
        .filter(|segment| segment.flags.syn())
        .map(|segment| subtypes(&segment))
        .collect()
}

#[test]
fn a_syn_that_is_reset_for_its_option_goes_again_without_it() {
    let mut pair = Pair::new(1);
    let ours = pair.connect(Config::default(), Config::default());
    refuse(&mut pair);
    pair.run_for(Duration::from_millis(100));
    let theirs = pair.accepted();
    assert_eq!(pair.picked(0, fallback), [FallbackReason::Blackhole]);
    pair.exchange([ours, theirs], &pattern(50_000, 1), &pattern(50_000, 2));
    assert_eq!(syns(&pair), [vec![Subtype::CAPABLE], vec![]]);
}

#[test]
fn the_second_connection_that_is_refused_for_its_option_is_the_last_to_try_it() {
    let mut pair = Pair::new(1);
    pair.connect(Config::default(), Config::default());
    refuse(&mut pair);
    pair.run_for(Duration::from_millis(100));
    for (port, expected) in [(40_007, Some(Subtype::CAPABLE)), (40_008, None)] {
        let next = Path {
            local: ([10, 0, 0, 1], port).into(),
            ..path(CLIENT, SERVER)
        };
        let before = syns(&pair).len();
        let next = pair.client.connect(pair.now, next, Config::default());
        if expected.is_some() {
            refuse(&mut pair);
        }
        pair.run_for(Duration::from_millis(100));
        assert!(pair.client(next.unwrap()).is_connected());
        assert_eq!(syns(&pair)[before].first().copied(), expected);
    }
    // After an hour it is tried again.
    pair.hook = None;
    pair.run_for(Duration::from_secs(3601));
    let next = path("10.0.0.1:40009", SERVER);
    let next = pair.client.connect(pair.now, next, Config::default());
    pair.run_for(Duration::from_millis(100));
    assert!(pair.client(next.unwrap()).session().is_some());
}

#[test]
fn where_nobody_listens_the_second_reset_counts() {
    for (switch, expected) in [
        (Switch::On, vec![vec![Subtype::CAPABLE], vec![]]),
        (Switch::Off, vec![vec![Subtype::CAPABLE]]),
    ] {
        let mut pair = Pair::new(1);
        let mut config = Config::default();
        config.patience.retry_refused = switch;
        let ours = pair.client.connect(pair.now, path(CLIENT, SERVER), config);
        pair.run_for(Duration::from_millis(200));
        assert_eq!(ends(&pair, ours.unwrap()), [ConnectionEnd::Refused]);
        assert_eq!(syns(&pair), expected);
        assert_eq!(pair.client.connection_count(), 0);
        // Nothing is learnt of the path: the host refuses TCP as well.
        pair.server
            .listen(SERVER.parse().unwrap(), 4, Config::default())
            .unwrap();
        let next = path("10.0.0.1:40007", SERVER);
        let next = pair.client.connect(pair.now, next, Config::default());
        pair.run_for(Duration::from_millis(100));
        assert!(pair.client(next.unwrap()).session().is_some());
    }
}

#[test]
fn an_icmp_message_that_forbids_the_option_counts_like_a_reset() {
    let mut pair = Pair::new(1);
    let ours = pair.connect(Config::default(), Config::default());
    pair.hook = Some(drop_if(|seen| seen.is_syn() && seen.has(Subtype::CAPABLE)));
    pair.run_for(Duration::from_millis(5));
    let seq = Segment::parse(&pair.log[0].packet, false).unwrap().seq;
    let Path { local, remote } = path(CLIENT, SERVER);
    let error = IcmpError::HardUnreachable;
    pair.client
        .handle_icmp(pair.now, Path { local, remote }, seq, error);
    // It comes late once more, and belongs to nothing any more.
    pair.run_for(Duration::from_millis(5));
    pair.client
        .handle_icmp(pair.now, Path { local, remote }, seq, error);
    pair.run_for(Duration::from_millis(100));
    let theirs = pair.accepted();
    pair.exchange([ours, theirs], &pattern(50_000, 1), &pattern(50_000, 2));
    assert_eq!(pair.picked(0, fallback), [FallbackReason::Blackhole]);
}

#[test]
fn data_of_a_syn_that_is_refused_arrive_once() {
    let mut pair = Pair::new(1);
    let mut config = Config::default();
    let cookie = FastOpenCookie::new(&[1; 6]).unwrap();
    config.tcp.fast_open = FastOpen::Cookie(cookie);
    let mut server = Config::default();
    server.tcp.fast_open = FastOpen::Accept(Some(cookie));
    let ours = pair.connect(config, server);
    let data = pattern(1000, 3);
    pair.client(ours).write(&data).unwrap();
    refuse(&mut pair);
    pair.run_for(Duration::from_millis(500));
    let theirs = pair.accepted();
    let mut got = Vec::new();
    read_all(pair.server(theirs), &mut got);
    assert!(got == data, "{} bytes", got.len());
    pair.transfer(
        [ours, theirs],
        &pattern(50_000, 1),
        &pattern(50_000, 2),
        Duration::from_secs(20),
    );
}

#[test]
fn what_the_application_gives_up_after_a_refusal_does_not_go_again() {
    let mut pair = Pair::new(1);
    let ours = pair.connect(Config::default(), Config::default());
    refuse(&mut pair);
    pair.client(ours).abort();
    pair.run_for(Duration::from_secs(200));
    assert_eq!(syns(&pair), [vec![Subtype::CAPABLE]]);
    assert_eq!(ends(&pair, ours), [ConnectionEnd::Aborted]);
    assert_eq!(pair.client.table_sizes(), TableSizes::default());
}

#[test]
fn a_reset_from_the_path_does_not_hurt_where_the_server_has_the_first_syn() {
    let mut pair = Pair::new(1);
    let ours = pair.connect(Config::default(), Config::default());
    pair.run_for(Duration::from_millis(5));
    let syn = pair.log.last().unwrap().packet.clone();
    let syn = Segment::parse(&syn, false).unwrap();
    pair.client.handle_packet(pair.now, &reset(&syn));
    pair.run_for(Duration::from_secs(10));
    let theirs = pair.accepted();
    assert_eq!(pair.server.connection_count(), 1);
    pair.exchange([ours, theirs], &pattern(50_000, 1), &pattern(50_000, 2));
    assert_eq!(pair.picked(0, fallback), [FallbackReason::Blackhole]);
}

#[test]
fn a_reset_that_does_not_know_the_number_of_the_syn_downgrades_nothing() {
    let mut pair = Pair::new(1);
    let ours = pair.connect(Config::default(), Config::default());
    pair.run_for(Duration::from_millis(5));
    let syn = pair.log.last().unwrap().packet.clone();
    let syn = Segment::parse(&syn, false).unwrap();
    for beside in [0, 2, u32::MAX] {
        let forged = Segment {
            seq: syn.seq.add(beside.wrapping_sub(1)),
            ..syn
        };
        pair.client.handle_packet(pair.now, &reset(&forged));
        let (path, seq) = (path(CLIENT, SERVER), forged.seq);
        pair.client
            .handle_icmp(pair.now, path, seq, IcmpError::HardUnreachable);
    }
    pair.run_for(Duration::from_millis(100));
    assert!(pair.client(ours).session().is_some());
}

#[test]
fn data_of_a_syn_that_the_server_has_and_that_is_refused_on_the_way_arrive_once_in_each_connection()
{
    let mut pair = Pair::new(1);
    let mut config = Config::default();
    let cookie = FastOpenCookie::new(&[1; 6]).unwrap();
    config.tcp.fast_open = FastOpen::Cookie(cookie);
    let mut server = Config::default();
    server.tcp.fast_open = FastOpen::Accept(Some(cookie));
    let ours = pair.connect(config, server);
    let data = pattern(1000, 3);
    pair.client(ours).write(&data[..400]).unwrap();
    pair.run_for(Duration::from_millis(5));
    let syn = pair.log.last().unwrap().packet.clone();
    let syn = Segment::parse(&syn, false).unwrap();
    assert_eq!(syn.payload, &data[..400]);
    pair.client.handle_packet(pair.now, &reset(&syn));
    pair.client(ours).write(&data[400..]).unwrap();
    pair.run_for(Duration::from_secs(20));
    // The application had the data of the first SYN at once (RFC 7413 §2.1 tells it that they may come twice).
    let came = pair.picked_ids(1, |event| matches!(event, Event::Incoming { .. }));
    let ended = pair.picked_ids(1, |event| matches!(event, Event::Closed { .. }));
    assert_eq!((came.len(), &came[..1]), (2, &ended[..]));
    let mut got = Vec::new();
    read_all(pair.server(came[1]), &mut got);
    assert!(got == data, "{} bytes", got.len());
    assert_eq!(pair.server.connection_count(), 1);
}
