//! The bytes that applications send: from a name and a position, different everywhere.

use crate::sim::seed::{Seed, mix};

/// An endless stream whose bytes can be made from any position on.
#[derive(Debug, Clone, Copy)]
pub struct Stream(u64);

impl Stream {
    /// The stream of this name.
    pub fn new(name: &str) -> Self {
        Self(Seed(0).derive(name).0)
    }

    /// Appends `len` bytes from position `at` on.
    pub fn append(self, at: u64, len: u64, out: &mut Vec<u8>) {
        let end = at.saturating_add(len);
        let mut at = at;
        while at < end {
            let word = mix(self.0.wrapping_add(at / 8)).to_le_bytes();
            let from = usize::try_from(at % 8).unwrap_or(0);
            let to = usize::try_from(end - (at - at % 8)).unwrap_or(8).min(8);
            out.extend(&word[from..to]);
            at += (to - from) as u64;
        }
    }

    /// SHA-256 of its first `len` bytes.
    pub fn sha256(self, len: u64) -> String {
        let mut hash = super::outcome::Hash::default();
        let mut at = 0;
        while at < len {
            let mut bytes = Vec::new();
            let piece = (len - at).min(1 << 16);
            self.append(at, piece, &mut bytes);
            hash.add(&bytes);
            at += piece;
        }
        hash.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_the_same_stream() {
        let mut whole = Vec::new();
        Stream::new("a").append(0, 100, &mut whole);
        let mut pieces = Vec::new();
        for (at, len) in [(0, 1), (1, 6), (7, 1), (8, 20), (28, 72)] {
            Stream::new("a").append(at, len, &mut pieces);
        }
        assert_eq!(pieces, whole);
        let mut other = Vec::new();
        Stream::new("b").append(0, 100, &mut other);
        assert_ne!(other, whole);
    }
}
