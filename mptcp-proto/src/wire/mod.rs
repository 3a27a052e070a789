//! Bytes of a TCP segment to values and back.
//!
//! Everything here reads what a stranger wrote, hence neither indexing nor arithmetic that could
//! panic.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod mptcp;
pub mod reader;
pub mod tcp_option;
pub mod writer;
