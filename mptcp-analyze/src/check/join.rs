//! Joins: forged, refused, unanswered, flooding.

use mptcp_proto::wire::mptcp::ResetReason;

use super::handshake::name;
use super::{Findings, events_until};
use crate::model::{
    CloseKind, CloseSide, Connection, EventKind, JoinSeen, Severity, Side, Subflow, Timestamp,
};

/// Unanswered joins with one token, begun within [`FLOOD_NS`], that make a flood: a host has at most a few addresses to
/// try, and waits between its tries.
const FLOOD: usize = 64;

/// A minute. Over hours a path that is silent at times leaves many joins without answer.
const FLOOD_NS: i64 = 60_000_000_000;

pub(super) fn check(connection: &Connection, findings: &mut Findings) {
    for event in &connection.events {
        match event.kind {
            EventKind::JoinHmacBad { syn_ack } => {
                let step = if syn_ack { "SYN/ACK" } else { "third ACK" };
                let who = name(event.sender);
                let text = format!("wrong HMAC in the {step} of a join, sent by {who}");
                findings.add("MPT030", event.frame, text);
            }
            EventKind::JoinOptionMissing => {
                findings.add("MPT031", event.frame, "a join was answered without MP_JOIN");
            }
            _ => {}
        }
    }
    let joins = || {
        connection
            .subflows
            .iter()
            .filter_map(|s| s.join.as_ref().map(|join| (s, join)))
    };
    let unanswered = joins().filter(|(_, join)| is_unanswered(join));
    let unanswered: Vec<Timestamp> = unanswered.map(|(subflow, _)| subflow.first_at).collect();
    if let Some(token) = connection.token_of_unknown {
        let text = format!("joins name token {token}, which no key in the capture explains");
        findings.add("MPT034", connection.first_frame, text);
    }
    if is_flood(&unanswered) {
        let unanswered = unanswered.len();
        let text = format!("{unanswered} joins of one token stayed without answer");
        findings.add("MPT035", connection.first_frame, text);
        return;
    }
    for (subflow, join) in joins() {
        check_one(connection, subflow, join, findings);
    }
}

/// Whether so many joins began within a minute. Captures from several interfaces need not be in order.
fn is_flood(begun: &[Timestamp]) -> bool {
    let mut times = begun.to_vec();
    times.sort_unstable();
    let mut spans = times.iter().zip(times.iter().skip(FLOOD - 1));
    spans.any(|(first, last)| last.since(*first) <= FLOOD_NS)
}

fn is_unanswered(join: &JoinSeen) -> bool {
    join.syn_frame.is_some() && join.syn_ack_frame.is_none()
}

/// Whether a host had sent DATA_FIN or MP_FASTCLOSE by the time of the event in `frame`.
fn is_closing(connection: &Connection, frame: u64) -> bool {
    events_until(connection, frame).any(|event| {
        matches!(
            event.kind,
            EventKind::DataFin { .. } | EventKind::FastClose { .. }
        )
    })
}

fn check_one(connection: &Connection, subflow: &Subflow, join: &JoinSeen, findings: &mut Findings) {
    let Some(opener) = subflow.initiator else {
        return;
    };
    if subflow.close.kind == CloseKind::Reset && !subflow.established {
        let by_opener = match subflow.close.by {
            CloseSide::Client => opener == Side::Client,
            CloseSide::Server => opener == Side::Server,
            CloseSide::Path | CloseSide::Unknown => false,
        };
        let why = match subflow.close.reset_reason {
            Some(reason) => format!("reason {reason}: {}", ResetReason(reason)),
            None => "RST without MP_TCPRST".to_owned(),
        };
        let frame = subflow.close.frame.unwrap_or(subflow.last_frame);
        let id = subflow.id;
        let text = if by_opener {
            let who = name(opener);
            format!("join of subflow {id} given up by {who}, who opened it ({why})")
        } else if join.syn_ack_frame.is_some() && join.ack_frame.is_none_or(|ack| ack > frame) {
            format!("join of subflow {id} refused: {why}; no third ACK with MP_JOIN came before")
        } else if join.syn_ack_frame.is_none() && join.syns > 1 {
            let syns = join.syns;
            format!("join of subflow {id} refused: {why}; {syns} SYNs came before, and no SYN/ACK")
        } else {
            format!("join of subflow {id} refused: {why}")
        };
        // An end of the connection overtakes a handshake now and then, and the join then has no use.
        let without_complaint = by_opener && subflow.close.reset_reason.is_none();
        if without_complaint || is_closing(connection, frame) {
            findings.add_as("MPT032", Severity::Note, frame, text);
        } else {
            findings.add("MPT032", frame, text);
        }
    } else if is_unanswered(join) {
        let text = format!("join of subflow {} stayed without answer", subflow.id);
        findings.add(
            "MPT033",
            join.syn_frame.unwrap_or(subflow.first_frame),
            text,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_without_answer_are_a_flood_within_a_minute_and_not_over_hours() {
        let each = |seconds: i64, count: i64| -> Vec<Timestamp> {
            let times = (0..count).rev();
            times
                .map(|number| Timestamp(number * seconds * 1_000_000_000))
                .collect()
        };
        assert!(!is_flood(&each(0, 63)));
        assert!(is_flood(&each(0, 64)));
        assert!(!is_flood(&each(60, 500)));
        let mut both = each(60, 200);
        both.extend(each(0, 64));
        assert!(is_flood(&both));
    }
}
