//! All subflows of a connection under one rule.

use super::flow::{Flow, seconds};
use super::{AckSample, CongestionControl, Kind, Timeout};
use crate::path::{LossState, PathView, SubflowId};
use crate::time::Instant;

/// What an algorithm does differently from Reno. `flows` are all subflows, `me` is the one that
/// the event is about.
pub(super) trait Rule: std::fmt::Debug + Send {
    /// Which algorithm this is.
    const KIND: Kind;

    /// What it keeps for each subflow.
    type State: std::fmt::Debug + Copy + Default + Send;

    /// Looks at each acknowledgement, whether or not the window may grow.
    fn note(_now: Instant, _flow: &mut Flow<Self::State>, _ack: &AckSample) {}

    /// Lets the window grow. It is called only when the window is used to the full and no loss is
    /// being recovered from.
    fn grow(now: Instant, flows: &mut [Flow<Self::State>], me: usize, ack: &AckSample) {
        let Some(flow) = flows.get_mut(me) else {
            return;
        };
        if flow.is_in_slow_start() {
            flow.slow_start(ack.acked, ack.loss_state);
        } else {
            Self::avoid(now, flows, me, ack.acked);
        }
    }

    /// Congestion avoidance; Reno's if there is no other.
    fn avoid(_now: Instant, flows: &mut [Flow<Self::State>], me: usize, acked: u64) {
        if let Some(flow) = flows.get_mut(me) {
            flow.grow(flow.reno_increase(acked));
        }
    }

    /// What the slow start threshold becomes after a loss or ECE.
    fn reduced(flows: &[Flow<Self::State>], me: usize, flight_size: u64) -> u64 {
        flows.get(me).map_or(0, |flow| flow.half(flight_size, 2))
    }

    /// Changes the state at a loss or timeout; the window is still as it was.
    fn note_loss(_flow: &mut Flow<Self::State>, _cause: Cause) {}

    /// Changes the state after recovery or silence, when the window starts over.
    fn note_start(_flow: &mut Flow<Self::State>) {}
}

/// Why a window shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Loss,
    Timeout,
}

/// The subflows of a connection under the rule `R`.
#[derive(Debug)]
pub(super) struct Flows<R: Rule> {
    flows: Vec<Flow<R::State>>,
}

impl<R: Rule> Flows<R> {
    pub(super) fn new() -> Self {
        Self { flows: Vec::new() }
    }

    fn position(&self, id: SubflowId) -> Option<usize> {
        self.flows.iter().position(|flow| flow.id == id)
    }

    fn flow(&self, id: SubflowId) -> Option<&Flow<R::State>> {
        self.flows.iter().find(|flow| flow.id == id)
    }

    fn flow_mut(&mut self, id: SubflowId) -> Option<&mut Flow<R::State>> {
        self.flows.iter_mut().find(|flow| flow.id == id)
    }

    /// Takes over the round-trip times of the subflows that can be used.
    fn look(&mut self, paths: &[PathView]) {
        if !R::KIND.is_coupled() {
            return;
        }
        for (index, flow) in self.flows.iter_mut().enumerate() {
            // They come in the same order as a rule.
            let same_place = paths.get(index).filter(|path| path.id == flow.id);
            let path = same_place.or_else(|| paths.iter().find(|path| path.id == flow.id));
            flow.rtt = path
                .filter(|path| path.is_usable)
                .and_then(|path| seconds(path.srtt));
        }
    }
}

impl<R: Rule> CongestionControl for Flows<R> {
    fn kind(&self) -> Kind {
        R::KIND
    }

    fn add(&mut self, id: SubflowId, mss: u32) {
        self.remove(id);
        self.flows.push(Flow::new(id, mss));
    }

    fn remove(&mut self, id: SubflowId) {
        self.flows.retain(|flow| flow.id != id);
    }

    fn set_mss(&mut self, id: SubflowId, mss: u32) {
        if let Some(flow) = self.flow_mut(id) {
            flow.set_mss(mss);
        }
    }

    fn on_ack(&mut self, now: Instant, id: SubflowId, ack: &AckSample, paths: &[PathView]) {
        let Some(me) = self.position(id) else { return };
        self.look(paths);
        let Some(flow) = self.flows.get_mut(me) else {
            return;
        };
        flow.note(ack);
        R::note(now, flow, ack);
        let may_grow = ack.is_cwnd_limited && ack.acked > 0;
        if may_grow && ack.loss_state != LossState::Recovery {
            R::grow(now, &mut self.flows, me, ack);
        }
    }

    fn on_loss(&mut self, _now: Instant, id: SubflowId, flight_size: u64, paths: &[PathView]) {
        let Some(me) = self.position(id) else { return };
        self.look(paths);
        let ssthresh = R::reduced(&self.flows, me, flight_size);
        if let Some(flow) = self.flows.get_mut(me) {
            flow.remember();
            R::note_loss(flow, Cause::Loss);
            flow.reduce(ssthresh);
        }
    }

    fn on_timeout(&mut self, _now: Instant, id: SubflowId, timeout: Timeout, paths: &[PathView]) {
        let Some(me) = self.position(id) else { return };
        self.look(paths);
        let ssthresh = R::reduced(&self.flows, me, timeout.flight_size);
        if let Some(flow) = self.flows.get_mut(me) {
            if timeout.is_first {
                flow.remember();
                R::note_loss(flow, Cause::Timeout);
                flow.ssthresh = ssthresh;
            }
            flow.restart();
        }
    }

    fn on_recovered(&mut self, _now: Instant, id: SubflowId) {
        if let Some(flow) = self.flow_mut(id) {
            R::note_start(flow);
        }
    }

    fn on_undo(&mut self, _now: Instant, id: SubflowId) {
        if let Some(flow) = self.flow_mut(id) {
            flow.undo();
        }
    }

    fn on_idle(&mut self, _now: Instant, id: SubflowId) {
        if let Some(flow) = self.flow_mut(id) {
            flow.restart_after_idle();
            R::note_start(flow);
        }
    }

    fn penalise(&mut self, _now: Instant, id: SubflowId) {
        if let Some(flow) = self.flow_mut(id) {
            flow.penalise();
            R::note_start(flow);
        }
    }

    fn cap(&mut self, id: SubflowId, bytes: u64) {
        if let Some(flow) = self.flow_mut(id) {
            flow.cap(bytes);
        }
    }

    fn cwnd(&self, id: SubflowId) -> u64 {
        self.flow(id).map_or(0, |flow| flow.cwnd)
    }

    fn ssthresh(&self, id: SubflowId) -> u64 {
        self.flow(id).map_or(u64::MAX, |flow| flow.ssthresh)
    }
}

/// A subflow among others.
#[derive(Debug)]
pub(super) struct Coupled<'a, S> {
    /// The subflow itself.
    pub(super) flow: &'a Flow<S>,
    /// Its round-trip time in seconds.
    pub(super) rtt: f64,
    flows: &'a [Flow<S>],
}

impl<'a, S> Coupled<'a, S> {
    /// None when no other subflow can be used: then the algorithm is Reno.
    pub(super) fn new(flows: &'a [Flow<S>], me: usize) -> Option<Self> {
        let flow = flows.get(me)?;
        let coupled = Self {
            flow,
            rtt: flow.rtt?,
            flows,
        };
        coupled.all().nth(1)?;
        Some(coupled)
    }

    /// All subflows that can be used, this one among them, and their round-trip times.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'a Flow<S>, f64)> + use<'a, S> {
        let flows = self.flows.iter();
        flows.filter_map(|flow| Some((flow, flow.rtt?)))
    }
}
