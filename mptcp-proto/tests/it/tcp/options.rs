//! Options and the room that they leave (RFC 7323, RFC 2018, RFC 6691).

use super::*;

fn everything() -> Config {
    Config {
        mtu: 1500,
        nagle: false,
        ..Config::default()
    }
}

const ALL: [u8; 20] = [
    2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 3, 232, 1, 3, 3, 2,
];

fn open() -> Bench {
    let mut bench = Bench::connect(&everything());
    bench.sent();
    bench.receive(peer(IRS, ISS + 1, SYN.with(ACK)).options(&ALL));
    bench.sent();
    bench
}

#[test]
fn the_syn_offers_everything_in_twenty_bytes() {
    let syn = Bench::connect(&everything()).sent().remove(0);
    assert_eq!(
        syn.area.as_bytes(),
        [
            2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 3, 232, 0, 0, 0, 0, 1, 3, 3, 7
        ]
    );
    assert_eq!(syn.room(), 20);
}

#[test]
fn the_answer_offers_only_what_was_offered() {
    let mut bench = Bench::accept(&everything(), peer(IRS, 0, SYN).options(&MSS_OPTION));
    assert_eq!(bench.sent()[0].area.as_bytes(), [2, 4, 5, 180]);
    let mut bench = Bench::accept(&everything(), peer(IRS, 0, SYN).options(&ALL));
    assert_eq!(bench.sent()[0].area.as_bytes().len(), 20);
}

#[test]
fn both_windows_are_scaled_after_the_syns() {
    let mut bench = open();
    assert_eq!(bench.tcp.window_left(), 64_000, "that of the SYN is not");
    let stamp = [1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 3, 232];
    bench.receive(peer(IRS + 1, ISS + 1, ACK).options(&stamp));
    assert_eq!(bench.tcp.window_left(), 256_000);
    bench.limits.window = 1 << 20;
    bench.tcp.ack_now();
    assert_eq!(bench.sent()[0].window, 1 << 13);
}

#[test]
fn a_shift_beyond_fourteen_is_fourteen() {
    let mut bench = Bench::connect(&everything());
    bench.sent();
    bench.receive(peer(IRS, ISS + 1, SYN.with(ACK)).options(&[3, 3, 200, 0]));
    let scale = bench.tcp.info().negotiated.window_scale.unwrap();
    assert_eq!((scale.peer, scale.own), (14, 7));
}

#[test]
fn options_are_taken_off_the_payload() {
    let mut bench = open();
    assert_eq!(bench.tcp.mss(0), 1448);
    assert_eq!(bench.tcp.mss(20), 1428);
    assert_eq!(bench.tcp.mss(18), 1428, "rounded up to a multiple of four");
    bench.limits.reserve = 28;
    bench.push(10_000);
    let sent = bench.sent();
    assert_eq!(sent[0].payload.len(), 1420);
    assert_eq!(sent[0].room(), 28);
}

#[test]
fn sack_yields_to_the_options_of_the_caller() {
    let mut bench = open();
    for seq in [11, 31, 51, 71] {
        let stamp = [1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 3, 232];
        bench.receive(peer(IRS + seq, ISS + 1, ACK).data(&[1; 10]).options(&stamp));
    }
    for (reserve, blocks) in [(0, 3), (4, 2), (12, 1), (20, 0), (28, 0)] {
        bench.limits.reserve_ack = reserve;
        bench.tcp.ack_now();
        let ack = bench.sent().remove(0);
        assert_eq!(sack_blocks(&ack).len(), blocks, "{reserve} bytes reserved");
        assert!(ack.room() >= reserve);
    }
    // An option of thirty bytes goes before the timestamps.
    bench.limits.reserve_ack = 30;
    bench.tcp.ack_now();
    assert!(bench.sent()[0].room() >= 32);
}

#[test]
fn a_hole_is_reported_without_data_when_the_options_of_data_leave_sack_no_room() {
    let stamp = [1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 3, 232];
    for (reserve, segments) in [(12, 1), (20, 2), (28, 2)] {
        let mut bench = open();
        bench.limits.reserve = reserve;
        bench.limits.reserve_ack = 12;
        bench.receive(peer(IRS + 11, ISS + 1, ACK).data(&[1; 10]).options(&stamp));
        bench.push(100);
        let sent = bench.sent();
        assert_eq!(sent.len(), segments, "{reserve} bytes reserved");
        // The next expected number is that of the hole; the block is what lies behind.
        assert_eq!(sack_blocks(&sent[0]), [(IRS + 11, IRS + 21)]);
        assert_eq!(sent[0].payload.is_empty(), segments == 2);
        // Once for each segment that comes.
        bench.push(100);
        let sent = bench.sent();
        assert_eq!(sent.len(), 1);
        assert!(!sent[0].payload.is_empty());
    }
}

#[test]
fn a_tiny_segment_size_of_the_peer_is_not_believed() {
    let mut bench = Bench::connect(&plain());
    bench.sent();
    bench.receive(peer(IRS, ISS + 1, SYN.with(ACK)).options(&[2, 4, 0, 1]));
    assert_eq!(bench.tcp.mss(0), 88);
}

#[test]
fn whatever_is_sent_fits_in_the_packet() {
    let mut bench = open();
    bench.push(20_000);
    for reserve in 0..=40 {
        bench.limits.reserve = reserve;
        bench.limits.cwnd = bench.tcp.in_flight() + 1500;
        for mut sent in bench.sent() {
            while sent.room() > 40 - reserve && sent.area.push(&[1]).is_ok() {}
            sent.area.pad();
            let mut packet = Vec::new();
            sent.segment().emit(&mut packet).unwrap();
            assert!(
                packet.len() <= 1500,
                "{reserve} reserved: {} bytes",
                packet.len()
            );
        }
    }
}
