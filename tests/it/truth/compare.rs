//! The rules by which a reference reading and ours must agree.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mptcp_analyze::model::{
    Analysis, CheckResult, Connection, Direction, EventKind, Side, Subflow, SubflowTotals,
};

use mptcp_proto::key::Key;

use super::Differences;
use super::partition::{self, Subflows};
use super::reference::{RefConnection, RefDirection, RefEvent, RefFlow, RefFrame, Reference};

type Matching<'a> = BTreeMap<u64, (&'a Connection, &'a Subflow)>;

/// Notes everything in which ours is not what the reference says.
pub(crate) fn compare(ours: &Analysis, theirs: &Reference, differences: &mut Differences) {
    file(ours, theirs, differences);
    let subflows = Subflows::of(ours);
    let matching = subflows.matching(&theirs.connections, differences);
    let holders = partition::connections(&theirs.connections, &matching, differences);
    for (number, (connection, holder)) in theirs.connections.iter().zip(&holders).enumerate() {
        let Some(holder) = holder else { continue };
        let shares = holders
            .iter()
            .flatten()
            .filter(|h| h.id == holder.id)
            .count();
        names(number, holder, connection, differences);
        for flow in &connection.flow_details {
            if let Some((_, subflow)) = matching.get(&flow.flow) {
                subflow_counts(number, subflow, flow, differences);
                join(number, subflow, flow, differences);
            }
        }
        if shares == 1 {
            if connection.flows_count.is_none() {
                data(number, holder, connection, &matching, differences);
            } else {
                let flows = holder.subflows.len() as u64;
                differences.same("subflows", Some(flows), connection.flows_count);
            }
        }
    }
    events(ours, &theirs.events, differences);
}

fn file(ours: &Analysis, theirs: &Reference, differences: &mut Differences) {
    let capture = &ours.captures[0];
    differences.same("packets", capture.packets, theirs.packets);
    differences.same("truncated", capture.truncated_packets, theirs.truncated);
    let mut link_types: Vec<u16> = theirs
        .link_types
        .keys()
        .map(|k| k.parse().unwrap())
        .collect();
    link_types.sort_unstable();
    differences.same("link types", capture.link_types.clone(), link_types);
    differences.same("TCP streams", ours.tcp_streams, theirs.tcp_flows);
    differences.same("plain streams", ours.plain_tcp_streams, theirs.plain_flows);
    let malformed: u64 = ours
        .connections
        .iter()
        .flat_map(|c| &c.subflows)
        .flat_map(|s| [&s.totals.to_server, &s.totals.to_client])
        .map(|totals| totals.options.malformed)
        .sum();
    differences.same("malformed options", malformed, theirs.malformed_options);
}

/// Version, keys and what is derived from them.
fn names(number: usize, ours: &Connection, theirs: &RefConnection, differences: &mut Differences) {
    let what = |field: &str| format!("connection {number}: {field}");
    if theirs.is_named() && theirs.version.is_some() {
        differences.same(&what("version"), ours.version, theirs.version);
    }
    for (side, index) in [(Side::Client, 0), (Side::Server, 1)] {
        if !theirs.is_named() {
            continue;
        }
        let key = ours.keys.of(side).map(Key::to_hex);
        differences.same(&what("key"), key, theirs.keys[index].clone());
        let idsn = ours.idsns.of(side).map(|dsn| format!("{:016x}", dsn.0));
        differences.same(&what("IDSN"), idsn, theirs.idsn[index].clone());
        let token = ours.tokens.of(side).map(|token| format!("{:08x}", token.0));
        // A join names the token of a host whose key was never seen; the reference keeps it apart.
        if theirs.tokens[index].is_some() || token != theirs.token_of_unknown {
            differences.same(&what("token"), token, theirs.tokens[index].clone());
        }
    }
    let unknown = ours
        .token_of_unknown
        .map(|token| format!("{:08x}", token.0));
    if theirs.is_named() {
        differences.same(
            &what("unknown token"),
            unknown,
            theirs.token_of_unknown.clone(),
        );
    }
    let Some(capable) = &theirs.capable else {
        return;
    };
    // RFC 8684 §3.1: one host that asks for checksums is enough, and one that was not heard may
    // be the one; so without both answers "no" is not known.
    if capable.syn.is_some() && capable.synack.is_some() {
        differences.same(&what("checksum"), ours.checksum, theirs.checksum);
    }
    let frame = |seen: &Option<RefFrame>| seen.as_ref().map(|seen| seen.frame);
    let seen = &ours.capable;
    differences.same(&what("SYN"), seen.syn.map(|s| s.0), frame(&capable.syn));
    differences.same(
        &what("SYN/ACK"),
        seen.syn_ack.map(|s| s.0),
        frame(&capable.synack),
    );
    differences.same(
        &what("third ACK"),
        seen.ack.map(|s| s.0),
        frame(&capable.ack),
    );
}

