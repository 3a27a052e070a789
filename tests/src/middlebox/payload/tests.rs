use proptest::prelude::*;

use crate::middlebox::Middlebox;
use crate::middlebox::bench::{Tcp, check_untouched, pass, pass_one};
use crate::middlebox::dialogue::converse;
use crate::middlebox::spec::Spec;

use super::*;

fn payload(text: &str) -> Box<dyn Middlebox> {
    text.parse::<Spec>().unwrap().build()
}

fn data(seq: u32, bytes: &[u8]) -> Tcp {
    Tcp::to_server().seq(seq).payload(bytes)
}

/// `ab` becomes `XYZ`.
const GROW: &str = "payload:find=6162,put=58595a,toward=server";
/// `abc` becomes `X`.
const SHRINK: &str = "payload:find=616263,put=58,times=0";

#[test]
fn equal_length_moves_no_number() {
    let mut payload = payload("payload:find=6162,put=5859,times=0");
    let segment = pass_one(payload.as_mut(), &data(1000, b"..ab..ab"));
    assert_eq!(segment.payload(), b"..XY..XY");
    check_untouched(payload.as_mut(), &Tcp::to_client().ack(1008));
}

#[test]
fn numbers_after_the_edit_move_and_acknowledgments_move_back() {
    let mut payload = payload(GROW);
    pass(payload.as_mut(), &Tcp::syn());
    assert_eq!(
        pass_one(payload.as_mut(), &data(1000, b".ab.")).payload(),
        b".XYZ."
    );
    let next = pass_one(payload.as_mut(), &data(1004, b"ab").flags(0x11));
    assert_eq!((next.seq(), next.payload()), (1005, &b"ab"[..]));
    for (ack, expected) in [
        (1001, 1001),
        (1002, 1002),
        (1003, 1002),
        (1004, 1003),
        (1008, 1007),
    ] {
        let back = pass_one(payload.as_mut(), &Tcp::to_client().ack(ack));
        assert_eq!(back.ack(), expected, "{ack}");
    }
}

#[test]
fn a_retransmission_is_changed_as_the_first_copy_was() {
    let mut payload = payload(GROW);
    pass_one(payload.as_mut(), &data(1000, b".ab."));
    for (seq, bytes, new_seq, new) in [
        (1000, &b".ab."[..], 1000, &b".XYZ."[..]),
        (1000, b".a", 1000, b".X"),
        (1002, b"b.", 1002, b"YZ."),
        (1003, b".", 1004, b"."),
    ] {
        let segment = pass_one(payload.as_mut(), &data(seq, bytes));
        assert_eq!((segment.seq(), segment.payload()), (new_seq, new));
    }
}

#[test]
fn bytes_that_come_late_are_not_searched() {
    let mut payload = payload("payload:find=6162,put=58595a,times=0");
    pass(payload.as_mut(), &Tcp::syn());
    let second = pass_one(payload.as_mut(), &data(1004, b"ab"));
    assert_eq!((second.seq(), second.payload()), (1004, &b"XYZ"[..]));
    check_untouched(payload.as_mut(), &data(1000, b".ab."));
}

#[test]
fn sack_blocks_move_back_or_stay() {
    let area = [1, 1, 5, 10, 0, 0, 3, 240, 0, 0, 3, 250];
    for (text, first) in [("", 0xef), (",sack=leave", 0xf0)] {
        let mut payload = payload(&format!("{GROW}{text}"));
        pass_one(payload.as_mut(), &data(1000, b"ab"));
        let back = pass_one(payload.as_mut(), &Tcp::to_client().area(&area));
        assert_eq!(back.options()[7], first);
    }
}

#[test]
fn a_packet_that_grows_beyond_the_mtu_leaves_as_two() {
    let mut payload = payload(GROW);
    let bytes = [&b"ab"[..], &[7; 1458]].concat();
    let out = pass(payload.as_mut(), &data(1000, &bytes));
    let parts: Vec<_> = out
        .iter()
        .map(|d| Segment::parse(&d.packet).unwrap())
        .collect();
    assert_eq!(parts.len(), 2);
    assert_eq!(
        (parts[0].packet_len(), parts[1].payload()),
        (1500, &[7][..])
    );
    assert_eq!(parts[1].seq(), 2460);
}

#[test]
fn the_first_bytes_can_be_left_alone_and_edits_have_a_limit() {
    let mut skipping = payload("payload:find=6162,put=58,skip_bytes=2");
    assert_eq!(
        pass_one(skipping.as_mut(), &data(1000, b"abab")).payload(),
        b"abX"
    );
    let mut endless = payload("payload:find=61,put=6161,times=0,mtu=9000");
    let segment = pass_one(endless.as_mut(), &data(1000, &[b'a'; MAX_EDITS + 9]));
    assert_eq!(segment.payload().len(), MAX_EDITS * 2 + 9);
}

#[test]
fn a_new_syn_begins_a_new_stream() {
    let mut payload = payload(GROW);
    pass(payload.as_mut(), &Tcp::syn());
    pass_one(payload.as_mut(), &data(1000, b"ab"));
    check_untouched(payload.as_mut(), &Tcp::syn());
    pass_one(payload.as_mut(), &Tcp::syn().seq(4999));
    assert_eq!(
        pass_one(payload.as_mut(), &data(5000, b"ab")).payload(),
        b"XYZ"
    );
}

proptest! {
    #[test]
    fn both_ends_agree_on_the_streams_whatever_is_lost(
        starts: [u32; 2],
        client in "[abc.]{0,60}",
        server in "[abc.]{0,60}",
        steps in proptest::collection::vec((1_usize..9, any::<bool>(), any::<bool>()), 1..20),
    ) {
        let streams = [client.as_bytes(), server.as_bytes()];
        for (text, find, put) in [(GROW, "ab", "XYZ"), (SHRINK, "abc", "X")] {
            let received = converse(text, streams, starts, &steps);
            let undone = received.map(|bytes| String::from_utf8(bytes).unwrap().replace(put, find));
            prop_assert_eq!(undone, [client.as_str(), server.as_str()]);
        }
    }
}
