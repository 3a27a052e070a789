//! A connection in JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::event::EventView;
use super::finding::FindingView;
use super::subflow::{CheckTallyView, Subflows};
use super::text::{Hex, Time, hex32, hex64};
use super::{Detail, DirectionView, SideView};
use crate::model::{Address, CapableSeen, Connection, DirectionTotals, Fallback};
use crate::report::word;

#[derive(Serialize)]
pub(super) struct ConnectionView<'a> {
    id: u32,
    version: Option<u8>,
    grouping: &'static str,
    checksum: Option<bool>,
    tokens: SideView<Option<Hex<8>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<SideView<Option<String>>>,
    idsns: SideView<Option<Hex<16>>>,
    state: &'static str,
    fallback: Option<FallbackView<'a>>,
    first_frame: u64,
    last_frame: u64,
    first_at: Time,
    duration_ns: i64,
    handshake: HandshakeView,
    checks: ChecksView,
    subflows: Subflows<'a>,
    to_server: TotalsView<'a>,
    to_client: TotalsView<'a>,
    addresses: Vec<AddressView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventView>>,
    findings: Vec<FindingView<'a>>,
}

impl<'a> ConnectionView<'a> {
    pub(super) fn new(connection: &'a Connection, detail: Detail) -> Self {
        let keys = &connection.keys;
        ConnectionView {
            id: connection.id,
            version: connection.version,
            grouping: word::grouping(connection.grouping),
            checksum: connection.checksum,
            tokens: SideView::new(&connection.tokens, |token| token.map(|t| hex32(t.0))),
            keys: detail
                .keys
                .then(|| SideView::new(keys, |key| key.map(|k| format!("0x{}", k.to_hex())))),
            idsns: SideView::new(&connection.idsns, |idsn| idsn.map(|d| hex64(d.0))),
            state: word::state(connection.state),
            fallback: connection.fallback.as_ref().map(FallbackView::new),
            first_frame: connection.first_frame,
            last_frame: connection.last_frame,
            first_at: Time(connection.first_at),
            duration_ns: connection.last_at.since(connection.first_at),
            handshake: HandshakeView::new(&connection.capable),
            checks: ChecksView::new(connection),
            subflows: Subflows(&connection.subflows),
            to_server: TotalsView::new(&connection.totals.to_server, detail),
            to_client: TotalsView::new(&connection.totals.to_client, detail),
            addresses: connection.addresses.iter().map(AddressView::new).collect(),
            events: detail.show.then(|| EventView::all(connection)),
            findings: connection.findings.iter().map(FindingView::new).collect(),
        }
    }
}

#[derive(Serialize)]
struct FallbackView<'a> {
    reason: &'static str,
    frame: u64,
    by: &'static str,
    confidence: &'static str,
    text: &'a str,
}

impl<'a> FallbackView<'a> {
    fn new(fallback: &'a Fallback) -> Self {
        FallbackView {
            reason: word::fallback_reason(fallback.reason),
            frame: fallback.frame,
            by: word::blame(fallback.by),
            confidence: word::confidence(fallback.confidence),
            text: &fallback.text,
        }
    }
}

#[derive(Serialize)]
struct HandshakeView {
    syn: Option<CapableView>,
    syn_ack: Option<CapableView>,
    ack: Option<CapableView>,
    syns: u64,
}

#[derive(Serialize)]
struct CapableView {
    frame: u64,
    version: u8,
    flags: u8,
}

impl HandshakeView {
    fn new(seen: &CapableSeen) -> Self {
        let view = |(frame, version, flags)| CapableView {
            frame,
            version,
            flags,
        };
        HandshakeView {
            syn: seen.syn.map(view),
            syn_ack: seen.syn_ack.map(view),
            ack: seen.ack.map(view),
            syns: seen.syns,
        }
    }
}

#[derive(Serialize)]
struct ChecksView {
    echoed_keys: &'static str,
    echoed_keys_why: Option<&'static str>,
    idsn: DirectionView<&'static str>,
    idsn_why: DirectionView<Option<&'static str>>,
    fast_close_key: Option<&'static str>,
    fast_close_key_why: Option<&'static str>,
    fail_dsn: Option<&'static str>,
    fail_dsn_why: Option<&'static str>,
}

