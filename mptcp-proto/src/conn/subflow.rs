//! A subflow: its TCP, how far its handshake got, and what lies where on it.

use std::time::Duration;

use crate::conn::event::SubflowEnd;
use crate::conn::join::{JoinAckSent, JoinSynReceived, JoinSynSent};
use crate::conn::keep_alive::KeepAlive;
use crate::conn::pacing::Pace;
use crate::conn::signals::Signals;
use crate::data::{SentMappings, SubflowMappings};
use crate::key::AddressId;
use crate::path::{PathView, SubflowId};
use crate::pm::PmSubflow;
use crate::seq::{Dsn, TcpSeq};
use crate::tcp::{Path, State, Tcp};
use crate::time::Instant;
use crate::wire::mptcp::{Priority, ResetReason, TcpReset};

/// How far a subflow's handshake got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The initial subflow, whose handshake is that of the connection.
    Initial,
    /// Our SYN with MP_JOIN is out.
    JoinSynSent(JoinSynSent),
    /// The peer's join is answered, its third ACK is awaited.
    JoinSynReceived(JoinSynReceived),
    /// Our third ACK is out, the fourth is awaited (RFC 8684 §3.2).
    JoinAckSent(JoinAckSent),
    /// It may carry data.
    Up,
}

impl Announcements {
    /// Bytes that they take beside a DATA_ACK.
    pub(crate) const fn len(&self) -> usize {
        let data_fin = if self.data_fin { 16 } else { 0 };
        let error = if self.fail.is_some() || self.fast_close {
            12
        } else {
            0
        };
        let prio = if self.prio.is_some() { 4 } else { 0 };
        data_fin + error + prio
    }
}

/// A host may have fallen back unheard. Data that are sent twice on one subflow would be data twice for
/// it, so it is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Proof {
    /// It was not asked.
    #[default]
    None,
    /// It was asked.
    Asked,
    /// It has sent a DATA_ACK since.
    Given,
}

/// What a subflow is to tell the peer with the next segment that has room.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Announcements {
    /// A DATA_FIN without data.
    pub(crate) data_fin: bool,
    /// MP_PRIO.
    pub(crate) prio: Option<Priority>,
    /// MP_PRIO has to wait: see [`Signals`].
    pub(crate) holds_prio: bool,
    /// MP_FAIL, until something reacts to it.
    pub(crate) fail: Option<Dsn>,
    /// MP_TCPRST on the RST.
    pub(crate) reset: Option<TcpReset>,
    /// MP_FASTCLOSE on an ACK.
    pub(crate) fast_close: bool,
}

/// From where on a subflow's stream is the data without gap or repetition: what fallback needs (RFC 8684
/// §3.7).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Linear {
    /// First position.
    pub(crate) from: u64,
    /// DSN that position 0 would have.
    pub(crate) base: Dsn,
}

impl Linear {
    /// The data from `dsn` on were put at this position.
    pub(crate) fn note(&mut self, position: u64, dsn: Dsn) {
        let base = Dsn(dsn.0.wrapping_sub(position));
        if base != self.base || self.from > position {
            *self = Self {
                from: position,
                base,
            };
        }
    }

    /// DSN of the first byte of the run.
    pub(crate) const fn first(&self) -> Dsn {
        self.base.add(self.from)
    }
}

/// A subflow of a connection.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
pub(crate) struct Subflow {
    pub(crate) id: SubflowId,
    pub(crate) tcp: Tcp,
    pub(crate) step: Step,
    pub(crate) local_id: AddressId,
    pub(crate) remote_id: AddressId,
    /// What we told the peer that it is for: the peer's sending obeys it.
    pub(crate) local_priority: Priority,
    /// What the peer told us: our sending obeys it (RFC 8684 §3.3.8).
    pub(crate) remote_priority: Priority,
    /// Mappings of what the peer sends.
    pub(crate) incoming: SubflowMappings,
    /// Mappings of what we send.
    pub(crate) outgoing: SentMappings,
    pub(crate) linear: Linear,
    pub(crate) announce: Announcements,
    pub(crate) signals: Signals,
    pub(crate) pace: Pace,
    /// Shift of the peer's windows.
    pub(crate) window_shift: u8,
    /// When the third ACK of a join is repeated, and how often it was.
    pub(crate) join_ack: Option<(Instant, u32)>,
    /// Whether its path works, when the peer has withdrawn its address.
    pub(crate) keep_alive: Option<KeepAlive>,
    /// Whether the peer has sent a DSS on it.
    pub(crate) has_dss: bool,
    /// Segments with data and without any option, of which bytes may still wait.
    pub(crate) bare_segments: u32,
    /// Since when no segment with data has brought a mapping, and how many came since.
    pub(crate) bare_run: Option<(Instant, u32)>,
    /// Whether bytes without a mapping may be copies of others: the peer was told, or will be, that it
    /// has to send something again.
    pub(crate) has_copies: bool,
    /// Segments without any option since the last DATA_ACK.
    pub(crate) bare_acks: u32,
    /// Whether the peer was asked for a sign that it still speaks MPTCP, and whether it gave one since.
    pub(crate) proof: Proof,
    /// Position after the peer's urgent data, as long as it is not known where in the data that is.
    pub(crate) urgent: Option<u64>,
    /// Timeouts in a row.
    pub(crate) timeouts: u32,
    pub(crate) is_stale: bool,
    /// Whether the peer sent its FIN before ours.
    pub(crate) is_closed_by_peer: bool,
    /// Whether FIN is to be sent, or was.
    pub(crate) is_closing: bool,
    /// How it ended, once it has.
    pub(crate) end: Option<SubflowEnd>,
    /// Whether that was told.
    pub(crate) is_down: bool,
}

