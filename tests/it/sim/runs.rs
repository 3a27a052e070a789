//! Runs are repeated exactly, end, and take little time.

use mptcp_proto::time::Instant;
use mptcp_tests::sim::{Host, Limits, Link, Net, Pair, Script, Seed, Stop, ms, secs};

use super::{Trial, check_whole};

const BAD: &str = "10mbit 20ms queue=30p loss=2% jitter=3ms reorder=1%/5ms duplicate=1%";

/// Fingerprint, events and pcapng of a run.
fn run(seed: u64, link: &str) -> (u64, u64, Vec<u8>) {
    let mut trial = Trial::new(seed, link);
    trial.record();
    check_whole(&trial.exchange(100_000, 100_000), 100_000, 100_000);
    let file = trial.net.pcapng(mptcp_tests::sim::SERVER, None).unwrap();
    (trial.net.fingerprint(), trial.net.counts().events, file)
}

#[test]
fn a_seed_repeats_a_run_to_the_last_byte() {
    assert!(run(7, BAD) == run(7, BAD));
    assert_ne!(run(7, BAD).0, run(8, BAD).0);
}

#[test]
fn a_box_that_does_nothing_changes_no_accident() {
    let boxed = format!("{BAD} | strip:option=mptcp,on=syn");
    let (fingerprint, _, file) = run(7, BAD);
    let (other, _, with_box) = run(7, &boxed);
    assert_eq!((other, with_box), (fingerprint, file));
}

#[test]
fn another_path_changes_no_accident() {
    let fingerprint = run(7, BAD).0;
    let mut trial = Trial::new(7, BAD);
    trial.net.path(Link::of("1mbit loss=50%"));
    trial.exchange(100_000, 100_000);
    assert_eq!(trial.net.fingerprint(), fingerprint);
}

#[test]
fn a_run_ends_when_nothing_more_will_happen() {
    let mut trial = Trial::new(7, "10mbit 5ms");
    trial.exchange(5000, 5000);
    assert_eq!(trial.net.run_until_idle(&mut trial.hosts), Stop::Idle);
    // The host that closed first remembers the connection a while.
    assert!(trial.net.now() < Instant::from_millis(60_000));
}

#[test]
fn the_clock_stands_where_the_run_was_told_to_end() {
    let mut trial = Trial::new(7, "10mbit 5ms");
    assert_eq!(trial.net.run_for(&mut trial.hosts, ms(1234)), Stop::Time);
    assert_eq!(trial.net.now(), Instant::from_millis(1234));
    assert_eq!(trial.net.report(trial.path).to_server.backlog.len(), 12);
}

/// A host that is broken in one of these ways.
#[derive(Clone, Copy)]
enum Broken {
    /// It wants to be woken at once, again and again.
    Restless,
    /// It always has another packet.
    Talkative,
    /// It is fine and asleep.
    Quiet,
}

impl Host for Broken {
    fn handle_packet(&mut self, _now: Instant, _packet: &[u8]) {}

    fn poll_transmit(&mut self, _now: Instant, packet: &mut Vec<u8>) -> bool {
        packet.extend([0x45; 20]);
        packet[12..20].copy_from_slice(&[10, 0, 1, 1, 10, 0, 1, 2]);
        matches!(self, Self::Talkative)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        matches!(self, Self::Restless).then_some(Instant::ZERO)
    }

    fn handle_timeout(&mut self, _now: Instant) {}
}

#[test]
fn broken_hosts_end_a_run_with_the_reason() {
    for (client, stop) in [
        (Broken::Restless, Stop::Livelock),
        (Broken::Talkative, Stop::Flood),
        (Broken::Quiet, Stop::Idle),
    ] {
        let mut net = Net::new(Seed(1));
        net.path(Link::new(ms(1)));
        net.limits.events_at_once = 1000;
        net.limits.under_way = 10_000;
        let server = Broken::Quiet;
        assert_eq!(net.run_until_idle(&mut Pair { client, server }), stop);
    }
}

#[test]
fn limits_end_a_run_with_the_reason() {
    let run = |limits: Limits| {
        let mut trial = Trial::new(7, "10mbit 5ms");
        trial.net.limits = limits;
        trial.start(Script::new("up").send(u64::MAX), || Script::new("down"));
        trial.net.run_until_idle(&mut trial.hosts)
    };
    let events = Limits {
        events: 5000,
        ..Limits::default()
    };
    assert_eq!(run(events), Stop::Events);
    let late = Limits {
        until: Instant::from_millis(500),
        ..Limits::default()
    };
    assert_eq!(run(late), Stop::Late);
}

#[test]
fn the_line_that_repeats_a_run_names_seed_test_and_paths() {
    let mut net = Net::new(Seed(42));
    net.path(Link::of("10mbit 5ms | strip:option=mss,on=syn"));
    net.note("client: up send=5");
    let line = net.scenario();
    let test = "the_line_that_repeats_a_run_names_seed_test_and_paths";
    assert_eq!(
        line,
        format!(
            "MPTCP_SIM_SEED=42 cargo test sim::runs::{test} # path0: 10mbit 5ms | \
             strip:option=mss,on=syn # client: up send=5 # at 0.000000000 s"
        )
    );
}

#[test]
fn an_hour_of_a_slow_connection_passes_quickly() {
    let mut trial = Trial::new(7, "1mbit 50ms loss=1%");
    trial.start(
        Script::new("up").send_at(32_000, 14_400_000).close(),
        || Script::new("down").wait_for_end().close(),
    );
    assert_eq!(trial.finish(3700), Stop::Done);
    assert!(trial.net.now() >= Instant::ZERO + secs(3600));
    assert_eq!(trial.outcomes()[1].received_bytes, 14_400_000);
    assert!(trial.net.counts().events > 100_000);
}
