//! Boxes on the path that change what passes.

use mptcp_proto::wire::mptcp::Subtype;
use mptcp_proto::wire::segment::{Flags, Segment};
use mptcp_proto::wire::tcp_option::{KIND_MPTCP, TcpOptions};

use super::pair::{Hook, Way};

/// A segment that a box looks at.
pub(crate) struct Seen<'a> {
    pub(crate) way: Way,
    pub(crate) segment: Segment<'a>,
    /// How many segments went this way before on this path.
    pub(crate) number: usize,
}

impl Seen<'_> {
    pub(crate) fn is_syn(&self) -> bool {
        self.segment.flags.syn() && !self.segment.flags.ack()
    }

    pub(crate) fn is_syn_ack(&self) -> bool {
        self.segment.flags.syn() && self.segment.flags.ack()
    }

    pub(crate) fn has_data(&self) -> bool {
        !self.segment.payload.is_empty()
    }

    pub(crate) fn has(&self, subtype: Subtype) -> bool {
        subtypes(&self.segment).contains(&subtype)
    }
}

/// Subtypes of the MPTCP options of a segment.
pub(crate) fn subtypes(segment: &Segment<'_>) -> Vec<Subtype> {
    TcpOptions::new(segment.options)
        .flatten()
        .filter(|option| option.kind == KIND_MPTCP)
        .map(|option| Subtype(option.bytes[2] >> 4))
        .collect()
}

/// A box that lets a function look at every segment, and change its options and payload, or drop it.
pub(crate) fn meddle(
    mut change: impl FnMut(&Seen<'_>, &mut Vec<u8>, &mut Vec<u8>) -> bool + 'static,
) -> Hook {
    let mut counts = [0, 0];
    Box::new(move |_, way, packet| {
        let segment = Segment::parse(&packet, false).unwrap();
        let number = counts[way as usize];
        counts[way as usize] += 1;
        let seen = Seen {
            way,
            segment,
            number,
        };
        let (mut options, mut payload) = (segment.options.to_vec(), segment.payload.to_vec());
        if !change(&seen, &mut options, &mut payload) {
            return Vec::new();
        }
        let changed = Segment {
            options: &options,
            payload: &payload,
            ..segment
        };
        let mut out = Vec::new();
        changed.emit(&mut out).unwrap();
        vec![out]
    })
}

/// A box that takes MPTCP options away from segments where `is_due`.
pub(crate) fn strip(mut is_due: impl FnMut(&Seen<'_>) -> bool + 'static) -> Hook {
    meddle(move |seen, options, _| {
        if is_due(seen) {
            blank(options, |_| true);
        }
        true
    })
}

/// A box that drops segments where `is_due`.
pub(crate) fn drop_if(mut is_due: impl FnMut(&Seen<'_>) -> bool + 'static) -> Hook {
    meddle(move |seen, _, _| !is_due(seen))
}

/// Replaces MPTCP options by no-operations.
pub(crate) fn blank(options: &mut [u8], is_due: impl Fn(Subtype) -> bool) {
    let found: Vec<(usize, usize)> = TcpOptions::new(options)
        .flatten()
        .filter(|option| option.kind == KIND_MPTCP && is_due(Subtype(option.bytes[2] >> 4)))
        .map(|option| (option.offset, option.bytes.len()))
        .collect();
    for (offset, len) in found {
        options[offset..offset + len].fill(1);
    }
}

/// Flips a bit of the last byte of MPTCP options of this subtype.
pub(crate) fn flip(options: &mut [u8], subtype: Subtype) {
    let found: Vec<usize> = TcpOptions::new(options)
        .flatten()
        .filter(|option| option.kind == KIND_MPTCP && option.bytes[2] >> 4 == subtype.0)
        .map(|option| option.offset + option.bytes.len() - 1)
        .collect();
    for at in found {
        options[at] ^= 1;
    }
}

/// A reset of the connection that a segment belongs to, as seen by who receives the segment.
pub(crate) fn reset_of(segment: &Segment<'_>) -> Vec<u8> {
    let reset = Segment {
        flags: Flags::RST.with(Flags::ACK),
        options: &[],
        payload: &[],
        ..*segment
    };
    let mut out = Vec::new();
    reset.emit(&mut out).unwrap();
    out
}
