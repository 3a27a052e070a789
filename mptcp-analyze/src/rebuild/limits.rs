//! How much the rebuilder keeps.

use super::rest::{IDLE_FRAMES, MAX_AWAKE, REST_FRAMES, VAIN_FRAMES};

/// How much is kept of a capture. What is beyond is counted and reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// TCP streams that are told apart.
    pub streams: usize,
    /// MPTCP connections that are kept.
    pub connections: usize,
    /// TCP streams of which the MPTCP part is kept.
    pub subflows: usize,
    /// HMACs that are computed to find the connection of joins.
    pub hmac_tries: u64,
    /// Connections that may be awake before open ones with packets are packed too.
    pub awake: usize,
    /// Frames after which a connection that is over is packed.
    pub rest_frames: u64,
    /// Frames after which an open connection without packets is packed, times the connections that are
    /// not; no fewer than [`Self::rest_frames`].
    pub idle_frames: u64,
    /// Frames for each open connection that was packed, or looked at, in vain; while there are fewer, no
    /// other one is.
    pub vain_frames: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            streams: MAX_STREAMS,
            connections: MAX_CONNECTIONS,
            subflows: MAX_SUBFLOWS,
            hmac_tries: MAX_HMAC_TRIES,
            awake: MAX_AWAKE,
            rest_frames: REST_FRAMES,
            idle_frames: IDLE_FRAMES,
            vain_frames: VAIN_FRAMES,
        }
    }
}

/// Most TCP streams that are told apart: a capture with more is cut off from new ones. A stream
/// without MPTCP takes less than 1 KiB, so that these need 4 GiB, as much as a person's machine can
/// spare.
const MAX_STREAMS: usize = 4_000_000;

/// Most MPTCP connections that are kept. A capture with more is cut off from new ones; with one
/// subflow each, an open connection takes about 2 KiB, and these 2 GiB.
const MAX_CONNECTIONS: usize = 1_000_000;

/// Most subflows that are kept, of all connections together. A capture with more is cut off from
/// new ones; at about 1.3 KiB a subflow these are 2.6 GiB.
const MAX_SUBFLOWS: usize = 2_000_000;

/// HMACs that are computed to find the connection of joins whose token does not settle it. A forged
/// join costs up to 400 of them, and all of these take about a second.
const MAX_HMAC_TRIES: u64 = 1_000_000;
