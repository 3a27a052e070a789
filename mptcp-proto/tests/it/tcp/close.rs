//! Closing (RFC 9293 §3.6) and what may come afterwards (RFC 6191).

use mptcp_proto::tcp::{IcmpError, TcpEvent};

use super::*;

const FIN_ACK: Flags = FIN.with(ACK);

#[test]
fn the_last_data_carries_the_fin() {
    let mut bench = Bench::established(&plain());
    bench.push(10);
    bench.tcp.close();
    let sent = bench.sent();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].flags.fin());
    assert_eq!(sent[0].stream, 0..10);
    assert_eq!(bench.tcp.push(Payload::from(&b"x"[..]), 0), None);
}

#[test]
fn whoever_closes_first_waits() {
    let mut bench = Bench::established(&plain());
    bench.tcp.close();
    assert_eq!(bench.tcp.state(), State::FinWait1);
    assert_eq!(bench.sent_flags(), [FIN_ACK]);
    let received = bench.receive(peer(IRS + 1, ISS + 2, ACK));
    assert!(received.events.contains(TcpEvent::FinAcked));
    assert_eq!(bench.tcp.state(), State::FinWait2);
    let received = bench.receive(peer(IRS + 1, ISS + 2, FIN_ACK).data(b"bye"));
    assert_eq!(received.delivered, Some(0..3));
    assert!(received.events.contains(TcpEvent::PeerClosed));
    assert_eq!(bench.tcp.state(), State::TimeWait);
    assert_eq!(bench.sent()[0].ack, TcpSeq(IRS + 5));
    let (took, result) = bench.deadline();
    assert_eq!(took, 60_000);
    assert!(result.events.contains(TcpEvent::Closed));
}

#[test]
fn whoever_closes_last_does_not() {
    let mut bench = Bench::established(&plain());
    bench.receive(peer(IRS + 1, ISS + 1, FIN_ACK));
    assert_eq!(bench.tcp.state(), State::CloseWait);
    assert_eq!(bench.sent()[0].ack, TcpSeq(IRS + 2));
    bench.push(5);
    assert_eq!(bench.sent_data(), [(0, 5)]);
    bench.tcp.close();
    assert_eq!(bench.tcp.state(), State::LastAck);
    assert_eq!(bench.sent_flags(), [FIN_ACK]);
    let received = bench.receive(peer(IRS + 2, ISS + 7, ACK));
    assert!(received.events.contains(TcpEvent::Closed));
    assert_eq!(bench.tcp.poll_timeout(), None);
}

#[test]
fn both_close_at_once() {
    let mut bench = Bench::established(&plain());
    bench.tcp.close();
    assert_eq!(bench.sent_flags(), [FIN_ACK]);
    bench.receive(peer(IRS + 1, ISS + 1, FIN_ACK));
    assert_eq!(bench.tcp.state(), State::Closing);
    assert_eq!(bench.sent_flags(), [ACK]);
    bench.receive(peer(IRS + 2, ISS + 2, ACK));
    assert_eq!(bench.tcp.state(), State::TimeWait);
}

#[test]
fn a_fin_before_missing_data_closes_nothing_yet() {
    let mut bench = Bench::established(&plain());
    let received = bench.receive(peer(IRS + 4, ISS + 1, FIN_ACK).data(b"def"));
    assert!(received.events.is_empty());
    assert_eq!(bench.sent()[0].ack, TcpSeq(IRS + 1));
    let received = bench.receive(peer(IRS + 1, ISS + 1, ACK).data(b"abc"));
    assert!(received.events.contains(TcpEvent::PeerClosed));
    assert_eq!(bench.tcp.next_received(), Some((3, b"def".to_vec())));
    assert_eq!(bench.sent()[0].ack, TcpSeq(IRS + 8));
}

