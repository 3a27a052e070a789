//! A run from the beginning to the end: sockets, engine, evidence.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use crate::engine::Engine;
use crate::evidence::Evidence;
pub use crate::net::NetError;
use crate::net::{Clock, KernelRandom, Ports, Route, Wire, close_behind, privilege};
use crate::plan::Plan;
use crate::probe::Probe;
use crate::run::{End, Extent, KernelMptcp};
pub use crate::session::{Ended, Nobody, Observer, Stop};
use crate::{session, unprivileged};

/// What is asked of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Whom the probes are for.
    pub target: SocketAddr,
    /// The address of this host that they come from; otherwise the kernel chooses.
    pub source: Option<IpAddr>,
    /// The interface that they leave by; otherwise the kernel chooses.
    pub interface: Option<String>,
    /// Number of flows, each from a port of its own.
    pub flows: usize,
    /// What is asked; see [`Plan::probes`].
    pub probes: Vec<Probe>,
    /// Highest TTL.
    pub max_ttl: u8,
    /// Answers that are wanted from each hop to each probe.
    pub queries: u8,
    /// Packets in a second, at most.
    pub pps: u32,
}

impl Request {
    /// Everything, over one flow.
    pub fn new(target: SocketAddr) -> Self {
        let plan = Plan::new(target, target);
        Self {
            target,
            source: None,
            interface: None,
            flows: 1,
            probes: plan.probes,
            max_ttl: plan.max_ttl,
            queries: plan.queries,
            pps: plan.pps,
        }
    }
}

/// What a run brought.
#[derive(Debug)]
pub struct Outcome {
    /// All that was sent and came back.
    pub evidence: Evidence,
    /// How it ended.
    pub ended: Ended,
    /// RSTs for our connections that the kernel of this host sent, or somebody else on it. The answers to
    /// what came after them are worth nothing.
    pub foreign_resets: u64,
    /// What the kernel's own MPTCP got, where it was asked.
    pub kernel_mptcp: Option<KernelMptcp>,
    /// Still open: closing it takes longer than some runs.
    tap: Option<OwnedFd>,
}

impl Outcome {
    /// That of a run that sent nothing.
    #[cfg(test)]
    pub(crate) fn nothing() -> Self {
        Self {
            evidence: Evidence::default(),
            ended: Ended::Complete,
            foreign_resets: 0,
            kernel_mptcp: None,
            tap: None,
        }
    }

    /// How far it came.
    pub const fn extent(&self) -> Extent {
        Extent {
            end: match self.ended {
                Ended::Complete => End::Complete,
                Ended::Interrupted => End::Interrupted,
                Ended::Broken(_) => End::Broken,
            },
            foreign_resets: self.foreign_resets,
        }
    }

    /// The last thing that a process does: what takes long to close is closed behind it.
    pub(crate) fn leave(&mut self) {
        // Where that is not possible it takes its time.
        let _ = self.tap.take().map(close_behind);
    }
}

/// A run that is ready to begin.
#[derive(Debug)]
pub struct Tracer {
    /// Held until the end.
    _ports: Ports,
    wire: Wire,
    clock: Clock,
    engine: Engine,
}

impl Tracer {
    /// Looks for the way to the target, takes ports and opens sockets. After that, this thread has no
    /// capabilities any more.
    ///
    /// # Errors
    /// [`NetError::NoPrivilege`] without `CAP_NET_RAW`; others when there is no way to the target.
    pub fn open(request: &Request) -> Result<Self, NetError> {
        let route = Route::of(request)?;
        let ports = Ports::take(&route, request.flows)?;
        let wire = Wire::open(&route, &ports.sources)?;
        let random = Box::new(KernelRandom::open()?);
        privilege::drop_all()?;
        let plan = Plan {
            sources: ports.sources.iter().copied().map(as_in_packets).collect(),
            probes: request.probes.clone(),
            max_ttl: request.max_ttl,
            queries: request.queries,
            pps: request.pps,
            ..Plan::new(as_in_packets(route.source), as_in_packets(route.target))
        };
        let clock = Clock::start();
        Ok(Self {
            _ports: ports,
            wire,
            clock,
            engine: Engine::new(plan, random, clock.now()),
        })
    }

    /// What will be asked.
    pub const fn plan(&self) -> &Plan {
        self.engine.plan()
    }

    /// Asks until all is known, or until it is to end.
    ///
    /// # Errors
    /// Those of the observer. What the network of this host says is in [`Outcome::ended`].
    pub fn run(mut self, stop: &Stop, observer: &mut dyn Observer) -> anyhow::Result<Outcome> {
        let (engine, wire) = (&mut self.engine, &mut self.wire);
        let ended = session::drive(engine, wire, self.clock, stop, observer)?;
        Ok(Outcome {
            evidence: until(&ended, self.engine.evidence().clone()),
            ended,
            foreign_resets: self.wire.foreign_resets(),
            kernel_mptcp: None,
            tap: Some(self.wire.into_tap()),
        })
    }
}

/// The evidence of a run that ended so.
const fn until(ended: &Ended, mut evidence: Evidence) -> Evidence {
    if !matches!(ended, Ended::Complete) {
        evidence.note_cut();
    }
    evidence
}

/// An address as packets have it: sockets want the zone of a link-local one (RFC 4007 §6), which no packet
/// has, and by which it would be another address.
fn as_in_packets(end: SocketAddr) -> SocketAddr {
    SocketAddr::new(end.ip(), end.port())
}

/// The same without raw sockets, over one flow: of the probes, those that plain sockets can send
/// ([`Probe::fast_open`], [`Probe::md5`], and a plain SYN always), and the kernel's own MPTCP.
///
/// # Errors
/// When there is no way to the target.
pub fn trace_unprivileged(request: &Request, stop: &Stop) -> Result<Outcome, NetError> {
    let route = Route::of(request)?;
    let what = (&request.probes[..], request.max_ttl);
    let climbed = unprivileged::trace(&route, what, Clock::start(), stop)?;
    Ok(Outcome {
        evidence: until(&climbed.ended, climbed.evidence),
        ended: climbed.ended,
        foreign_resets: 0,
        kernel_mptcp: climbed.kernel_mptcp,
        tap: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::fields::Fields;
    use crate::packet::tests::sample;

    #[test]
    fn a_link_local_end_is_that_of_its_packets() {
        let scoped: SocketAddr = "[fe80::1%7]:80".parse().unwrap();
        let bytes = sample("[fe80::1]:80", "[fe80::2]:9").emit().unwrap();
        let (source, _) = Fields::parse(&bytes).unwrap().ends().unwrap();
        assert_ne!(scoped, source);
        assert_eq!(as_in_packets(scoped), source);
    }
}
