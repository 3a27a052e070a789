//! Deadlines besides those of losses.

use mptcp_proto::tcp::{KeepAlive, TcpEvent};

use super::*;

#[test]
fn an_idle_connection_has_no_deadline() {
    let mut bench = Bench::established(&plain());
    bench.push(10);
    bench.sent();
    bench.receive(peer(IRS + 1, ISS + 11, ACK));
    assert_eq!(bench.tcp.poll_timeout(), None);
    bench.wait(500);
    assert_eq!(bench.tcp.idle_for(bench.now), Duration::from_millis(500));
}

fn with_keep_alive() -> Bench {
    Bench::established(&Config {
        keep_alive: Some(KeepAlive {
            idle: Duration::from_secs(100),
            interval: Duration::from_secs(10),
            probes: 3,
        }),
        ..plain()
    })
}

#[test]
fn a_silent_peer_is_asked_and_given_up() {
    let mut bench = with_keep_alive();
    for wait in [100_000, 10_000, 10_000] {
        assert_eq!(bench.deadline().0, wait);
        let probe = bench.sent();
        assert_eq!((probe[0].seq, probe[0].payload.len()), (TcpSeq(ISS), 0));
    }
    let (_, result) = bench.deadline();
    assert!(result.events.contains(TcpEvent::TimedOut));
    assert_eq!(bench.tcp.state(), State::Closed);
}

#[test]
fn an_answer_begins_the_wait_anew() {
    let mut bench = with_keep_alive();
    bench.deadline();
    bench.sent();
    bench.wait(50);
    bench.receive(peer(IRS + 1, ISS + 1, ACK));
    assert_eq!(bench.deadline().0, 100_000);
}

#[test]
fn a_keep_alive_of_the_peer_is_answered() {
    for payload in [&b""[..], b"x"] {
        let mut bench = Bench::established(&plain());
        let received = bench.receive(peer(IRS, ISS + 1, ACK).data(payload));
        assert_eq!(received.delivered, None);
        let sent = bench.sent();
        assert_eq!((sent.len(), sent[0].ack), (1, TcpSeq(IRS + 1)));
    }
}

#[test]
fn the_user_timeout_counts_from_the_oldest_data() {
    let mut bench = Bench::established(&Config {
        user_timeout: Some(Duration::from_secs(5)),
        ..plain()
    });
    bench.push(MSS);
    bench.sent();
    let begin = bench.now;
    loop {
        let (_, result) = bench.deadline();
        if result.events.contains(TcpEvent::TimedOut) {
            break;
        }
        bench.sent();
    }
    assert_eq!(bench.now.since(begin), Duration::from_secs(5));
}

#[test]
fn fifteen_timeouts_end_the_connection() {
    let mut bench = Bench::established(&plain());
    bench.push(MSS);
    bench.sent();
    let mut timeouts = 0;
    loop {
        let (_, result) = bench.deadline();
        if result.events.contains(TcpEvent::TimedOut) {
            break;
        }
        timeouts += 1;
        assert_eq!(bench.sent().len(), 1);
    }
    assert_eq!(timeouts, 15);
    assert_eq!(bench.tcp.poll_timeout(), None);
}

#[test]
fn nobody_waits_for_ever_in_fin_wait_2() {
    let mut bench = Bench::established(&Config {
        fin_wait_2: Some(Duration::from_secs(30)),
        ..plain()
    });
    bench.tcp.close();
    bench.sent();
    bench.receive(peer(IRS + 1, ISS + 2, ACK));
    assert_eq!(bench.tcp.state(), State::FinWait2);
    assert_eq!(bench.deadline().0, 30_000);
    assert_eq!(bench.tcp.state(), State::Closed);
}

#[test]
fn the_first_timeout_after_a_lost_syn_is_three_seconds() {
    // RFC 6298 §5.7.
    let mut bench = Bench::connect(&plain());
    bench.sent();
    bench.deadline();
    bench.sent();
    bench.wait(100);
    bench.receive(peer(IRS, ISS + 1, SYN.with(ACK)));
    bench.push(10);
    bench.sent();
    assert_eq!(bench.deadline().0, 3000);
}

#[test]
fn a_deadline_that_was_slept_through_is_no_trouble() {
    let mut bench = Bench::established(&with_sack());
    bench.push(5 * MSS);
    bench.sent();
    bench.wait(1_000_000_000_000);
    bench.tcp.handle_timeout(bench.now, &mut bench.hook);
    assert_eq!(bench.sent_data().first(), Some(&(0, 1000)));
    assert!(bench.tcp.poll_timeout().unwrap() > bench.now);
}
