use mptcp_proto::seq::TcpSeq;
use mptcp_proto::wire::segment::Flags;

use super::*;
use crate::packet::Packet;

fn sent(is_v4: bool) -> Packet {
    let (source, destination) = if is_v4 {
        ("10.0.0.1:9", "10.0.0.2:80")
    } else {
        ("[fd00::1]:9", "[fd00::2]:80")
    };
    Packet {
        options: vec![2, 4, 5, 0xb4, 30, 4, 1, 0x81],
        ttl: 1,
        ..crate::packet::tests::sample(source, destination)
    }
}

/// What is found when the packet is changed in this way before it is quoted.
fn changes(is_v4: bool, change: impl Fn(&mut Packet)) -> Vec<(String, How)> {
    let before = sent(is_v4);
    let mut after = before.clone();
    change(&mut after);
    let found = compare(&before.emit().unwrap(), &after.emit().unwrap()).unwrap();
    let names = found
        .changes
        .iter()
        .map(|change| (change.field.to_string(), change.how));
    names.collect()
}

#[test]
fn an_untouched_packet_is_the_same_in_all_fields() {
    for is_v4 in [true, false] {
        let bytes = sent(is_v4).emit().unwrap();
        let found = compare(&bytes, &bytes).unwrap();
        assert_eq!(found.changes, []);
        assert!(found.is_whole);
        let same = found.states.iter().all(|(_, state)| *state == State::Same);
        assert!(same, "{:?}", found.states);
    }
}

#[test]
fn a_quote_that_is_cut_shows_no_change_wherever_it_ends() {
    for is_v4 in [true, false] {
        let bytes = sent(is_v4).emit().unwrap();
        for len in 0..bytes.len() {
            let Some(found) = compare(&bytes, &bytes[..len]) else {
                continue;
            };
            assert_eq!(found.changes, [], "{len}");
            assert!(!found.is_whole);
        }
    }
}

#[test]
fn every_field_that_is_changed_is_named_and_no_other() {
    type Edit = fn(&mut Packet);
    let cases: &[(&str, Edit)] = &[
        ("DSCP", |packet| packet.tos ^= 4),
        ("ECN", |packet| packet.tos ^= 1),
        ("TTL", |packet| packet.ttl = 5),
        ("source port", |packet| packet.source.set_port(10)),
        ("destination port", |packet| packet.destination.set_port(81)),
        ("sequence number", |packet| packet.seq = TcpSeq(0x8000_0000)),
        ("acknowledgement number", |packet| packet.ack = TcpSeq(8)),
        ("TCP flags", |packet| {
            packet.flags = Flags::SYN.with(Flags::ECE);
        }),
        ("window", |packet| packet.window = 1000),
        ("MSS", |packet| packet.options[3] = 0),
        ("MP_CAPABLE", |packet| packet.options[6] = 0),
        ("payload", |packet| packet.payload[1] = 0),
        ("length", |packet| packet.payload.push(7)),
    ];
    for is_v4 in [true, false] {
        for &(name, change) in cases {
            let found = changes(is_v4, change);
            assert_eq!(found, [(name.to_owned(), How::Rewritten)], "{is_v4}");
        }
    }
    let id = changes(true, |packet| packet.ip_id = 1);
    assert_eq!(id, [("IP id".to_owned(), How::Rewritten)]);
    let label = changes(false, |packet| packet.flow_label = 1);
    assert_eq!(label, [("flow label".to_owned(), How::Rewritten)]);
}

#[test]
fn a_checksum_that_was_not_fixed_up_is_broken() {
    let bytes = sent(true).emit().unwrap();
    let mut quote = bytes.clone();
    quote[34] = 0x12;
    let found = compare(&bytes, &quote).unwrap();
    let names: Vec<_> = found
        .changes
        .iter()
        .map(|change| (change.field, change.how))
        .collect();
    assert_eq!(
        names,
        [
            (Field::Window, How::Rewritten),
            (Field::Checksum, How::Broken)
        ]
    );
}

#[test]
fn a_checksum_that_alone_differs_is_that_of_a_translated_address() {
    let bytes = sent(true).emit().unwrap();
    let mut quote = bytes.clone();
    quote[36] ^= 1;
    let found = compare(&bytes, &quote).unwrap();
    assert_eq!(found.changes.len(), 1);
    assert_eq!(found.changes[0].how, How::Rewritten);
    assert_eq!(found.state(Field::Checksum), State::Changed);
}

