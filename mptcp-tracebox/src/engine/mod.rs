//! Which packet is sent next, and when: no clock, no socket.
//!
//! ```text
//! poll_transmit(now)          until none: the next packet to send
//! poll_timeout(now)           then wait until here, or for a packet
//! handle_packet(now, packet)  a packet for our host came, from its IP header on
//! handle_timeout(now)         the time has come
//! poll_event()                what happened
//! is_done()                   nothing is left to ask
//! ```
//!
//! For each flow: a plain SYN to the target; plain SYNs with growing TTL until one reaches it; the other
//! probes at each TTL below, again where nothing came back, or few quotes say where; then each to the target; then another
//! port of it, to compare; last, if it speaks MPTCP, those of the established phase in a connection.

mod compare;
mod compose;
mod conversation;
mod ends;
pub(crate) mod hole;
mod ladder;
mod pace;
mod recheck;
mod segments;
mod shared_random;

use std::collections::VecDeque;
use std::time::Duration;

use mptcp_proto::random::RandomSource;
use mptcp_proto::time::Instant;

use self::compare::Compare;
use self::compose::Composer;
use self::conversation::{Conversation, Next, Prepared};
use self::ends::Ends;
use self::ladder::{Discovery, Ladder};
use self::pace::Bucket;
use self::recheck::Recheck;
use self::shared_random::SharedRandom;
use crate::evidence::{Evidence, Purpose, Role, SentId};
use crate::packet::fields::Fields;
use crate::plan::{ATTEMPTS, Plan};
use crate::probe::{Phase, Probe};
use crate::trace::{EndAnswer, EndOption};
use crate::verdict::judge;

/// A run under way.
pub struct Engine {
    plan: Plan,
    random: SharedRandom,
    composer: Composer,
    evidence: Evidence,
    pacer: Bucket,
    /// For each TTL, from 1.
    routers: Vec<Bucket>,
    /// What was sent and is waited for.
    waiting: Vec<Waiting>,
    /// Answers to answers: they do not wait.
    replies: VecDeque<(Purpose, Vec<u8>)>,
    /// A packet of the connection that the pacer has not let go yet.
    ready: Option<Box<Prepared>>,
    events: VecDeque<Event>,
    /// Longest time that an answer took.
    slowest: Duration,
    /// By then the target has the RST of the last connection that it began.
    quiet: Instant,
    flow: usize,
    /// Connections that were begun for the probes of the established phase, in this flow.
    connections: u8,
    stage: Stage,
}

/// What is done at the moment.
#[derive(Debug)]
enum Stage {
    /// A plain SYN asks whether the target is there.
    Reach(Ends),
    /// Plain SYNs with growing TTL look for the distance.
    Discover(Discovery),
    /// All probes, below the distance.
    Climb(Ladder),
    /// Some of them, where few quotes say where something happens.
    Recheck(Recheck),
    /// All probes, to the target.
    Ends(Ends),
    /// Another port of the target.
    Compare(Compare),
    /// All probes of the established phase.
    Converse(Box<Conversation>),
    /// All is asked.
    Done,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    id: SentId,
    until: Instant,
    ask: Ask,
}

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ask {
    /// Number of the probe in [`Plan::probes_in`].
    probe: usize,
    role: Role,
    ttl: u8,
    attempt: u8,
}

/// How an ask ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// A router said that the TTL ran out.
    Expired,
    /// The target answered, or somebody in its place.
    Reached,
    /// Somebody says that it cannot be delivered.
    Refused,
    /// Nothing came in time.
    Silent,
}

/// What a stage wants.
#[derive(Debug)]
enum Want {
    /// This is to be sent now.
    Send(Ask),
    /// This packet is to be sent now.
    Packet(Box<Prepared>),
    /// Nothing before this time, unless an answer comes.
    Wait(Instant),
    /// Nothing until an answer comes, or does not.
    Answer,
    /// The stage is over.
    Over,
}

/// A packet to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Why.
    pub purpose: Purpose,
    /// From the IP header on.
    pub bytes: Vec<u8>,
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// An answer to this packet came.
    Answered(SentId),
    /// Nothing came for this packet in time.
    Silent(SentId),
    /// A flow is asked out.
    FlowDone(usize),
}

impl Engine {
    /// A run that begins. The random source decides about sequence numbers, keys and tokens.
    pub fn new(plan: Plan, random: Box<dyn RandomSource + Send>, now: Instant) -> Self {
        let router = Bucket::of_router(plan.target.is_ipv4(), now);
        let random = SharedRandom::new(random);
        Self {
            composer: Composer::new(random.clone()),
            random,
            evidence: Evidence::default(),
            pacer: Bucket::new(BURST.min(plan.pps), plan.pps, now),
            routers: vec![router; usize::from(plan.max_ttl)],
            waiting: Vec::new(),
            replies: VecDeque::new(),
            ready: None,
            events: VecDeque::new(),
            slowest: Duration::ZERO,
            quiet: now,
            flow: 0,
            connections: 0,
            stage: Stage::Reach(Ends::control()),
            plan,
        }
    }

