//! TCP's own options, read and written.

use std::ops::Range;

use super::config::{Config, FastOpen, FastOpenCookie, Negotiated, WindowScale};
use crate::seq::TcpSeq;
use crate::wire::mptcp::Subtype;
use crate::wire::tcp_option::{
    KIND_FAST_OPEN, KIND_MAXIMUM_SEGMENT_SIZE, KIND_NO_OPERATION, KIND_SACK, KIND_SACK_PERMITTED,
    KIND_TIMESTAMPS, KIND_WINDOW_SCALE, SackBlocks, TcpOptionValue, TcpOptions,
};
use crate::wire::writer::OptionArea;

/// The options of a segment that TCP itself understands. Of two of a kind the last counts; after one
/// that cannot be delimited, none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Incoming<'a> {
    pub(super) mss: Option<u16>,
    pub(super) window_scale: Option<u8>,
    pub(super) sack_permitted: bool,
    pub(super) timestamps: Option<Timestamps>,
    pub(super) sack: Option<SackBlocks<'a>>,
    pub(super) fast_open: Option<&'a [u8]>,
    /// There is an MPTCP option other than DSS.
    pub(super) has_signal: bool,
}

/// The timestamps of a segment (RFC 7323 §3.2).
#[derive(Debug, Clone, Copy)]
pub(super) struct Timestamps {
    pub(super) value: u32,
    pub(super) echo: u32,
}

impl<'a> Incoming<'a> {
    pub(super) fn parse(area: &'a [u8]) -> Self {
        let mut incoming = Self::default();
        if let &[1, 1, KIND_TIMESTAMPS, 10, v0, v1, v2, v3, e0, e1, e2, e3] = area {
            // Nearly every segment: timestamps alone, in the form of RFC 7323 appendix A.
            incoming.timestamps = Some(Timestamps {
                value: u32::from_be_bytes([v0, v1, v2, v3]),
                echo: u32::from_be_bytes([e0, e1, e2, e3]),
            });
            return incoming;
        }
        for option in TcpOptions::new(area).flatten() {
            match option.value() {
                TcpOptionValue::MaximumSegmentSize(mss) => incoming.mss = Some(mss),
                TcpOptionValue::WindowScale(shift) => incoming.window_scale = Some(shift),
                TcpOptionValue::SackPermitted => incoming.sack_permitted = true,
                TcpOptionValue::Sack(blocks) => incoming.sack = Some(blocks),
                TcpOptionValue::FastOpen { cookie, .. } => incoming.fast_open = Some(cookie),
                TcpOptionValue::Timestamps { value, echo } => {
                    incoming.timestamps = Some(Timestamps { value, echo });
                }
                TcpOptionValue::Mptcp(bytes) => {
                    let subtype = bytes.get(2).map(|byte| byte >> 4);
                    incoming.has_signal |= subtype.is_some_and(|subtype| subtype != Subtype::DSS.0);
                }
                _ => {}
            }
        }
        incoming
    }

    /// What our offer and the peer's SYN have in common.
    pub(super) fn negotiate(&self, config: &Config, is_v6: bool, ecn: bool) -> Negotiated {
        let default_mss = if is_v6 {
            DEFAULT_MSS_V6
        } else {
            DEFAULT_MSS_V4
        };
        let window_scale = self.window_scale.zip(config.window_scale);
        Negotiated {
            peer_mss: self.mss.unwrap_or(default_mss).max(MIN_PEER_MSS),
            window_scale: window_scale.map(|(peer, own)| WindowScale {
                peer: peer.min(MAX_WINDOW_SCALE),
                own: own.min(MAX_WINDOW_SCALE),
            }),
            sack: config.sack && self.sack_permitted,
            timestamps: config.timestamps.is_some() && self.timestamps.is_some(),
            ecn: config.ecn && ecn,
        }
    }
}

/// Which options a SYN or SYN/ACK of ours carries.
#[derive(Debug)]
pub(super) struct SynOptions {
    pub(super) mss: u16,
    pub(super) window_scale: Option<u8>,
    pub(super) sack: bool,
    pub(super) timestamps: Option<Timestamps>,
    pub(super) fast_open: Option<FastOpenOption>,
}

/// A Fast Open option (RFC 7413 §4.1.1).
#[derive(Debug, Clone, Copy)]
pub(super) enum FastOpenOption {
    /// Asks for a cookie.
    Request,
    Cookie(FastOpenCookie),
}

impl FastOpenOption {
    fn cookie(&self) -> &[u8] {
        match self {
            Self::Request => &[],
            Self::Cookie(cookie) => cookie.as_bytes(),
        }
    }
}

