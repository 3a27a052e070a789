//! Windows, both of them (RFC 9293 §3.8.6), acknowledgements that wait, and Nagle's rule.

use super::*;

#[test]
fn no_byte_goes_beyond_the_window() {
    let mut bench = Bench::established(&plain());
    bench.receive(peer(IRS + 1, ISS + 1, ACK).window(2500));
    bench.push(10 * MSS);
    assert_eq!(bench.sent_data(), [(0, 1000), (1000, 2000)]);
    bench.receive(peer(IRS + 1, ISS + 1 + 1000, ACK).window(2500));
    assert_eq!(bench.sent_data(), [(2000, 3000)]);
}

#[test]
fn a_window_that_shrinks_is_obeyed_unless_it_is_shared() {
    // The SYN/ACK announced 64,000 bytes.
    for (is_shared, expected) in [(false, 0), (true, 9)] {
        let mut bench = Bench::established(&plain());
        bench.tcp.set_shared_window(is_shared);
        bench.receive(peer(IRS + 1, ISS + 1, ACK).window(3000));
        bench.push(10 * MSS);
        bench.limits.cwnd = 1000;
        assert_eq!(bench.sent_data().len(), 1);
        bench.limits.cwnd = 100_000;
        bench.receive(peer(IRS + 1, ISS + 1, ACK).window(1000));
        assert_eq!(bench.sent_data().len(), expected);
    }
}

#[test]
fn an_overtaken_segment_does_not_change_the_window() {
    let mut bench = Bench::established(&plain());
    bench.receive(peer(IRS + 4, ISS + 1, ACK).data(b"def").window(9000));
    bench.receive(peer(IRS + 1, ISS + 1, ACK).data(b"abc").window(100));
    assert_eq!(bench.tcp.window_left(), 9000);
}

#[test]
fn a_closed_window_is_probed_for_ever_while_the_peer_answers() {
    let mut bench = Bench::established(&plain());
    bench.receive(peer(IRS + 1, ISS + 1, ACK).window(0));
    bench.push(MSS);
    bench.silent();
    for wait in [300, 600, 1200, 2400, 4800] {
        let (took, _) = bench.deadline();
        assert_eq!(took, wait);
        let probe = bench.sent();
        assert_eq!((probe[0].seq, probe[0].payload.len()), (TcpSeq(ISS), 0));
        bench.receive(peer(IRS + 1, ISS + 1, ACK).window(0));
    }
    for _ in 0..50 {
        let (took, result) = bench.deadline();
        assert!(took <= 120_000 && result.events.is_empty());
        assert_eq!(bench.sent().len(), 1);
        bench.receive(peer(IRS + 1, ISS + 1, ACK).window(0));
    }
    bench.receive(peer(IRS + 1, ISS + 1, ACK).window(5000));
    assert_eq!(bench.sent_data(), [(0, 1000)]);
    assert_eq!(bench.hook.timeouts, 0);
}

#[test]
fn a_silent_peer_with_a_closed_window_is_given_up() {
    let mut bench = Bench::established(&plain());
    bench.receive(peer(IRS + 1, ISS + 1, ACK).window(0));
    bench.push(MSS);
    bench.silent();
    let mut probes = 0;
    while bench.deadline().1.events.is_empty() {
        probes += bench.sent().len();
    }
    assert_eq!(probes, 15);
    assert_eq!(bench.tcp.state(), State::Closed);
}

#[test]
fn a_small_window_is_left_alone_for_a_while() {
    // RFC 9293 §3.8.6.2.1: the sender's part against silly windows.
    let mut bench = Bench::established(&plain());
    bench.receive(peer(IRS + 1, ISS + 1, ACK).window(10));
    bench.push(MSS);
    bench.silent();
    assert_eq!(bench.deadline().0, 300);
    assert_eq!(bench.sent_data(), [(0, 10)]);
}

#[test]
fn the_reader_tells_when_half_of_the_window_is_free_again() {
    let config = Config {
        initial_window: 4000,
        ..plain()
    };
    let mut bench = Bench::connect(&config);
    bench.limits.window = 4000;
    bench.sent();
    bench.receive(peer(IRS, ISS + 1, SYN.with(ACK)));
    bench.sent();
    bench.limits.window = 2000;
    for seq in [0, 1000] {
        bench.receive(peer(IRS + 1 + seq, ISS + 1, ACK).data(&[1; 1000]));
    }
    assert_eq!(bench.sent()[0].window, 2000);
    for (window, updates) in [(2500, 0), (3900, 0), (4000, 1), (4000, 0)] {
        bench.limits.window = window;
        assert_eq!(bench.sent().len(), updates, "{window} bytes");
    }
}

