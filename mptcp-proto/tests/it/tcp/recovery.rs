//! Losses (RFC 5681, RFC 6582, RFC 6675, RFC 8985) and what looks like one.

use mptcp_proto::path::LossState;
use mptcp_proto::tcp::IcmpError;

use super::*;

/// Ten full segments are out.
fn ten(config: &Config) -> Bench {
    let mut bench = Bench::established(config);
    bench.push(10 * MSS);
    assert_eq!(bench.sent_data().len(), 10);
    bench.wait(100);
    bench
}

#[test]
fn the_third_duplicate_makes_a_loss() {
    let mut bench = ten(&plain());
    for _ in 0..2 {
        bench.receive(peer(IRS + 1, ISS + 1, ACK));
        bench.silent();
    }
    assert_eq!(bench.tcp.in_flight(), 8000, "two have left the path");
    bench.receive(peer(IRS + 1, ISS + 1, ACK));
    assert_eq!(bench.sent_data(), [(0, 1000)]);
    assert_eq!(bench.hook.losses, 1);
    assert_eq!(bench.tcp.loss_state(), LossState::Recovery);
}

#[test]
fn duplicates_that_carry_a_signal_of_mptcp_are_no_sign_of_congestion() {
    // MP_PRIO; DSS with a DATA_ACK.
    let (signal, dss) = ([30, 3, 0x50, 1], [30, 8, 0x20, 1, 0, 0, 0, 7]);
    for (options, losses) in [(&signal[..], 0), (&dss[..], 1)] {
        let mut bench = ten(&plain());
        for _ in 0..3 {
            bench.receive(peer(IRS + 1, ISS + 1, ACK).options(options));
        }
        assert_eq!(bench.hook.losses, losses, "{options:?}");
    }
}

#[test]
fn duplicates_let_new_data_out() {
    // RFC 3042: limited transmit.
    let mut bench = Bench::established(&plain());
    bench.limits.cwnd = 4000;
    bench.push(10 * MSS);
    assert_eq!(bench.sent_data().len(), 4);
    bench.receive(peer(IRS + 1, ISS + 1, ACK));
    assert_eq!(bench.sent_data(), [(4000, 5000)]);
    bench.receive(peer(IRS + 1, ISS + 1, ACK));
    assert_eq!(bench.sent_data(), [(5000, 6000)]);
}

#[test]
fn without_sack_a_partial_acknowledgement_shows_the_next_hole() {
    let mut bench = ten(&plain());
    for _ in 0..3 {
        bench.receive(peer(IRS + 1, ISS + 1, ACK));
    }
    assert_eq!(bench.sent_data(), [(0, 1000)]);
    bench.receive(peer(IRS + 1, ISS + 1 + 4000, ACK));
    assert_eq!(bench.sent_data(), [(4000, 5000)]);
    assert_eq!(bench.hook.losses, 1);
    bench.receive(peer(IRS + 1, ISS + 1 + 10_000, ACK));
    assert_eq!(bench.hook.recoveries, 1);
    assert_eq!(bench.tcp.loss_state(), LossState::Open);
}

#[test]
fn a_window_update_is_no_duplicate() {
    let mut bench = ten(&plain());
    for window in [60_000, 50_000, 40_000, 30_000] {
        bench.receive(peer(IRS + 1, ISS + 1, ACK).window(window));
        bench.silent();
    }
    assert_eq!(bench.tcp.info().counters.duplicate_acks, 0);
}

#[test]
fn sack_shows_all_holes_at_once() {
    let mut bench = ten(&with_sack());
    bench.sack(0, &[(1000, 3000), (4000, 6000), (8000, 9000)]);
    let holes = [(0, 1000), (3000, 4000), (6000, 7000), (7000, 8000)];
    assert_eq!(bench.sent_data(), holes);
    assert_eq!(bench.hook.losses, 1);
    assert_eq!(bench.tcp.in_flight(), 5000);
}

