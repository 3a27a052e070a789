//! What a connection does against small buffers: the four mechanisms of Raiciu et al., "How Hard Can
//! It Be? Designing and Implementing a Deployable Multipath TCP", NSDI 2012, §4.2.
//!
//! They only decide; the connection, which may leave out any of them, acts.

mod autotune;
mod cwnd_cap;
mod once;
mod opportunistic;
mod penalty;
#[cfg(test)]
mod tests;

pub use autotune::{ReceiveBuffer, needed_send_buffer};
pub use cwnd_cap::CwndCap;
pub use opportunistic::is_worth_retransmitting;
pub use penalty::Penalty;
