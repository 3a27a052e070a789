//! Values of options change.

use std::time::Duration;

use super::change::{Change, What, When, flip, options};
use super::ground::{Data, Plan};
use super::{Case, FALLS, NO, UNHARMED, YES, check, check_either, check_with};
use crate::seen::Seen;

const fn case(spec: &'static str, when: When, edit: fn(&mut Seen)) -> Case {
    Case {
        spec,
        change: Change::new(when, What::Edit(edit)),
        ..UNHARMED
    }
}

/// Flips a bit of a field of every mapping; the field ends so many bytes behind the DATA_ACK.
fn flip_in_mapping(packet: &mut Seen, end: usize) {
    change_in_mapping(packet, end - 1, 1);
}

/// Flips bits of a byte of every DSS with a mapping, so many bytes behind the DATA_ACK if data
/// sequence numbers have 8 bytes.
fn change_in_mapping(packet: &mut Seen, at: usize, xor: u8) {
    for (kind, value) in options(packet) {
        let [0x20, flags, ..] = *value else { continue };
        if kind == 30 && flags & 0x04 != 0 {
            let ack = [0, 4, 0, 8][usize::from(flags & 0x03)];
            let narrower = if flags & 0x08 == 0 { 4 } else { 0 };
            value[2 + ack + at - narrower] ^= xor;
        }
    }
}

fn flip_data_ack(packet: &mut Seen) {
    for (kind, value) in options(packet) {
        let [0x20, flags, ..] = *value else { continue };
        if kind == 30 && flags & 0x01 != 0 {
            value[2 + [0, 4, 0, 8][usize::from(flags & 0x03)] - 1] ^= 1;
        }
    }
}

fn flip_high_time(packet: &mut Seen) {
    for (_, value) in options(packet).into_iter().filter(|(kind, _)| *kind == 8) {
        value[0] ^= 0x40;
    }
}

fn set(packet: &mut Seen, wanted: u8, at: usize, bytes: &[u8]) {
    for (kind, value) in options(packet) {
        if kind == wanted {
            value[at..at + bytes.len()].copy_from_slice(bytes);
        }
    }
}

const CAPABLE: &[Case] = &[
    Case {
        mptcp: [NO, NO],
        incidents: [&["MPCapableFallbackSYNACK"], &[]],
        ..case("rewrite:field=version,set=0,on=syn", When::Syn, |packet| {
            for (_, value) in options(packet).into_iter().filter(|(kind, _)| *kind == 30) {
                value[0] = 0;
            }
        })
    },
    case(
        "rewrite:field=capable_flags,xor=0x80,on=syn",
        When::Syn,
        |packet| {
            for (_, value) in options(packet).into_iter().filter(|(kind, _)| *kind == 30) {
                value[1] ^= 0x80;
            }
        },
    ),
    case(
        "rewrite:field=capable_flags,xor=0x20,on=synack",
        When::SynAck,
        |packet| {
            for (_, value) in options(packet).into_iter().filter(|(kind, _)| *kind == 30) {
                value[1] ^= 0x20;
            }
        },
    ),
    // The server knows its own key and does not compare.
    case("rewrite:field=peer_key", When::All, |packet| {
        flip(packet, 0, 18..=22, 17);
    }),
    // A DATA_ACK that is one too high or too low acknowledges nothing that matters here.
    case("rewrite:field=data_ack", When::All, flip_data_ack),
];

const STALLING: &[Case] = &[Case {
    data: Data::Stalled,
    ..case("rewrite:field=key,on=synack", When::SynAck, |packet| {
        flip(packet, 0, 10..=10, 9);
    })
}];

/// The server derives the client's IDSN from the wrong key. What it takes for old ends MPTCP, what
/// it takes for too new is held back: which of the two it is depends on the random keys.
const CLIENT_KEY: [Case; 2] = [
    Case {
        data: Data::Stalled,
        ..WRONG_KEY
    },
    Case {
        mptcp: [FALLS, FALLS],
        incidents: [&["DssFallback"], &["DSSNotMatching", "DssFallback"]],
        ..WRONG_KEY
    },
];

const WRONG_KEY: Case = case("rewrite:field=key,on=non_syn", When::All, |packet| {
    flip(packet, 0, 18..=22, 9);
});

