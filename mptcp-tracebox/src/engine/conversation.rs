//! Probes within an established connection.
//!
//! Our own endpoint opens the connection and speaks it. A segment with data that it wants to send is held
//! back until copies of it, with small TTLs, have asked each hop; then it goes out itself, so that the
//! target sees nothing but a slow client. Segments with other options of MPTCP are never sent in full.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use mptcp_proto::endpoint::{self, ConnId, Endpoint};
use mptcp_proto::seq::TcpSeq;
use mptcp_proto::tcp::Path;
use mptcp_proto::time::Instant;
use mptcp_proto::wire::segment::Flags;

use super::compose::{Composer, FULL_TTL};
use super::hole::Holes;
use super::pace::Bucket;
use super::segments::{TCP, acknowledged, connection_config, data_options, is_reset};
use super::shared_random::SharedRandom;
use super::{Ask, Outcome};
use crate::evidence::{Purpose, Role};
use crate::packet::Packet;
use crate::packet::fields::Fields;
use crate::plan::ATTEMPTS;
use crate::probe::Probe;

/// The connection, and what is left to ask with it.
pub(super) struct Conversation {
    endpoint: Endpoint,
    id: ConnId,
    flow: usize,
    /// TTLs that are asked.
    ttls: Vec<u8>,
    step: Step,
    /// Steps that follow.
    plan: VecDeque<Step>,
    /// Packets that go out next.
    queue: VecDeque<Prepared>,
    /// Segments with data that wait for their copies.
    held: Vec<Packet>,
    holes: Holes,
    /// Something of what went out in full was acknowledged.
    is_acked: bool,
    /// Segments with data that went out in full, and when.
    released: Vec<(TcpSeq, Instant)>,
    /// The last segment that carried data, from which others are made.
    model: Option<Packet>,
    /// A RST came while copies were under way: whose it is, and for which of them, shows when they are sent again,
    /// one by one, from this time on.
    reset_until: Option<Instant>,
    refill_until: Option<Instant>,
    /// The highest TTL of a copy of the step that ran out.
    passed: u8,
    /// Behind the last byte that the target has sent.
    heard: Option<TcpSeq>,
    in_flight: usize,
    /// What is held back was copied.
    is_copied: bool,
    /// Data of the target that are put aside until there is a copy with DSS, and until when: what is wrong
    /// with them must not end the connection before.
    aside: VecDeque<Vec<u8>>,
    aside_until: Option<Instant>,
    /// Copies that the step has sent.
    copies: Vec<Prepared>,
    /// When the step ends though nothing has happened.
    deadline: Instant,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// The handshake.
    Connect,
    /// So many bytes of data: the first come with MP_CAPABLE, the next with DSS.
    Data(usize),
    /// Two segments of so many bytes, one right after the other: who joins segments joins these.
    Pair(usize),
    /// An ACK with the option of a probe, of which no copy goes to the target.
    Option(Probe),
    /// A segment behind a hole, and then the one that fills it.
    Hole(usize),
    /// What was held back is on its way to the target.
    Released,
    /// The end, with MP_FASTCLOSE.
    Close,
}

/// A packet that goes out next.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) purpose: Purpose,
    pub(super) packet: Packet,
    /// Its number among the copies of the step.
    pub(super) copy: usize,
}

/// What a conversation wants.
#[derive(Debug)]
pub(super) enum Next {
    Send(Box<Prepared>),
    Wait(Instant),
    Over,
}

