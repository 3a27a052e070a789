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

use std::io::Write;

use jiff::Timestamp as Instant;
use mptcp_cli::json::{Stream, write_document};
use serde::{Serialize, Serializer};

use self::capture::{CaptureView, LimitView};
use self::connection::ConnectionView;
use self::finding::{CheckDocument, ExplanationView, FindingView};
use self::packet::PacketView;
pub(crate) use self::stream::StreamReport;
use self::stream::{ExtractDocument, StreamDocument};
use crate::check::Explanation;
use crate::model::{Analysis, Connection, PerDirection, PerSide, Timestamp};
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
pub fn write_connections(
    out: &mut dyn Write,
    analysis: &Analysis,
    connections: &[&Connection],
    detail: Detail,
) -> serde_json::Result<()> {
    let connections = Connections {
        connections,
        detail,
    };
    let findings = analysis.findings.iter().map(FindingView::new).collect();
    write_document(
        out,
        SCHEMA,
        ListDocument {
            file: FileView::new(analysis),
            connections,
            findings,
        },
    )
}

/// Document of `check`: the findings of the file and of these of its connections.
pub fn write_findings(
    out: &mut dyn Write,
    analysis: &Analysis,
    connections: &[&Connection],
) -> serde_json::Result<()> {
    write_document(out, SCHEMA, CheckDocument::new(analysis, connections))
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
    analysis: &Analysis,
) -> serde_json::Result<Stream<'a>> {
    Stream::begin(out, SCHEMA, FileView::new(analysis), "packets")
}

/// Writes the next element of the array of `packets`.
pub fn write_packet(stream: &mut Stream<'_>, line: &PacketLine<'_>) -> serde_json::Result<()> {
    stream.element(&PacketView::new(line))
}

/// Document of `follow`.
pub(crate) fn write_stream(
    out: &mut dyn Write,
    analysis: &Analysis,
    report: &StreamReport,
) -> serde_json::Result<()> {
    write_document(out, SCHEMA, StreamDocument::new(analysis, report))
}

/// Document of `extract`: that `packets` of `connection` are in `file`.
pub(crate) fn write_extraction(
    out: &mut dyn Write,
    analysis: &Analysis,
    connection: u32,
    file: &str,
    packets: u64,
) -> serde_json::Result<()> {
    let document = ExtractDocument::new(analysis, connection, file, packets);
    write_document(out, SCHEMA, document)
}

#[derive(Serialize)]
struct ListDocument<'a> {
    #[serde(flatten)]
    file: FileView<'a>,
    connections: Connections<'a>,
    findings: Vec<FindingView<'a>>,
}

/// An array of connections, each of which is turned into text before the next one is looked at.
struct Connections<'a> {
    connections: &'a [&'a Connection],
    detail: Detail,
}

impl Serialize for Connections<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let views = self.connections.iter();
        serializer.collect_seq(views.map(|c| ConnectionView::new(c, self.detail)))
    }
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
    fn new(analysis: &'a Analysis) -> Self {
        FileView {
            captures: analysis.captures.iter().map(CaptureView::new).collect(),
            tcp_streams: analysis.tcp_streams,
            plain_tcp_streams: analysis.plain_tcp_streams,
            limits: analysis.limits.iter().map(LimitView::new).collect(),
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

/// RFC 3339 in UTC with as many decimals as needed; `None` outside the years -9999 to 9999, which
/// 64 bits of nanoseconds cannot reach.
fn time(at: Timestamp) -> Option<String> {
    Instant::from_nanosecond(i128::from(at.0))
        .ok()
        .map(|instant| instant.to_string())
}

fn hex64(number: u64) -> String {
    format!("{number:#018x}")
}

fn hex32(number: u32) -> String {
    format!("{number:#010x}")
}
