//! Multipath TCP (RFC 8684 version 1, RFC 6824 version 0) as bytes, values and state.
//!
//! The crate opens nothing, spawns nothing, reads no clock and no random source.

#![forbid(unsafe_code)]

pub mod cc;
pub mod conn;
pub mod data;
pub mod endpoint;
pub mod hmac;
pub mod key;
pub mod path;
pub mod pcapng;
pub mod pm;
pub mod random;
pub mod sched;
pub mod seq;
pub mod tcp;
pub mod time;
pub mod version;
pub mod wire;