impl Conversation {
    /// Begins a connection. None when it cannot begin.
    pub(super) fn begin(
        now: Instant,
        (source, target): (SocketAddr, SocketAddr),
        flow: usize,
        (ttls, probes): (Vec<u8>, &[Probe]),
        (isn, random): (TcpSeq, SharedRandom),
    ) -> Option<Self> {
        let config = endpoint::Config {
            checksums_known_good: true,
            resets_strays: false,
            ..endpoint::Config::default()
        };
        let mut endpoint = Endpoint::new(config, Box::new(random));
        let path = Path {
            local: source,
            remote: target,
        };
        let id = endpoint
            .connect_from(now, path, connection_config(), isn)
            .ok()?;
        let mut plan = VecDeque::new();
        if probes.contains(&Probe::Dss) {
            plan.extend([
                Step::Data(FIRST),
                Step::Data(LARGE),
                Step::Pair(SMALL),
                Step::Hole(SMALL),
            ]);
        } else {
            plan.push_back(Step::Data(FIRST));
        }
        let options = probes.iter().filter(|probe| **probe != Probe::Dss);
        plan.extend(options.cloned().map(Step::Option));
        plan.push_back(Step::Close);
        Some(Self {
            endpoint,
            id,
            flow,
            ttls,
            step: Step::Connect,
            plan,
            queue: VecDeque::new(),
            held: Vec::new(),
            holes: Holes::default(),
            is_acked: false,
            released: Vec::new(),
            model: None,
            reset_until: None,
            refill_until: None,
            passed: 0,
            heard: None,
            in_flight: 0,
            is_copied: false,
            aside: VecDeque::new(),
            aside_until: None,
            copies: Vec::new(),
            deadline: now + HANDSHAKE,
        })
    }

    /// What is to be done next.
    pub(super) fn next(
        &mut self,
        now: Instant,
        composer: &mut Composer,
        routers: &[Bucket],
    ) -> Next {
        loop {
            self.pump(now);
            self.copy_held();
            if self.take_aside(now) {
                self.pump(now);
            }
            self.forget_hopeless(now, routers);
            let calm = self.reset_until.filter(|until| now < *until);
            if let Some(until) = calm.filter(|_| self.is_copy_next()) {
                return Next::Wait(until);
            }
            if let Some(until) = self.refill(now) {
                return Next::Wait(until);
            }
            if let Some(prepared) = self.pop(composer) {
                return Next::Send(Box::new(prepared));
            }
            if self.in_flight > 0 || (!self.is_step_over() && now < self.deadline) {
                let timer = self.endpoint.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
                let aside = self.aside_until.filter(|_| !self.aside.is_empty());
                let aside = aside.unwrap_or(Instant::FAR_FUTURE);
                return Next::Wait(timer.min(aside).min(self.deadline.max(now + TICK)));
            }
            if !self.advance(now) {
                return Next::Over;
            }
        }
    }

    /// Until when the next copy has to wait because it is one of the last tries: a router that is out of errors gets
    /// some until then, which three tries in a row do not show.
    fn refill(&mut self, now: Instant) -> Option<Instant> {
        let next = self.queue.front().map(|next| next.purpose.attempt);
        if next.is_none_or(|attempt| attempt < ATTEMPTS) {
            self.refill_until = None;
            return None;
        }
        let until = *self.refill_until.get_or_insert(now + REFILL);
        if now < until {
            return Some(until);
        }
        self.refill_until = None;
        None
    }

    fn is_copy_next(&self) -> bool {
        let next = self.queue.front();
        next.is_some_and(|next| next.purpose.role == Role::Ladder)
    }

    /// The packet at the head of the queue; copies of the first data wait for the answer to the one
    /// before, so that an answer of the target tells from which TTL on it was given.
    fn pop(&mut self, composer: &mut Composer) -> Option<Prepared> {
        let is_copy = self.is_copy_next();
        let is_serial = self.step == Step::Data(FIRST) || self.reset_until.is_some();
        if is_copy && is_serial && self.in_flight > 0 {
            return None;
        }
        let mut prepared = self.queue.pop_front()?;
        if is_copy {
            self.in_flight += 1;
            prepared.copy = self.copies.len();
            self.copies.push(prepared.clone());
        }
        composer.sign(&mut prepared.packet, is_copy);
        Some(prepared)
    }

    /// A copy is not tried again where the router is known to have no errors left.
    fn forget_hopeless(&mut self, now: Instant, routers: &[Bucket]) {
        while let Some(prepared) = self.queue.front() {
            let Purpose { ttl, attempt, .. } = prepared.purpose;
            let router = usize::from(ttl).checked_sub(1);
            let router = router.and_then(|at| routers.get(at));
            let is_empty = router.is_some_and(|router| router.ready_at(1, now) > now);
            // Who resets connections has no limit.
            if attempt == 0 || !is_empty || self.reset_until.is_some() {
                break;
            }
            self.queue.pop_front();
        }
    }

