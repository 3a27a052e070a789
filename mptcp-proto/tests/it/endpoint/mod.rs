//! Two endpoints against each other: what RFC 8684 and RFC 6824 want of them.

mod address;
mod close;
mod fail;
mod fallback;
mod handshake;
mod hostile;
mod join;
mod manager;
mod matrix;
mod meddle;
mod pair;
mod stateless;
mod transfer;
mod version;
mod window;
