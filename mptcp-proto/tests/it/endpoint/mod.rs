//! Two endpoints against each other: what RFC 8684 and RFC 6824 want of them.

mod address;
mod close;
mod cookie_join;
mod fail;
mod fallback;
mod fast_open;
pub(crate) mod handshake;
mod hostile;
mod info;
pub(crate) mod join;
mod manager;
mod matrix;
pub(crate) mod meddle;
mod pacing;
pub(crate) mod pair;
mod queues;
mod refused;
mod stateless;
mod tcp_rules;
mod transfer;
mod urgent;
mod version;
mod window;
