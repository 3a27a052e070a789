//! A packet in JSON.

use serde::Serialize;

use super::text::{End, Time};
use crate::model::{ByteClass, DataAckSeen, MappingSeen, Piece};
use crate::report::packet::PacketLine;
use crate::report::word;

/// One element of the `packets` array.
#[derive(Serialize)]
pub(super) struct PacketView {
    frame: u64,
    at: Time,
    tcp_stream: u64,
    connection: u32,
    subflow: u32,
    direction: Option<&'static str>,
    source: End,
    destination: End,
    flags: String,
    len: u32,
    ssn: Option<u64>,
    duplicate: bool,
    data_ack: Option<DataAckView>,
    mapping: Option<MappingView>,
    pieces: Vec<PieceView>,
    options: Vec<String>,
}

impl PacketView {
    pub(super) fn new(line: &PacketLine<'_>) -> Self {
        let (segment, note) = (line.segment, line.note);
        PacketView {
            frame: segment.frame,
            at: Time(segment.at),
            tcp_stream: note.tcp_stream,
            connection: line.connection,
            subflow: line.subflow,
            direction: note.direction.map(word::direction),
            source: End(segment.source),
            destination: End(segment.destination),
            flags: line.flags(),
            len: segment.payload_len,
            ssn: note.ssn,
            duplicate: note.duplicate,
            data_ack: note.data_ack.map(DataAckView::new),
            mapping: note.mapping.map(MappingView::new),
            pieces: note.pieces.iter().map(PieceView::new).collect(),
            options: line.options(),
        }
    }
}

#[derive(Serialize)]
struct DataAckView {
    dsn: i64,
    long: bool,
}

impl DataAckView {
    fn new(ack: DataAckSeen) -> Self {
        DataAckView {
            dsn: ack.dsn,
            long: ack.long,
        }
    }
}

#[derive(Serialize)]
struct MappingView {
    dsn: i64,
    ssn: u32,
    len: u16,
    checksum: Option<String>,
    repeated: bool,
    data_fin: bool,
}

impl MappingView {
    fn new(mapping: MappingSeen) -> Self {
        MappingView {
            dsn: mapping.dsn,
            ssn: mapping.ssn,
            len: mapping.len,
            checksum: mapping.checksum.map(|checksum| format!("{checksum:#06x}")),
            repeated: mapping.repeated,
            data_fin: mapping.data_fin,
        }
    }
}

#[derive(Serialize)]
struct PieceView {
    offset: u32,
    len: u32,
    dsn: Option<i64>,
    class: &'static str,
    of_frame: Option<u64>,
    spurious: bool,
}

impl PieceView {
    fn new(piece: &Piece) -> Self {
        let of_frame = match piece.class {
            ByteClass::Reinjection { of_frame } => Some(of_frame),
            _ => None,
        };
        PieceView {
            offset: piece.offset,
            len: piece.len,
            dsn: piece.dsn,
            class: word::byte_class(piece.class),
            of_frame,
            spurious: piece.spurious,
        }
    }
}
