//! A subflow in JSON.

use mptcp_proto::wire::mptcp::{ResetReason, Subtype};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::text::{End, Hex, Time, hex32};
use crate::model::{
    CheckTally, Close, JoinSeen, OptionTally, PriorityChange, Subflow, SubflowTotals, TcpChecksums,
};
use crate::report::word;

/// An array of subflows, each of which is turned into text before the next one is looked at.
pub(super) struct Subflows<'a>(pub(super) &'a [Subflow]);

impl Serialize for Subflows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(SubflowView::new))
    }
}

#[derive(Serialize)]
struct SubflowView<'a> {
    id: u32,
    tcp_stream: u64,
    kind: &'static str,
    grouping: &'static str,
    initiator: Option<&'static str>,
    client: End,
    server: End,
    client_address_id: Option<u8>,
    server_address_id: Option<u8>,
    backup: bool,
    priority_changes: Vec<PriorityView>,
    established: bool,
    hmac: Option<HmacView>,
    join: Option<JoinView>,
    interface: u32,
    packets: u64,
    duplicate_packets: u64,
    packets_with_option: u64,
    first_frame: u64,
    last_frame: u64,
    first_at: Time,
    duration_ns: i64,
    syn_rtt_ns: Option<i64>,
    close: CloseView,
    to_server: TotalsView<'a>,
    to_client: TotalsView<'a>,
}

impl<'a> SubflowView<'a> {
    fn new(subflow: &'a Subflow) -> Self {
        SubflowView {
            id: subflow.id,
            tcp_stream: subflow.tcp_stream,
            kind: word::subflow_kind(subflow.kind),
            grouping: word::grouping(subflow.grouping),
            initiator: subflow.initiator.map(word::side),
            client: End(subflow.client),
            server: End(subflow.server),
            client_address_id: subflow.client_address_id.map(|id| id.0),
            server_address_id: subflow.server_address_id.map(|id| id.0),
            backup: subflow.backup,
            priority_changes: subflow
                .priority_changes
                .iter()
                .map(PriorityView::new)
                .collect(),
            established: subflow.established,
            hmac: subflow.join.as_ref().map(HmacView::new),
            join: subflow.join.as_ref().map(JoinView::new),
            interface: subflow.interface,
            packets: subflow.packets,
            duplicate_packets: subflow.duplicate_packets,
            packets_with_option: subflow.packets_with_option,
            first_frame: subflow.first_frame,
            last_frame: subflow.last_frame,
            first_at: Time(subflow.first_at),
            duration_ns: subflow.last_at.since(subflow.first_at),
            syn_rtt_ns: subflow.syn_rtt_ns,
            close: CloseView::new(subflow.close),
            to_server: TotalsView::new(&subflow.totals.to_server),
            to_client: TotalsView::new(&subflow.totals.to_client),
        }
    }
}

#[derive(Serialize)]
struct PriorityView {
    frame: u64,
    sender: &'static str,
    backup: bool,
}

impl PriorityView {
    fn new(change: &PriorityChange) -> Self {
        PriorityView {
            frame: change.frame,
            sender: word::side(change.sender),
            backup: change.backup,
        }
    }
}

#[derive(Serialize)]
struct HmacView {
    syn_ack: &'static str,
    syn_ack_why: Option<&'static str>,
    ack: &'static str,
    ack_why: Option<&'static str>,
}

impl HmacView {
    fn new(join: &JoinSeen) -> Self {
        HmacView {
            syn_ack: word::check(join.syn_ack_hmac),
            syn_ack_why: word::why(join.syn_ack_hmac),
            ack: word::check(join.ack_hmac),
            ack_why: word::why(join.ack_hmac),
        }
    }
}

#[derive(Serialize)]
struct JoinView {
    token: Option<Hex<8>>,
    token_check: &'static str,
    token_check_why: Option<&'static str>,
    syn_frame: Option<u64>,
    syn_ack_frame: Option<u64>,
    ack_frame: Option<u64>,
    syns: u64,
}

impl JoinView {
    fn new(join: &JoinSeen) -> Self {
        JoinView {
            token: join.token.map(|token| hex32(token.0)),
            token_check: word::check(join.token_check),
            token_check_why: word::why(join.token_check),
            syn_frame: join.syn_frame,
            syn_ack_frame: join.syn_ack_frame,
            ack_frame: join.ack_frame,
            syns: join.syns,
        }
    }
}