#[test]
fn a_reordered_segment_is_given_a_quarter_of_a_round_trip() {
    let mut bench = ten(&with_sack());
    bench.sack(0, &[(1000, 2000)]);
    bench.silent();
    let (took, result) = bench.deadline();
    assert_eq!((took, result.retransmission), (25, false));
    assert_eq!(bench.sent_data(), [(0, 1000)]);
    assert_eq!(bench.hook.losses, 1);
}

#[test]
fn a_reordered_segment_that_comes_in_time_is_no_loss() {
    let mut bench = ten(&with_sack());
    bench.sack(0, &[(1000, 2000)]);
    bench.wait(20);
    bench.sack(2000, &[]);
    bench.silent();
    assert_eq!(bench.hook.losses, 0);
}

#[test]
fn blocks_that_were_never_sent_are_ignored() {
    let mut bench = ten(&with_sack());
    bench.sack(0, &[(5000, 11_000), (3000, 2000), (70_000, 90_000)]);
    bench.silent();
    assert_eq!(bench.tcp.info().counters.bad_sacks, 3);
    assert_eq!(bench.tcp.in_flight(), 10_000);
}

#[test]
fn a_timeout_sends_the_first_again_and_the_rest_as_acknowledgements_come() {
    let mut bench = ten(&plain());
    let (took, result) = bench.deadline();
    // 100 ms of round trip make 300 ms (RFC 6298 §2.2), of which 100 are gone.
    assert_eq!((took, result.retransmission), (200, true));
    assert_eq!(bench.hook.timeouts, 1);
    bench.limits.cwnd = 1000;
    assert_eq!(bench.sent_data(), [(0, 1000)]);
    bench.limits.cwnd = 2000;
    bench.receive(peer(IRS + 1, ISS + 1 + 1000, ACK));
    assert_eq!(bench.sent_data(), [(1000, 2000), (2000, 3000)]);
}

#[test]
fn the_timeout_doubles_until_something_is_acknowledged() {
    let mut bench = ten(&plain());
    bench.limits.cwnd = 1000;
    for wait in [200, 600, 1200, 2400] {
        assert_eq!(bench.deadline().0, wait);
        assert_eq!(bench.sent_data(), [(0, 1000)]);
    }
    bench.receive(peer(IRS + 1, ISS + 1 + 1000, ACK));
    bench.sent();
    // Karn: no sample from a retransmission, but the backoff is over.
    assert_eq!(bench.tcp.info().rto, Duration::from_millis(300));
    assert_eq!(bench.tcp.info().srtt, Duration::from_millis(100));
}

#[test]
fn sacked_segments_are_not_sent_again_after_a_timeout() {
    let mut bench = ten(&with_sack());
    bench.sack(0, &[(2000, 4000)]);
    while !bench.deadline().1.retransmission {
        bench.sent();
    }
    let again = bench.sent_data();
    assert!(
        again
            .iter()
            .all(|&(start, end)| end <= 2000 || start >= 4000),
        "{again:?}"
    );
}

#[test]
fn a_receiver_that_takes_its_sack_back_is_sent_all() {
    let mut bench = ten(&with_sack());
    bench.sack(0, &[(1000, 10_000)]);
    bench.sent();
    bench.receive(peer(IRS + 1, ISS + 1 + 1000, ACK));
    bench.silent();
    while !bench.deadline().1.retransmission {}
    assert_eq!(bench.sent_data().first(), Some(&(1000, 2000)));
    assert_eq!(bench.tcp.in_flight(), 9000);
}

#[test]
fn a_lost_tail_is_probed_for() {
    // RFC 8985 §7: twice the round-trip time, and the last segment goes again.
    let mut bench = Bench::established(&with_sack());
    bench.push(3 * MSS);
    bench.sent();
    let (took, result) = bench.deadline();
    assert_eq!((took, result.retransmission), (200, false));
    assert_eq!(bench.sent_data(), [(2000, 3000)]);
    bench.wait(100);
    bench.sack(0, &[(2000, 3000)]);
    assert_eq!(bench.sent_data(), [(0, 1000), (1000, 2000)]);
    assert_eq!((bench.hook.losses, bench.hook.timeouts), (1, 0));
}

