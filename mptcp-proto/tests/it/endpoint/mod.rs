//! Two endpoints against each other: what RFC 8684 and RFC 6824 want of them.

mod handshake;
mod pair;
mod transfer;
