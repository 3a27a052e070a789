//! Keys, versions and IDSNs of the MP_CAPABLE handshake.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use mptcp_proto::key::Token;

use super::Findings;
use crate::model::{
    CheckResult, Connection, ConnectionState, Direction, EventKind, Grouping, Severity, Side,
    SubflowKind, TokenOwner,
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

/// Tokens that two connections, or both hosts of one, share: what there is to say of each.
#[derive(Debug, Default)]
pub struct TokenReuse {
    texts: BTreeMap<Token, String>,
}

impl TokenReuse {
    /// Finds the tokens that several `owners` have; those come in the order of their connections.
    pub fn of(mut owners: Vec<TokenOwner>) -> Self {
        // Stable, so that the connections of a token stay in order.
        owners.sort_by_key(|owner| owner.token);
        let same_token = owners.chunk_by(|one, other| one.token == other.token);
        let texts = same_token
            .filter(|owners| owners.len() > 1)
            .filter_map(|owners| Some((owners.first()?.token, reuse_text(owners))))
            .collect();
        TokenReuse { texts }
    }
}

fn reuse_text(owners: &[TokenOwner]) -> String {
    let mut keys = owners.iter().map(|owner| owner.key);
    let first = keys.next();
    let same_key = keys.all(|key| Some(key) == first);
    let what = if same_key {
        "key"
    } else {
        "token (of different keys)"
    };
    let shown: Vec<String> = owners
        .iter()
        .take(SHARERS_SHOWN)
        .map(|owner| format!("#{}", owner.connection))
        .collect();
    let token = owners.first().map(|owner| owner.token.to_string());
    format!(
        "connections {} use the same {what} {}",
        shown.join(", "),
        token.unwrap_or_default()
    )
}

/// Tokens that another host has too.
pub(super) fn check_reuse(connection: &mut Connection, reuse: &TokenReuse) {
    if reuse.texts.is_empty() {
        return;
    }
    let mut tokens: Vec<Token> = connection.token_owners().map(|owner| owner.token).collect();
    tokens.sort_unstable();
    for text in tokens.iter().filter_map(|token| reuse.texts.get(token)) {
        let mut findings = Findings::default();
        findings.add("MPT023", connection.first_frame, text.as_str());
        connection.findings.extend(findings.sorted());
        connection
            .findings
            .sort_by_key(|finding| Reverse(finding.severity));
        connection.findings.dedup();
    }
}

/// The host in words.
pub(super) fn name(side: Side) -> &'static str {
    match side {
        Side::Client => "the client",
        Side::Server => "the server",
    }
}

/// Connections that a finding names when a token has more owners.
const SHARERS_SHOWN: usize = 8;