/// Our direction in which the reference's flow goes from client to server.
fn direction(ours: &Subflow, theirs: &RefFlow, index: usize) -> Direction {
    let forward = ours.client == theirs.client.into();
    match (forward, index) {
        (true, 0) | (false, 1) => Direction::ToServer,
        _ => Direction::ToClient,
    }
}

fn subflow_counts(number: usize, ours: &Subflow, theirs: &RefFlow, differences: &mut Differences) {
    let what = |field: &str| format!("connection {number}, flow {}: {field}", theirs.flow);
    let packets = ours.packets;
    differences.same(&what("packets"), packets, theirs.packets);
    let with_option = ours.packets_with_option;
    differences.same(
        &what("with option"),
        with_option,
        theirs.packets_with_option_30,
    );
    if theirs.syn > 0 {
        let opener = match theirs.opened_by_connection_server {
            Some(true) => Side::Server,
            _ => Side::Client,
        };
        differences.same(&what("initiator"), ours.initiator, Some(opener));
        let client = if opener == Side::Client {
            ours.client
        } else {
            ours.server
        };
        differences.same(&what("client"), client, theirs.client.into());
    }
    for index in [0, 1] {
        let totals = ours.totals.of(direction(ours, theirs, index));
        options(
            &what(DIRECTIONS[index]),
            totals,
            &theirs.subtypes[index],
            differences,
        );
        if let Some(unmapped) = &theirs.unmapped_bytes[index] {
            let name = what(&format!("{} unmapped bytes", DIRECTIONS[index]));
            differences.same(&name, totals.unmapped_bytes, unmapped.bytes);
        }
        let distinct = totals.wire_bytes - totals.tcp_retransmitted_bytes;
        let name = what(&format!("{} payload bytes", DIRECTIONS[index]));
        differences.same(&name, distinct, theirs.payload_bytes_unique[index]);
    }
}

fn options(
    what: &str,
    ours: &SubflowTotals,
    theirs: &BTreeMap<String, u64>,
    differences: &mut Differences,
) {
    let of = |name: &str| theirs.get(name).copied().unwrap_or(0);
    for (subtype, &count) in ours.options.by_subtype.iter().enumerate() {
        let name = format!("{what} options of subtype {subtype}");
        differences.same(&name, count, of(&subtype.to_string()));
    }
    let short = ours.options.data_ack4;
    differences.same(&format!("{what} short DATA_ACKs"), short, of("dack4"));
    let long = ours.options.data_ack8;
    differences.same(&format!("{what} long DATA_ACKs"), long, of("dack8"));
}

fn join(number: usize, ours: &Subflow, theirs: &RefFlow, differences: &mut Differences) {
    let what = |field: &str| format!("connection {number}, flow {}: {field}", theirs.flow);
    differences.same(&what("joined"), ours.join.is_some(), theirs.joined);
    let (Some(ours_join), Some(join)) = (&ours.join, &theirs.join) else {
        return;
    };
    let frame = |seen: &Option<RefFrame>| seen.as_ref().map(|seen| seen.frame);
    differences.same(&what("join SYN"), ours_join.syn_frame, frame(&join.syn));
    differences.same(
        &what("join SYN/ACK"),
        ours_join.syn_ack_frame,
        frame(&join.synack),
    );
    differences.same(&what("join ACK"), ours_join.ack_frame, frame(&join.ack));
    let steps = [
        ("SYN/ACK HMAC", ours_join.syn_ack_hmac, &join.synack),
        ("ACK HMAC", ours_join.ack_hmac, &join.ack),
    ];
    for (name, ours, theirs) in steps {
        let holds = match ours {
            CheckResult::Ok => Some(true),
            CheckResult::Bad => Some(false),
            CheckResult::Unverifiable(_) => None,
        };
        differences.same(
            &what(name),
            holds,
            theirs.as_ref().and_then(|seen| seen.hmac_ok),
        );
    }
    let id = |seen: &Option<RefFrame>| seen.as_ref().and_then(|seen| seen.id);
    let ours_id = ours.client_address_id.map(|id| id.0);
    if theirs.opened_by_connection_server != Some(true) && join.syn.is_some() {
        differences.same(&what("client's address id"), ours_id, id(&join.syn));
        let ours_id = ours.server_address_id.map(|id| id.0);
        differences.same(&what("server's address id"), ours_id, id(&join.synack));
        let backup = join.syn.as_ref().and_then(|syn| syn.backup);
        differences.same(&what("backup"), Some(ours.backup), backup);
    }
}

