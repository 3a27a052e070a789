//! A number over everything that arrived.

use mptcp_proto::time::Instant;

use super::host::HostId;
use super::seed::mix;

/// No cryptographic hash: it tells runs apart that differ by accident.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    pub(super) fn add(&mut self, at: Instant, host: HostId, packet: &[u8]) {
        self.word(at.as_nanos());
        self.word((host.0 as u64) << 32 | packet.len() as u64);
        let (words, rest) = packet.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last));
    }

    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29);
    }

    pub(super) fn value(self) -> u64 {
        mix(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_the_time_and_the_host_count() {
        let of = |at, host, packet: &[u8]| {
            let mut fingerprint = Fingerprint::default();
            fingerprint.add(Instant::from_nanos(at), HostId(host), packet);
            fingerprint.value()
        };
        let known = of(5, 0, b"some packet of 23 bytes");
        assert_eq!(of(5, 0, b"some packet of 23 bytes"), known);
        assert_ne!(of(6, 0, b"some packet of 23 bytes"), known);
        assert_ne!(of(5, 1, b"some packet of 23 bytes"), known);
        assert_ne!(of(5, 0, b"some packet of 23 byteS"), known);
        assert_ne!(of(5, 0, b"some packet of 23 bytes\0"), known);
    }
}
