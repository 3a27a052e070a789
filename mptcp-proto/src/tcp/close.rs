//! Closing, resetting and reopening a connection (RFC 9293 §3.6), and ICMP.

use super::Tcp;
use super::handshake::MIN_MTU;
use super::options::{Incoming, seq_at};
use super::parts::{Outbox, Probe, Reset};
use super::report::{IcmpError, TcpEvent, TcpEvents};
use super::state::State;
use super::timer::Timer;
use crate::seq::TcpSeq;
use crate::time::Instant;
use crate::wire::segment::Segment;

impl Tcp {
    /// Sends FIN after what is queued (RFC 9293 §3.10.4).
    pub fn close(&mut self) {
        if self.fin_queued {
            return;
        }
        self.state = match self.state {
            State::SynSent => {
                self.timers.clear_all();
                State::Closed
            }
            State::Established => State::FinWait1,
            State::CloseWait => State::LastAck,
            other => other,
        };
        self.fin_queued = self.state != State::Closed;
    }

    /// Sends RST, if there is anybody to tell, and is closed (RFC 9293 §3.10.5).
    pub fn abort(&mut self) {
        let knows_peer = !matches!(self.state, State::Closed | State::SynSent | State::TimeWait);
        self.finish(&mut TcpEvents::default());
        if knows_peer {
            // Only a reset with the very number that the peer expects is taken at once (RFC 5961 §3); another
            // one is challenged, and the answer to that can say nothing of why. Where all is lost, the peer
            // expects what is not acknowledged.
            let expected = if self.board.in_flight() == 0 {
                self.board.una()
            } else {
                self.board.nxt()
            };
            self.outbox.reset = Some(Reset {
                seq: seq_at(self.iss, expected),
                ack: Some(seq_at(self.irs, self.receiver.ack_position())),
            });
        }
    }

    /// Makes a segment leave that the peer answers, as a keep-alive does (RFC 9293 §3.8.4).
    pub fn probe_now(&mut self) {
        if self.state.is_synchronized() {
            self.outbox.probe = Some(Probe::KeepAlive);
        }
    }

    /// Takes an ICMP message that quotes a segment of ours with this sequence number.
    pub fn handle_icmp(&mut self, _now: Instant, quoted: TcpSeq, error: IcmpError) -> TcpEvents {
        let mut events = TcpEvents::default();
        if !self.is_outstanding(quoted) {
            self.counters.stray_icmp += 1;
            return events;
        }
        match error {
            IcmpError::HardUnreachable if !self.state.is_synchronized() => {
                self.finish(&mut events);
                events.insert(TcpEvent::Refused);
            }
            IcmpError::HardUnreachable | IcmpError::SoftUnreachable => {}
            IcmpError::PacketTooBig { mtu } => self.reduce_mtu(mtu),
        }
        events
    }

    /// Whoever does not see our segments does not know which numbers are on their way (RFC 5927 §4.1).
    fn is_outstanding(&self, quoted: TcpSeq) -> bool {
        match self.state {
            State::Closed => false,
            State::SynSent | State::SynReceived => quoted == self.iss,
            _ => {
                let una = self.board.una();
                let outstanding = self.board.nxt().saturating_sub(una);
                quoted
                    .distance_from(seq_at(self.iss, una))
                    .is_some_and(|distance| u64::from(distance) < outstanding)
            }
        }
    }

    fn reduce_mtu(&mut self, mtu: u32) {
        let mtu = mtu.max(if self.path.remote.is_ipv6() {
            MIN_MTU_V6
        } else {
            MIN_MTU
        });
        if mtu >= self.path_mtu {
            return;
        }
        self.path_mtu = mtu;
        self.counters.mtu_reductions += 1;
        self.board.lose_longer_than(u64::from(self.mss(0)));
        self.recovery.must_resend |= self.board.has_lost();
    }

    /// The connection is over, without another word.
    pub(super) fn finish(&mut self, events: &mut TcpEvents) {
        self.state = State::Closed;
        self.timers.clear_all();
        self.outbox = Outbox::default();
        self.handshake.is_due = false;
        events.insert(TcpEvent::Closed);
    }

    /// Our FIN may have been acknowledged.
    pub(super) fn handle_fin_acked(&mut self, now: Instant, events: &mut TcpEvents) {
        if !self.is_fin_acked() {
            return;
        }
        match self.state {
            State::FinWait1 => {
                self.state = State::FinWait2;
                events.insert(TcpEvent::FinAcked);
                if let Some(limit) = self.config.fin_wait_2 {
                    self.timers.set(Timer::Close, now + limit);
                }
            }
            State::Closing => {
                events.insert(TcpEvent::FinAcked);
                self.wait(now, events);
            }
            State::LastAck => {
                events.insert(TcpEvent::FinAcked);
                self.finish(events);
            }
            _ => {}
        }
    }

    /// The peer's FIN is reached.
    pub(super) fn handle_peer_closed(&mut self, now: Instant, events: &mut TcpEvents) {
        events.insert(TcpEvent::PeerClosed);
        match self.state {
            State::Established => self.state = State::CloseWait,
            State::FinWait1 => self.state = State::Closing,
            State::FinWait2 => self.wait(now, events),
            _ => {}
        }
    }

    fn wait(&mut self, now: Instant, events: &mut TcpEvents) {
        self.state = State::TimeWait;
        self.timers.clear_all();
        self.timers.set(Timer::Close, now + self.config.time_wait);
        events.insert(TcpEvent::TimeWait);
    }

    /// Whether a SYN that comes in TIME-WAIT, so far after the next number, is of a new connection
    /// (RFC 6191 §2): it is newer by its timestamp, or without one by its number.
    pub(super) fn may_reopen(
        &self,
        segment: &Segment<'_>,
        incoming: &Incoming<'_>,
        offset: i32,
    ) -> bool {
        let flags = segment.flags;
        if !flags.syn() || flags.ack() || flags.rst() || flags.fin() {
            return false;
        }
        match incoming.timestamps {
            Some(timestamps) if self.negotiated.timestamps => {
                let newer = timestamps
                    .value
                    .wrapping_sub(self.clock.recent)
                    .cast_signed();
                newer > 0 || newer == 0 && offset > 0
            }
            _ => offset > 0,
        }
    }
}

/// RFC 8200 §5.
const MIN_MTU_V6: u32 = 1280;
