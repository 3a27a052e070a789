//! Bytes of a TCP segment to values and back.
//!
//! Everything here reads what a stranger wrote, hence neither indexing nor arithmetic that could
//! panic.

#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

pub mod checksum;
pub mod mptcp;
pub mod reader;
pub mod segment;
pub mod tcp_option;
pub mod writer;
