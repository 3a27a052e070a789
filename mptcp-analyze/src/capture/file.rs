//! One capture file: its records and what it says about itself.

use std::sync::atomic::Ordering;

use crate::model::{CaptureEnd, CaptureSummary, FileFormat, Interface, Timestamp};

use super::input::{self, Input, OpenError, Opened};
use super::pcap::{PcapFile, Variant};
use super::pcapng::PcapNgFile;
use super::record::{Next, Record};

/// Type of the first block of every pcapng file.
const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

enum Format {
    Pcap(PcapFile),
    PcapNg(PcapNgFile),
}

/// A capture file that is being read.
pub(super) struct CaptureFile {
    opened: Opened,
    format: Format,
    /// The record read last.
    current: Record,
    /// Bytes of the window that it takes.
    current_len: usize,
    /// Interface of a pcap file, which has no description of it.
    only_interface: Interface,
    summary: CaptureSummary,
    ended: bool,
}

impl CaptureFile {
    /// Opens `input` and reads its file header.
    pub(super) fn open(input: &Input) -> Result<Self, OpenError> {
        Self::recognise(input.name(), input::open(input)?)
    }

    /// Finds out the format of what was opened.
    pub(super) fn recognise(file: String, mut opened: Opened) -> Result<Self, OpenError> {
        if !opened.window.fill(4) {
            if let Some(failure) = opened.window.failure() {
                let what = failure.to_owned();
                return Err(OpenError::NotDecompressed { file, what });
            }
            let what = match opened.window.data().len() {
                0 => "it is empty".to_owned(),
                have => format!("it has {have} bytes only"),
            };
            return Err(OpenError::TooShort { file, what });
        }
        // More than the magic number is wanted only for the message.
        opened.window.fill(8);
        let begin = opened.window.data();
        let magic = begin.first_chunk().copied().unwrap_or_default();
        let format = match Variant::from_magic(magic) {
            Some(variant) => Format::Pcap(PcapFile::new(variant)),
            None if magic == SECTION_HEADER => Format::PcapNg(PcapNgFile::new()),
            None => {
                let begins_with = input::describe_begin(begin.get(..8).unwrap_or(begin));
                return Err(OpenError::NotACapture { file, begins_with });
            }
        };
        let summary = empty_summary(file, &format, &opened);
        let mut this = Self {
            opened,
            format,
            current: Record::default(),
            current_len: 0,
            only_interface: Interface::default(),
            summary,
            ended: false,
        };
        this.read_file_header();
        Ok(this)
    }

    fn read_file_header(&mut self) {
        if let Format::Pcap(pcap) = &mut self.format {
            match pcap.read_header(&mut self.opened.window) {
                Ok(()) => self.only_interface.link_type = pcap.link_type().unwrap_or(u16::MAX),
                Err(reason) => self.end(Some(reason)),
            }
        }
    }

    /// Reads the next record, [`CaptureFile::record`]; the one before is gone then. `false` at the end.
    #[inline]
    pub(super) fn advance(&mut self) -> bool {
        if self.ended {
            return false;
        }
        let window = &mut self.opened.window;
        window.consume(self.current_len);
        let (next, len) = match &mut self.format {
            Format::Pcap(pcap) => pcap.next_record(window),
            Format::PcapNg(pcapng) => pcapng.next_record(window),
        };
        self.current_len = len;
        match next {
            Next::Record(record) => {
                self.current = record;
                account(&mut self.summary, &self.current);
                true
            }
            Next::End => {
                self.end(None);
                false
            }
            Next::Cut(reason) => {
                self.end(Some(reason));
                false
            }
        }
    }

    /// Reads on as long as records are in the window, and shows each to `each` with its bytes, until
    /// that says `false`. Only a pcap file of which a record was read has any.
    #[inline]
    pub(super) fn read_at_hand(&mut self, mut each: impl FnMut(&Record, &[u8]) -> bool) {
        let Format::Pcap(pcap) = &self.format else {
            return;
        };
        if self.ended || self.summary.packets == 0 {
            return;
        }
        let window = &mut self.opened.window;
        window.consume(std::mem::take(&mut self.current_len));
        let data = window.data();
        let mut rest = data;
        while let Some((bytes, after)) = pcap.read_next(rest, &mut self.current) {
            rest = after;
            account(&mut self.summary, &self.current);
            if !each(&self.current, bytes) {
                break;
            }
        }
        let read = data.len() - rest.len();
        window.consume(read);
    }