/// What has a wrong mapping and is sent again by MPTCP contradicts the mapping before, and then the kernel falls
/// back: whether that happens before the end of the exchange depends on how slow the machine is.
const fn contradicted(stalled: &Case) -> Case {
    Case {
        mptcp: [FALLS, FALLS],
        incidents: [&["DssFallback"], &["DSSNotMatching", "DssFallback"]],
        data: Data::Whole,
        spec: stalled.spec,
        change: stalled.change,
        ..UNHARMED
    }
}

/// Half of all numbers away, so that the data are old ones whether the bit was set or not: they are acknowledged and
/// forgotten. A smaller distance has one of several effects, as it makes them old, too new, or a mapping that
/// contradicts the one before.
const OLD: Case = Case {
    data: Data::Stalled,
    ..case(
        "rewrite:field=dsn,xor=0x8000000000000000",
        When::All,
        |packet| change_in_mapping(packet, 0, 0x80),
    )
};

const ELSEWHERE: Case = Case {
    incidents: [&["DSSCorruptionReset", "MPRstTx"], &["MPRstRx"]],
    data: Data::Stalled,
    ..case("rewrite:field=ssn", When::All, |packet| {
        flip_in_mapping(packet, 12);
    })
};

const SHIFTED: [Case; 2] = [OLD, contradicted(&OLD)];
const MISPLACED: [Case; 2] = [ELSEWHERE, contradicted(&ELSEWHERE)];

const MAPPING: &[Case] = &[Case {
    mptcp: [YES, FALLS],
    incidents: [&[], &["DSSCorruptionFallback"]],
    data: Data::Stalled,
    ..case("rewrite:field=data_len", When::All, |packet| {
        flip_in_mapping(packet, 14);
        flip(packet, 0, 20..=22, 19);
    })
}];

const PLAIN: &[Case] = &[
    case("rewrite:field=mss,set=1200", When::All, |packet| {
        set(packet, 2, 0, &[4, 176]);
    }),
    case("rewrite:field=wscale,set=2,on=syn", When::Syn, |packet| {
        set(packet, 3, 0, &[2]);
    }),
    // So the times grow, or the server would take the segments for old ones (RFC 7323 §5.2).
    case(
        "rewrite:field=ts_value,xor=0x40000000,on=non_syn,toward=server",
        When::ToServer,
        |packet| {
            if !packet.syn {
                flip_high_time(packet);
            }
        },
    ),
    case(
        "rewrite:field=ts_echo,set=0,on=synack",
        When::SynAck,
        |packet| {
            set(packet, 8, 4, &[0; 4]);
        },
    ),
];

const CHECKED: &[Case] = &[Case {
    mptcp: [FALLS, FALLS],
    incidents: [&["DssFallback"], &["DataCsumErr", "DssFallback"]],
    ..case("rewrite:field=data_checksum", When::All, |packet| {
        flip_in_mapping(packet, 16);
        flip(packet, 0, 22..=22, 21);
    })
}];

/// For what never arrives.
const IMPATIENT: Plan = Plan {
    patience: Duration::from_secs(1),
    ..Plan::USUAL
};

#[test]
fn an_mp_capable_with_other_bits_gives_tcp_or_does_not_matter() {
    check(CAPABLE);
}

#[test]
fn a_wrong_key_of_the_server_lets_the_data_stall() {
    check_with(STALLING, &IMPATIENT, "");
}

#[test]
fn a_wrong_key_of_the_client_ends_mptcp_or_lets_the_data_stall() {
    check_either(&CLIENT_KEY, &IMPATIENT, "");
}

#[test]
fn a_wrong_mapping_stops_the_data() {
    check_either(&SHIFTED, &IMPATIENT, "");
    check_either(&MISPLACED, &IMPATIENT, "");
    check_with(MAPPING, &IMPATIENT, "");
}

#[test]
fn a_wrong_checksum_of_the_data_ends_mptcp() {
    check_with(
        CHECKED,
        &Plan::USUAL,
        "echo 1 > /proc/sys/net/mptcp/checksum_enabled",
    );
}

#[test]
fn options_of_plain_tcp_do_not_concern_mptcp() {
    // 2: the times count from the start of the machine and not from a random one.
    let hosts = "echo 2 > /proc/sys/net/ipv4/tcp_timestamps";
    check_with(PLAIN, &Plan::USUAL, hosts);
}

/// For the list of all that is tried.
pub(super) const CASES: &[&[Case]] = &[
    CAPABLE,
    STALLING,
    &CLIENT_KEY,
    &SHIFTED,
    &MISPLACED,
    MAPPING,
    CHECKED,
    PLAIN,
];
