//! SACK blocks, which boxes that change sequence numbers remember or forget.

use super::option_area::SACK;
use super::segment::Segment;
use super::spec::words;

words! {
    /// What happens to SACK blocks.
    pub enum Sack {
        /// They are changed as the acknowledgment number is.
        Fix = "fix",
        /// They are left alone and lie outside of what the sender has sent.
        Leave = "leave",
    }
}

/// Replaces every edge of every block (RFC 2018 §3).
pub fn map_blocks(segment: &mut Segment, map: impl Fn(u32) -> u32) {
    for place in segment.places() {
        if place.kind != SACK {
            continue;
        }
        if let Some(blocks) = segment
            .options_mut()
            .get_mut(place.at + 2..place.at + place.len)
        {
            for edge in blocks.as_chunks_mut::<4>().0 {
                *edge = map(u32::from_be_bytes(*edge)).to_be_bytes();
            }
        }
    }
}
