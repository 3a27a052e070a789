//! Puts fragmented IP packets together (RFC 791 §3.2, RFC 8200 §4.5).
//!
//! Own work because `etherparse::defrag::IpDefragPool` is, as its documentation says, not safe
//! against exhaustion, and refuses fragments that the snapshot length cut.

use std::collections::VecDeque;
use std::net::IpAddr;

use hashbrown::HashMap;

use crate::model::Timestamp;

use super::{Envelope, Piece, Transport, Wire};

/// Packets being put together at once: what Linux's default of 4 MiB holds in large packets, many
/// times over. The oldest gives way.
pub(super) const MAX_DATAGRAMS: usize = 1024;
/// Bytes that unfinished packets may hold. The oldest gives way.
pub(super) const MAX_FRAGMENT_BYTES: usize = 16 << 20;
/// Pieces of one packet: the largest packet over the smallest IPv6 MTU has 53, over IPv4's 68-byte
/// one 1366.
pub(super) const MAX_PIECES: usize = 2048;
/// Time until an unfinished packet is given up, as in Linux (`ipfrag_time`), in nanoseconds.
const MAX_AGE_NS: i64 = 30_000_000_000;
/// Time for which copies of the fragments of a finished packet are recognised. Captures on `any`
/// bring them microseconds later; identifications come back after milliseconds at the earliest.
const COPY_NS: i64 = 10_000_000;
/// Largest IP payload.
const MAX_DATAGRAM_BYTES: usize = 65_535;

/// A packet that has become whole.
pub(super) struct Whole {
    /// Addresses and facts: those of the fragment that completed it, protocol of the first.
    pub(super) transport: Transport,
    /// What is there of its payload, up to the first byte that was not captured.
    pub(super) bytes: Vec<u8>,
    /// Bytes that follow on the wire.
    pub(super) missing: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    /// IPv4 keeps protocols apart (RFC 791 §3.2), IPv6 does not (RFC 8200 §4.5).
    protocol: Option<u8>,
    /// Captures at two points hold two packets.
    interface: u32,
}

struct Datagram {
    /// Tells generations of one key apart in the queue of ages.
    serial: u64,
    file: u16,
    /// Places of the pieces, ascending, without overlap: beginning and end.
    pieces: Vec<(usize, usize)>,
    /// Bytes in all pieces.
    covered: usize,
    bytes: Vec<u8>,
    /// First byte that no capture has, though its fragment came.
    hole: usize,
    /// Length of the payload, known from the last piece.
    len: Option<usize>,
    protocol: Option<u8>,
    began: Timestamp,
    /// When it became whole.
    finished: Option<Timestamp>,
}

/// What adding a piece to a packet did.
enum Added {
    Waiting,
    Whole,
    /// It contradicts what is there.
    Refused,
}

/// Packets that are being put together, in a bounded amount of memory.
pub(super) struct Fragments {
    datagrams: HashMap<Key, Datagram>,
    /// Keys with serials, oldest first.
    ages: VecDeque<(Key, u64)>,
    serial: u64,
    held_bytes: usize,
    /// Fragments per file that led to nothing.
    incomplete: Vec<u64>,
}

impl Fragments {
    /// An empty store for `files` files.
    pub(super) fn new(files: usize) -> Self {
        Self {
            datagrams: HashMap::new(),
            ages: VecDeque::new(),
            serial: 0,
            held_bytes: 0,
            incomplete: vec![0; files],
        }
    }

    /// Takes a fragment in; returns the packet when it was the last piece missing.
    pub(super) fn add(
        &mut self,
        envelope: &Envelope,
        piece: &Piece,
        wire: Wire<'_>,
    ) -> Option<Whole> {
        let source = piece.transport.source;
        let key = Key {
            source,
            destination: piece.transport.destination,
            id: piece.id,
            protocol: source.is_ipv4().then_some(piece.transport.protocol),
            interface: envelope.interface,
        };
        self.forget_old(envelope.at, &key);
        if !self.datagrams.contains_key(&key) {
            self.begin(key, envelope);
        }
        let datagram = self.datagrams.get_mut(&key)?;
        if datagram.finished.is_some() {
            return None;
        }
        let before = datagram.bytes.len();
        let added = datagram.add(piece, wire);
        self.held_bytes += datagram.bytes.len() - before;
        match added {
            Added::Waiting => {
                self.make_room();
                None
            }
            Added::Refused => {
                self.count_incomplete(envelope.file, 1);
                self.drop_datagram(&key);
                None
            }
            Added::Whole => {
                let mut whole = datagram.take(piece.transport);
                datagram.finished = Some(envelope.at);
                self.held_bytes -= whole.bytes.len();
                let len = whole.bytes.len() + whole.missing;
                whole.bytes.truncate(datagram.hole.min(len));
                whole.missing = len - whole.bytes.len();
                Some(whole)
            }
        }
    }

