//! All connections of a host.

pub mod tokens;
