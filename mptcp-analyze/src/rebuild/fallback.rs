//! Whether a connection fell back to regular TCP, and why (RFC 8684 §3.7).
//!
//! The verdict is drawn at the end of the capture: a packet without option is no fallback if the
//! option comes back.

use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::CapableFlags;

use super::connection::ConnectionBuilder;
use super::finish::Whole;
use super::flow::StreamId;
use super::observe::NOP_RUN_OF_A_BOX;
use super::stream::{Bare, MptcpEnd, MptcpStream, Stream};
use crate::model::{
    Blame, Confidence, DirectionTotals, EventKind, Fallback, FallbackReason, PerDirection, Side,
};

/// Initial TTLs that hosts use, ascending.
const INITIAL_TTLS: [u8; 4] = [32, 64, 128, 255];

/// Where the capture point seems to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vantage {
    /// At the host, or in its network.
    Near(Side),
    Unknown,
}

impl Whole<'_> {
    /// The fallback of the connection, if there was one.
    pub(super) fn fallback(&self, totals: &PerDirection<DirectionTotals>) -> Option<Fallback> {
        let builder = self.builder;
        if let Some(explicit) = self.explicit_fallback(totals) {
            let before = self.fallback_before(&explicit, totals);
            return Some(before.unwrap_or(explicit));
        }
        let stream = self.stream(builder.initial_stream?)?;
        let mptcp = stream.mptcp.as_ref()?;
        let vantage = vantage(stream, mptcp);
        if let Some(frame) = self.plain_retry {
            return Some(refused_syn(frame));
        }
        handshake_fallback(builder, mptcp, stream, vantage)
            .or_else(|| self.data_fallback(totals, vantage))
    }

    /// The data of the other host that had no mapping before a host sent the infinite mapping: it answers to them,
    /// and where its MP_FAIL was lost it is all that is seen of the answer (RFC 8684 §3.7).
    fn fallback_before(
        &self,
        explicit: &Fallback,
        totals: &PerDirection<DirectionTotals>,
    ) -> Option<Fallback> {
        let is_infinite = explicit.reason == FallbackReason::InfiniteMapping;
        let stream = self.stream(self.builder.initial_stream.filter(|_| is_infinite)?)?;
        let vantage = vantage(stream, stream.mptcp.as_ref()?);
        self.data_fallback(totals, vantage)
            .filter(|before| before.frame < explicit.frame)
    }

    /// A fallback that a host announced: MP_FAIL on the only subflow, or the infinite mapping.
    fn explicit_fallback(&self, totals: &PerDirection<DirectionTotals>) -> Option<Fallback> {
        let builder = self.builder;
        let infinite = builder.rare.infinite_mapping;
        if let Some((frame, sender)) = builder.rare.fail
            && (infinite.is_some()
                || (self.is_sole_subflow() && (self.goes_bare() || self.both_failed())))
        {
            let bad = totals.of(sender.other().sends()).checksums.bad;
            let who = name(sender);
            let text = match (bad, builder.checksum == Some(false)) {
                (0, false) => format!(
                    "{who} could not use data that it received (MP_FAIL); this capture shows no \
                     wrong checksum"
                ),
                (0, true) => format!(
                    "{who} could not use data that it received (MP_FAIL): their mappings were lost or wrong, \
                     for no DSS checksums are in use"
                ),
                _ => {
                    format!("{who} found a wrong DSS checksum (MP_FAIL); it is in this capture too")
                }
            };
            return Some(Fallback {
                reason: FallbackReason::MpFail,
                frame,
                by: Blame::Path,
                confidence: if bad > 0 {
                    Confidence::Proven
                } else {
                    Confidence::Likely
                },
                text,
            });
        }
        // Who sends it answers to an MP_FAIL or to data that it cannot use (RFC 8684 §3.7): the cause was before.
        infinite.map(|(frame, sender)| Fallback {
            reason: FallbackReason::InfiniteMapping,
            frame,
            by: Blame::Unknown,
            confidence: Confidence::Proven,
            text: format!(
                "{} sent the infinite mapping; what it answers to is not in this capture",
                name(sender)
            ),
        })
    }

    /// Whether an MP_FAIL was answered with one (RFC 8684 §3.7), which both give up MPTCP with.
    fn both_failed(&self) -> bool {
        [Side::Client, Side::Server].iter().all(|side| {
            let mut events = self.builder.events.iter();
            events
                .any(|event| event.sender == *side && matches!(event.kind, EventKind::Fail { .. }))
        })
    }

    fn is_sole_subflow(&self) -> bool {
        let parts = self.streams.iter().filter_map(|(_, s)| s.mptcp.as_ref());
        parts.filter(|mptcp| mptcp.is_established()).count() <= 1
    }

    /// Whether both ends of the initial subflow ended without options, or bytes without mapping.
    fn goes_bare(&self) -> bool {
        let initial = self.builder.initial_stream;
        let stream = initial.and_then(|initial| self.stream(initial));
        stream.and_then(|s| s.mptcp.as_ref()).is_some_and(|mptcp| {
            mptcp
                .ends
                .iter()
                .any(|end| end.bare_since.is_some() || first_unmapped(end).is_some())
        })
    }

    /// Data that lost their mappings, first ones or later ones.
    fn data_fallback(
        &self,
        totals: &PerDirection<DirectionTotals>,
        vantage: Vantage,
    ) -> Option<Fallback> {
        let builder = self.builder;
        let initial = builder.initial_stream?;
        let over = builder.rare.fast_close.map_or(u64::MAX, |(frame, _)| frame);
        let mut lost: Vec<(u64, usize, StreamId)> = Vec::new();
        for &(id, stream) in &self.streams {
            let Some(mptcp) = &stream.mptcp else { continue };
            let reset = stream
                .ends
                .iter()
                .filter_map(|end| end.rst_frame.get())
                .min();
            let limit = over.min(reset.unwrap_or(u64::MAX));
            for end in [0, 1] {
                let frame = first_bare_data(&mptcp.ends[end]).filter(|&frame| frame < limit);
                lost.extend(frame.map(|frame| (frame, end, id)));
            }
        }
        let &(data_frame, data_end, stream) = lost.iter().min()?;
        // A joined subflow that loses its mappings is reset; the connection does not fall back
        // (RFC 8684 §3.7). Only the last subflow can take the connection with it.
        if stream != initial && !self.is_sole_survivor(stream) {
            return None;
        }
        let mptcp = self.stream(stream)?.mptcp.as_ref()?;
        let (bare, end) = first_bare(mptcp, data_frame, data_end);
        judge_checksums(builder, totals, bare)
            .or_else(|| Some(judge_lost_mapping(mptcp, bare, end, vantage)))
    }

    /// Whether every other subflow has ended, and none of them went on when this one was over.
    fn is_sole_survivor(&self, survivor: StreamId) -> bool {
        let Some(last_at) = self.stream(survivor).map(|stream| stream.last_at) else {
            return false;
        };
        self.streams.iter().all(|&(id, stream)| {
            let has_ended = || {
                let mut ends = stream.ends.iter();
                ends.any(|end| end.rst_frame.is_some() || end.fin_frame.is_some())
            };
            stream.mptcp.as_ref().is_none_or(|other| {
                id == survivor
                    || (has_ended() && stream.last_at <= last_at)
                    || !other.is_established()
            })
        })
    }
}

