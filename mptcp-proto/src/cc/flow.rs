//! The window of one subflow: what RFC 5681 says and all algorithms share.

use std::time::Duration;

use super::AckSample;
use super::slow_start::SlowStart;
use crate::path::{LossState, SubflowId};

/// A subflow's window. `S` is what the algorithm keeps beside it.
#[derive(Debug, Clone)]
pub(super) struct Flow<S> {
    pub(super) id: SubflowId,
    /// Largest payload of a segment; never zero.
    pub(super) mss: u64,
    pub(super) cwnd: u64,
    pub(super) ssthresh: u64,
    /// Smoothed round-trip time in seconds; none while the subflow cannot be used or has no sample.
    pub(super) rtt: Option<f64>,
    pub(super) state: S,
    start: SlowStart,
    /// What is left of the last growth: less than a byte.
    fraction: f64,
    /// As it was before the last reduction.
    before: Option<Before<S>>,
}

#[derive(Debug, Clone, Copy)]
struct Before<S> {
    cwnd: u64,
    ssthresh: u64,
    state: S,
}

impl<S: Copy + Default> Flow<S> {
    pub(super) fn new(id: SubflowId, mss: u32) -> Self {
        let mss = u64::from(mss).max(1);
        Self {
            id,
            mss,
            cwnd: initial_window(mss),
            ssthresh: u64::MAX,
            rtt: None,
            state: S::default(),
            start: SlowStart::default(),
            fraction: 0.0,
            before: None,
        }
    }

    pub(super) fn set_mss(&mut self, mss: u32) {
        self.mss = u64::from(mss).max(1);
        self.cwnd = self.cwnd.max(self.mss);
    }

    /// The window in bytes, as a number to reckon with. It is never above [`MAX_WINDOW`].
    pub(super) fn window(&self) -> f64 {
        real(self.cwnd)
    }

    pub(super) fn segment(&self) -> f64 {
        real(self.mss)
    }

    pub(super) const fn is_in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// Measures delays while nothing was lost yet (RFC 9406 §4.3).
    pub(super) fn note(&mut self, ack: &AckSample) {
        if self.ssthresh == u64::MAX {
            self.start.note(ack);
        }
    }

    /// RFC 5681 §3.1 with the byte counting of RFC 3465: at most two segments for an
    /// acknowledgement, and one while recovering from a timeout. The first slow start is that of
    /// RFC 9406.
    pub(super) fn slow_start(&mut self, acked: u64, loss_state: LossState) {
        let limit = if loss_state == LossState::Loss { 1 } else { 2 };
        let mut growth = acked.min(limit * self.mss);
        if self.ssthresh == u64::MAX {
            growth /= self.start.divisor();
        }
        self.cwnd = (self.cwnd + growth).min(MAX_WINDOW);
        if self.ssthresh == u64::MAX && self.start.is_over() {
            self.ssthresh = self.cwnd;
        }
    }

    /// Reno's growth for these bytes: a segment for each window of them (RFC 5681 §3.1).
    pub(super) fn reno_increase(&self, acked: u64) -> f64 {
        self.counted(acked) * self.segment() / self.window()
    }

    /// The bytes that count for growth: never more than a window.
    pub(super) fn counted(&self, acked: u64) -> f64 {
        real(acked.min(self.cwnd))
    }

    /// Grows the window by so many bytes, or shrinks it, keeping fractions for later.
    pub(super) fn grow(&mut self, bytes: f64) {
        let sum = self.fraction + bytes;
        let whole = towards_zero(sum);
        self.fraction = sum - f64::from(whole);
        let cwnd = self.cwnd.saturating_add_signed(i64::from(whole));
        self.cwnd = cwnd.clamp(self.mss, MAX_WINDOW);
    }

    /// Shrinks to so many bytes if the window is larger.
    pub(super) fn shrink_to(&mut self, bytes: f64) {
        self.cwnd = self.cwnd.min(whole_bytes(bytes)).max(self.mss);
    }

    /// Half of what is used of the window, which is what remains of it after a loss: RFC 5681
    /// equation 4, with a lower bound of so many segments.
    pub(super) fn half(&self, flight_size: u64, least: u64) -> u64 {
        (flight_size.min(self.cwnd) / 2).max(least * self.mss)
    }

    /// Shrinks to this threshold. RFC 6675 §5: what is lost is no longer in flight, so there is
    /// nothing to inflate the window for.
    pub(super) fn reduce(&mut self, ssthresh: u64) {
        self.ssthresh = ssthresh;
        self.cwnd = ssthresh.clamp(self.mss, MAX_WINDOW);
        self.fraction = 0.0;
    }

    /// Starts over with one segment.
    pub(super) fn restart(&mut self) {
        self.cwnd = self.mss;
        self.fraction = 0.0;
    }

    /// Remembers the window for [`Flow::undo`].
    pub(super) fn remember(&mut self) {
        self.before = Some(Before {
            cwnd: self.cwnd,
            ssthresh: self.ssthresh,
            state: self.state,
        });
    }

    pub(super) fn undo(&mut self) {
        let Some(before) = self.before.take() else {
            return;
        };
        self.cwnd = self.cwnd.max(before.cwnd);
        self.ssthresh = before.ssthresh;
        self.state = before.state;
    }

    /// RFC 5681 §4.1: the restart window after silence. The threshold remembers three quarters of
    /// what was reached (RFC 2861 §3.1), so that slow start leads back there.
    pub(super) fn restart_after_idle(&mut self) {
        self.ssthresh = self.ssthresh.max(self.cwnd / 4 * 3);
        self.cwnd = self.cwnd.min(initial_window(self.mss));
    }

    /// Halves the window and slow start's goal with it.
    pub(super) fn penalise(&mut self) {
        self.cwnd = (self.cwnd / 2).max(self.mss);
        self.ssthresh = self.cwnd.max(2 * self.mss);
    }

    pub(super) fn cap(&mut self, bytes: u64) {
        let bytes = bytes.max(2 * self.mss);
        if self.cwnd > bytes {
            self.cwnd = bytes;
            self.ssthresh = self.ssthresh.min(bytes);
        }
    }
}

/// RFC 6928 §2: ten segments, and fewer of large ones.
fn initial_window(mss: u64) -> u64 {
    (10 * mss).min((2 * mss).max(14_600))
}

/// A number of bytes to reckon with.
pub(super) fn real(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}

/// The whole part of a change of the window, which is never larger than a window.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a number out of range is meant to become the nearest one"
)]
fn towards_zero(bytes: f64) -> i32 {
    bytes as i32
}

/// The whole bytes of a number that is not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number out of range is meant to become the nearest one"
)]
pub(super) fn whole_bytes(bytes: f64) -> u64 {
    bytes as u64
}

/// Seconds of a time that was measured.
pub(super) fn seconds(rtt: Duration) -> Option<f64> {
    (!rtt.is_zero()).then_some(rtt.as_secs_f64())
}

/// No receiver's window is larger (RFC 7323 §2.3), so neither need the congestion window be.
pub(super) const MAX_WINDOW: u64 = 1 << 30;
