//! Several files as one stream of records, in the order of `mergecap`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Read;

use crate::model::{CaptureSummary, Interface, Timestamp};

use super::file::CaptureFile;
use super::input::{self, Input, OpenError};
use super::record::Record;

/// Inputs read at once: each needs a file descriptor, of which 1024 are usual, and a window.
pub(super) const MAX_INPUTS: usize = 1000;

/// The place of a record in the merged stream. The record is the one that its file read last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Merged {
    /// Number of the packet, from 1.
    pub(super) frame: u64,
    /// Which file it is of.
    pub(super) file: u16,
    /// Its interface among all files.
    pub(super) interface: u32,
    /// Whether its file may be out of time order.
    pub(super) interleaved: bool,
}

/// The files, and the next record of each.
pub(super) struct Merge {
    files: Vec<CaptureFile>,
    /// The next record of each file, by time, then by the order in which the files were given.
    heads: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// Files whose next record is not known, because the last one was still in use.
    behind: Vec<usize>,
    frames: u64,
    /// Interfaces of all files: file, and index in it.
    interfaces: Vec<(u16, u32)>,
    /// Number of each file's interfaces in that table.
    numbers: Vec<Vec<u32>>,
}

impl Merge {
    /// Opens all inputs.
    pub(super) fn open(inputs: &[Input]) -> Result<Self, OpenError> {
        if inputs.len() > MAX_INPUTS {
            return Err(OpenError::TooMany {
                given: inputs.len(),
                limit: MAX_INPUTS,
            });
        }
        let files: Result<_, _> = inputs.iter().map(CaptureFile::open).collect();
        Ok(Self::of(files?))
    }

    /// One input that is no file.
    pub(super) fn from_reader(
        name: &str,
        source: impl Read + Send + 'static,
    ) -> Result<Self, OpenError> {
        let file = name.to_owned();
        let opened =
            input::open_reader(source, None).map_err(|source| OpenError::Io { file, source })?;
        Ok(Self::of(vec![CaptureFile::recognise(
            name.to_owned(),
            opened,
        )?]))
    }

    fn of(files: Vec<CaptureFile>) -> Self {
        Self {
            heads: BinaryHeap::new(),
            behind: (0..files.len()).collect(),
            frames: 0,
            interfaces: Vec::new(),
            numbers: vec![Vec::new(); files.len()],
            files,
        }
    }

    /// The files.
    pub(super) fn files(&self) -> &[CaptureFile] {
        &self.files
    }

    /// Goes on to the next record of all files; the one before is gone then.
    #[inline]
    pub(super) fn next_record(&mut self) -> Option<Merged> {
        let index = match self.files.as_mut_slice() {
            [file] => file.advance().then_some(0)?,
            _ => self.earliest()?,
        };
        self.frames += 1;
        let file = self.files.get(index)?;
        let interleaved = file.is_interleaved();
        let file_interface = file.record().interface as usize;
        let known = self.numbers.get(index).map_or(0, Vec::len);
        if known < file.interface_count() {
            self.number_interfaces(index);
        }
        let numbers = self.numbers.get(index)?;
        Some(Merged {
            frame: self.frames,
            file: u16::try_from(index).unwrap_or(u16::MAX),
            interface: *numbers.get(file_interface)?,
            interleaved,
        })
    }

    /// Reads on in the only file as long as its records are at hand, and shows each to `each` with its
    /// bytes, until that says `false`. To be called when a record was read, and is not needed any more.
    #[inline]
    pub(super) fn read_at_hand(&mut self, mut each: impl FnMut(&Merged, &Record, &[u8]) -> bool) {
        let [file] = self.files.as_mut_slice() else {
            return;
        };
        // A pcap file has one interface.
        let Some(&interface) = self.numbers.first().and_then(|numbers| numbers.first()) else {
            return;
        };
        let frames = &mut self.frames;
        file.read_at_hand(|record, bytes| {
            *frames += 1;
            let merged = Merged {
                frame: *frames,
                file: 0,
                interface,
                interleaved: false,
            };
            each(&merged, record, bytes)
        });
    }

    /// The file whose record is the next one.
    #[inline(never)]
    fn earliest(&mut self) -> Option<usize> {
        while let Some(index) = self.behind.pop() {
            if let Some(file) = self.files.get_mut(index)
                && file.advance()
            {
                self.heads.push(Reverse((file.record().at, index)));
            }
        }
        let Reverse((_, index)) = self.heads.pop()?;
        self.behind.push(index);
        Some(index)
    }

    #[cold]
    fn number_interfaces(&mut self, index: usize) {
        let (Some(file), Some(numbers)) = (self.files.get(index), self.numbers.get_mut(index))
        else {
            return;
        };
        let file_number = u16::try_from(index).unwrap_or(u16::MAX);
        for local in numbers.len()..file.interface_count() {
            let local = u32::try_from(local).unwrap_or(u32::MAX);
            numbers.push(u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX));
            self.interfaces.push((file_number, local));
        }
    }

    /// All interfaces known so far, each with its file.
    pub(super) fn interfaces(&self) -> impl Iterator<Item = (u16, &Interface)> {
        self.interfaces.iter().filter_map(|at| self.look_up(*at))
    }

    /// One of them.
    pub(super) fn interface(&self, index: u32) -> Option<(u16, &Interface)> {
        self.look_up(*self.interfaces.get(index as usize)?)
    }

    fn look_up(&self, (file, local): (u16, u32)) -> Option<(u16, &Interface)> {
        let interface = self
            .files
            .get(usize::from(file))?
            .interface(local as usize)?;
        Some((file, interface))
    }

    /// What is known about each file.
    pub(super) fn into_summaries(self) -> Vec<CaptureSummary> {
        self.files
            .into_iter()
            .map(CaptureFile::into_summary)
            .collect()
    }
}
