//! What a run is to do, once names are resolved and flags are checked.

use std::net::SocketAddr;
use std::time::Duration;

use crate::probe::{Phase, Probe};

/// What a run is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Whom the probes are for.
    pub target: SocketAddr,
    /// Where the probes of each flow come from: one address, a port for each.
    pub sources: Vec<SocketAddr>,
    /// What is asked, in this order. A plain SYN is always asked too: it is the control.
    pub probes: Vec<Probe>,
    /// Highest TTL.
    pub max_ttl: u8,
    /// Answers that are wanted from each hop to each probe.
    pub queries: u8,
    /// Packets in a second, at most.
    pub pps: u32,
    /// How long an answer may take at least; more when the path is slower.
    pub patience: Duration,
}

impl Plan {
    /// The usual run over one flow.
    pub fn new(source: SocketAddr, target: SocketAddr) -> Self {
        Self {
            target,
            sources: vec![source],
            probes: Probe::ALL.to_vec(),
            max_ttl: 30,
            queries: 1,
            pps: 200,
            patience: Duration::from_millis(250),
        }
    }

    /// The probes of a phase; the control is the first of the SYNs.
    pub fn probes_in(&self, phase: Phase) -> Vec<Probe> {
        let control = (phase == Phase::Syn).then_some(Probe::Syn);
        let others = self.probes.iter().filter(|probe| probe.phase() == phase);
        let others = others.filter(|probe| **probe != Probe::Syn).cloned();
        control.into_iter().chain(others).collect()
    }
}

/// Highest number of flows.
pub const MAX_FLOWS: usize = 64;
/// Most answers that can be asked for.
pub const MAX_QUERIES: u8 = 10;
/// Tries for an answer that does not come.
pub const ATTEMPTS: u8 = 3;
/// Most kinds of probe in a run: what is judged is a table of hops and probes.
pub const MAX_PROBES: usize = 64;
