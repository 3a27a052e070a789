//! A SYN with MP_CAPABLE that is answered with RST, or with an ICMP message that forbids it.
//!
//! RFC 8684 §3.9.3 has a SYN without the option for silence; a firewall that speaks is no better. So the
//! handshake begins once more, without MPTCP and without Fast Open. A server where nobody listens costs one
//! more round trip. The host remembers the second such destination in a row as a black hole
//! ([`crate::endpoint::blackhole::Destinations::on_refusal`]).

use crate::conn::config::Switch;
use crate::conn::{Connection, Context, Phase, State};
use crate::data::SentMappings;
use crate::seq::TcpSeq;
use crate::tcp::Tcp;
use crate::time::Instant;

impl Connection {
    /// Whether the SYN that has left so often carries MP_CAPABLE.
    pub(super) const fn offers_mptcp(&self, syns: u32) -> bool {
        self.tries.refusals == 0 && syns <= self.config.patience.syns_with_option
    }

    /// The SYN of this subflow was refused. Says whether another one follows.
    pub(super) fn outlives_refusal(&mut self, index: usize) -> bool {
        let syns = self.subflows[index].tcp.syn_transmissions();
        let is_on = self.config.patience.retry_refused == Switch::On;
        let is_offer = matches!(self.phase, Phase::SynSent(_)) && self.offers_mptcp(syns);
        if !is_on || !is_offer || self.tries.refusals >= MAX_REFUSALS {
            return false;
        }
        self.tries.refusals = self.tries.refusals.saturating_add(1);
        self.tries.is_retry_due = true;
        true
    }

    /// Begins anew. The number is another one, as late answers to the first SYN must not end the second.
    pub(super) fn retry_refused(&mut self, now: Instant, context: &mut Context<'_>) {
        // The application may have given up since.
        if !std::mem::take(&mut self.tries.is_retry_due) || self.state == State::Closed {
            return;
        }
        let isn = TcpSeq(context.random.next_u32());
        let Some(subflow) = self.subflows.first_mut() else {
            return;
        };
        subflow.tcp = Tcp::connect(&self.config.tcp, self.initial, isn, now);
        if !self.early.is_empty() {
            // What the first SYN carried is the first data now.
            subflow.outgoing = SentMappings::new(false);
            subflow.outgoing.skip(self.early.len() as u64);
            let early = self.early.clone();
            let _ = subflow.tcp.push(early, super::early::EARLY_TAG);
        }
    }
}

/// Refused SYNs with MP_CAPABLE that are followed by one without.
const MAX_REFUSALS: u32 = 1;
