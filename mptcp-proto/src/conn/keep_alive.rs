//! Whether the path of a withdrawn address still works (RFC 8684 §3.4.2).

use std::time::Duration;

use crate::conn::Connection;
use crate::conn::timers::back_off;
use crate::time::Instant;
use crate::wire::mptcp::ResetReason;

/// A keep-alive of which the answer is awaited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeepAlive {
    /// What comes before was on its way when the first one left.
    answered_from: Instant,
    /// When it is repeated, or given up.
    pub(crate) due: Instant,
    sent: u32,
}

impl KeepAlive {
    /// Keep-alives without an answer.
    const MAX_SENT: u32 = 3;

    fn first(now: Instant, rtt: Duration, rto: Duration) -> Self {
        Self {
            answered_from: now + rtt,
            due: now + rto,
            sent: 1,
        }
    }
}

impl Connection {
    /// Asks whether a subflow is alive, unless that was asked already.
    pub(super) fn keep_alive(&mut self, now: Instant, index: usize) {
        let subflow = &mut self.subflows[index];
        if subflow.is_up() && subflow.keep_alive.is_none() {
            let info = subflow.tcp.info();
            subflow.keep_alive = Some(KeepAlive::first(now, info.min_rtt, info.rto));
            subflow.tcp.probe_now();
        }
    }

    /// A segment came. A path that answers is not removed: that is up to who withdrew its address.
    pub(super) fn on_keep_alive_answered(&mut self, now: Instant, index: usize) {
        let waiting = &mut self.subflows[index].keep_alive;
        *waiting = waiting.filter(|asked| asked.answered_from > now);
    }

    /// Repeats a keep-alive, or resets the subflow over which no answer came.
    pub(super) fn repeat_keep_alive(&mut self, now: Instant, index: usize) {
        let subflow = &mut self.subflows[index];
        let Some(asked) = subflow.keep_alive.filter(|asked| asked.due <= now) else {
            return;
        };
        if asked.sent >= KeepAlive::MAX_SENT {
            self.reset_subflow(index, ResetReason::UNSPECIFIED);
            return;
        }
        subflow.keep_alive = Some(KeepAlive {
            due: now + back_off(subflow.rto(), asked.sent),
            sent: asked.sent.saturating_add(1),
            ..asked
        });
        subflow.tcp.probe_now();
    }
}