/// Bytes and mappings of both directions of a connection.
fn data(
    number: usize,
    ours: &Connection,
    theirs: &RefConnection,
    matching: &Matching<'_>,
    differences: &mut Differences,
) {
    for index in [0, 1] {
        let direction = [Direction::ToServer, Direction::ToClient][index];
        let what = |field: &str| format!("connection {number}, {}: {field}", DIRECTIONS[index]);
        let (totals, reference) = (ours.totals.of(direction), &theirs.dirs[index]);
        let options = totals.mapping_options;
        differences.same(&what("mapping options"), options, reference.mapping_options);
        differences.same(
            &what("mappings"),
            totals.mappings,
            reference.distinct_mappings,
        );
        differences.same(
            &what("right checksums"),
            totals.checksums.ok,
            reference.checksum_good,
        );
        let bad = reference.bad_checksums.len() as u64;
        differences.same(&what("bad checksums"), totals.checksums.bad, bad);
        let data_fin = reference.data_fin || reference.data_fin_rel.is_some();
        differences.same(&what("DATA_FIN"), totals.data_fin, data_fin);
        if let (Some(last), Some(end)) = (reference.data_fin_rel, reference.end_rel_dsn) {
            // RFC 8684 §3.3.3: a DATA_FIN has the number after the last byte. The reference tells
            // the last one seen; neohapsis-challenge numbers nine of them one after another.
            let at = totals.data_fin_at.filter(|at| (end..=last).contains(at));
            differences.same(&what("DATA_FIN in its place"), at.is_some(), true);
        }
        let captured = mapped_payload(theirs, index);
        bytes(
            &what("bytes"),
            ours,
            direction,
            reference,
            captured,
            differences,
        );
        first_senders(
            &what("first sender"),
            direction,
            reference,
            captured,
            matching,
            differences,
        );
        // Without a key both count from the first DSN that they see, which need not be the same.
        if let Some(expected) = &reference.stream_sha256 {
            let hash = totals.stream_sha256.map(|hash| hex(&hash));
            differences.same(&what("SHA-256"), hash.as_ref(), Some(expected));
        }
        if reference.end_rel_dsn.is_some() && reference.stream_sha256.is_some() {
            let end = totals.range.map(|range| range.1);
            differences.same(&what("end of data"), end, reference.end_rel_dsn);
        }
    }
}

/// Distinct payload bytes on the wire that some mapping covers.
fn mapped_payload(theirs: &RefConnection, index: usize) -> Option<u64> {
    theirs
        .flow_details
        .iter()
        .map(|flow| {
            let index = match flow.opened_by_connection_server {
                Some(true) => 1 - index,
                _ => index,
            };
            let unmapped = flow.unmapped_bytes[index]
                .as_ref()
                .map(|unmapped| unmapped.bytes);
            match unmapped {
                Some(unmapped) => {
                    let payload = flow.payload_bytes_unique[index] - flow.syn_data[index];
                    Some(payload - unmapped)
                }
                // Without a SYN the reference does not know; no payload has no unmapped bytes.
                None => (flow.payload_bytes_unique[index] == 0).then_some(0),
            }
        })
        .sum()
}

/// How much the reference's ranges exceed the payload that the capture has for them.
fn surplus(theirs: &RefDirection, captured: u64) -> u64 {
    let claimed =
        theirs.unique_mapped_bytes + theirs.reinjected_bytes + theirs.same_flow_remapped_bytes;
    claimed.saturating_sub(captured)
}