impl SynOptions {
    /// All options lie on borders of four bytes, in the order of Linux, so that most room is left.
    pub(super) fn write(&self, area: &mut OptionArea) {
        let [high, low] = self.mss.to_be_bytes();
        append(area, &[KIND_MAXIMUM_SEGMENT_SIZE, 4, high, low]);
        match self.timestamps {
            Some(timestamps) => {
                if self.sack {
                    append(area, &[KIND_SACK_PERMITTED, 2]);
                } else {
                    append(area, &[KIND_NO_OPERATION, KIND_NO_OPERATION]);
                }
                append(area, &timestamps.option());
            }
            None if self.sack => append(
                area,
                &[KIND_NO_OPERATION, KIND_NO_OPERATION, KIND_SACK_PERMITTED, 2],
            ),
            None => {}
        }
        if let Some(shift) = self.window_scale {
            append(area, &[KIND_NO_OPERATION, KIND_WINDOW_SCALE, 3, shift]);
        }
        if let Some(option) = &self.fast_open {
            let bytes = option.cookie();
            let len = u8::try_from(bytes.len()).unwrap_or(0).saturating_add(2);
            append(area, &[KIND_FAST_OPEN, len]);
            append(area, bytes);
            area.pad();
        }
    }
}

impl Timestamps {
    const fn option(self) -> [u8; 10] {
        let [v0, v1, v2, v3] = self.value.to_be_bytes();
        let [e0, e1, e2, e3] = self.echo.to_be_bytes();
        [KIND_TIMESTAMPS, 10, v0, v1, v2, v3, e0, e1, e2, e3]
    }

    /// Writes the option with what fills it up to twelve bytes.
    pub(super) fn write(self, area: &mut OptionArea) {
        append(area, &[KIND_NO_OPERATION, KIND_NO_OPERATION]);
        append(area, &self.option());
    }
}

/// Bytes of the timestamps option, filled up.
pub(super) const TIMESTAMPS_LEN: usize = 12;

/// How many SACK blocks fit beside `reserve` bytes of other options.
pub(super) const fn sack_room(area: &OptionArea, reserve: usize) -> usize {
    area.room().saturating_sub(reserve).saturating_sub(4) / 8
}

/// Writes a SACK option. Positions count from `origin`.
pub(super) fn write_sack(
    area: &mut OptionArea,
    origin: TcpSeq,
    blocks: impl Iterator<Item = Range<u64>>,
) {
    let mut bytes = [0; 4 + 8 * 4];
    let mut len = 4_usize;
    for block in blocks {
        let edges = [seq_at(origin, block.start).0, seq_at(origin, block.end).0];
        for edge in edges {
            if let Some(field) = bytes.get_mut(len..len.saturating_add(4)) {
                field.copy_from_slice(&edge.to_be_bytes());
                len = len.saturating_add(4);
            }
        }
    }
    if len > 4 {
        let option_len = u8::try_from(len).unwrap_or(0).saturating_sub(2);
        bytes[..4].copy_from_slice(&[KIND_NO_OPERATION, KIND_NO_OPERATION, KIND_SACK, option_len]);
        append(area, bytes.get(..len).unwrap_or_default());
    }
}

/// The sequence number of a stream position; `initial` is the number of the SYN.
#[expect(
    clippy::cast_possible_truncation,
    reason = "sequence numbers are the low 32 bits of positions"
)]
pub(super) const fn seq_at(initial: TcpSeq, position: u64) -> TcpSeq {
    initial.add((position as u32).wrapping_add(1))
}

/// The caller sees to it that the options of TCP fit, and says with its reservation how much is left.
fn append(area: &mut OptionArea, bytes: &[u8]) {
    let fits = area.push(bytes).is_ok();
    debug_assert!(fits, "TCP's own options are longer than the area");
}

impl FastOpen {
    /// What the SYN carries.
    pub(super) const fn of_syn(&self) -> Option<FastOpenOption> {
        match *self {
            Self::Request => Some(FastOpenOption::Request),
            Self::Cookie(cookie) => Some(FastOpenOption::Cookie(cookie)),
            Self::Off | Self::Accept(_) | Self::Grant(_) => None,
        }
    }
}

/// RFC 9293 §3.7.1.
const DEFAULT_MSS_V4: u16 = 536;
const DEFAULT_MSS_V6: u16 = 1220;
/// Room for the options and some payload: a peer must not make us send segments of nothing. Linux has
/// the same floor.
const MIN_PEER_MSS: u16 = 88;
/// RFC 7323 §2.3.
pub(super) const MAX_WINDOW_SCALE: u8 = 14;
