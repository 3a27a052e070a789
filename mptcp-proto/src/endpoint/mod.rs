//! All connections of a host.

pub mod addresses;
pub mod blackhole;
pub mod cookie;
pub mod tokens;