    fn begin(&mut self, key: Key, envelope: &Envelope) {
        if self.datagrams.len() >= MAX_DATAGRAMS {
            self.drop_oldest();
        }
        // Packets that went before their time leave their entry behind.
        if self.ages.len() >= 2 * MAX_DATAGRAMS {
            let datagrams = &self.datagrams;
            self.ages
                .retain(|(key, serial)| datagrams.get(key).is_some_and(|d| d.serial == *serial));
        }
        self.serial += 1;
        self.ages.push_back((key, self.serial));
        self.datagrams.insert(
            key,
            Datagram {
                serial: self.serial,
                file: envelope.file,
                pieces: Vec::new(),
                covered: 0,
                bytes: Vec::new(),
                hole: usize::MAX,
                len: None,
                protocol: None,
                began: envelope.at,
                finished: None,
            },
        );
    }

    /// Drops what is too old, and a finished packet of the same key that is no longer fresh.
    fn forget_old(&mut self, now: Timestamp, key: &Key) {
        while let Some((oldest, serial)) = self.ages.front() {
            let fresh = self.datagrams.get(oldest).is_some_and(|datagram| {
                datagram.serial == *serial && now.since(datagram.began) <= MAX_AGE_NS
            });
            if fresh {
                break;
            }
            self.drop_oldest();
        }
        let reused = self.datagrams.get(key).is_some_and(|datagram| {
            let since = |at: Timestamp| now.since(at).saturating_abs();
            datagram.finished.is_some_and(|at| since(at) > COPY_NS)
                || since(datagram.began) > MAX_AGE_NS
        });
        if reused {
            self.drop_datagram(key);
        }
    }

    fn make_room(&mut self) {
        while self.held_bytes > MAX_FRAGMENT_BYTES && !self.ages.is_empty() {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((key, serial)) = self.ages.pop_front()
            && self.datagrams.get(&key).is_some_and(|d| d.serial == serial)
        {
            self.drop_datagram(&key);
        }
    }

    fn drop_datagram(&mut self, key: &Key) {
        if let Some(datagram) = self.datagrams.remove(key) {
            self.held_bytes -= datagram.bytes.len();
            if datagram.finished.is_none() {
                self.count_incomplete(datagram.file, datagram.pieces.len() as u64);
            }
        }
    }

    fn count_incomplete(&mut self, file: u16, fragments: u64) {
        if let Some(count) = self.incomplete.get_mut(usize::from(file)) {
            *count += fragments;
        }
    }

    /// Fragments, per file, of packets that never became whole.
    pub(super) fn finish(mut self) -> Vec<u64> {
        while !self.ages.is_empty() {
            self.drop_oldest();
        }
        self.incomplete
    }

    /// Packets and bytes held.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize, usize) {
        (self.datagrams.len(), self.ages.len(), self.held_bytes)
    }
}

impl Datagram {
    fn add(&mut self, piece: &Piece, wire: Wire<'_>) -> Added {
        let begin = piece.offset;
        let end = begin.saturating_add(wire.wire_len());
        let odd = piece.more && !wire.wire_len().is_multiple_of(8);
        if end > MAX_DATAGRAM_BYTES || end == begin || odd || self.pieces.len() >= MAX_PIECES {
            return Added::Refused;
        }
        let place = self.pieces.partition_point(|(_, there)| *there <= begin);
        if let Some((from, to)) = self.pieces.get(place) {
            // A copy is harmless. Fragments that overlap otherwise are an attack: the whole packet
            // goes, as RFC 5722 §3 demands for IPv6 and Linux does for both.
            if *from <= begin && end <= *to {
                return Added::Waiting;
            }
            if *from < end {
                return Added::Refused;
            }
        }
        let too_long = self.len.is_some_and(|len| end > len);
        let last = self.pieces.last().map_or(0, |(_, to)| *to);
        if too_long || (!piece.more && (self.len.is_some() || last > end)) {
            return Added::Refused;
        }
        if !piece.more {
            self.len = Some(end);
        }
        if begin == 0 {
            self.protocol = Some(piece.transport.protocol);
        }
        self.pieces.insert(place, (begin, end));
        self.store(begin, wire);
        self.covered += end - begin;
        match self.len {
            Some(len) if self.covered == len => Added::Whole,
            _ => Added::Waiting,
        }
    }

    fn store(&mut self, begin: usize, wire: Wire<'_>) {
        let captured_end = begin + wire.bytes.len();
        if self.bytes.len() < captured_end {
            self.bytes.resize(captured_end, 0);
        }
        if let Some(target) = self.bytes.get_mut(begin..captured_end) {
            target.copy_from_slice(wire.bytes);
        }
        if wire.missing > 0 {
            self.hole = self.hole.min(captured_end);
        }
    }

    /// The payload, with the holes still in it.
    fn take(&mut self, transport: Transport) -> Whole {
        let bytes = std::mem::take(&mut self.bytes);
        Whole {
            missing: self.len.unwrap_or(0).saturating_sub(bytes.len()),
            transport: Transport {
                protocol: self.protocol.unwrap_or(transport.protocol),
                ..transport
            },
            bytes,
        }
    }
}
