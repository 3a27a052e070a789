//! The JSON documents of schema `mptcp-analyze/1`, described field by field in
//! `docs/json/mptcp-analyze-1.md`. Fields are only ever added.
//!
//! Numbers that do not fit into 53 bits are strings: `"0x…"` for keys, tokens and sequence numbers,
//! RFC 3339 for times.

mod capture;
mod connection;
mod event;
mod finding;
mod packet;
mod stream;
mod subflow;
mod text;

use std::borrow::Borrow;
use std::io::Write;

use mptcp_cli::json::{Elements, Lines, Stream, write_document};
use serde::Serialize;

use self::capture::{CaptureView, LimitView};
use self::connection::ConnectionView;
use self::finding::{ExplanationView, FindingView, LocatedFinding};
use self::packet::PacketView;
pub(crate) use self::stream::StreamReport;
use self::stream::{ExtractDocument, StreamDocument};
use crate::check::Explanation;
use crate::model::{Connection, Finding, Overview, PerDirection, PerSide};
use crate::report::packet::PacketLine;

/// Name of the schema.
pub const SCHEMA: &str = "mptcp-analyze/1";

/// What a document holds beside the fields that it always has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Detail {
    /// The keys of the connections.
    pub keys: bool,
    /// What only `show` has: events, and the hash of the data streams.
    pub show: bool,
}

/// Document of `list` and `show`: the file and these of its connections.
pub fn write_connections<C: Borrow<Connection>>(
    out: &mut dyn Write,
    overview: &Overview,
    connections: impl IntoIterator<Item = C>,
    detail: Detail,
) -> serde_json::Result<()> {
    let mut lines = Lines::begin(out, SCHEMA, FileView::new(overview))?;
    let mut array = lines.begin_array("connections")?;
    for connection in connections {
        let mut elements = Elements::default();
        push_connection(&mut elements, connection.borrow(), detail)?;
        array.extend(&elements)?;
    }
    array.end();
    end_connections(lines, overview)
}

/// Begins a document with what is known of the whole; an array follows.
pub(crate) fn begin<'a>(
    out: &'a mut dyn Write,
    overview: &Overview,
) -> serde_json::Result<Lines<'a>> {
    Lines::begin(out, SCHEMA, FileView::new(overview))
}

/// Adds a connection to the array.
pub(crate) fn push_connection(
    elements: &mut Elements,
    connection: &Connection,
    detail: Detail,
) -> serde_json::Result<()> {
    elements.push(&ConnectionView::new(connection, detail))
}

/// Ends the document of `list` and `show`.
pub(crate) fn end_connections(mut lines: Lines<'_>, overview: &Overview) -> serde_json::Result<()> {
    let findings: Vec<FindingView<'_>> = overview.findings.iter().map(FindingView::new).collect();
    lines.field("findings", &findings)?;
    lines.end()
}

/// Document of `check`: the findings of the file and of these of its connections.
pub fn write_findings<C: Borrow<Connection>>(
    out: &mut dyn Write,
    overview: &Overview,
    connections: impl IntoIterator<Item = C>,
) -> serde_json::Result<()> {
    let mut lines = Lines::begin(out, SCHEMA, FileView::new(overview))?;
    let mut array = lines.begin_array("findings")?;
    let mut elements = Elements::default();
    push_findings(&mut elements, None, &overview.findings)?;
    array.extend(&elements)?;
    for connection in connections {
        let connection = connection.borrow();
        let mut elements = Elements::default();
        push_findings(&mut elements, Some(connection.id), &connection.findings)?;
        array.extend(&elements)?;
    }
    array.end();
    lines.end()
}

/// Adds findings, those of a connection or of the file, to the array of the document of `check`.
pub(crate) fn push_findings(
    elements: &mut Elements,
    connection: Option<u32>,
    findings: &[Finding],
) -> serde_json::Result<()> {
    for finding in findings {
        elements.push(&LocatedFinding::new(connection, finding))?;
    }
    Ok(())
}

/// Document of `explain`.
pub fn write_explanations(
    out: &mut dyn Write,
    explanations: &[&Explanation],
) -> serde_json::Result<()> {
    let explanations = explanations
        .iter()
        .map(|e| ExplanationView::new(e))
        .collect();
    write_document(out, SCHEMA, ExplainDocument { explanations })
}

/// Begins the document of `packets`, whose array grows with every packet.
pub fn begin_packets<'a>(
    out: &'a mut dyn Write,
    overview: &Overview,
) -> serde_json::Result<Stream<'a>> {
    Stream::begin(out, SCHEMA, FileView::new(overview), "packets")
}

/// Writes the next element of the array of `packets`.
pub fn write_packet(stream: &mut Stream<'_>, line: &PacketLine<'_>) -> serde_json::Result<()> {
    stream.element(&PacketView::new(line))
}

/// Document of `follow`.
pub(crate) fn write_stream(
    out: &mut dyn Write,
    overview: &Overview,
    report: &StreamReport,
) -> serde_json::Result<()> {
    write_document(out, SCHEMA, StreamDocument::new(overview, report))
}

/// Document of `extract`: that `packets` of `connection` are in `file`.
pub(crate) fn write_extraction(
    out: &mut dyn Write,
    overview: &Overview,
    connection: u32,
    file: &str,
    packets: u64,
) -> serde_json::Result<()> {
    let document = ExtractDocument::new(overview, connection, file, packets);
    write_document(out, SCHEMA, document)
}

#[derive(Serialize)]
struct ExplainDocument {
    explanations: Vec<ExplanationView>,
}

/// The fields that every document about captures begins with.
#[derive(Serialize)]
struct FileView<'a> {
    captures: Vec<CaptureView<'a>>,
    tcp_streams: u64,
    plain_tcp_streams: u64,
    limits: Vec<LimitView>,
}

impl<'a> FileView<'a> {
    fn new(overview: &'a Overview) -> Self {
        FileView {
            captures: overview.captures.iter().map(CaptureView::new).collect(),
            tcp_streams: overview.tcp_streams,
            plain_tcp_streams: overview.plain_tcp_streams,
            limits: overview.limits.iter().map(LimitView::new).collect(),
        }
    }
}

#[derive(Serialize)]
struct SideView<T> {
    client: T,
    server: T,
}

impl<T> SideView<T> {
    fn new<S>(sides: &PerSide<S>, view: impl Fn(&S) -> T) -> Self {
        SideView {
            client: view(&sides.client),
            server: view(&sides.server),
        }
    }
}

#[derive(Serialize)]
struct DirectionView<T> {
    to_server: T,
    to_client: T,
}

impl<T> DirectionView<T> {
    fn new<S>(directions: &PerDirection<S>, view: impl Fn(&S) -> T) -> Self {
        DirectionView {
            to_server: view(&directions.to_server),
            to_client: view(&directions.to_client),
        }
    }
}
