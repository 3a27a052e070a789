//! Capture files to TCP segments.
//!
//! [`Captures`] opens files, finds out container and compression, merges several by time, and
//! decodes every packet down to the TCP segment in it. What is wrong with a file or a packet is
//! never an error: it stands in the file's summary or in the packet's [`Content`].

mod batch;
mod byte_order;
mod decode;
mod file;
mod input;
mod merge;
mod pcap;
mod pcapng;
mod record;
mod reorder;
mod window;
mod zstd;

pub(crate) use batch::Batch;
pub use decode::{Content, IcmpError};
pub use input::{Input, OpenError};
pub use pcapng::Comments;

use crate::model::{CaptureSummary, Interface, Timestamp};

use decode::{Decoder, Envelope};
use file::CaptureFile;
use merge::{Merge, Merged};
use record::Record;
use reorder::Reorder;

/// Capture files that are being read, merged by time.
pub struct Captures {
    merge: Merge,
    reorder: Reorder,
    /// Whether packets take the way through `reorder`; from the first interleaved file on.
    reordering: bool,
    decoder: Decoder,
    /// Undecoded packets per file.
    undecoded: Vec<u64>,
}

/// A packet, borrowed until the next one is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Number of the packet, from 1: in a file as Wireshark counts, in several as `mergecap` orders.
    pub frame: u64,
    /// When it was captured.
    pub at: Timestamp,
    /// Which input it is of.
    pub file: u16,
    /// Its interface, an index into [`Captures::interfaces`].
    pub interface: u32,
    /// Link type of the interface; 65535 when the file does not describe it.
    pub link_type: u16,
    /// Length on the wire, in bytes.
    pub original_len: u32,
    /// The captured bytes.
    pub bytes: &'a [u8],
    /// Comments that the capture has on the packet.
    pub comments: Comments<'a>,
    /// What is in it.
    pub content: Content<'a>,
}

impl Captures {
    /// Opens all inputs and looks at their beginnings.
    pub fn open(inputs: &[Input]) -> Result<Self, OpenError> {
        Ok(Self::of(Merge::open(inputs)?))
    }

    /// Reads one capture from `source`, under the name `name`.
    pub fn from_reader(
        name: &str,
        source: impl std::io::Read + Send + 'static,
    ) -> Result<Self, OpenError> {
        Ok(Self::of(Merge::from_reader(name, source)?))
    }

    fn of(merge: Merge) -> Self {
        let files = merge.files().len();
        Self {
            merge,
            reorder: Reorder::default(),
            reordering: false,
            decoder: Decoder::new(files),
            undecoded: vec![0; files],
        }
    }

