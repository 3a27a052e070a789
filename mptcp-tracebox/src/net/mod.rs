//! The sockets of a run: packets out, packets in, and nothing of our own kernel in between.
//!
//! ```text
//! Route      which address of this host leads to the target; no packet is sent for that
//! Ports      a port for each flow, held by a socket that keeps the kernel silent
//! Wire       whole packets out and in
//! privilege  what is not needed any more is given back
//! ```

mod clock;
mod error;
mod filter;
mod ports;
pub(crate) mod privilege;
mod route;
mod sys;
mod wire;

pub(crate) use clock::{Clock, KernelRandom};
pub use error::NetError;
pub(crate) use ports::Ports;
pub(crate) use route::Route;
pub(crate) use sys::{
    QueuedError, ask_fast_open, close_behind, is_mptcp, queued_error, report_errors, sign,
};
pub(crate) use wire::{Heard, Wire};