#[test]
fn every_second_segment_is_acknowledged_and_the_odd_one_later() {
    let mut bench = Bench::established(&plain());
    for (index, answers) in [0, 1, 0, 1, 0].into_iter().enumerate() {
        let seq = IRS + 1 + 1000 * u32::try_from(index).unwrap();
        bench.receive(peer(seq, ISS + 1, ACK).data(&[1; 1000]));
        assert_eq!(bench.sent().len(), answers, "segment {index}");
    }
    assert_eq!(bench.deadline().0, 40);
    assert_eq!(bench.sent()[0].ack, TcpSeq(IRS + 5001));
    assert_eq!(bench.tcp.poll_timeout(), None);
}

#[test]
fn data_of_ours_carries_the_acknowledgement() {
    let mut bench = Bench::established(&plain());
    bench.receive(peer(IRS + 1, ISS + 1, ACK).data(b"ping"));
    bench.push(4);
    let sent = bench.sent();
    assert_eq!((sent.len(), sent[0].ack), (1, TcpSeq(IRS + 5)));
}

#[test]
fn what_is_out_of_order_and_what_fills_the_gap_is_acknowledged_at_once() {
    let mut bench = Bench::established(&with_sack());
    bench.receive(peer(IRS + 11, ISS + 1, ACK).data(&[1; 10]));
    let sent = bench.sent();
    assert_eq!(sent[0].ack, TcpSeq(IRS + 1));
    assert_eq!(sack_blocks(&sent[0]), [(IRS + 11, IRS + 21)]);
    bench.receive(peer(IRS + 31, ISS + 1, ACK).data(&[1; 10]));
    let blocks = [(IRS + 31, IRS + 41), (IRS + 11, IRS + 21)];
    assert_eq!(sack_blocks(&bench.sent()[0]), blocks);
    bench.receive(peer(IRS + 1, ISS + 1, ACK).data(&[1; 10]));
    let sent = bench.sent();
    assert_eq!(sent[0].ack, TcpSeq(IRS + 21));
    assert_eq!(sack_blocks(&sent[0]), [(IRS + 31, IRS + 41)]);
}

#[test]
fn a_duplicate_is_reported_as_one() {
    let mut bench = Bench::established(&with_sack());
    bench.receive(peer(IRS + 1, ISS + 1, ACK).data(&[1; 10]));
    bench.receive(peer(IRS + 1, ISS + 1, ACK).data(&[1; 10]));
    assert_eq!(sack_blocks(&bench.sent()[0]), [(IRS + 1, IRS + 11)]);
}

#[test]
fn nagle_holds_small_data_while_some_is_out() {
    let mut bench = Bench::established(&Config {
        nagle: true,
        ..plain()
    });
    bench.push(10);
    assert_eq!(bench.sent_data(), [(0, 10)]);
    bench.push(10);
    bench.silent();
    bench.push(MSS);
    assert_eq!(bench.sent_data(), [(10, 1010)]);
    bench.receive(peer(IRS + 1, ISS + 1 + 1010, ACK));
    assert_eq!(bench.sent_data(), [(1010, 1020)]);
    bench.push(10);
    bench.tcp.close();
    assert_eq!(bench.sent_data(), [(1020, 1030)], "nothing more will come");
}

#[test]
fn an_acknowledgement_that_is_asked_for_goes_before_data() {
    let mut bench = Bench::established(&plain());
    bench.push(10);
    bench.tcp.ack_now();
    let sent = bench.sent();
    assert!(sent[0].payload.is_empty());
    assert_eq!(sent[1].stream, 0..10);
}

#[test]
fn a_window_that_closed_opens_again_though_the_syn_promised_more_than_there_is_room_for() {
    let mut bench = Bench::connect(&plain());
    bench.limits.window = 500;
    bench.sent();
    bench.receive(peer(IRS, ISS + 1, SYN.with(ACK)));
    bench.sent();
    // The peer uses the window of the SYN/ACK, and the application is slower than it.
    bench.limits.window = 0;
    let data = vec![1; 65_535];
    for (seq, piece) in (IRS + 1..).step_by(1000).zip(data.chunks(1000)) {
        bench.receive(peer(seq, ISS + 1, ACK).data(piece));
    }
    assert_eq!(bench.sent().last().unwrap().window, 0);
    bench.limits.window = 500;
    assert_eq!(bench.sent()[0].window, 500);
}