#[derive(Serialize)]
struct CloseView {
    kind: &'static str,
    by: &'static str,
    reset_reason: Option<u8>,
    reset_text: Option<&'static str>,
    frame: Option<u64>,
}

impl CloseView {
    fn new(close: Close) -> Self {
        CloseView {
            kind: word::close_kind(close.kind),
            by: word::close_side(close.by),
            reset_reason: close.reset_reason,
            reset_text: close
                .reset_reason
                .and_then(|reason| ResetReason(reason).text()),
            frame: close.frame,
        }
    }
}

#[derive(Serialize)]
struct TotalsView<'a> {
    packets: u64,
    wire_bytes: u64,
    unique_bytes: u64,
    tcp_retransmitted_bytes: u64,
    data_retransmitted_bytes: u64,
    reinjected_bytes: u64,
    spurious_bytes: u64,
    unmapped_bytes: u64,
    tcp_checksums: TcpChecksumsView<'a>,
    options: OptionsView<'a>,
}

impl<'a> TotalsView<'a> {
    fn new(totals: &'a SubflowTotals) -> Self {
        TotalsView {
            packets: totals.packets,
            wire_bytes: totals.wire_bytes,
            unique_bytes: totals.unique_bytes,
            tcp_retransmitted_bytes: totals.tcp_retransmitted_bytes,
            data_retransmitted_bytes: totals.data_retransmitted_bytes,
            reinjected_bytes: totals.reinjected_bytes,
            spurious_bytes: totals.spurious_bytes,
            unmapped_bytes: totals.unmapped_bytes,
            tcp_checksums: TcpChecksumsView::new(&totals.tcp_checksums),
            options: OptionsView::new(&totals.options),
        }
    }
}

#[derive(Serialize)]
struct TcpChecksumsView<'a> {
    ok: u64,
    bad: u64,
    offloaded: u64,
    unverifiable: u64,
    unchecked: u64,
    bad_frames: &'a [u64],
}

impl<'a> TcpChecksumsView<'a> {
    fn new(checksums: &'a TcpChecksums) -> Self {
        TcpChecksumsView {
            ok: checksums.ok,
            bad: checksums.bad,
            offloaded: checksums.offloaded,
            unverifiable: checksums.unverifiable,
            unchecked: checksums.unchecked,
            bad_frames: &checksums.bad_frames,
        }
    }
}

/// Options seen: by the RFC's name of the subtype, or its number when it has none.
#[derive(Serialize)]
struct OptionsView<'a> {
    by_subtype: SubtypeCounts<'a>,
    malformed: &'a u64,
    data_ack4: &'a u64,
    data_ack8: &'a u64,
}

impl<'a> OptionsView<'a> {
    fn new(tally: &'a OptionTally) -> Self {
        OptionsView {
            by_subtype: SubtypeCounts(&tally.by_subtype),
            malformed: &tally.malformed,
            data_ack4: &tally.data_ack4,
            data_ack8: &tally.data_ack8,
        }
    }
}

/// The counts that are not zero, by name.
struct SubtypeCounts<'a>(&'a [u64; 16]);

impl Serialize for SubtypeCounts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for subtype in BY_NAME {
            let count = self.0.get(usize::from(subtype)).copied().unwrap_or(0);
            if count == 0 {
                continue;
            }
            match Subtype(subtype).name() {
                Some(name) => map.serialize_entry(name, &count)?,
                None => map.serialize_entry(&format!("{subtype:#x}"), &count)?,
            }
        }
        map.end()
    }
}

#[derive(Serialize)]
pub(super) struct CheckTallyView {
    ok: u64,
    bad: u64,
    unverifiable: u64,
}

impl CheckTallyView {
    pub(super) fn new(tally: CheckTally) -> Self {
        CheckTallyView {
            ok: tally.ok,
            bad: tally.bad,
            unverifiable: tally.unverifiable,
        }
    }
}

/// Subtypes in the order of their names, so that documents can be compared.
const BY_NAME: [u8; 16] = [9, 10, 11, 12, 13, 14, 3, 2, 0, 15, 6, 7, 1, 5, 8, 4];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn subtypes_come_in_the_order_of_their_names() {
        let name = |subtype: u8| match Subtype(subtype).name() {
            Some(name) => name.to_owned(),
            None => format!("{subtype:#x}"),
        };
        let sorted: BTreeMap<String, u8> = (0..16).map(|n| (name(n), n)).collect();
        assert_eq!(sorted.into_values().collect::<Vec<_>>(), BY_NAME);
    }
}
