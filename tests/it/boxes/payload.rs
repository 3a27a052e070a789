//! Bytes of the stream change.

use std::time::Duration;

use mptcp_tests::payload::Payload;

use super::change::{Change, What, When};
use super::ground::{Data, Plan, Trial};
use super::sides::side;
use super::{Case, FALLS, UNHARMED, YES, check, check_either, check_with};
use crate::seen::Seen;

/// Switches DSS checksums on; either host alone makes both use them (RFC 8684 §3.1).
const CHECKSUM: &str = "echo 1 > /proc/sys/net/mptcp/checksum_enabled";

/// The first byte of what the client sends.
fn flip_first(packet: &mut Seen) {
    if packet.payload.starts_with(&Payload::new("c2s").take(8)) {
        packet.payload[0] ^= 1;
    }
}

/// With nobody to notice, what arrives is silently something else.
const UNNOTICED: &[Case] = &[Case {
    spec: "flip:at=0,toward=server",
    change: Change::new(When::ToServer, What::Edit(flip_first)),
    data: Data::Altered,
    ..UNHARMED
}];

const NOTICED: &[Case] = &[Case {
    // The first segments of the mapping bring the client a DATA_ACK before the server can check
    // the whole: it counts DssFallback and not MPCapableDataFallback.
    mptcp: [FALLS, FALLS],
    incidents: [&["DssFallback"], &["DataCsumErr", "DssFallback"]],
    ..Case {
        spec: "flip:at=0,toward=server",
        change: Change::new(When::ToServer, What::Edit(flip_first)),
        data: Data::Altered,
        ..UNHARMED
    }
}];

#[test]
fn a_changed_byte_is_not_noticed_without_checksum() {
    check(UNNOTICED);
}

#[test]
fn a_changed_byte_ends_mptcp_with_a_checksum() {
    check_with(NOTICED, &Plan::USUAL, CHECKSUM);
}

/// `PORT 10,1,1,1,` becomes `PORT 10,101,101,101,`.
const GROWS: Case = Case {
    spec: "payload:find=504f52542031302c312c312c312c,put=504f52542031302c3130312c3130312c3130312c,toward=server",
    own: grown,
    mptcp: [YES, FALLS],
    incidents: [&[], &["DSSCorruptionFallback"]],
    data: Data::Stalled,
    ..UNHARMED
};

const LINES: Plan = Plan {
    turns: &[10, 20],
    say: &["USER anonymous", "PORT 10,1,1,1,4,1"],
    patience: Duration::from_secs(1),
    ..Plan::USUAL
};

/// The line is longer behind the box, and its acknowledgment before the box is of its old length.
pub(super) fn grown(trial: &mut Trial) {
    let sides = [
        (&trial.near, "PORT 10,1,1,1,4,1\r\n"),
        (&trial.far, "PORT 10,101,101,101,4,1\r\n"),
    ];
    for (packets, line) in sides {
        let lines = packets
            .iter()
            .filter(|packet| packet.payload.starts_with(b"PORT"));
        let lines: Vec<&Seen> = lines.collect();
        assert_eq!(lines[0].payload, line.as_bytes());
        let mut acks = side(packets, false).map(|packet| packet.acknowledgment);
        let next = acks.find(|ack| *ack > lines[0].sequence).unwrap();
        assert_eq!(next - lines[0].sequence, u32::try_from(line.len()).unwrap());
        assert!(packets.iter().all(|packet| packet.checksum_ok));
    }
    trial.near.clear();
    trial.far.clear();
}

#[test]
fn data_that_grow_end_mptcp_at_the_server_only() {
    check_with(&[GROWS], &LINES, "");
}

#[test]
fn data_that_grow_fail_the_checksum() {
    const SERVER: &[&str] = &["DSSCorruptionFallback", "DataCsumErr", "MPFailTx"];
    // The client answers with an MP_FAIL of its own in the next packet, if there is one in time.
    let failed = [&["MPFailRx"][..], &["MPFailRx", "MPFailTx"]].map(|client| Case {
        incidents: [client, SERVER],
        ..GROWS
    });
    check_either(&failed, &LINES, CHECKSUM);
}

/// For the list of all that is tried.
pub(super) const CASES: &[&[Case]] = &[UNNOTICED, NOTICED, &[GROWS]];
