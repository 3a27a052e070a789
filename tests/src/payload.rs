//! The bytes that the lab's applications send: reproducible from a label, different at every
//! offset, so that lost, doubled or moved bytes cannot cancel out.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// An endless stream of bytes: block n is SHA-256 of the label and n.
pub struct Payload {
    label: String,
    block: u64,
    rest: Vec<u8>,
}

impl Payload {
    /// The stream that belongs to `label`, from its first byte on.
    pub fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            block: 0,
            rest: Vec::new(),
        }
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Vec<u8> {
        while self.rest.len() < len {
            let mut hash = Sha256::new();
            hash.update(self.label.as_bytes());
            hash.update(self.block.to_be_bytes());
            self.rest.extend_from_slice(&hash.finalize());
            self.block = self.block.wrapping_add(1);
        }
        let tail = self.rest.split_off(len);
        std::mem::replace(&mut self.rest, tail)
    }
}

/// A finished hash in hexadecimal.
pub fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256 of `bytes` in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_the_same_stream() {
        let whole = Payload::new("c2s").take(1000);
        let mut pieces = Payload::new("c2s");
        let mut joined = pieces.take(1);
        joined.extend(pieces.take(499));
        joined.extend(pieces.take(500));
        assert_eq!(joined, whole);
    }

    #[test]
    fn labels_give_different_streams() {
        assert_ne!(Payload::new("c2s").take(32), Payload::new("s2c").take(32));
    }

    #[test]
    fn hash_is_written_as_in_the_standard() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
