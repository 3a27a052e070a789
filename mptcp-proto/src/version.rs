//! Protocol versions.

/// Version of Multipath TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// RFC 6824.
    V0,
    /// RFC 8684.
    V1,
}