/// A handshake that did not come to its end with MPTCP.
fn handshake_fallback(
    builder: &ConnectionBuilder,
    mptcp: &MptcpStream,
    stream: &Stream,
    vantage: Vantage,
) -> Option<Fallback> {
    if let Some(bare) = bare_third_ack(builder, mptcp) {
        return Some(third_ack(builder, bare, vantage));
    }
    let dss_seen = mptcp.ends.iter().any(|end| end.sent_dss);
    if dss_seen || builder.capable.ack.is_some() || builder.capable.syns == 0 {
        return None;
    }
    if let Some(frame) = builder
        .rare
        .mirrored
        .filter(|_| builder.capable.syn_ack.is_none())
    {
        return Some(Fallback {
            reason: FallbackReason::PeerIsTcp,
            frame,
            by: Blame::Unknown,
            confidence: Confidence::Likely,
            text: "the SYN/ACK repeats the client's own option: the server, or a box before it, \
                   mirrors what it does not know"
                .to_owned(),
        });
    }
    if let Some(frame) = builder.rare.bare_syn
        && builder.capable.syn_ack.is_none()
    {
        return Some(Fallback {
            reason: FallbackReason::SynOptionMissing,
            frame,
            by: Blame::Path,
            confidence: Confidence::Likely,
            text: format!(
                "{} with MP_CAPABLE stayed without answer, then the client sent one without",
                syns(builder.capable.syns)
            ),
        });
    }
    if builder.capable.syn_ack.is_none() {
        let (frame, nops) = builder.rare.bare_syn_ack?;
        if let Some(malformed) = builder.rare.malformed_syn {
            return Some(malformed_syn(malformed, vantage));
        }
        if let Some((asked, ..)) = builder.capable.syn.filter(|syn| is_refusable(*syn)) {
            return Some(refusable_syn(asked, vantage));
        }
        return Some(bare_syn_ack(frame, nops, vantage));
    }
    let client = mptcp.client_end;
    let bare = mptcp.ends[client].bare_since?;
    // A single ACK may have been overtaken by the end of the capture; data or a second packet not.
    let alone = stream.ends[client].packets <= 2 && stream.ends[client].wire_bytes == 0;
    (!alone).then(|| third_ack(builder, bare, vantage))
}

