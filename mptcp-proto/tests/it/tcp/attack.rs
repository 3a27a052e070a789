//! Segments of strangers and of the past (RFC 5961, RFC 7323 §5).

use mptcp_proto::tcp::TcpEvent;

use super::*;

#[test]
fn only_the_exact_number_resets() {
    for seq in [IRS, IRS + 2, IRS + 30_000] {
        let mut bench = Bench::established(&plain());
        bench.receive(peer(seq, 0, RST));
        assert_eq!(bench.tcp.state(), State::Established, "{seq}");
        let challenged = usize::from(seq > IRS);
        assert_eq!(bench.sent().len(), challenged, "{seq}");
    }
    let mut bench = Bench::established(&plain());
    let received = bench.receive(peer(IRS + 1, 0, RST));
    assert!(received.events.contains(TcpEvent::Reset));
    assert_eq!(bench.tcp.state(), State::Closed);
}

#[test]
fn a_syn_in_the_window_is_challenged() {
    let mut bench = Bench::established(&plain());
    for seq in [IRS + 1, IRS + 500] {
        let received = bench.receive(peer(seq, ISS + 1, SYN.with(ACK)));
        assert!(!received.accepted);
        let sent = bench.sent();
        assert_eq!((sent[0].flags, sent[0].ack), (ACK, TcpSeq(IRS + 1)));
        assert_eq!(bench.tcp.state(), State::Established);
    }
}

#[test]
fn a_peer_that_has_restarted_is_told() {
    // RFC 9293 §3.5.1: its SYN gets an ACK, which it will reset.
    let mut bench = Bench::established(&plain());
    bench.receive(peer(77, 0, SYN));
    assert_eq!(bench.sent_flags(), [ACK]);
    bench.receive(peer(IRS + 1, 0, RST));
    assert_eq!(bench.tcp.state(), State::Closed);
}

#[test]
fn challenges_are_limited() {
    let mut bench = Bench::established(&plain());
    let mut answers = 0;
    for _ in 0..100 {
        bench.receive(peer(IRS + 500, 0, RST));
        answers += bench.sent().len();
    }
    assert_eq!(answers, 5);
    assert_eq!(bench.tcp.info().counters.challenge_acks_limited, 95);
    bench.wait(1000);
    bench.receive(peer(IRS + 500, 0, RST));
    assert_eq!(bench.sent().len(), 1);
}

#[test]
fn an_acknowledgement_of_what_was_not_sent_is_challenged() {
    let mut bench = Bench::established(&plain());
    bench.push(10);
    bench.sent();
    for ack in [ISS + 12, ISS.wrapping_sub(64_001)] {
        let received = bench.receive(peer(IRS + 1, ack, ACK).data(b"evil"));
        assert!(!received.accepted, "{ack}");
        assert_eq!(received.delivered, None);
        assert_eq!(bench.sent_flags(), [ACK]);
    }
    assert_eq!(bench.tcp.info().counters.bad_acks, 2);
    let received = bench.receive(peer(IRS + 1, ISS, ACK).data(b"good"));
    assert_eq!(received.delivered, Some(0..4), "an old ACK with new data");
}

#[test]
fn data_outside_of_the_window_is_refused() {
    let mut bench = Bench::established(&plain());
    let beyond = IRS + 1 + 65_535;
    assert!(
        !bench
            .receive(peer(beyond, ISS + 1, ACK).data(b"x"))
            .accepted
    );
    assert_eq!(bench.sent_flags(), [ACK]);
    let last = bench.receive(peer(beyond - 1, ISS + 1, ACK).data(b"xy"));
    assert_eq!(last.payload, Some(65_534..65_535), "cut at the edge");
}

#[test]
fn two_confused_hosts_do_not_answer_each_other_for_ever() {
    let mut bench = Bench::established(&plain());
    let answers: usize = (0..100)
        .map(|_| {
            bench.receive(peer(IRS + 70_000, ISS + 1, ACK));
            bench.sent().len()
        })
        .sum();
    assert_eq!(answers, 5);
}

fn stamp(value: u32, echo: u32) -> [u8; 12] {
    let mut option = [1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0];
    option[4..8].copy_from_slice(&value.to_be_bytes());
    option[8..].copy_from_slice(&echo.to_be_bytes());
    option
}

fn with_timestamps(value: u32) -> Bench {
    let config = Config {
        timestamps: Some(0),
        ..plain()
    };
    let mut bench = Bench::connect(&config);
    bench.sent();
    let options = stamp(value, 1000);
    bench.receive(peer(IRS, ISS + 1, SYN.with(ACK)).options(&options));
    bench.sent();
    bench
}

#[test]
fn an_old_timestamp_makes_a_segment_a_ghost() {
    for (now, old) in [(1000, 999), (5, u32::MAX)] {
        let mut bench = with_timestamps(now);
        let ghost = stamp(old, 1000);
        let received = bench.receive(peer(IRS + 1, ISS + 1, ACK).data(b"ghost").options(&ghost));
        assert!(!received.accepted);
        assert_eq!(bench.tcp.info().counters.paws_dropped, 1);
        assert_eq!(bench.sent_flags(), [ACK]);
        let fresh = stamp(now, 1000);
        let received = bench.receive(peer(IRS + 1, ISS + 1, ACK).data(b"alive").options(&fresh));
        assert_eq!(received.delivered, Some(0..5));
    }
}

#[test]
fn after_a_month_of_silence_any_timestamp_will_do() {
    let mut bench = with_timestamps(0x9000_0000);
    bench.wait(30 * 24 * 3600 * 1000);
    let options = stamp(0x1000_0000, 1000);
    let received = bench.receive(peer(IRS + 1, ISS + 1, ACK).data(b"back").options(&options));
    assert!(received.accepted);
}

#[test]
fn a_reset_is_believed_without_a_timestamp() {
    let mut bench = with_timestamps(1000);
    bench.receive(peer(IRS + 1, 0, RST));
    assert_eq!(bench.tcp.state(), State::Closed);
}

#[test]
fn the_timestamp_that_is_echoed_is_that_of_the_segment_that_moved_the_edge() {
    let mut bench = with_timestamps(1000);
    let late = stamp(1007, 1000);
    bench.receive(peer(IRS + 4, ISS + 1, ACK).data(b"def").options(&late));
    let echo = |sent: &Outgoing| sent.area.as_bytes()[8..12].to_vec();
    assert_eq!(echo(&bench.sent()[0]), 1000_u32.to_be_bytes());
    let first = stamp(1005, 1000);
    bench.receive(peer(IRS + 1, ISS + 1, ACK).data(b"abc").options(&first));
    assert_eq!(echo(&bench.sent()[0]), 1005_u32.to_be_bytes());
}
