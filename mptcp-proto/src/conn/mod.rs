//! One Multipath TCP connection.

pub mod counters;
pub mod options;
