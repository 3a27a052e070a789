//! Fast recovery and what may undo it (RFC 6675, RFC 6582, RFC 8985, RFC 3522).

use crate::path::LossState;

/// How a connection stands with losses.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    pub(super) state: LossState,
    /// The episode ends once this position is acknowledged.
    pub(super) point: u64,
    /// Duplicate acknowledgements in a row, where there is no SACK.
    pub(super) duplicates: u32,
    /// The next lost segment leaves whatever the congestion window says (RFC 6675 §5 step 4.3).
    pub(super) must_resend: bool,
    pub(super) undo: Option<Undo>,
    pub(super) tail: Option<TailProbe>,
    /// No second reduction for ECN before this position is acknowledged (RFC 3168 §6.1.2).
    pub(super) reduced_until: Option<u64>,
}

/// What would show that an episode was a mistake.
#[derive(Debug, Clone, Copy)]
pub(super) struct Undo {
    /// Timestamp of the first retransmission (RFC 3522 §3.2).
    pub(super) first_resent: Option<u32>,
    /// Where that ended: an acknowledgement below says nothing of it.
    pub(super) first_end: u64,
    /// Segments sent again.
    pub(super) resent: u32,
    /// And reported as duplicates since.
    pub(super) duplicates: u32,
    /// Reports of duplicates that come once this is acknowledged are of something else.
    pub(super) until: u64,
}

/// A tail loss probe in flight (RFC 8985 §7.4).
#[derive(Debug, Clone, Copy)]
pub(super) struct TailProbe {
    pub(super) end: u64,
    pub(super) is_repeat: bool,
}

impl Recovery {
    pub(super) const fn begin(&mut self, state: LossState, point: u64) {
        self.state = state;
        self.point = point;
        self.must_resend = true;
        self.tail = None;
        self.undo = Some(Undo {
            first_resent: None,
            first_end: u64::MAX,
            resent: 0,
            duplicates: 0,
            until: u64::MAX,
        });
    }

    /// A segment was sent again, with this timestamp.
    pub(super) fn note_resent(&mut self, end: u64, timestamp: Option<u32>) {
        self.must_resend = false;
        if let Some(undo) = &mut self.undo {
            if undo.resent == 0 {
                undo.first_resent = timestamp;
                undo.first_end = end;
            }
            undo.resent = undo.resent.saturating_add(1);
        }
    }

    /// Whether an acknowledgement that echoes `echo` was for a first copy: it left the peer before
    /// the first retransmission can have arrived (RFC 3522 §3.2).
    pub(super) fn was_mistaken(&self, una: u64, echo: Option<u32>) -> bool {
        let Some(undo) = self.undo else {
            return false;
        };
        let is_older = |(resent, echo): (u32, u32)| echo.wrapping_sub(resent).cast_signed() < 0;
        let echoes_original =
            una >= undo.first_end && undo.first_resent.zip(echo).is_some_and(is_older);
        let all_were_duplicates = undo.resent > 0 && undo.duplicates >= undo.resent;
        echoes_original || all_were_duplicates
    }
}

/// Duplicate acknowledgements that make a segment lost (RFC 5681 §3.2).
pub(super) const DUPLICATE_THRESHOLD: u32 = 3;