impl Subflow {
    pub(crate) fn path(&self) -> Path {
        self.tcp.path()
    }

    /// Number of the peer's first byte after its SYN and the data in that.
    pub(crate) fn first_seq(&self) -> TcpSeq {
        let early = u32::try_from(self.tcp.early_received()).unwrap_or(0);
        self.tcp.initial_numbers().1.add(1).add(early)
    }

    /// Whether its handshake is complete and it has not ended.
    pub(crate) fn is_up(&self) -> bool {
        self.step == Step::Up && self.end.is_none()
    }

    /// Whether it may carry data.
    pub(crate) fn is_usable(&self) -> bool {
        self.is_up() && !self.is_closing && self.tcp.state().may_push()
    }

    /// Whether data of ours may follow the SYN/ACK at once, as the peer's SYN had data (RFC 7413 §4.2.2).
    pub(crate) fn answers_early(&self) -> bool {
        let is_open = self.step == Step::Initial && self.end.is_none();
        is_open && self.tcp.early_received() > 0 && self.tcp.state() == State::SynReceived
    }

    /// The peer has sent a DATA_ACK on it, in a segment with this acknowledgement. One that left before
    /// all our data had arrived says nothing of what the peer made of them.
    pub(crate) fn note_data_ack(&mut self, ack: TcpSeq) {
        let acked = u32::try_from(self.tcp.acked_until() & u64::from(u32::MAX)).unwrap_or(0);
        let newest = self.tcp.initial_numbers().0.add(1).add(acked);
        let is_late = self.tcp.queued() == 0 && ack.offset_from(newest) >= 0;
        if self.proof == Proof::Asked && is_late {
            self.proof = Proof::Given;
        }
    }

    /// Resets it with this reason.
    pub(crate) fn reset(&mut self, reason: ResetReason) {
        if self.end.is_none() {
            self.announce.reset = Some(TcpReset::because(reason));
            self.end = Some(SubflowEnd::ResetByUs { reason });
            self.tcp.abort();
        }
    }

    /// Closes it with FIN.
    pub(crate) fn close(&mut self) {
        if !self.is_closing && self.end.is_none() {
            self.is_closing = true;
            self.tcp.close();
        }
    }

    /// Whether the peer began it and its third ACK is still awaited: anybody who has seen the token can have
    /// sent the SYN.
    pub(crate) const fn is_half_open(&self) -> bool {
        matches!(self.step, Step::JoinSynReceived(_)) && self.end.is_none()
    }

    /// As the path manager sees it.
    pub(crate) fn pm_view(&self) -> PmSubflow {
        PmSubflow {
            id: self.id,
            local: self.path().local,
            remote: self.path().remote,
            local_id: self.local_id,
            remote_id: self.remote_id,
            priority: self.local_priority,
            is_established: self.is_up(),
            is_half_open: self.is_half_open(),
        }
    }

    /// As the algorithms see it. It gets no more than `most` bytes in all.
    pub(crate) fn view(&self, cwnd: u64, ssthresh: u64, reserve: usize, most: u64) -> PathView {
        let info = self.tcp.info();
        // What was sent and is not acknowledged counts as well.
        let sent = self.tcp.queued().saturating_sub(info.unsent);
        PathView {
            id: self.id,
            srtt: info.srtt,
            rttvar: info.rttvar,
            min_rtt: info.min_rtt,
            rto: info.rto,
            cwnd,
            ssthresh,
            in_flight: info.in_flight,
            queued: info.unsent,
            window_left: info.window_left.min(most.saturating_sub(sent)),
            mss: self.tcp.mss(reserve),
            priority: self.remote_priority,
            loss_state: info.loss_state,
            is_usable: self.is_usable(),
            is_stale: self.is_stale,
        }
    }

    /// Retransmission timeout, for timers that take their time from it.
    pub(crate) fn rto(&self) -> Duration {
        self.tcp.info().rto
    }
}
