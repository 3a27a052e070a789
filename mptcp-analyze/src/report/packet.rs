//! `packets` in text: a line for each packet.

use std::fmt::Write as _;
use std::io::{self, Write};

use mptcp_cli::style::{self, paint};
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{Dss, MptcpOption};
use mptcp_proto::wire::tcp_option::{KIND_MPTCP, TcpOptions};

use super::word;
use crate::model::{ByteClass, Direction, PacketNote, Piece, Segment, Timestamp};

/// Writes the titles of the columns.
pub fn write_titles(out: &mut dyn Write) -> io::Result<()> {
    let titles = format!(
        "{:>6} {:>12} {:<5} > flags len [DSN:end] class | options",
        "frame", "seconds", "c.sf"
    );
    writeln!(out, "{}", paint(style::HEADING, titles))
}

/// A packet of a connection, and what the rebuilder knows of it.
#[derive(Debug, Clone, Copy)]
pub struct PacketLine<'a> {
    /// The packet.
    pub segment: &'a Segment<'a>,
    /// What its bytes are.
    pub note: &'a PacketNote,
    /// Connection that it belongs to.
    pub connection: u32,
    /// Subflow that it belongs to.
    pub subflow: u32,
    /// Version of the connection, which decides how options are read.
    pub version: Option<Version>,
    /// Time that the times in text count from.
    pub origin: Timestamp,
}

impl PacketLine<'_> {
    /// Writes the line: frame, time, connection and subflow, direction, flags, length, data, options.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let (segment, note) = (self.segment, self.note);
        let place = format!("{}.{}", self.connection, self.subflow);
        write!(
            out,
            "{:>6} {:>12} {} {} {:<4} len={}",
            segment.frame,
            seconds(segment.at.since(self.origin)),
            paint(style::NAME, format_args!("{place:<5}")),
            arrow(note.direction),
            self.flags(),
            segment.payload_len,
        )?;
        if note.duplicate {
            write!(out, " {}", paint(style::FAINT, "copy"))?;
        }
        for piece in &note.pieces {
            write!(out, " {}", describe(piece))?;
        }
        for option in self.options() {
            write!(out, " | {option}")?;
        }
        writeln!(out)
    }

    /// Control bits in tcpdump's letters; `.` is ACK.
    pub(super) fn flags(&self) -> String {
        const LETTERS: [(u8, char); 8] = [
            (0x02, 'S'),
            (0x01, 'F'),
            (0x04, 'R'),
            (0x08, 'P'),
            (0x20, 'U'),
            (0x40, 'E'),
            (0x80, 'W'),
            (0x10, '.'),
        ];
        let bits = self.segment.flags.0;
        LETTERS
            .iter()
            .filter(|(bit, _)| bits & bit != 0)
            .map(|&(_, letter)| letter)
            .collect()
    }

    /// The MPTCP options in words, with relative numbers where those are known.
    pub(super) fn options(&self) -> Vec<String> {
        let mut options = Vec::new();
        for option in TcpOptions::new(self.segment.options()) {
            match option {
                Ok(option) if option.kind == KIND_MPTCP => {
                    options.push(self.decoded(option.bytes));
                }
                Ok(_) => {}
                Err(error) => options.push(format!("malformed options: {error}")),
            }
        }
        options
    }

    fn decoded(&self, bytes: &[u8]) -> String {
        let parsed = match self.version {
            Some(version) => MptcpOption::parse(version, bytes),
            None => MptcpOption::parse_unversioned(bytes),
        };
        match parsed {
            Ok(MptcpOption::Dss(dss)) => self.relative(&dss),
            Ok(option) => option.to_string(),
            Err(error) => format!("malformed: {error}"),
        }
    }

    /// A DSS with the relative numbers of the note, or with those on the wire if there are none.
    fn relative(&self, dss: &Dss) -> String {
        let (ack, mapping) = (self.note.data_ack, self.note.mapping);
        if dss.data_ack.is_some() != ack.is_some() || dss.mapping.is_some() != mapping.is_some() {
            return dss.to_string();
        }
        let mut text = "DSS".to_owned();
        if let Some(ack) = ack {
            push(&mut text, format_args!(" ack={}", ack.dsn));
        }
        if let Some(mapping) = mapping {
            push(
                &mut text,
                format_args!(
                    " dsn={} ssn={} len={}",
                    mapping.dsn, mapping.ssn, mapping.len
                ),
            );
            if let Some(checksum) = mapping.checksum {
                push(&mut text, format_args!(" checksum={checksum:#06x}"));
            }
            if mapping.repeated {
                text.push_str(" repeated");
            }
            if mapping.len == 0 {
                text.push_str(" infinite");
            }
        }
        if dss.data_fin {
            text.push_str(" DATA_FIN");
        }
        text
    }
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("writing to a string does not fail");
}

fn describe(piece: &Piece) -> String {
    let mut text = match piece.dsn {
        Some(dsn) => {
            let end = dsn.saturating_add(i64::from(piece.len));
            format!("[{dsn}:{end}]")
        }
        None => format!("[{} bytes]", piece.len),
    };
    match piece.class {
        ByteClass::New => {}
        ByteClass::Reinjection { of_frame } => {
            push(&mut text, format_args!(" reinjection of frame {of_frame}"));
        }
        class => push(&mut text, format_args!(" {}", word::byte_class(class))),
    }
    if piece.spurious {
        text.push_str(" spurious");
    }
    text
}

fn arrow(direction: Option<Direction>) -> char {
    match direction {
        Some(Direction::ToServer) => '>',
        Some(Direction::ToClient) => '<',
        None => '?',
    }
}

/// Seconds with six decimals.
fn seconds(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let micros = nanoseconds.unsigned_abs() / 1000;
    format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}
