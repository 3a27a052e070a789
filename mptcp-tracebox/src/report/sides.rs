//! Two packets side by side: what was sent, and what is quoted of it, field by field.

use mptcp_proto::wire::tcp_option::{KIND_END_OF_LIST, KIND_NO_OPERATION, TcpOptions};

use crate::diff::OptionId;
use crate::packet::fields::{FIXED_LEN, Fields};

/// A part of both packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// What it is.
    pub name: String,
    /// Bytes that were sent.
    pub sent: Vec<u8>,
    /// Bytes that are quoted.
    pub seen: Vec<u8>,
    /// What to think of it.
    pub mark: Mark,
}

/// What to think of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// The same.
    Same,
    /// Otherwise, as it has to be on every path: TTL, and the checksum over it.
    Expected,
    /// Otherwise.
    Different,
    /// The quote ends before its end.
    NotQuoted,
}

impl Mark {
    /// A character for it.
    pub const fn sign(self) -> char {
        match self {
            Self::Same => '=',
            Self::Expected => '~',
            Self::Different => '!',
            Self::NotQuoted => '?',
        }
    }
}

/// All parts of both, in the order of the packet that was sent; none when one is no packet.
pub fn compare(sent: &[u8], seen: &[u8]) -> Option<Vec<Side>> {
    let (ours, theirs) = (Fields::parse(sent)?, Fields::parse(seen)?);
    let mut sides = Vec::new();
    let layout = if ours.ip.is_v4() { V4 } else { V6 };
    for &(name, from, to, is_expected) in layout {
        sides.push(fixed(
            name,
            (ours.ip.bytes, theirs.ip.bytes),
            (from, to),
            is_expected,
        ));
    }
    for &(name, from, to) in TCP {
        sides.push(fixed(name, (ours.tcp.0, theirs.tcp.0), (from, to), false));
    }
    let is_whole = theirs.tcp.has_all_options();
    options(
        &mut sides,
        ours.tcp.options(),
        theirs.tcp.options(),
        is_whole,
    );
    let (payload, quoted) = (ours.tcp.payload(), theirs.tcp.payload());
    if !payload.is_empty() || !quoted.is_empty() {
        sides.push(part("payload".to_owned(), payload, quoted, true));
    }
    Some(sides)
}

fn fixed(
    name: &str,
    (sent, seen): (&[u8], &[u8]),
    (from, to): (usize, usize),
    is_expected: bool,
) -> Side {
    let cut = |bytes: &[u8]| {
        let end = to.min(bytes.len());
        bytes.get(from..end).unwrap_or_default().to_vec()
    };
    let mut side = part(name.to_owned(), &cut(sent), &cut(seen), true);
    if is_expected && side.mark == Mark::Different {
        side.mark = Mark::Expected;
    }
    side
}

/// `may_be_cut` says that a quote may end before the part does.
fn part(name: String, sent: &[u8], seen: &[u8], may_be_cut: bool) -> Side {
    let mark = if sent == seen {
        Mark::Same
    } else if may_be_cut && seen.len() < sent.len() && sent.starts_with(seen) {
        Mark::NotQuoted
    } else {
        Mark::Different
    };
    Side {
        name,
        sent: sent.to_vec(),
        seen: seen.to_vec(),
        mark,
    }
}

/// Options by name: those that were sent, each beside the next one of its name, then those that were not.
fn options(sides: &mut Vec<Side>, sent: &[u8], seen: &[u8], is_whole: bool) {
    let list = |area| -> Vec<&[u8]> {
        let all = TcpOptions::new(area).map_while(Result::ok);
        let all = all.take_while(|option| option.kind != KIND_END_OF_LIST);
        all.map(|option| option.bytes).collect()
    };
    let is_filler = |bytes: &[u8]| bytes.first() == Some(&KIND_NO_OPERATION);
    let mut quoted = list(seen);
    quoted.retain(|bytes| !is_filler(bytes));
    for ours in list(sent) {
        if is_filler(ours) {
            continue;
        }
        let id = OptionId::of(ours);
        let at = quoted.iter().position(|seen| OptionId::of(seen) == id);
        let theirs = at.map(|at| quoted.remove(at)).unwrap_or_default();
        sides.push(part(id.to_string(), ours, theirs, !is_whole));
    }
    for rest in quoted {
        sides.push(part(OptionId::of(rest).to_string(), &[], rest, false));
    }
    if sent != seen {
        sides.push(part("all options".to_owned(), sent, seen, !is_whole));
    }
}

/// Name, first byte, one past the last, and whether every router changes it.
const V4: &[(&str, usize, usize, bool)] = &[
    ("version, IHL", 0, 1, false),
    ("TOS", 1, 2, false),
    ("total length", 2, 4, false),
    ("IP id", 4, 6, false),
    ("IP flags", 6, 8, false),
    ("TTL", 8, 9, true),
    ("protocol", 9, 10, false),
    ("IP checksum", 10, 12, true),
    ("source", 12, 16, false),
    ("destination", 16, 20, false),
];
const V6: &[(&str, usize, usize, bool)] = &[
    ("class, label", 0, 4, false),
    ("payload length", 4, 6, false),
    ("next header", 6, 7, false),
    ("hop limit", 7, 8, true),
    ("source", 8, 24, false),
    ("destination", 24, 40, false),
];
const TCP: &[(&str, usize, usize)] = &[
    ("source port", 0, 2),
    ("destination port", 2, 4),
    ("sequence number", 4, 8),
    ("ack number", 8, 12),
    ("offset, flags", 12, 14),
    ("window", 14, 16),
    ("TCP checksum", 16, 18),
    ("urgent pointer", 18, FIXED_LEN),
];