#[test]
fn a_lost_fin_goes_again() {
    let mut bench = Bench::established(&plain());
    bench.tcp.close();
    bench.sent();
    let (_, result) = bench.deadline();
    assert!(result.retransmission);
    let again = bench.sent();
    assert_eq!((again[0].flags, again[0].seq), (FIN_ACK, TcpSeq(ISS + 1)));
    assert!(again[0].is_retransmission);
}

fn waiting() -> Bench {
    let mut bench = Bench::established(&plain());
    bench.tcp.close();
    bench.sent();
    bench.receive(peer(IRS + 1, ISS + 2, FIN_ACK));
    bench.sent();
    assert_eq!(bench.tcp.state(), State::TimeWait);
    bench
}

#[test]
fn a_repeated_fin_is_acknowledged_and_prolongs_the_wait() {
    let mut bench = waiting();
    bench.wait(50_000);
    bench.receive(peer(IRS + 1, ISS + 2, FIN_ACK));
    assert_eq!(bench.sent_flags(), [ACK]);
    assert_eq!(bench.deadline().0, 60_000);
}

#[test]
fn a_new_syn_may_end_the_wait_and_an_old_one_not() {
    let mut bench = waiting();
    let received = bench.receive(peer(IRS + 100, 0, SYN));
    assert!(received.events.contains(TcpEvent::Reopen));
    let received = bench.receive(peer(IRS - 100, 0, SYN));
    assert!(received.events.is_empty());
    assert_eq!(bench.tcp.state(), State::TimeWait);
}

#[test]
fn with_timestamps_the_newer_clock_decides() {
    // RFC 6191 §2, whatever the numbers are.
    let mut bench = Bench::connect(&Config {
        timestamps: Some(0),
        ..plain()
    });
    let stamp = |value: u8| [1, 1, 8, 10, 0, 0, 0, value, 0, 0, 3, 232];
    bench.sent();
    bench.receive(peer(IRS, ISS + 1, SYN.with(ACK)).options(&stamp(9)));
    bench.tcp.close();
    bench.sent();
    bench.receive(peer(IRS + 1, ISS + 2, FIN_ACK).options(&stamp(9)));
    assert_eq!(bench.tcp.state(), State::TimeWait);
    let reopens = |bench: &mut Bench, seq: u32, value: u8| {
        let received = bench.receive(peer(seq, 0, SYN).options(&stamp(value)));
        received.events.contains(TcpEvent::Reopen)
    };
    assert!(!reopens(&mut bench, IRS + 900, 8));
    assert!(!reopens(&mut bench, IRS - 900, 9));
    assert!(reopens(&mut bench, IRS + 900, 9));
    assert!(reopens(&mut bench, IRS - 900, 10));
}

#[test]
fn an_abort_says_so_once() {
    let mut bench = Bench::established(&plain());
    bench.push(10);
    bench.sent();
    bench.tcp.abort();
    let sent = bench.sent();
    assert_eq!(
        (sent[0].flags, sent[0].seq),
        (RST.with(ACK), TcpSeq(ISS + 11))
    );
    assert_eq!(bench.tcp.state(), State::Closed);
    bench.silent();
    assert_eq!(bench.tcp.poll_timeout(), None);
}

#[test]
fn unreachable_ends_only_what_is_not_open() {
    let mut bench = Bench::established(&plain());
    bench.push(10);
    bench.sent();
    let hard = IcmpError::HardUnreachable;
    let events = bench.tcp.handle_icmp(bench.now, TcpSeq(ISS + 1), hard);
    assert!(events.is_empty());
    let mut bench = Bench::connect(&plain());
    bench.sent();
    bench.tcp.handle_icmp(bench.now, TcpSeq(ISS + 1), hard);
    assert_eq!(
        bench.tcp.state(),
        State::SynSent,
        "it quotes nothing of ours"
    );
    let events = bench.tcp.handle_icmp(bench.now, TcpSeq(ISS), hard);
    assert!(events.contains(TcpEvent::Refused));
}