impl ChecksView {
    fn new(connection: &Connection) -> Self {
        ChecksView {
            echoed_keys: word::check(connection.echoed_keys),
            echoed_keys_why: word::why(connection.echoed_keys),
            idsn: DirectionView::new(&connection.idsn_check, |check| word::check(*check)),
            idsn_why: DirectionView::new(&connection.idsn_check, |check| word::why(*check)),
            fast_close_key: connection.fast_close_key.map(word::check),
            fast_close_key_why: connection.fast_close_key.and_then(word::why),
            fail_dsn: connection.fail_dsn.map(word::check),
            fail_dsn_why: connection.fail_dsn.and_then(word::why),
        }
    }
}

#[derive(Serialize)]
struct TotalsView<'a> {
    unique_bytes: u64,
    wire_bytes: u64,
    reinjected_bytes: u64,
    data_retransmitted_bytes: u64,
    spurious_bytes: u64,
    missing_bytes: u64,
    holes: Vec<HoleView>,
    mappings: u64,
    mapping_options: u64,
    checksums: CheckTallyView,
    bad_checksum_frames: &'a [u64],
    bad_checksum_dsns: &'a [i64],
    data_fin: bool,
    data_fin_at: Option<i64>,
    first_dsn: Option<i64>,
    end_dsn: Option<i64>,
    base: Option<Hex<16>>,
    base_is_idsn: bool,
    data_acked: Option<i64>,
    goodput_bps: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_sha256: Option<StreamDigest>,
}

impl<'a> TotalsView<'a> {
    fn new(totals: &'a DirectionTotals, detail: Detail) -> Self {
        TotalsView {
            unique_bytes: totals.unique_bytes,
            wire_bytes: totals.wire_bytes,
            reinjected_bytes: totals.reinjected_bytes,
            data_retransmitted_bytes: totals.data_retransmitted_bytes,
            spurious_bytes: totals.spurious_bytes,
            missing_bytes: totals.missing_bytes,
            holes: totals
                .holes
                .iter()
                .map(|&(first, end)| HoleView { first, end })
                .collect(),
            mappings: totals.mappings,
            mapping_options: totals.mapping_options,
            checksums: CheckTallyView::new(totals.checksums),
            bad_checksum_frames: &totals.bad_checksum_frames,
            bad_checksum_dsns: &totals.bad_checksum_dsns,
            data_fin: totals.data_fin,
            data_fin_at: totals.data_fin_at,
            first_dsn: totals.range.map(|(first, _)| first),
            end_dsn: totals.range.map(|(_, end)| end),
            base: totals.base.map(|base| hex64(base.0)),
            base_is_idsn: totals.base_is_idsn,
            data_acked: totals.data_acked,
            goodput_bps: crate::report::goodput_bps(totals),
            stream_sha256: detail
                .show
                .then(|| StreamDigest(totals.stream_sha256.as_ref().map(digest))),
        }
    }
}

/// Bytes that the capture lacks: relative DSN of the first and one past the last.
#[derive(Serialize)]
struct HoleView {
    first: i64,
    end: i64,
}

/// Hash of a whole data stream; `null` when the stream has holes.
#[derive(Serialize)]
struct StreamDigest(Option<String>);

/// The hash in hexadecimal.
pub(super) fn digest(bytes: &[u8; 32]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a string does not fail");
            hex
        })
}

#[derive(Serialize)]
struct AddressView<'a> {
    owner: &'static str,
    id: u8,
    address: String,
    port: Option<u16>,
    hmac: &'static str,
    hmac_why: Option<&'static str>,
    advertised_frame: u64,
    advertised_count: u64,
    echo_frame: Option<u64>,
    removed_frame: Option<u64>,
    used_by: &'a [u32],
}

impl<'a> AddressView<'a> {
    fn new(address: &'a Address) -> Self {
        AddressView {
            owner: word::side(address.owner),
            id: address.id.0,
            address: address.address.to_string(),
            port: address.port,
            hmac: word::check(address.hmac),
            hmac_why: word::why(address.hmac),
            advertised_frame: address.advertised_frame,
            advertised_count: address.advertised_count,
            echo_frame: address.echo_frame,
            removed_frame: address.removed_frame,
            used_by: &address.used_by,
        }
    }
}