    /// The next packet; `None` at the end of all inputs. How each of them ended stands in its
    /// summary, see [`Captures::finish`].
    pub fn next_packet(&mut self) -> Option<Packet<'_>> {
        if !self.reordering {
            let merged = self.merge.next_record()?;
            if !merged.interleaved {
                return self.deliver_merged(&merged);
            }
            self.reordering = true;
            self.hold(&merged);
        }
        self.next_reordered()
    }

    /// Shows what is in the next packets to `each`, at least in one, until that says `false` or more
    /// has to be read; `false` at the end of all inputs.
    #[inline]
    pub(crate) fn read_some(&mut self, mut each: impl FnMut(&Content<'_>) -> bool) -> bool {
        let Some(first) = self.next_content() else {
            return false;
        };
        if each(&first) && !self.reordering {
            let (decoder, undecoded) = (&mut self.decoder, &mut self.undecoded);
            self.merge.read_at_hand(|merged, record, data| {
                let whence = (merged.frame, merged.file, merged.interface);
                // Shown where it is made: to copy what has just been written in parts takes long.
                each(&content(decoder, undecoded, whence, record, data))
            });
        }
        true
    }

    /// What is in the next packet, and nothing else of it: see [`Captures::next_packet`].
    fn next_content(&mut self) -> Option<Content<'_>> {
        if self.reordering {
            return self.next_reordered().map(|packet| packet.content);
        }
        let merged = self.merge.next_record()?;
        if merged.interleaved {
            self.reordering = true;
            self.hold(&merged);
            return self.next_reordered().map(|packet| packet.content);
        }
        let file = self.merge.files().get(usize::from(merged.file))?;
        let whence = (merged.frame, merged.file, merged.interface);
        Some(content(
            &mut self.decoder,
            &mut self.undecoded,
            whence,
            file.record(),
            file.data(),
        ))
    }

    #[cold]
    fn next_reordered(&mut self) -> Option<Packet<'_>> {
        while !self.reorder.is_ready() {
            match self.merge.next_record() {
                Some(merged) => self.hold(&merged),
                None => break,
            }
        }
        if !self.reorder.release() {
            return None;
        }
        let held = self.reorder.current()?;
        let whence = (held.frame, held.file, held.interface);
        let bytes = (held.data(), held.options());
        Some(deliver(
            &mut self.decoder,
            &mut self.undecoded,
            whence,
            &held.record,
            bytes,
        ))
    }

    fn hold(&mut self, merged: &Merged) {
        let Some(file) = self.merge.files().get(usize::from(merged.file)) else {
            return;
        };
        let whence = (merged.frame, merged.file, merged.interface);
        self.reorder
            .push(whence, *file.record(), file.data(), file.options());
    }

    #[inline]
    fn deliver_merged(&mut self, merged: &Merged) -> Option<Packet<'_>> {
        let file = self.merge.files().get(usize::from(merged.file))?;
        let whence = (merged.frame, merged.file, merged.interface);
        Some(deliver(
            &mut self.decoder,
            &mut self.undecoded,
            whence,
            file.record(),
            (file.data(), file.options()),
        ))
    }

    /// What is known about each input, in the order they were given.
    pub fn finish(self) -> Vec<CaptureSummary> {
        let incomplete = self.decoder.finish();
        let mut summaries = self.merge.into_summaries();
        for (index, summary) in summaries.iter_mut().enumerate() {
            summary.undecoded_packets = self.undecoded.get(index).copied().unwrap_or(0);
            summary.incomplete_fragments = incomplete.get(index).copied().unwrap_or(0);
        }
        summaries
    }

    /// Bytes read from the inputs so far, for progress; compressed ones of compressed files.
    pub fn bytes_read(&self) -> u64 {
        self.merge.files().iter().map(CaptureFile::bytes_read).sum()
    }

    /// Size of all inputs in bytes, if all are known.
    pub fn bytes_total(&self) -> Option<u64> {
        self.merge
            .files()
            .iter()
            .map(CaptureFile::bytes_total)
            .sum()
    }

    /// The interfaces of all inputs that packets were seen of, in the order that the numbers in
    /// [`Packet::interface`] tell, each with the input it is of.
    pub fn interfaces(&self) -> impl Iterator<Item = (u16, &Interface)> {
        self.merge.interfaces()
    }

    /// One of them.
    pub fn interface(&self, index: u32) -> Option<(u16, &Interface)> {
        self.merge.interface(index)
    }
}

/// Decodes a packet.
fn deliver<'a>(
    decoder: &'a mut Decoder,
    undecoded: &mut [u64],
    whence: (u64, u16, u32),
    record: &Record,
    (data, options): (&'a [u8], &'a [u8]),
) -> Packet<'a> {
    let (frame, file, interface) = whence;
    Packet {
        frame,
        at: record.at,
        file,
        interface,
        link_type: record.link_type.unwrap_or(u16::MAX),
        original_len: record.original_len,
        bytes: data,
        comments: Comments::new(record.order, options),
        content: content(decoder, undecoded, whence, record, data),
    }
}

/// Decodes what is in a packet, and counts what could not be decoded.
#[inline]
fn content<'a>(
    decoder: &'a mut Decoder,
    undecoded: &mut [u64],
    (frame, file, interface): (u64, u16, u32),
    record: &Record,
    data: &'a [u8],
) -> Content<'a> {
    let envelope = Envelope {
        frame,
        at: record.at,
        file,
        interface,
        original_len: record.original_len,
        outbound: record.outbound,
    };
    let content = match record.link_type {
        Some(link_type) => decoder.decode(&envelope, link_type, data),
        None => Content::Undecoded("no interface block describes the packet's interface"),
    };
    if let Content::Undecoded(_) = content
        && let Some(count) = undecoded.get_mut(usize::from(file))
    {
        *count += 1;
    }
    content
}