/// A third ACK without option that nothing mended in time. The client's first data with MP_CAPABLE may
/// come too late: the server takes the first packet after its SYN/ACK for the answer (RFC 8684 §3.1),
/// and Linux has fallen back by then. In version 0 no later packet has both keys.
fn bare_third_ack(builder: &ConnectionBuilder, mptcp: &MptcpStream) -> Option<Bare> {
    let (client, server) = (mptcp.client_end, 1 - mptcp.client_end);
    let bare = mptcp.ends[client].rare.bare_first?;
    let late = builder.capable.ack.map_or(u64::MAX, |(frame, ..)| frame);
    let answered = builder.capable.syn_ack.is_some();
    let server_is_plain = !mptcp.ends[server].sent_dss && mptcp.ends[server].bare_since.is_some();
    (answered && server_is_plain && bare.frame < late).then_some(bare)
}

/// A SYN with MP_CAPABLE that was refused, where one without was accepted just after.
fn refused_syn(frame: u64) -> Fallback {
    Fallback {
        reason: FallbackReason::SynOptionMissing,
        frame,
        by: Blame::Path,
        confidence: Confidence::Likely,
        text: "the SYN with MP_CAPABLE was refused (RST), and the one that the client then sent without was \
               accepted: something on the path, or before the server, refuses the option"
            .to_owned(),
    }
}

fn malformed_syn(frame: u64, vantage: Vantage) -> Fallback {
    let (by, text) = match vantage {
        Vantage::Near(Side::Client) => (Blame::Client, "as the client sent it"),
        _ => (
            Blame::Unknown,
            "the client sent it so, or the path changed it",
        ),
    };
    Fallback {
        reason: FallbackReason::Negotiation,
        frame,
        by,
        confidence: Confidence::Likely,
        text: format!("the MP_CAPABLE of the SYN is malformed ({text}), and the SYN/ACK has none"),
    }
}

/// A SYN that a server may not, or cannot, answer with MP_CAPABLE: flag B is set, no algorithm that is known is
/// offered, or the version is one that does not exist (RFC 8684 §3.1). No client sends these.
fn refusable_syn(frame: u64, vantage: Vantage) -> Fallback {
    let (by, text) = match vantage {
        Vantage::Near(Side::Client) => (Blame::Client, "as the client sent it"),
        _ => (
            Blame::Unknown,
            "the client sent it so, or the path changed it",
        ),
    };
    Fallback {
        reason: FallbackReason::SynAckOptionMissing,
        frame,
        by,
        confidence: Confidence::Likely,
        text: format!(
            "the MP_CAPABLE of the SYN asks for what no server has, by its version or flags ({text}), \
             and the SYN/ACK has none"
        ),
    }
}

fn is_refusable((_, version, flags): (u64, u8, u8)) -> bool {
    let flags = CapableFlags(flags);
    Version::from_number(version).is_none() || flags.extensible() || !flags.hmac_sha()
}

