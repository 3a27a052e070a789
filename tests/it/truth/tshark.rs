//! What `TShark` says, where captures.md §4 does not show it to be wrong.
//!
//! Not compared: `mptcp.stream` (T2, T3, T9, T12), DSNs and reinjections (T3 to T6), and the split of one flow into phantom streams (T9), for which
//! streams are added up by address pair.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use mptcp_analyze::model::{Analysis, SubflowKind};

use super::Differences;
use super::partition::{Subflows, ends};
use super::reference::{TShark, TSharkStream};

/// Notes everything in which ours is not what `TShark` says.
pub(crate) fn compare(ours: &Analysis, theirs: &TShark, differences: &mut Differences) {
    let capture = &ours.captures[0];
    differences.same("packets", capture.packets, theirs.packets);
    differences.same(
        "truncated",
        capture.truncated_packets,
        theirs.truncated_packets,
    );
    let subflows = Subflows::of(ours);
    // T8: TShark counts a header that ICMP quotes as a packet of the stream.
    let in_subflows: u64 = ours
        .connections
        .iter()
        .flat_map(|connection| &connection.subflows)
        .map(|subflow| subflow.packets)
        .sum();
    let not_tcp = capture.packets - in_subflows;
    let mut by_ends: BTreeMap<[SocketAddr; 2], Vec<&TSharkStream>> = BTreeMap::new();
    for stream in &theirs.tcp_streams {
        let key = ends(stream.client.into(), stream.server.into());
        by_ends.entry(key).or_default().push(stream);
    }
    for (key, streams) in by_ends {
        let option_30: u64 = streams.iter().map(|s| s.packets_with_option_30).sum();
        if option_30 > 0 {
            flow(key, &streams, &subflows, not_tcp, differences);
            streams
                .iter()
                .filter(|s| s.master == Some(true))
                .for_each(|s| names(s, &subflows, differences));
        }
    }
    let cut = !theirs.tcp_streams_cut.is_null();
    if !cut {
        let plain = theirs
            .tcp_streams
            .iter()
            .filter(|s| s.packets_with_option_30 == 0)
            .count();
        differences.within("plain streams", ours.plain_tcp_streams, 0, plain as u64);
    }
}

/// Packets and options of all streams between two ends.
fn flow(
    key: [SocketAddr; 2],
    theirs: &[&TSharkStream],
    ours: &Subflows<'_>,
    not_tcp: u64,
    differences: &mut Differences,
) {
    let packets: u64 = ours.at(key).iter().map(|(_, s)| s.packets).sum();
    let expected: u64 = theirs.iter().map(|s| s.packets).sum();
    let least = expected.saturating_sub(not_tcp);
    differences.within(&format!("{key:?} packets"), packets, least, expected);
    for (subtype, name) in SUBTYPES.iter().enumerate() {
        let count: u64 = ours
            .at(key)
            .iter()
            .flat_map(|(_, s)| [&s.totals.to_server, &s.totals.to_client])
            .map(|totals| totals.options.by_subtype[subtype])
            .sum();
        let expected = theirs
            .iter()
            .flat_map(|s| &s.subtypes)
            .map(|counts| counts.get(*name).copied().unwrap_or(0))
            .sum();
        differences.same(&format!("{key:?} {name}"), count, expected);
    }
}

/// Tokens and IDSNs of the connection that a master stream begins.
fn names(theirs: &TSharkStream, ours: &Subflows<'_>, differences: &mut Differences) {
    let key = ends(theirs.client.into(), theirs.server.into());
    let initial = ours
        .at(key)
        .iter()
        .find(|(_, s)| s.kind == SubflowKind::Capable);
    let Some((connection, _)) = initial else {
        // TShark calls any first stream a master, also one without a handshake.
        if theirs.expected_token.iter().any(Option::is_some) {
            differences.note(format!("{key:?}: no initial subflow of ours"));
        }
        return;
    };
    let tokens = [connection.tokens.client, connection.tokens.server];
    let idsns = [connection.idsns.client, connection.idsns.server];
    for index in [0, 1] {
        if let Some(expected) = &theirs.expected_token[index] {
            let token = tokens[index].map(|token| u64::from(token.0));
            differences.same(&format!("{key:?} token"), token, Some(number(expected)));
        }
        if let Some(expected) = &theirs.expected_idsn[index] {
            let idsn = idsns[index].map(|dsn| dsn.0);
            differences.same(&format!("{key:?} IDSN"), idsn, Some(number(expected)));
        }
    }
}

/// A number as `TShark` writes it: hexadecimal, leading zeros left out.
fn number(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

const SUBTYPES: [&str; 9] = [
    "MP_CAPABLE",
    "MP_JOIN",
    "DSS",
    "ADD_ADDR",
    "REMOVE_ADDR",
    "MP_PRIO",
    "MP_FAIL",
    "MP_FASTCLOSE",
    "MP_TCPRST",
];
