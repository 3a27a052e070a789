//! How much a subflow can take of a chunk, and which subflow is the fastest.

use super::{Choice, Chunk};
use crate::path::PathView;

/// Bytes of the chunk that this subflow can take now; none when it must wait.
///
/// Less than a segment is taken only when that is all there is, or when nothing is under way that
/// could open the window further: silly windows help nobody (RFC 9293 §3.8.6.2.1).
pub(super) fn takes(path: &PathView, what: Chunk<'_>) -> Option<u64> {
    let len = match what {
        Chunk::New { len, .. } | Chunk::Reinjection { len, .. } => len,
        Chunk::DataFin => return Some(0),
    };
    let mss = u64::from(path.mss).max(1);
    let room = path.room();
    if room >= len {
        return (len > 0).then_some(len);
    }
    let whole = room - room % mss;
    let is_idle = path.in_flight == 0 && path.queued == 0;
    match (whole, is_idle) {
        (1.., _) => Some(whole),
        (0, true) if room > 0 => Some(room),
        _ => None,
    }
}

/// The candidate with the lowest round-trip time that has room, or something under way whose
/// acknowledgement may make room: for others it is of no use to wait.
pub(super) fn fastest(candidates: &[PathView]) -> Option<&PathView> {
    let moving = candidates
        .iter()
        .filter(|path| path.room() > 0 || path.in_flight > 0 || path.queued > 0);
    moving.min_by_key(|path| (path.srtt, path.id))
}

/// The candidate with the lowest round-trip time that takes some of the chunk.
pub(super) fn fastest_with_room<'a>(
    candidates: &'a [PathView],
    what: Chunk<'_>,
) -> Option<(&'a PathView, u64)> {
    let with_room = candidates
        .iter()
        .filter_map(|path| Some((path, takes(path, what)?)));
    with_room.min_by_key(|(path, _)| (path.srtt, path.id))
}

/// The choice that sends on this one, if there is one.
pub(super) fn choose(found: Option<(&PathView, u64)>) -> Choice {
    found.map_or(Choice::Wait, |(path, max)| Choice::One(path.id, max))
}
