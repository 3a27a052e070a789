//! What answers at the end of a path.

use std::collections::VecDeque;
use std::net::SocketAddr;

use mptcp_proto::conn;
use mptcp_proto::conn::config::Offer;
use mptcp_proto::time::Instant;

use super::plan::TargetPlan;
use crate::middlebox::segment::{ACK, SYN, Segment};
use crate::sim::{Host as _, MptcpStack, Seed, Stack as _};

/// A host, or what acts like one.
pub(super) enum Target {
    /// An endpoint of ours.
    Endpoint(Box<MptcpStack>),
    /// It copies the options of each SYN.
    Mirror(VecDeque<Vec<u8>>),
    /// It says nothing.
    Silent,
}

impl Target {
    pub(super) fn new(plan: TargetPlan, address: SocketAddr, seed: Seed) -> Self {
        let mptcp = match plan {
            TargetPlan::Mirror => return Self::Mirror(VecDeque::new()),
            TargetPlan::Silent => return Self::Silent,
            TargetPlan::V1 => Offer::V1,
            TargetPlan::V0 => Offer::V0,
            TargetPlan::Both => Offer::Both,
            TargetPlan::Tcp | TargetPlan::Closed => Offer::Off,
        };
        let config = conn::Config {
            mptcp,
            ..conn::Config::default()
        };
        let mut stack = MptcpStack::new(config, seed);
        if plan != TargetPlan::Closed {
            stack.listen(Instant::ZERO, address.port());
        }
        Self::Endpoint(Box::new(stack))
    }

    pub(super) fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        match self {
            Self::Endpoint(stack) => stack.handle_packet(now, packet),
            Self::Mirror(answers) => answers.extend(mirrored(packet)),
            Self::Silent => {}
        }
    }

    pub(super) fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        match self {
            Self::Endpoint(stack) => {
                let mut packet = Vec::new();
                stack.poll_transmit(now, &mut packet).then_some(packet)
            }
            Self::Mirror(answers) => answers.pop_front(),
            Self::Silent => None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Endpoint(stack) => stack.poll_timeout(),
            Self::Mirror(_) | Self::Silent => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Self::Endpoint(stack) = self {
            stack.handle_timeout(now);
        }
    }
}

fn mirrored(packet: &[u8]) -> Option<Vec<u8>> {
    let syn = Segment::parse(packet).filter(Segment::is_syn)?;
    let ack = syn.seq().wrapping_add(1);
    let mut answer = syn.answer(SYN | ACK, SEQ, ack, WINDOW);
    answer.set_options(syn.options().to_vec());
    Some(answer.emit())
}

const SEQ: u32 = 0x1234_5678;
const WINDOW: u16 = 65_535;
