//! What a segment shows by itself, whatever came before it: a thread that reads ahead can look at it.

use hashbrown::DefaultHashBuilder;
use mptcp_proto::seq::TcpSeq;
use mptcp_proto::wire::mptcp::Dss;
use mptcp_proto::wire::tcp_option::{KIND_END_OF_LIST, KIND_MPTCP, KIND_NO_OPERATION};

use super::copies::Fingerprint;
use super::flow::Tuple;
use crate::model::{Around, IpFacts, Segment, TcpFlags, Timestamp};

/// Looks at segments. Those of one [`super::Rebuilder`] must all be looked at by its own, or a clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lookout {
    /// Makes the hashes of addresses and packets. A fixed state would let a capture be made whose
    /// packets collide, and be taken for copies.
    hashing: DefaultHashBuilder,
}

/// What the short way has to know of an ordinary segment beside its option.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Glance {
    pub(super) frame: u64,
    pub(super) at: Timestamp,
    pub(super) tuple: Tuple,
    pub(super) print: Fingerprint,
    pub(super) seq: TcpSeq,
    pub(super) payload_len: u32,
    pub(super) flags: TcpFlags,
    pub(super) ip: IpFacts,
    pub(super) is_cut: bool,
    /// Whether payload was captured.
    pub(super) has_payload: bool,
}

impl Glance {
    /// The segment that was looked at, from its captured bytes.
    #[inline]
    pub(crate) fn segment<'a>(&self, bytes: &'a [u8]) -> Segment<'a> {
        let (source, destination) = self.tuple.ends();
        let around = Around {
            frame: self.frame,
            at: self.at,
            interface: self.print.interface(),
            source,
            destination,
            ip: self.ip,
            payload_len: self.payload_len,
        };
        Segment::new(around, bytes)
    }
}

/// A segment that was looked at before, for when the glance is not enough.
pub(crate) trait Whole<'a> {
    /// All of it.
    fn segment(&self) -> Segment<'a>;

    /// What [`plain_dss`] finds in it.
    fn plain_dss(&self) -> Option<Dss>;
}

impl<'a> Whole<'a> for Segment<'a> {
    #[inline]
    fn segment(&self) -> Segment<'a> {
        *self
    }

    #[inline]
    fn plain_dss(&self) -> Option<Dss> {
        plain_dss(self)
    }
}

impl Lookout {
    /// The hashes that it makes.
    pub(super) fn hashing(&self) -> DefaultHashBuilder {
        self.hashing.clone()
    }

    /// Looks at a segment.
    #[expect(
        clippy::inline_always,
        reason = "once for each packet: the parts stay in registers where only one thread works"
    )]
    #[inline(always)]
    pub(crate) fn glance(&self, segment: &Segment<'_>) -> Glance {
        Glance {
            frame: segment.frame,
            at: segment.at,
            tuple: Tuple::of(segment.source, segment.destination, &self.hashing),
            print: Fingerprint::of(segment, &self.hashing),
            seq: segment.seq,
            payload_len: segment.payload_len,
            flags: segment.flags,
            ip: segment.ip,
            is_cut: segment.is_cut(),
            has_payload: segment.bytes.len() > usize::from(segment.header_len),
        }
    }
}

/// The DSS of a segment with ACK and perhaps PSH set that has no other MPTCP option, as hosts send
/// it.
#[inline]
pub(crate) fn plain_dss(segment: &Segment<'_>) -> Option<Dss> {
    if segment.flags.0 & !TcpFlags::PSH != TcpFlags::ACK || segment.are_options_cut() {
        return None;
    }
    Dss::parse_plain(only_mptcp_option(segment.options())?)
}

/// The one MPTCP option of an area that is as it should be.
#[inline]
fn only_mptcp_option(area: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    // Linux puts the timestamps first, with two fillers before them (RFC 7323 appendix A).
    let mut rest = match area {
        [1, 1, 8, 10, _, _, _, _, _, _, _, _, after @ ..] => after,
        _ => area,
    };
    loop {
        rest = match *rest {
            [] | [KIND_END_OF_LIST, ..] => return found,
            [KIND_NO_OPERATION, ref after @ ..] => after,
            [kind, len, ..] if len >= 2 => {
                let (option, after) = rest.split_at_checked(usize::from(len))?;
                if kind == KIND_MPTCP && found.replace(option).is_some() {
                    return None;
                }
                after
            }
            _ => return None,
        };
    }
}