    /// The next packet to send; none for now.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        if let Some((purpose, bytes)) = self.replies.pop_front() {
            self.evidence.note_sent(now, purpose.clone(), bytes.clone());
            return Some(Transmit { purpose, bytes });
        }
        // Whether a stage is over does not depend on the pacer.
        let is_early = self.pacer.ready_at(1, now) > now;
        loop {
            match self.want(now) {
                Want::Send(_) if is_early => return None,
                Want::Packet(prepared) if is_early => {
                    self.ready = Some(prepared);
                    return None;
                }
                Want::Send(ask) => return self.send(now, ask),
                Want::Packet(prepared) => return self.send_prepared(now, *prepared),
                Want::Over => self.advance(now),
                Want::Wait(_) | Want::Answer => return None,
            }
        }
    }

    fn send(&mut self, now: Instant, ask: Ask) -> Option<Transmit> {
        let phase = match self.stage {
            Stage::Compare(_) => Phase::Compare,
            _ => Phase::Syn,
        };
        let probes = self.plan.probes_in(phase);
        let purpose = Purpose {
            flow: self.flow,
            probe: probes.get(ask.probe)?.clone(),
            role: ask.role,
            ttl: ask.ttl,
            attempt: ask.attempt,
        };
        let source = *self.plan.sources.get(self.flow)?;
        let bytes = self.composer.syn(source, self.plan.target, &purpose)?;
        self.pacer.take(now);
        if let Some(router) = self.router(ask.ttl).filter(|_| ask.role == Role::Ladder) {
            router.take(now);
        }
        match &mut self.stage {
            Stage::Reach(ends) | Stage::Ends(ends) => ends.note_sent(ask),
            Stage::Discover(discovery) => discovery.note_sent(ask),
            Stage::Climb(ladder) => ladder.note_sent(ask),
            Stage::Recheck(recheck) => recheck.note_sent(ask),
            Stage::Compare(compare) => compare.note_sent(ask),
            Stage::Converse(_) | Stage::Done => {}
        }
        let until = now + self.patience(ask.attempt);
        let id = self
            .evidence
            .note_sent(now, purpose.clone(), bytes.clone())?;
        self.waiting.push(Waiting { id, until, ask });
        Some(Transmit { purpose, bytes })
    }

    fn want(&mut self, now: Instant) -> Want {
        if let Some(prepared) = self.ready.take() {
            return Want::Packet(prepared);
        }
        match &mut self.stage {
            Stage::Reach(ends) | Stage::Ends(ends) => ends.want(now, self.quiet),
            Stage::Discover(discovery) => discovery.want(now, &self.routers),
            Stage::Climb(ladder) => ladder.want(now, &self.routers),
            Stage::Recheck(recheck) => recheck.want(now, &self.routers),
            Stage::Compare(compare) => compare.want(now, &self.routers),
            Stage::Converse(conversation) => {
                match conversation.next(now, &mut self.composer, &self.routers) {
                    Next::Send(prepared) => Want::Packet(prepared),
                    Next::Wait(until) => Want::Wait(until),
                    Next::Over => Want::Over,
                }
            }
            Stage::Done => Want::Answer,
        }
    }

    fn send_prepared(&mut self, now: Instant, prepared: Prepared) -> Option<Transmit> {
        let Prepared {
            purpose,
            packet,
            copy,
        } = prepared;
        let bytes = packet.emit().ok()?;
        self.pacer.take(now);
        let id = self
            .evidence
            .note_sent(now, purpose.clone(), bytes.clone())?;
        if purpose.role == Role::Ladder {
            if let Some(router) = self.router(purpose.ttl) {
                router.take(now);
            }
            let ask = Ask {
                probe: copy,
                role: Role::Ladder,
                ttl: purpose.ttl,
                attempt: purpose.attempt,
            };
            let until = now + self.patience(purpose.attempt);
            self.waiting.push(Waiting { id, until, ask });
        }
        Some(Transmit { purpose, bytes })
    }

    /// A stage is over: on to the next one.
    fn advance(&mut self, now: Instant) {
        let probes = self.plan.probes_in(Phase::Syn).len();
        let stage = std::mem::replace(&mut self.stage, Stage::Done);
        self.stage = match stage {
            Stage::Reach(ends) => Stage::Discover(Discovery::new(
                self.hint(),
                ends.is_reached(),
                self.plan.max_ttl,
            )),
            Stage::Discover(discovery) => {
                Stage::Climb(Ladder::new(&discovery, probes, self.plan.queries))
            }
            Stage::Climb(ladder) => Stage::Recheck(self.recheck(ladder.is_target_there())),
            Stage::Recheck(recheck) if recheck.is_target_there() => {
                Stage::Ends(Ends::special(probes))
            }
            Stage::Ends(_) => Stage::Compare(self.comparison()),
            Stage::Compare(_) => self.converse(now),
            // A firewall may have taken it for a connection of before.
            Stage::Converse(conversation)
                if conversation.is_vain() && self.connections < MOST_CONNECTIONS =>
            {
                self.converse(now)
            }
            Stage::Recheck(_) | Stage::Converse(_) => self.next_flow(),
            Stage::Done => Stage::Done,
        };
    }

    /// What is asked again, because few quotes say where it happens.
    fn recheck(&self, is_target_there: bool) -> Recheck {
        let trace = judge(&self.evidence, self.plan.target);
        let probes = self.plan.probes_in(Phase::Syn);
        Recheck::new(trace.flows.get(self.flow), &probes, is_target_there)
    }

    /// What another port is asked.
    fn comparison(&self) -> Compare {
        let probes = self.plan.probes_in(Phase::Compare);
        let trace = judge(&self.evidence, self.plan.target);
        let flow = trace.flows.get(self.flow);
        let hops = flow.map_or(&[][..], |flow| &flow.hops);
        let heard = hops.iter().filter(|hop| !hop.routers.is_empty());
        let ttls = heard.map(|hop| hop.ttl).collect();
        let distance = flow.and_then(|flow| flow.distance);
        Compare::new(probes, distance, ttls, self.plan.max_ttl)
    }

    fn converse(&mut self, now: Instant) -> Stage {
        self.connections += 1;
        match self.conversation(now) {
            Some(conversation) => Stage::Converse(Box::new(conversation)),
            None => self.next_flow(),
        }
    }

    /// The connection that carries the probes of the established phase, if they are wanted and the target
    /// speaks MPTCP.
    fn conversation(&mut self, now: Instant) -> Option<Conversation> {
        let probes = self.plan.probes_in(Phase::Data);
        let trace = judge(&self.evidence, self.plan.target);
        let flow = trace.flows.get(self.flow)?;
        let speaks = flow.ends.iter().any(|end| {
            let option = EndOption::Capable(1);
            end.probe == Probe::CapableV1
                && matches!(end.answer, EndAnswer::SynAck { option: found, .. } if found == option)
        });
        if probes.is_empty() || !speaks {
            return None;
        }
        let heard = flow.hops.iter().filter(|hop| !hop.routers.is_empty());
        let ttls = heard.map(|hop| hop.ttl).collect();
        let ends = (flow.source, self.plan.target);
        let isn = self.composer.next_seq();
        let random = self.random.clone();
        Conversation::begin(now, ends, self.flow, (ttls, &probes), (isn, random))
    }

    fn next_flow(&mut self) -> Stage {
        self.events.push_back(Event::FlowDone(self.flow));
        self.flow += 1;
        self.connections = 0;
        if self.flow < self.plan.sources.len() {
            Stage::Reach(Ends::control())
        } else {
            Stage::Done
        }
    }

    /// How many hops away the target seems to be, from the TTL of its answer: systems begin with 64, 128
    /// or 255.
    fn hint(&self) -> Option<u8> {
        let sent = self.evidence.all().iter().rev();
        let mut answers = sent
            .filter(|sent| sent.purpose.flow == self.flow && sent.purpose.role == Role::End)
            .flat_map(|sent| &sent.answers);
        let ttl = answers.find_map(|answer| answer.segment().map(|_| answer.ttl))?;
        let initial = [64, 128, 255].into_iter().find(|&initial| initial >= ttl)?;
        Some(initial - ttl + 1).filter(|&hops| hops <= self.plan.max_ttl)
    }

    fn router(&mut self, ttl: u8) -> Option<&mut Bucket> {
        self.routers.get_mut(usize::from(ttl).checked_sub(1)?)
    }

    /// How long an answer may take. As long as none has come, nobody knows: each try waits longer.
    fn patience(&self, attempt: u8) -> Duration {
        let patience = self.plan.patience;
        if self.slowest.is_zero() {
            let times = 1 << attempt.min(ATTEMPTS - 1);
            return (patience * times).min(MOST_PATIENCE.max(patience));
        }
        (self.slowest * 3).clamp(patience, MOST_PATIENCE.max(patience))
    }

    /// A packet for our host came, from its IP header on. Says which packet of ours it answers.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) -> Option<SentId> {
        let id = self.evidence.note_received(now, packet)?;
        if let Stage::Converse(conversation) = &mut self.stage {
            conversation.handle_packet(now, packet);
        } else if self.close(packet) {
            self.quiet = now + self.slowest;
        }
        self.events.push_back(Event::Answered(id));
        let sent = self.evidence.sent(id)?;
        let outcome = match sent.answers.last() {
            Some(answer) if answer.expired().is_some() => Outcome::Expired,
            Some(answer) if answer.segment().is_some() => Outcome::Reached,
            _ => Outcome::Refused,
        };
        // What comes too late shows that others may need longer, too; what comes again does not, nor what may be
        // for another copy.
        let Purpose { role, probe, .. } = &sent.purpose;
        let is_asked = matches!(role, Role::Ladder | Role::End) && probe.phase() != Phase::Data;
        if sent.answers.len() == 1 && is_asked {
            self.slowest = self.slowest.max(now.since(sent.at).min(MOST_SLOW));
        }
        let waiting = self.waiting.iter().position(|waiting| waiting.id == id);
        if let Some(at) = waiting {
            let ask = self.waiting.swap_remove(at).ask;
            self.settle(ask, outcome);
        }
        Some(id)
    }

    /// A half-open connection of the target is taken back, if the packet is a sign of one.
    fn close(&mut self, packet: &[u8]) -> bool {
        let reset = Fields::parse(packet).and_then(|fields| self.composer.reset(&fields));
        let Some(bytes) = reset else { return false };
        let purpose = Purpose {
            // What comes late may come when the last flow is done.
            flow: self.flow.min(self.plan.sources.len().saturating_sub(1)),
            probe: Probe::Syn,
            role: Role::Reset,
            ttl: compose::FULL_TTL,
            attempt: 0,
        };
        if self.replies.len() < MAX_REPLIES {
            self.replies.push_back((purpose, bytes));
        }
        true
    }

    fn settle(&mut self, ask: Ask, outcome: Outcome) {
        if outcome == Outcome::Expired
            && let Some(router) = self.router(ask.ttl)
        {
            router.give_back();
        }
        match &mut self.stage {
            Stage::Reach(ends) | Stage::Ends(ends) => ends.settle(ask, outcome),
            Stage::Discover(discovery) => discovery.settle(ask, outcome),
            Stage::Climb(ladder) => ladder.settle(ask, outcome),
            Stage::Recheck(recheck) => recheck.settle(ask, outcome),
            Stage::Compare(compare) => compare.settle(ask, outcome),
            Stage::Converse(conversation) => conversation.settle(ask, outcome),
            Stage::Done => {}
        }
    }

    /// The time of [`Engine::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        let (over, waiting) = self
            .waiting
            .drain(..)
            .partition(|waiting: &Waiting| waiting.until <= now);
        self.waiting = waiting;
        let over: Vec<Waiting> = over;
        if let Stage::Converse(conversation) = &mut self.stage {
            conversation.handle_timeout(now);
        }
        for waiting in over {
            self.events.push_back(Event::Silent(waiting.id));
            self.settle(waiting.ask, Outcome::Silent);
        }
    }

    /// When [`Engine::handle_timeout`] and [`Engine::poll_transmit`] want to be called, if no packet
    /// comes. None when the run is over.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        if !self.replies.is_empty() {
            return Some(now);
        }
        let answer = self.waiting.iter().map(|waiting| waiting.until).min();
        let send = match self.want(now) {
            Want::Send(_) => Some(self.pacer.ready_at(1, now)),
            Want::Packet(prepared) => {
                self.ready = Some(prepared);
                Some(self.pacer.ready_at(1, now))
            }
            Want::Wait(until) => Some(until.max(self.pacer.ready_at(1, now))),
            Want::Over => Some(now),
            Want::Answer => None,
        };
        answer.into_iter().chain(send).min()
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether nothing is left to ask or to wait for.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done) && self.waiting.is_empty() && self.replies.is_empty()
    }

    /// What was sent and what came back.
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// What the run is to do.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("flow", &self.flow)
            .field("stage", &self.stage)
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

/// Packets that may leave at once.
const BURST: u32 = 32;
/// No answer is waited for longer, however slow the path was so far.
const MOST_PATIENCE: Duration = Duration::from_secs(3);
/// An answer that took longer is that to a packet of the other side which was lost at first.
const MOST_SLOW: Duration = Duration::from_millis(900);
/// Connections for the probes of the established phase, where nothing of the first one arrives.
const MOST_CONNECTIONS: u8 = 2;
/// Resets that wait to be sent.
const MAX_REPLIES: usize = 64;
