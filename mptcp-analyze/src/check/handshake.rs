//! Keys, versions and IDSNs of the MP_CAPABLE handshake.

use std::collections::BTreeMap;

use mptcp_proto::key::Token;

use super::Findings;
use crate::model::{
    Analysis, CheckResult, Connection, ConnectionState, Direction, EventKind, Grouping, Severity,
    Side, SubflowKind,
};

pub(super) fn check(connection: &Connection, findings: &mut Findings) {
    if connection.echoed_keys == CheckResult::Bad {
        let frame = connection.capable.ack.map_or(0, |(frame, ..)| frame);
        findings.add(
            "MPT020",
            frame,
            "the third ACK echoes a key that was not sent",
        );
    }
    for event in &connection.events {
        match event.kind {
            EventKind::KeyChanged { owner } if connection.echoed_keys != CheckResult::Bad => {
                findings.add(
                    "MPT021",
                    event.frame,
                    format!("the key of {} changed", name(owner)),
                );
            }
            EventKind::VersionChanged { from, to } => {
                let fell_back = connection.state == ConnectionState::FallenBack;
                let severity = if fell_back {
                    Severity::Warn
                } else {
                    Severity::Note
                };
                let text = format!("the SYN asks for version {from}, the SYN/ACK says {to}");
                findings.add_as("MPT013", severity, event.frame, text);
            }
            _ => {}
        }
    }
    for direction in Direction::BOTH {
        if *connection.idsn_check.of(direction) == CheckResult::Bad {
            let frame = connection
                .events
                .iter()
                .find(|event| {
                    matches!(event.kind, EventKind::FarMapping { .. })
                        && event.sender == direction.sender()
                })
                .map_or(0, |event| event.frame);
            let who = name(direction.sender());
            findings.add(
                "MPT022",
                frame,
                format!("the data of {who} do not begin at its IDSN"),
            );
        }
    }
    check_grouping(connection, findings);
}

fn check_grouping(connection: &Connection, findings: &mut Findings) {
    // Where no subflow shows the handshake, the first one makes the connection: nothing put it there.
    let has_handshake = connection
        .subflows
        .iter()
        .any(|subflow| subflow.kind == SubflowKind::Capable);
    let put_there = connection.subflows.iter().skip(usize::from(!has_handshake));
    let Some(weakest) = put_there.map(|subflow| subflow.grouping).max() else {
        return;
    };
    if weakest > Grouping::Token && connection.subflows.len() > 1 {
        let evidence = match weakest {
            Grouping::Hmac => "the HMAC of its join",
            Grouping::AddressId => "an announced address",
            Grouping::Dsn => "data sequence numbers that fit",
            _ => "a guess: the same hosts at the same time",
        };
        findings.add(
            "MPT072",
            0,
            format!("a subflow was put into this connection by {evidence}"),
        );
    }
}

/// Tokens that two connections share.
pub(super) fn check_reuse(analysis: &mut Analysis) {
    let mut owners: BTreeMap<Token, Vec<(usize, Side)>> = BTreeMap::new();
    for (index, connection) in analysis.connections.iter().enumerate() {
        for side in [Side::Client, Side::Server] {
            if let Some(token) = *connection.tokens.of(side) {
                owners.entry(token).or_default().push((index, side));
            }
        }
    }
    for (token, list) in owners.iter().filter(|(_, list)| list.len() > 1) {
        let ids: Vec<u32> = list
            .iter()
            .map(|&(index, _)| analysis.connections[index].id)
            .collect();
        let keys: Vec<_> = list
            .iter()
            .map(|&(i, side)| *analysis.connections[i].keys.of(side))
            .collect();
        let same_key = keys.windows(2).all(|pair| pair[0] == pair[1]);
        let what = if same_key {
            "key"
        } else {
            "token (of different keys)"
        };
        let shown: Vec<String> = ids.iter().take(8).map(|id| format!("#{id}")).collect();
        for &(index, _) in list {
            let connection = &mut analysis.connections[index];
            let mut findings = Findings::default();
            let text = format!(
                "connections {} use the same {what} {token}",
                shown.join(", ")
            );
            findings.add("MPT023", connection.first_frame, text);
            connection.findings.extend(findings.sorted());
            connection
                .findings
                .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
            connection.findings.dedup();
        }
    }
}

/// The host in words.
pub(super) fn name(side: Side) -> &'static str {
    match side {
        Side::Client => "the client",
        Side::Server => "the server",
    }
}
