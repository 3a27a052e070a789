//! The file of a run becomes its evidence again.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Read};

use super::LINKTYPE_RAW;
use super::block::{self, Blocks, MAX_BLOCK, Next};
use super::comment::{self, CommentError};
use crate::evidence::Evidence;
use crate::plan::MAX_PROBES;
use crate::probe::Probe;
use crate::run::{End, Extent, Run};
use crate::trace::Trace;
use crate::verdict::judge;

/// A run out of a file.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// What is known of it.
    pub run: Run,
    /// Its packets.
    pub evidence: Evidence,
    /// How far the run came, if the file tells.
    pub extent: Option<Extent>,
    /// The file ends in the middle of a block that begins at this byte: the run was stopped hard.
    pub cut_at: Option<u64>,
}

/// A file that cannot be read as that of a run.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It does not begin like a pcapng file.
    #[error("this is no pcapng file")]
    Format,
    /// The operating system failed.
    #[error("reading at byte {at}")]
    Io {
        /// Byte where a block begins.
        at: u64,
        /// What it says.
        source: io::Error,
    },
    /// A machine of another byte order wrote it; ours writes the lower byte first.
    #[error(
        "byte {0}: a section that begins with its higher bytes; mptcp-tracebox does not write such"
    )]
    ByteOrder(u64),
    /// The two lengths of a block do not agree, or make no sense.
    #[error("byte {0}: a block whose length is wrong")]
    Length(u64),
    /// A block ends before what it has to have.
    #[error("byte {0}: a block that is too short")]
    Short(u64),
    /// A block is larger than any that is written.
    #[error("byte {0}: a block of more than {MAX_BLOCK} bytes")]
    TooLarge(u64),
    /// The file has more packets than a run can send and receive.
    #[error("more than {MAX_PACKETS} packets")]
    TooMany,
    /// The file has more kinds of probe than a run has.
    #[error("more than {MAX_PROBES} kinds of probe")]
    TooManyProbes,
    /// The section has no comment.
    #[error("the section has no comment: mptcp-tracebox did not write this file")]
    NoRun,
    /// The comment of the section is no run.
    #[error("mptcp-tracebox did not write this file, or another version did")]
    Run(#[source] CommentError),
    /// The comment of the statistics does not say how the run ended.
    #[error("how the run ended is not understood")]
    Extent(#[source] CommentError),
    /// A second section begins: the file was put together from several.
    #[error("byte {0}: a second section begins; a file has one run")]
    Sections(u64),
    /// Packets that do not begin with their IP headers.
    #[error("byte {at}: link type {link_type}; those of a run have {LINKTYPE_RAW}")]
    LinkType {
        /// Byte where the interface is described.
        at: u64,
        /// What it has.
        link_type: u16,
    },
    /// A clock that does not count nanoseconds since 1970.
    #[error("byte {0}: the time stamps are not in nanoseconds since 1970")]
    Clock(u64),
    /// A packet.
    #[error("packet {number} at byte {at}")]
    Packet {
        /// Number, from 1.
        number: u64,
        /// Byte where its block begins.
        at: u64,
        /// What is wrong with it.
        source: PacketError,
    },
}

/// What is wrong with a packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Its interface is not described.
    #[error("interface {0} is not described")]
    Interface(u32),
    /// It is older than the run.
    #[error("it is older than the run")]
    Early,
    /// Nothing says which way it went.
    #[error("its flags do not say whether it was sent or received")]
    Direction,
    /// It is not whole.
    #[error("{missing} of its bytes are not in the file")]
    Cut {
        /// How many.
        missing: u32,
    },
    /// Its block ends before it does.
    #[error("its block is too short")]
    Short,
    /// It was sent, and nothing says why.
    #[error("no comment says why it was sent")]
    NoComment,
    /// It was sent, and the comment that says why is not understood.
    #[error(transparent)]
    Comment(#[from] CommentError),
}

/// The run of a file, judged again. The same packets give the same verdict.
///
/// # Errors
/// When the file is not that of a run.
pub fn reanalyze(file: impl Read) -> Result<(Recorded, Trace), ReadError> {
    let recorded = read(file)?;
    let trace = judge(&recorded.evidence, recorded.run.target);
    Ok((recorded, trace))
}

/// The run of a file.
///
/// # Errors
/// When the file is not that of a run.
pub fn read(file: impl Read) -> Result<Recorded, ReadError> {
    let mut blocks = Blocks::new(BufReader::new(file));
    let mut reading = Reading::default();
    let cut_at = loop {
        match blocks.next()? {
            Next::Block { at, kind } => reading.block(kind, blocks.body(), at)?,
            Next::End => break None,
            Next::Cut(at) => break Some(at),
        }
    };
    let is_complete = |extent: Extent| extent.end == End::Complete;
    if cut_at.is_some() || !reading.extent.is_none_or(is_complete) {
        reading.evidence.note_cut();
    }
    Ok(Recorded {
        run: reading.run.ok_or(ReadError::NoRun)?,
        evidence: reading.evidence,
        extent: reading.extent,
        cut_at,
    })
}

#[derive(Default)]
struct Reading {
    run: Option<Run>,
    extent: Option<Extent>,
    interfaces: u32,
    evidence: Evidence,
    packets: u64,
    probes: BTreeSet<Probe>,
}

impl Reading {
    fn block(&mut self, kind: u32, body: &[u8], at: u64) -> Result<(), ReadError> {
        match kind {
            block::SECTION_HEADER if self.run.is_some() => Err(ReadError::Sections(at)),
            block::SECTION_HEADER => self.section(body, at),
            block::INTERFACE_DESCRIPTION => self.interface(body, at),
            block::ENHANCED_PACKET => {
                self.packets += 1;
                if self.packets > MAX_PACKETS {
                    return Err(ReadError::TooMany);
                }
                self.packet(body).map_err(|source| ReadError::Packet {
                    number: self.packets,
                    at,
                    source,
                })?;
                if self.probes.len() > MAX_PROBES {
                    return Err(ReadError::TooManyProbes);
                }
                Ok(())
            }
            block::INTERFACE_STATISTICS => self.statistics(body),
            // Names and what other programs may have added.
            _ => Ok(()),
        }
    }

    /// Version and length of the section, then options; its byte order mark is read already.
    fn section(&mut self, body: &[u8], at: u64) -> Result<(), ReadError> {
        let options = body.get(12..).ok_or(ReadError::Short(at))?;
        let comment = block::comment(options).ok_or(ReadError::NoRun)?;
        self.run = Some(comment::parse_run(comment).map_err(ReadError::Run)?);
        Ok(())
    }

    /// Link type, two bytes that are reserved, the snapshot length, then options.
    fn interface(&mut self, body: &[u8], at: u64) -> Result<(), ReadError> {
        let Some((&[l0, l1, ..], options)) = body.split_first_chunk::<8>() else {
            return Err(ReadError::Short(at));
        };
        let link_type = u16::from_le_bytes([l0, l1]);
        if link_type != LINKTYPE_RAW {
            return Err(ReadError::LinkType { at, link_type });
        }
        let value = |wanted| {
            let mut options = block::options(options);
            options
                .find(|(code, _)| *code == wanted)
                .map(|(_, value)| value)
        };
        let has_offset = value(IF_TSOFFSET).is_some_and(|offset| offset != [0; 8]);
        if value(IF_TSRESOL) != Some(&[NANOSECONDS]) || has_offset {
            return Err(ReadError::Clock(at));
        }
        self.interfaces += 1;
        Ok(())
    }

    /// Interface and time, then options. Those of other programs have no such comment.
    fn statistics(&mut self, body: &[u8]) -> Result<(), ReadError> {
        let options = body.get(12..).unwrap_or_default();
        if let Some(comment) = block::comment(options) {
            self.extent = Some(comment::parse_extent(comment).map_err(ReadError::Extent)?);
        }
        Ok(())
    }

    /// Interface, time, length in the file and on the wire, the packet, then options.
    fn packet(&mut self, body: &[u8]) -> Result<(), PacketError> {
        let word = |at| block::word(body, at).ok_or(PacketError::Short);
        let interface = word(0)?;
        if interface >= self.interfaces {
            return Err(PacketError::Interface(interface));
        }
        let wall = u64::from(word(4)?) << 32 | u64::from(word(8)?);
        let run = self.run.as_ref();
        let at = run.and_then(|run| run.instant(wall));
        let at = at.ok_or(PacketError::Early)?;
        let (captured, original) = (word(12)?, word(16)?);
        let missing = original.saturating_sub(captured);
        if missing > 0 {
            return Err(PacketError::Cut { missing });
        }
        let len = usize::try_from(captured).unwrap_or(usize::MAX);
        let rest = body.get(20..).unwrap_or_default();
        let bytes = rest.get(..len).ok_or(PacketError::Short)?;
        let options = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        match direction(options) {
            Some(INBOUND) => {
                self.evidence.note_received(at, bytes);
            }
            Some(OUTBOUND) => {
                let comment = block::comment(options).ok_or(PacketError::NoComment)?;
                let purpose = comment::parse_purpose(comment)?;
                self.probes.insert(purpose.probe.clone());
                self.evidence.note_sent(at, purpose, bytes.to_vec());
            }
            _ => return Err(PacketError::Direction),
        }
        Ok(())
    }
}

fn direction(options: &[u8]) -> Option<u32> {
    let (_, flags) = block::options(options).find(|(code, _)| *code == EPB_FLAGS)?;
    Some(block::word(flags, 0)? & 3)
}

const EPB_FLAGS: u16 = 2;
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;
const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;
/// `if_tsresol`: 10^-9.
const NANOSECONDS: u8 = 9;
/// What a run can send, with all answers that are kept.
const MAX_PACKETS: u64 = 65_536 * 9;
