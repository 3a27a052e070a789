//! Sequence numbers that wrap, in types that do not mix.

/// Absolute TCP sequence number (RFC 9293 §3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpSeq(pub u32);

/// Subflow sequence number, relative to the subflow's ISN: the first byte is 1 (RFC 8684 §3.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Ssn(pub u32);

/// Data sequence number, always in full width (RFC 8684 §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Dsn(pub u64);
