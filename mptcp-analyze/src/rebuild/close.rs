//! FIN, RST, MP_FASTCLOSE and MP_TCPRST: how a subflow ended and who ended it.

use mptcp_proto::wire::mptcp::MptcpOption;

use super::Rebuilder;
use super::options::SegmentOptions;
use super::stream::{MptcpStream, Place, Stream};
use crate::model::{CheckResult, Close, CloseKind, CloseSide, EventKind, Segment, Side};

impl Rebuilder {
    /// Takes what a segment says about the end of its stream.
    pub(super) fn close(&mut self, segment: &Segment<'_>, place: Place, options: &SegmentOptions) {
        let ttl = segment.ip.ttl;
        if options.are_plain() && !segment.flags.rst() && !segment.flags.fin() {
            self.streams[place.stream].ends[place.end].ttl = Some(ttl);
            return;
        }
        let known_ttl = self.streams[place.stream].ends[place.end].ttl;
        let sender = self.side(place);
        let stream = &mut self.streams[place.stream];
        let first_fin = stream.ends[place.end].fin_frame == Some(segment.frame);
        if segment.flags.rst() {
            stream.ends[place.end]
                .rst_frame
                .get_or_insert(segment.frame);
        } else {
            stream.ends[place.end].ttl = Some(ttl);
        }
        let Some(mptcp) = &mut stream.mptcp else {
            return;
        };
        let builder = &mut self.connections[mptcp.connection];
        let mut reason = None;
        for option in options.iter() {
            match option {
                MptcpOption::FastClose(close) => {
                    let key = match builder.keys.of(sender.other()) {
                        Some(key) if *key == close.receiver_key => CheckResult::Ok,
                        Some(_) => CheckResult::Bad,
                        None => CheckResult::Unverifiable("the key is not in the capture"),
                    };
                    builder.fast_close_key.get_or_insert(key);
                    // RFC 8684 §3.5: only an option with the receiver's key closes.
                    if key != CheckResult::Bad {
                        mptcp.fast_close.get_or_insert((place.frame, place.end));
                        builder.fast_close.get_or_insert((place.frame, sender));
                    }
                    builder.note(place, sender, EventKind::FastClose { key });
                }
                MptcpOption::TcpReset(reset) => reason = Some(reset.reason.0),
                _ => {}
            }
        }
        if segment.flags.rst() {
            mptcp.reset_reason = mptcp.reset_reason.or(reason);
            // A box that injects a RST seldom knows MPTCP, and counts its own TTL down.
            let ttl_fits =
                options.has_mptcp() || known_ttl.is_none_or(|known| known.abs_diff(ttl) <= 1);
            if !ttl_fits {
                mptcp.foreign_reset.get_or_insert(place.frame);
            }
            builder.note(place, sender, EventKind::Reset { reason, ttl_fits });
        }
        if first_fin {
            builder.note(place, sender, EventKind::Fin);
        }
    }
}

/// How `stream` ended.
pub(super) fn close_of(stream: &Stream, mptcp: &MptcpStream) -> Close {
    let reset_reason = mptcp.reset_reason;
    if let Some((frame, end)) = mptcp.fast_close {
        let by = named(mptcp.side(end));
        return Close {
            kind: CloseKind::FastClose,
            by,
            reset_reason,
            frame: Some(frame),
        };
    }
    let first = |pick: fn(&super::stream::StreamEnd) -> Option<u64>| {
        [0, 1]
            .into_iter()
            .filter_map(|end| Some((pick(&stream.ends[end])?, end)))
            .min()
    };
    let fin = first(|end| end.fin_frame);
    // A host that resets, or believes a reset, sends no FIN any more: two FINs are a close in good
    // order, and a RST before them was refused (RFC 5961 §3.2: it was outside the window).
    let both_fins = stream.ends.iter().all(|end| end.fin_frame.is_some());
    match (first(|end| end.rst_frame), fin) {
        (Some((frame, end)), _) if !both_fins => {
            let foreign = mptcp.foreign_reset == Some(frame);
            let by = if foreign {
                CloseSide::Path
            } else {
                named(mptcp.side(end))
            };
            Close {
                kind: CloseKind::Reset,
                by,
                reset_reason,
                frame: Some(frame),
            }
        }
        (_, Some((frame, end))) => {
            let by = named(mptcp.side(end));
            Close {
                kind: CloseKind::Fin,
                by,
                reset_reason,
                frame: Some(frame),
            }
        }
        _ => Close {
            kind: CloseKind::None,
            by: CloseSide::Unknown,
            reset_reason,
            frame: None,
        },
    }
}

fn named(side: Side) -> CloseSide {
    match side {
        Side::Client => CloseSide::Client,
        Side::Server => CloseSide::Server,
    }
}
