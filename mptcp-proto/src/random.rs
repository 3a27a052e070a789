//! Randomness that the caller hands in.

/// Where keys, nonces and sequence numbers come from. On a real network it must be a
/// cryptographic generator (RFC 8684 §5); a test passes a seeded one and gets the same packets again.
pub trait RandomSource {
    /// Fills `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);

    /// A number of 32 bits.
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_be_bytes(bytes)
    }

    /// A number of 64 bits.
    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }
}
