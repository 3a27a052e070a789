//! What `follow` and `extract` have to say about the bytes that they write.

use serde::Serialize;

use super::FileView;
use super::connection::digest;
use crate::model::Overview;

/// What `follow` learnt of a stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamReport {
    /// Number of the connection.
    pub connection: u32,
    /// Host that the stream goes to.
    pub to: &'static str,
    /// File that has the bytes, if there is one.
    pub file: Option<String>,
    /// Bytes that the capture has.
    pub bytes: u64,
    /// Hash of the stream, if it has no holes.
    pub sha256: Option<[u8; 32]>,
    /// Bytes missing.
    pub missing_bytes: u64,
    /// How many holes there are.
    pub hole_count: u64,
    /// The first of them: relative DSN and length.
    pub holes: Vec<(i64, u64)>,
}

/// Document of `follow`.
#[derive(Serialize)]
pub(super) struct StreamDocument<'a> {
    #[serde(flatten)]
    captures: FileView<'a>,
    connection: u32,
    to: &'static str,
    file: Option<&'a str>,
    bytes: u64,
    stream_sha256: Option<String>,
    missing_bytes: u64,
    hole_count: u64,
    holes: Vec<StreamHole>,
}

#[derive(Serialize)]
struct StreamHole {
    dsn: i64,
    len: u64,
}

impl<'a> StreamDocument<'a> {
    pub(super) fn new(overview: &'a Overview, report: &'a StreamReport) -> Self {
        let hole = |&(dsn, len): &(i64, u64)| StreamHole { dsn, len };
        StreamDocument {
            captures: FileView::new(overview),
            connection: report.connection,
            to: report.to,
            file: report.file.as_deref(),
            bytes: report.bytes,
            stream_sha256: report.sha256.as_ref().map(digest),
            missing_bytes: report.missing_bytes,
            hole_count: report.hole_count,
            holes: report.holes.iter().map(hole).collect(),
        }
    }
}

/// Document of `extract`.
#[derive(Serialize)]
pub(super) struct ExtractDocument<'a> {
    #[serde(flatten)]
    captures: FileView<'a>,
    connection: u32,
    file: &'a str,
    packets: u64,
}

impl<'a> ExtractDocument<'a> {
    pub(super) fn new(
        overview: &'a Overview,
        connection: u32,
        file: &'a str,
        packets: u64,
    ) -> Self {
        ExtractDocument {
            captures: FileView::new(overview),
            connection,
            file,
            packets,
        }
    }
}