fn bare_syn_ack(frame: u64, nops: u8, vantage: Vantage) -> Fallback {
    if nops >= NOP_RUN_OF_A_BOX {
        return Fallback {
            reason: FallbackReason::SynAckOptionMissing,
            frame,
            by: Blame::Path,
            confidence: Confidence::Likely,
            text: format!(
                "the SYN/ACK has {nops} NOPs in a row where MP_CAPABLE was: a middlebox erased it"
            ),
        };
    }
    let (by, confidence, where_) = match vantage {
        Vantage::Near(Side::Server) => (
            Blame::Server,
            Confidence::Likely,
            "captured near the server, to which the option came",
        ),
        _ => (
            Blame::Unknown,
            Confidence::Unknown,
            "the server does not speak MPTCP, or the path removed the option; \
             a capture at the server would tell",
        ),
    };
    Fallback {
        reason: FallbackReason::PeerIsTcp,
        frame,
        by,
        confidence,
        text: format!("the SYN/ACK has no MP_CAPABLE: {where_}"),
    }
}

fn third_ack(builder: &ConnectionBuilder, bare: Bare, vantage: Vantage) -> Fallback {
    if let Some((frame, _, flags)) = builder.capable.syn_ack
        && (CapableFlags(flags).extensible() || !CapableFlags(flags).hmac_sha())
    {
        return Fallback {
            reason: FallbackReason::Negotiation,
            frame,
            by: Blame::Unknown,
            confidence: Confidence::Likely,
            text: "the SYN/ACK asks for an extension that nobody knows or names no known \
                   algorithm, so the client went on without MPTCP"
                .to_owned(),
        };
    }
    let versions = (builder.capable.syn, builder.capable.syn_ack);
    if let (Some((_, asked, _)), Some((frame, answered, _))) = versions
        && asked != answered
    {
        return Fallback {
            reason: FallbackReason::Negotiation,
            frame,
            by: Blame::Unknown,
            confidence: Confidence::Likely,
            text: format!(
                "the client asked for version {asked}, the SYN/ACK says version {answered}, and \
                 the client went on without MPTCP"
            ),
        };
    }
    let (by, confidence, text) = if bare.nops >= NOP_RUN_OF_A_BOX {
        let text = "the third ACK has a run of NOPs where MP_CAPABLE was: a middlebox erased it";
        (Blame::Path, Confidence::Likely, text)
    } else if vantage == Vantage::Near(Side::Client) {
        let text = "the client got a SYN/ACK with MP_CAPABLE and went on without MPTCP";
        (Blame::Client, Confidence::Likely, text)
    } else if builder.rare.bare_syn.is_some() {
        let text = "the SYN/ACK with MP_CAPABLE stayed without answer, then the client sent a SYN \
                    without: the path lost what has the option";
        (Blame::Path, Confidence::Likely, text)
    } else {
        let text = "the SYN/ACK left with MP_CAPABLE, yet the client went on without: the path \
                    removed the option from the SYN/ACK or from what followed";
        (Blame::Path, Confidence::Likely, text)
    };
    Fallback {
        reason: FallbackReason::ThirdAckOptionMissing,
        frame: bare.frame,
        by,
        confidence,
        text: text.to_owned(),
    }
}

