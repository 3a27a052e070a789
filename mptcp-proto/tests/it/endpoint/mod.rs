//! Two endpoints against each other: what RFC 8684 and RFC 6824 want of them.

mod address;
mod close;
mod fail;
mod fallback;
mod handshake;
mod join;
mod meddle;
mod pair;
mod transfer;
mod version;