#[test]
fn a_probe_that_repairs_the_only_loss_still_counts_as_one() {
    let mut bench = Bench::established(&with_sack());
    bench.push(3 * MSS);
    bench.sent();
    bench.deadline();
    assert_eq!(bench.sent_data(), [(2000, 3000)]);
    bench.push(MSS);
    assert_eq!(bench.sent_data(), [(3000, 4000)]);
    bench.sack(4000, &[]);
    assert_eq!((bench.hook.losses, bench.hook.timeouts), (1, 0));
}

#[test]
fn a_probe_that_was_needless_costs_nothing() {
    let mut bench = Bench::established(&with_sack());
    bench.push(3 * MSS);
    bench.sent();
    bench.deadline();
    assert_eq!(bench.sent_data(), [(2000, 3000)]);
    bench.sack(3000, &[(2000, 3000)]);
    assert_eq!((bench.hook.losses, bench.hook.timeouts), (0, 0));
    assert_eq!(bench.tcp.info().counters.duplicate_sacks, 1);
}

#[test]
fn duplicates_of_all_that_was_sent_again_undo_the_recovery() {
    let mut bench = ten(&with_sack());
    bench.sack(0, &[(1000, 4000)]);
    assert_eq!(bench.sent_data(), [(0, 1000)]);
    bench.sack(4000, &[]);
    assert_eq!(bench.hook.undone, 0);
    bench.sack(4000, &[(0, 1000)]);
    assert_eq!(bench.hook.undone, 1);
    assert_eq!(bench.tcp.loss_state(), LossState::Open);
}

#[test]
fn a_packet_too_big_is_cut_and_no_loss() {
    let mut bench = ten(&plain());
    let too_big = IcmpError::PacketTooBig { mtu: 640 };
    bench
        .tcp
        .handle_icmp(bench.now, TcpSeq(ISS + 20_000), too_big);
    bench.silent();
    bench.tcp.handle_icmp(bench.now, TcpSeq(ISS + 1), too_big);
    assert_eq!(bench.tcp.mss(0), 600);
    let again = bench.sent_data();
    assert_eq!(again[..3], [(0, 600), (600, 1000), (1000, 1600)]);
    assert_eq!(bench.hook.losses, 0);
    assert_eq!(bench.tcp.info().counters.stray_icmp, 1);
}

#[test]
fn a_retransmission_holds_one_tag_only() {
    let mut bench = Bench::established(&plain());
    for tag in [1, 1, 2] {
        bench.tcp.push(Payload::from(vec![7; 300]), tag);
    }
    assert_eq!(bench.sent_data(), [(0, 600), (600, 900)]);
    bench.deadline();
    let again = bench.sent();
    let tags: Vec<_> = again
        .iter()
        .map(|sent| (sent.stream.clone(), sent.tag))
        .collect();
    assert_eq!(tags, [(0..600, 1), (600..900, 2)]);
}

#[test]
fn the_congestion_window_holds_data_back() {
    let mut bench = Bench::established(&plain());
    bench.limits.cwnd = 2500;
    bench.push(10 * MSS);
    assert_eq!(bench.sent_data(), [(0, 1000), (1000, 2000)]);
    bench.receive(peer(IRS + 1, ISS + 1 + 2000, ACK));
    assert_eq!(bench.sent_data(), [(2000, 3000), (3000, 4000)]);
    assert_eq!(bench.hook.acked, 2000);
}

#[test]
fn paced_data_waits_for_its_time() {
    let mut bench = Bench::established(&plain());
    bench.push(MSS);
    bench.limits.not_before = bench.now + Duration::from_millis(3);
    bench.silent();
    assert_eq!(bench.deadline().0, 3);
    assert_eq!(bench.sent_data(), [(0, 1000)]);
}
