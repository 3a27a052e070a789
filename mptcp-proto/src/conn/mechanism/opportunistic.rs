//! M1, opportunistic retransmission.

use crate::path::PathView;

/// Whether the first data that lacks its DATA_ACK is to be sent again on `idle`, a subflow with room,
/// while the data-level window is full. `holders` are the subflows on which it is outstanding.
///
/// As the mptcp.org kernel has it, it must be worth the bytes: each holder has four times the
/// round-trip time, or one of them a window so small that its next timeout is near.
pub fn is_worth_retransmitting(idle: &PathView, holders: &[PathView]) -> bool {
    if holders.iter().any(|holder| holder.id == idle.id) {
        return false;
    }
    let is_narrow = |holder: &PathView| holder.cwnd <= NARROW_SEGMENTS * u64::from(holder.mss);
    let is_slow = |holder: &PathView| idle.srtt.saturating_mul(SLOWNESS) < holder.srtt;
    holders.iter().any(is_narrow) || (!holders.is_empty() && holders.iter().all(is_slow))
}

/// Segments: too few for three duplicate acknowledgements to be likely.
const NARROW_SEGMENTS: u64 = 4;

/// How many times as slow a subflow must be.
const SLOWNESS: u32 = 4;