/// Byte classes. Each mapped payload byte with a new SSN is new data, a data retransmission or a
/// reinjection. What the reference counts beyond is range without payload: of these bytes another
/// flow's copy may be the first one seen, so the classes may differ by as much.
fn bytes(
    what: &str,
    ours: &Connection,
    direction: Direction,
    theirs: &RefDirection,
    captured: Option<u64>,
    differences: &mut Differences,
) {
    let Some(captured) = captured else { return };
    let totals = ours.totals.of(direction);
    let classed = totals.unique_bytes + totals.reinjected_bytes + totals.data_retransmitted_bytes;
    differences.same(&format!("{what} with a mapping"), classed, captured);
    let whole = theirs.stream_sha256.is_some();
    let surplus = if whole { 0 } else { surplus(theirs, captured) };
    let (unique, reinjected) = (theirs.unique_mapped_bytes, theirs.reinjected_bytes);
    let least = unique.saturating_sub(surplus);
    differences.within(
        &format!("{what}, unique"),
        totals.unique_bytes,
        least,
        unique,
    );
    let least = reinjected.saturating_sub(surplus);
    let ours = totals.reinjected_bytes;
    differences.within(&format!("{what}, reinjected"), ours, least, reinjected);
}

/// Who sent a byte first is beyond doubt for all bytes that one flow alone sent. Where several
/// did, the reference goes by the place of the *mapping* in the *file*: not by that of the payload
/// (a v0 mapping stands in the first segment only, and another flow may overtake the later ones:
/// mptcpanalyzer-client_2, connection 1), and not by time (blocks of two interfaces lie out of
/// order in two-subflows-ipv6). DESIGN.md §3 goes by who sent the byte.
fn first_senders(
    what: &str,
    direction: Direction,
    theirs: &RefDirection,
    captured: Option<u64>,
    matching: &Matching<'_>,
    differences: &mut Differences,
) {
    let Some(captured) = captured else { return };
    let whole = theirs.stream_sha256.is_some();
    let surplus = if whole { 0 } else { surplus(theirs, captured) };
    for (flow, &bytes) in &theirs.bytes_by_flow_first_sender {
        let Some((_, subflow)) = matching.get(flow) else {
            continue;
        };
        let ours = subflow.totals.of(direction).unique_bytes;
        let open = surplus + theirs.reinjected_bytes;
        let least = bytes.saturating_sub(open);
        differences.within(&format!("{what} flow {flow}"), ours, least, bytes + open);
    }
}

/// ADD_ADDR, REMOVE_ADDR and MP_FASTCLOSE, frame by frame.
fn events(ours: &Analysis, theirs: &[RefEvent], differences: &mut Differences) {
    let mut seen: Vec<String> = Vec::new();
    for event in ours
        .connections
        .iter()
        .flat_map(|connection| &connection.events)
    {
        let what = match &event.kind {
            EventKind::AddAddr { id, echo, .. } => format!("ADD_ADDR {} {echo}", id.0),
            EventKind::RemoveAddr { id } => format!("REMOVE_ADDR {}", id.0),
            EventKind::FastClose { .. } => "MP_FASTCLOSE".to_owned(),
            _ => continue,
        };
        seen.push(format!("{} {what}", event.frame));
    }
    let mut expected: Vec<String> = Vec::new();
    for event in theirs {
        let frame = event.frame;
        match event.what.as_str() {
            "ADD_ADDR" => {
                let echo = event.echo.unwrap_or(false);
                expected.push(format!("{frame} ADD_ADDR {} {echo}", event.id.unwrap()));
                address_is_known(ours, event, differences);
            }
            "REMOVE_ADDR" => {
                for id in event.ids.iter().flatten() {
                    expected.push(format!("{frame} REMOVE_ADDR {id}"));
                }
            }
            "MP_FASTCLOSE" => expected.push(format!("{frame} MP_FASTCLOSE")),
            _ => {}
        }
    }
    seen.sort();
    expected.sort();
    differences.same("address and close events", seen, expected);
}

fn address_is_known(ours: &Analysis, event: &RefEvent, differences: &mut Differences) {
    let known = ours
        .connections
        .iter()
        .flat_map(|c| &c.addresses)
        .any(|address| {
            Some(address.address) == event.addr
                && address.port == event.port
                && Some(address.id.0) == event.id
        });
    // An echo of what was never announced makes no address known.
    if !known && event.echo != Some(true) {
        differences.note(format!("address of frame {}: not among ours", event.frame));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}

const DIRECTIONS: [&str; 2] = ["to server", "to client"];