#[test]
fn a_removed_option_explains_the_length() {
    let found = changes(true, |packet| packet.options.truncate(4));
    assert_eq!(found, [("MP_CAPABLE".to_owned(), How::Removed)]);
    // Where the options are not quoted, the length alone tells that something went.
    let before = sent(true);
    let mut after = before.clone();
    after.options.truncate(4);
    let found = compare(&before.emit().unwrap(), &after.emit().unwrap()[..28]).unwrap();
    assert_eq!(found.growth, -4);
    let [change] = &found.changes[..] else {
        panic!("{found:?}")
    };
    assert_eq!(change.field, Field::Length);
}

#[test]
fn fields_in_the_order_of_the_routers_machine_are_no_change() {
    let bytes = sent(true).emit().unwrap();
    let mut quote = bytes.clone();
    quote.swap(2, 3);
    quote.swap(4, 5);
    let found = compare(&bytes, &quote).unwrap();
    assert_eq!(found.changes, []);
}

#[test]
fn segments_alone_can_be_compared() {
    let bytes = sent(true).emit().unwrap();
    let tcp = &bytes[20..];
    assert_eq!(compare_tcp(tcp, tcp).changes, []);
    assert_eq!(
        compare_tcp(tcp, &tcp[..8]).state(Field::Window),
        State::NotQuoted
    );
    let mut other = tcp.to_vec();
    other[15] ^= 1;
    assert_eq!(compare_tcp(tcp, &other).changes[0].field, Field::Window);
}

#[test]
fn families_do_not_mix_and_garbage_does_not_panic() {
    let v4 = sent(true).emit().unwrap();
    let v6 = sent(false).emit().unwrap();
    assert_eq!(compare(&v4, &v6), None);
    for bytes in [&v4, &v6] {
        for at in 0..bytes.len() {
            for value in [0, 1, 5, 0x7f, 0xff] {
                let mut quote = bytes.clone();
                quote[at] = value;
                compare(bytes, &quote);
            }
        }
    }
}

#[test]
fn a_later_part_of_a_split_segment_is_no_rewritten_one() {
    let before = sent(true);
    let mut after = before.clone();
    after.seq = before.seq.add(1);
    after.payload.remove(0);
    after.options.clear();
    let found = compare(&before.emit().unwrap(), &after.emit().unwrap()).unwrap();
    assert_eq!(found.part, Some(1));
    let fields: Vec<Field> = found.changes.iter().map(|change| change.field).collect();
    assert_eq!(fields, [Field::Length]);
    assert_eq!(found.state(Field::Payload), State::Same);
}

#[test]
fn the_first_part_of_a_split_segment_has_another_length_only() {
    let before = sent(true);
    let mut after = before.clone();
    after.payload.pop();
    (after.ip_id, after.flags) = (9, Flags::SYN.with(Flags::PSH));
    let found = compare(&before.emit().unwrap(), &after.emit().unwrap()).unwrap();
    let fields: Vec<Field> = found.changes.iter().map(|change| change.field).collect();
    assert_eq!(fields, [Field::Length]);
    // Without payload there is nothing to split.
    let mut plain = before.clone();
    plain.payload.clear();
    let mut other = plain.clone();
    other.ip_id = 9;
    other.options.truncate(4);
    let found = compare(&plain.emit().unwrap(), &other.emit().unwrap()).unwrap();
    assert!(
        found
            .changes
            .iter()
            .any(|change| change.field == Field::IpId)
    );
}

#[test]
fn a_few_bytes_of_a_part_whose_place_is_not_known_are_no_rewritten_payload() {
    let mut before = sent(true);
    before.payload = b"canary in a mine".to_vec();
    let mut after = before.clone();
    after.seq = before.seq.add(0x4000_0000);
    let state = |payload: &[u8]| {
        let after = Packet {
            payload: payload.to_vec(),
            ..after.clone()
        };
        let found = compare(&before.emit().unwrap(), &after.emit().unwrap()).unwrap();
        found.state(Field::Payload)
    };
    assert_eq!(state(b"canary"), State::Same);
    assert_eq!(state(b"in a"), State::NotQuoted);
    assert_eq!(state(b"in a mine"), State::Same);
    assert_eq!(state(b"in b"), State::Changed);
    // Where the number is the one that was sent, the place is known.
    after.seq = before.seq;
    let quoted = after.clone();
    let mut other = quoted.emit().unwrap();
    let at = other.len() - before.payload.len();
    other[at..].copy_from_slice(b"in a in a in a i");
    let found = compare(&before.emit().unwrap(), &other).unwrap();
    assert_eq!(found.state(Field::Payload), State::Changed);
}