fn judge_lost_mapping(mptcp: &MptcpStream, bare: Bare, end: usize, vantage: Vantage) -> Fallback {
    let sender = mptcp.side(end);
    // The data on MP_CAPABLE are part of the handshake: only a DSS shows that it came through.
    let mapped_before = mptcp.ends[end].sent_dss;
    let reason = if mapped_before {
        FallbackReason::StrippedMidStream
    } else {
        FallbackReason::DataOptionMissing
    };
    let what = if mapped_before {
        "from here on"
    } else {
        "from the first data on"
    };
    let (by, confidence, cause) = if bare.nops >= NOP_RUN_OF_A_BOX {
        (
            Blame::Path,
            Confidence::Likely,
            "a run of NOPs stands where the option was",
        )
    } else if bare.after_excess {
        // A host does not send such segments, and the one that gets them falls back.
        (
            Blame::Path,
            Confidence::Likely,
            "the data just before are longer than their mapping: something put bytes in",
        )
    } else if vantage == Vantage::Near(sender) {
        // A host that has fallen back sends them like that. Why it did stands in what came to it.
        let peer = &mptcp.ends[1 - end];
        let by = if peer
            .bare_since
            .is_some_and(|bare| bare.nops >= NOP_RUN_OF_A_BOX)
            || !peer.rare.unmapped_marks.is_empty()
        {
            Blame::Path
        } else {
            Blame::Unknown
        };
        (
            by,
            Confidence::Likely,
            "it sent them like that, which it does once what it received made it fall back",
        )
    } else {
        (
            Blame::Path,
            Confidence::Likely,
            "something removed it on the way here, or the host had to fall back before",
        )
    };
    Fallback {
        reason,
        frame: bare.frame,
        by,
        confidence,
        text: format!("packets of {} have no DSS {what}; {cause}", name(sender)),
    }
}

/// A fallback that follows from checksums that are missing or wrong.
fn judge_checksums(
    builder: &ConnectionBuilder,
    totals: &PerDirection<DirectionTotals>,
    bare: Bare,
) -> Option<Fallback> {
    if let Some((frame, who)) = builder
        .rare
        .checksum_missing
        .filter(|(frame, _)| *frame <= bare.frame)
    {
        return Some(Fallback {
            reason: FallbackReason::Checksum,
            frame,
            // The flag may have been changed on its way to the one or the other.
            by: Blame::Unknown,
            confidence: Confidence::Likely,
            text: format!(
                "mappings of {} do not agree with the checksum flags of the handshake in this capture",
                name(who)
            ),
        });
    }
    let bad = totals.to_server.checksums.bad + totals.to_client.checksums.bad;
    (bad > 0).then(|| Fallback {
        reason: FallbackReason::Checksum,
        frame: bare.frame,
        by: Blame::Path,
        confidence: Confidence::Likely,
        text: "a DSS checksum is wrong (something changed the data), and then the mappings end"
            .to_owned(),
    })
}

/// First frame whose payload never got a mapping.
fn first_unmapped(end: &MptcpEnd) -> Option<u64> {
    end.rare.unmapped_marks.first().map(|(frame, _)| *frame)
}

/// First frame whose payload never got a mapping, in the packets without option that an end sends
/// at last. A lone segment without mapping among others is a gap in the capture, or a finding.
fn first_bare_data(end: &MptcpEnd) -> Option<u64> {
    let since = end.bare_since?.frame;
    let mut frames = end.rare.unmapped_marks.iter().map(|(frame, _)| *frame);
    frames.find(|&frame| frame >= since)
}

/// The earlier of two beginnings: the data without mapping, or packets of either end without option
/// that go on until the data come.
fn first_bare(mptcp: &MptcpStream, data_frame: u64, data_end: usize) -> (Bare, usize) {
    let at_data = mptcp.ends[data_end]
        .bare_since
        .filter(|bare| bare.frame <= data_frame);
    let own = at_data.unwrap_or(Bare {
        frame: data_frame,
        nops: 0,
        after_excess: false,
    });
    let other = 1 - data_end;
    match mptcp.ends[other].bare_since {
        Some(bare) if bare.frame < own.frame => (bare, other),
        _ => (own, data_end),
    }
}

/// The host whose TTL has not been counted down, if there is just one.
fn vantage(stream: &Stream, mptcp: &MptcpStream) -> Vantage {
    let pristine = |end: usize| stream.ends[end].ttl.map(|ttl| INITIAL_TTLS.contains(&ttl));
    match (pristine(mptcp.client_end), pristine(1 - mptcp.client_end)) {
        (Some(true), Some(false)) => Vantage::Near(Side::Client),
        (Some(false), Some(true)) => Vantage::Near(Side::Server),
        _ => Vantage::Unknown,
    }
}

fn name(side: Side) -> &'static str {
    match side {
        Side::Client => "the client",
        Side::Server => "the server",
    }
}

fn syns(count: u64) -> String {
    if count == 1 {
        "a SYN".to_owned()
    } else {
        format!("{count} SYNs")
    }
}