    /// The record read last.
    #[inline]
    pub(super) fn record(&self) -> &Record {
        &self.current
    }

    /// Notes how the file ended. A failure of the decompressor or of the system says more than the
    /// half record it left.
    #[cold]
    fn end(&mut self, reason: Option<String>) {
        self.ended = true;
        let failure = self.opened.window.failure().map(str::to_owned);
        self.summary.end = match failure.or(reason) {
            None => CaptureEnd::Complete,
            Some(reason) => CaptureEnd::Cut {
                at_byte: self.opened.window.position(),
                reason,
            },
        };
    }

    /// The captured bytes of the current record.
    #[inline]
    pub(super) fn data(&self) -> &[u8] {
        let window = self.opened.window.data();
        let from = window.get(self.current.data_at..).unwrap_or_default();
        from.get(..self.current.data_len).unwrap_or_default()
    }

    /// The pcapng options of the current record.
    #[inline]
    pub(super) fn options(&self) -> &[u8] {
        let window = self.opened.window.data();
        let from = window.get(self.current.options_at..).unwrap_or_default();
        from.get(..self.current.options_len).unwrap_or_default()
    }

    /// Whether its records may be out of time order because several interfaces wrote them.
    #[inline]
    pub(super) fn is_interleaved(&self) -> bool {
        match &self.format {
            Format::Pcap(_) => false,
            Format::PcapNg(pcapng) => pcapng.is_interleaved(),
        }
    }

    /// Interfaces known so far.
    #[inline]
    pub(super) fn interface_count(&self) -> usize {
        match &self.format {
            Format::Pcap(_) => 1,
            Format::PcapNg(pcapng) => pcapng.interfaces().len(),
        }
    }

    /// One of its interfaces.
    pub(super) fn interface(&self, index: usize) -> Option<&Interface> {
        match &self.format {
            Format::Pcap(_) => (index == 0).then_some(&self.only_interface),
            Format::PcapNg(pcapng) => pcapng.interface(index),
        }
    }

    /// Bytes read from the input, compressed ones if it is.
    pub(super) fn bytes_read(&self) -> u64 {
        self.opened.bytes_read.load(Ordering::Relaxed)
    }

    /// Size of the input, if known.
    pub(super) fn bytes_total(&self) -> Option<u64> {
        self.opened.bytes_total
    }

    /// What is known about the file; before its end has been reached, about what was read of it.
    pub(super) fn into_summary(self) -> CaptureSummary {
        let mut summary = self.summary;
        summary.interfaces = match &self.format {
            Format::Pcap(_) => vec![self.only_interface],
            Format::PcapNg(pcapng) => pcapng.interfaces().cloned().collect(),
        };
        summary
    }
}

#[inline]
fn account(summary: &mut CaptureSummary, record: &Record) {
    summary.packets += 1;
    if record.data_len < record.original_len as usize {
        summary.truncated_packets += 1;
    }
    if record.timed {
        let at = record.at;
        summary.first_at = Some(summary.first_at.map_or(at, |first| first.min(at)));
        summary.last_at = Some(summary.last_at.map_or(at, |last| last.max(at)));
    }
    if let Some(link_type) = record.link_type
        && summary.link_types.first() != Some(&link_type)
        && let Err(place) = summary.link_types.binary_search(&link_type)
    {
        summary.link_types.insert(place, link_type);
    }
}

fn empty_summary(file: String, format: &Format, opened: &Opened) -> CaptureSummary {
    CaptureSummary {
        file,
        format: match format {
            Format::Pcap(_) => FileFormat::Pcap,
            Format::PcapNg(_) => FileFormat::PcapNg,
        },
        compression: opened.compression,
        packets: 0,
        link_types: Vec::new(),
        interfaces: Vec::new(),
        truncated_packets: 0,
        undecoded_packets: 0,
        incomplete_fragments: 0,
        first_at: None::<Timestamp>,
        last_at: None,
        end: CaptureEnd::Complete,
    }
}
