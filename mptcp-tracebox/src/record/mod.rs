//! A run as a pcapng file: each packet that was sent or received, why, and what was found in it.
//!
//! ```text
//! section     mptcp-tracebox/1 target=192.0.2.7:443 epoch=1795180615798454321 tier=raw host=example.net
//! interface   link type RAW: packets begin with their IP headers
//! packet out  #17 flow=0 probe=mpc1 role=ladder ttl=3 attempt=0
//! packet in   for #17
//!             MP_CAPABLE removed
//! statistics  ended=complete foreign_resets=0
//! ```
//!
//! Only the section's comment, those of packets that were sent and that of the statistics are read again: what
//! came back is judged anew.

mod block;
mod comment;
mod read;

use std::io::{self, Write};

use mptcp_proto::pcapng::{EnhancedPacket, InterfaceDescription, PcapNgWriter, SectionHeader};
use mptcp_proto::time::Instant;

pub use self::comment::CommentError;
pub use self::read::{PacketError, ReadError, Recorded, read, reanalyze};
use crate::evidence::{Evidence, Purpose, SentId};
use crate::run::{Extent, Run};

/// Writes the file of a run while it is under way.
#[derive(Debug)]
pub struct Recorder<W: Write> {
    writer: PcapNgWriter<W>,
    run: Run,
    sent: usize,
    received: u64,
    /// When the last packet was written.
    last: Instant,
}

impl<W: Write> Recorder<W> {
    /// Begins the file.
    ///
    /// # Errors
    /// Those of `out`, as all methods have them.
    pub fn begin(out: W, run: &Run) -> io::Result<Self> {
        let section = SectionHeader {
            application: Some(APPLICATION),
            comment: Some(&comment::of_run(run)),
        };
        let mut writer = PcapNgWriter::begin(out, &section)?;
        writer.interface(&InterfaceDescription {
            link_type: LINKTYPE_RAW,
            name: None,
            description: None,
        })?;
        Ok(Self {
            writer,
            run: run.clone(),
            sent: 0,
            received: 0,
            last: Instant::ZERO,
        })
    }

    /// A packet is sent.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn sent(&mut self, at: Instant, purpose: &Purpose, bytes: &[u8]) -> io::Result<()> {
        let number = self.sent;
        self.sent += 1;
        let comment = format!("#{number} {}", comment::of_purpose(purpose));
        self.packet(at, true, bytes, &[comment])
    }

    /// A packet came; `id` is what [`Evidence::note_received`] said of it. So many packets are kept as
    /// [`read`] takes: a flood neither fills the disk nor makes the file worthless.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn received(
        &mut self,
        at: Instant,
        bytes: &[u8],
        evidence: &Evidence,
        id: Option<SentId>,
    ) -> io::Result<()> {
        if self.received >= MAX_RECEIVED {
            return Ok(());
        }
        self.received += 1;
        let comments = match id {
            Some(id) => comment::of_answer(evidence, id),
            None => vec!["for no packet of this run".to_owned()],
        };
        self.packet(at, false, bytes, &comments)
    }

    /// The run is over, and came so far.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn ended(&mut self, extent: Extent) -> io::Result<()> {
        let at_ns = self.run.wall_ns(self.last);
        self.writer.remark(0, at_ns, &comment::of_extent(extent))
    }

    fn packet(
        &mut self,
        at: Instant,
        is_sent: bool,
        bytes: &[u8],
        comments: &[String],
    ) -> io::Result<()> {
        self.last = at;
        self.writer.packet(&EnhancedPacket {
            interface: 0,
            at_ns: self.run.wall_ns(at),
            original_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            bytes,
            outbound: Some(is_sent),
            comments,
        })
    }

    /// Ends the file and gives back where it is written to.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn into_inner(self) -> io::Result<W> {
        self.writer.into_inner()
    }

    /// Makes sure that the file has all of it.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

const APPLICATION: &str = concat!("mptcp-tracebox ", env!("CARGO_PKG_VERSION"));
/// Packets that came and are kept: all answers that the evidence of a run has room for.
const MAX_RECEIVED: u64 = 65_536 * 8;
/// Packets from the IP header on.
const LINKTYPE_RAW: u16 = 101;

#[cfg(test)]
mod tests;