    /// Takes what the endpoint wants to send: data are held back while a step asks with them.
    fn pump(&mut self, now: Instant) {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            if !self.endpoint.poll_transmit(now, &mut bytes) {
                break;
            }
            let Some(packet) = Packet::parse(&bytes) else {
                continue;
            };
            // Its answer to a RST (RFC 5961 §3.2) might draw another one, which is not for the copy under way.
            let is_challenge = self.reset_until.is_some() && packet.payload.is_empty();
            if is_challenge || self.is_on_its_way(&packet, now) {
                continue;
            }
            let is_held = !packet.payload.is_empty() && self.holds();
            if !is_held {
                self.holes.note_again(packet.seq);
                self.send_in_full(packet, Probe::Dss);
            } else if self.held.iter().all(|known| known.seq != packet.seq) {
                self.model = Some(packet.clone());
                self.held.push(packet);
            }
        }
        // Events are of no use here; they must not pile up.
        while self.endpoint.poll_event().is_some() {}
    }

    /// Whether the endpoint sends again what went out only now: it does not know that it was held back. Who
    /// joins segments would join it with the copies of the next step.
    fn is_on_its_way(&self, packet: &Packet, now: Instant) -> bool {
        let mut released = self.released.iter();
        !packet.payload.is_empty()
            && released.any(|(seq, at)| *seq == packet.seq && now.since(*at) < GRACE)
    }

    const fn holds(&self) -> bool {
        matches!(self.step, Step::Data(_) | Step::Pair(_) | Step::Hole(_))
    }

    fn send_in_full(&mut self, mut packet: Packet, probe: Probe) {
        packet.ttl = FULL_TTL;
        let purpose = self.purpose(probe, Role::Connection, FULL_TTL);
        self.queue.push_back(Prepared {
            purpose,
            packet,
            copy: 0,
        });
    }

    const fn purpose(&self, probe: Probe, role: Role, ttl: u8) -> Purpose {
        Purpose {
            flow: self.flow,
            probe,
            role,
            ttl,
            attempt: 0,
        }
    }

    fn is_step_over(&self) -> bool {
        let Some(connection) = self.endpoint.connection(self.id) else {
            return true;
        };
        match self.step {
            Step::Connect => connection.is_connected(),
            Step::Released | Step::Close => {
                let info = connection.info();
                info.snd_una == info.write_seq
            }
            Step::Data(_) => !self.held.is_empty(),
            Step::Pair(_) | Step::Hole(_) => self.held.len() > 1,
            // The copies are the step.
            Step::Option(_) => true,
        }
    }

    /// Ends a step and begins the next one; false when none is left.
    fn advance(&mut self, now: Instant) -> bool {
        if self.step == Step::Close {
            return false;
        }
        self.copies.clear();
        self.reset_until = None;
        self.passed = 0;
        if !self.held.is_empty() {
            self.release(now);
            self.deadline = now + ACKNOWLEDGE;
            return true;
        }
        let speaks = self.endpoint.connection(self.id).is_some_and(|connection| {
            connection.is_connected() && connection.info().version.is_some()
        });
        // What is no MPTCP any more cannot be asked with MPTCP, and what does not work with nothing.
        let is_vain = self.step == Step::Released && !self.is_acked;
        if self.step == Step::Released && self.holes.is_doubtful() {
            self.plan.push_front(Step::Hole(SMALL));
        }
        let next = if speaks && !is_vain {
            self.plan.pop_front()
        } else {
            None
        };
        self.step = next.unwrap_or(Step::Close);
        self.deadline = now + if self.holds() { COMPOSE } else { PAUSE };
        self.is_copied = false;
        self.begin_step(now);
        true
    }

    fn begin_step(&mut self, now: Instant) {
        match self.step.clone() {
            Step::Data(len) => self.write(now, len),
            Step::Pair(len) | Step::Hole(len) => {
                self.write(now, len);
                self.write(now, len);
            }
            Step::Option(probe) => self.copy_with_option(&probe),
            Step::Close => {
                if let Some(connection) = self.endpoint.connection_mut(self.id) {
                    connection.abort();
                }
                self.deadline = now + PAUSE;
            }
            Step::Connect | Step::Released => {}
        }
    }

    /// Writes a canary, and takes the segment that it becomes.
    fn write(&mut self, now: Instant, len: usize) {
        let canary: Vec<u8> = CANARY.iter().copied().cycle().take(len).collect();
        if let Some(connection) = self.endpoint.connection_mut(self.id) {
            // A connection that takes nothing any more is noticed by the next step.
            let _ = connection.write(&canary);
        }
        self.pump(now);
    }

    /// Copies of what is held back, for each TTL, once all of it is there.
    fn copy_held(&mut self) {
        let is_due = self.holds() && self.is_step_over() && !self.is_copied;
        if !is_due || matches!(self.step, Step::Hole(_)) {
            return;
        }
        self.is_copied = true;
        for ttl in self.ttls.clone() {
            for packet in self.held.clone() {
                self.copy(packet, Probe::Dss, ttl);
            }
        }
    }

    fn copy(&mut self, mut packet: Packet, probe: Probe, ttl: u8) {
        packet.ttl = ttl;
        let purpose = self.purpose(probe, Role::Ladder, ttl);
        self.queue.push_back(Prepared {
            purpose,
            packet,
            copy: 0,
        });
    }

    /// An ACK with another option of MPTCP, for each TTL that the target does not see.
    fn copy_with_option(&mut self, probe: &Probe) {
        let Some(model) = self.model.clone() else {
            return;
        };
        let len = u32::try_from(model.payload.len()).unwrap_or(0);
        // The target may have sent more since, and more of it may be on its way.
        let ack = match self.heard.filter(|_| *probe == Probe::UnseenAck) {
            Some(heard) => heard.add(UNSEEN),
            None => model.ack,
        };
        let packet = Packet {
            seq: model.seq.add(len),
            ack,
            flags: Flags::ACK,
            options: data_options(&model, probe),
            payload: Vec::new(),
            ..model
        };
        for ttl in self.ttls.clone() {
            self.copy(packet.clone(), probe.clone(), ttl);
        }
    }

    /// What was held back goes to the target; behind a hole, the later segment goes first.
    fn release(&mut self, now: Instant) {
        let mut held = std::mem::take(&mut self.held);
        if matches!(self.step, Step::Hole(_)) {
            held.reverse();
            held.iter()
                .take(1)
                .for_each(|later| self.holes.begin(later));
        }
        self.released.clear();
        for packet in held {
            self.released.push((packet.seq, now));
            self.send_in_full(packet, Probe::Dss);
        }
        self.step = Step::Released;
    }

    /// Behind the last byte of a segment of the target; a SYN begins anew.
    fn end_of(&mut self, packet: &[u8]) -> Option<TcpSeq> {
        let tcp = Fields::parse(packet)
            .filter(|it| it.ip.protocol == TCP)?
            .tcp;
        let flags = tcp.flags()?;
        if flags.syn() {
            self.heard = None;
        }
        let len = u32::try_from(tcp.payload().len()).ok()?;
        (!flags.rst())
            .then(|| tcp.seq())?
            .map(|seq| seq.add(len + u32::from(flags.syn())))
    }

    /// A packet of the target came.
    pub(super) fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        if self.in_flight > 0 && self.reset_until.is_none() && is_reset(packet) {
            self.reset_until = Some(now + CALM);
        }
        self.holes.handle_segment(packet);
        if let Some(ack) = Fields::parse(packet).and_then(|fields| acknowledged(&fields)) {
            let mut released = self.released.iter();
            self.is_acked |=
                released.any(|(seq, _)| ack.distance_from(*seq).is_some_and(|it| it > 0));
        }
        let end = self.end_of(packet);
        let is_later = |end: TcpSeq| {
            let known = self.heard.map(|heard| heard.distance_from(end));
            known.is_none_or(|distance| distance.is_none())
        };
        if let Some(end) = end.filter(|end| is_later(*end)) {
            self.heard = Some(end);
        }
        let is_data = Fields::parse(packet).is_some_and(|it| !it.tcp.payload().is_empty());
        let is_early = self.is_dss_to_come() && self.aside_until.is_none_or(|until| now < until);
        if is_data && is_early && self.aside.len() < MAX_ASIDE {
            self.aside.push_back(packet.to_vec());
            self.aside_until = self.aside_until.or(Some(now + ASIDE));
        } else {
            self.endpoint.handle_packet(now, packet);
        }
    }

    /// Whether no segment with DSS was copied yet, and one will be.
    fn is_dss_to_come(&self) -> bool {
        let is_next = self.step == Step::Data(LARGE) && !self.is_copied;
        is_next || self.plan.contains(&Step::Data(LARGE))
    }

    /// Hands over what was put aside, once there is a reason. Whether there was something.
    fn take_aside(&mut self, now: Instant) -> bool {
        let is_due = self.aside_until.is_some_and(|until| until <= now);
        if self.aside.is_empty() || (!is_due && self.is_dss_to_come()) {
            return false;
        }
        for packet in std::mem::take(&mut self.aside) {
            self.endpoint.handle_packet(now, &packet);
        }
        true
    }

    /// Whether nothing of what was sent was acknowledged.
    pub(super) const fn is_vain(&self) -> bool {
        !self.is_acked
    }

    /// The time has come.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
    }

    /// A copy was answered, or was not.
    pub(super) fn settle(&mut self, ask: Ask, outcome: Outcome) {
        if ask.role != Role::Ladder {
            return;
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        if outcome == Outcome::Expired {
            self.passed = self.passed.max(ask.ttl);
        }
        let is_doubtful = match outcome {
            Outcome::Silent => true,
            Outcome::Reached => self.reset_until.is_some(),
            Outcome::Expired | Outcome::Refused => false,
        };
        let copy = self
            .copies
            .get(ask.probe)
            .filter(|copy| is_doubtful && copy.purpose.attempt + 1 < self.tries(copy));
        if let Some(mut again) = copy.cloned() {
            again.purpose.attempt += 1;
            self.queue.push_back(again);
        }
    }

    /// Tries for a copy that is not answered. Those that go one by one have fewer.
    fn tries(&self, copy: &Prepared) -> u8 {
        match self.step {
            // Where it is dropped hangs on the first hop that is silent about it.
            _ if self.is_first_silent(copy.purpose.ttl) => ATTEMPTS + 2,
            Step::Data(FIRST) => ATTEMPTS - 1,
            _ => ATTEMPTS,
        }
    }

    fn is_first_silent(&self, ttl: u8) -> bool {
        let mut behind = self.ttls.iter().skip_while(|known| **known <= self.passed);
        behind.next() == Some(&ttl)
    }
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversation")
            .field("step", &self.step)
            .field("queue", &self.queue.len())
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

/// What is sent: text that nobody has a reason to change.
const CANARY: &[u8] = b"mptcp-tracebox probes this path; see https://example.org/mptcp-toolkit\r\n";
/// Bytes that come with MP_CAPABLE.
const FIRST: usize = 144;
/// Bytes of a segment that a box may split.
const LARGE: usize = 1200;
/// Bytes of segments that a box may join.
const SMALL: usize = 288;
/// Bytes that are acknowledged and that the target has never sent: more than it can repeat of what it got.
const UNSEEN: u32 = 8000;
/// The handshake takes no longer, or is given up.
const HANDSHAKE: Duration = Duration::from_millis(2500);
/// Data that are not acknowledged in this time will not be.
const ACKNOWLEDGE: Duration = Duration::from_millis(1500);
/// What was held back is not sent again for so long.
const GRACE: Duration = Duration::from_millis(400);
/// The endpoint needs no longer for a segment, if it can send one at all.
const COMPOSE: Duration = Duration::from_millis(250);
/// Data of the target are put aside no longer: they may be what acknowledges ours.
const ASIDE: Duration = Duration::from_millis(100);
/// Segments that are put aside.
const MAX_ASIDE: usize = 64;
/// After a RST, what is sent again waits so long for what else may be under way.
const CALM: Duration = Duration::from_millis(250);
/// In so long even a slow router gets another error to send.
const REFILL: Duration = Duration::from_millis(1500);
/// Between steps, when nothing is waited for.
const PAUSE: Duration = Duration::from_millis(1);
/// The least time to the next look.
const TICK: Duration = Duration::from_millis(1);
