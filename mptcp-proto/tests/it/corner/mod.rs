//! The corner cases of `docs/corner-cases.md`; the number of each stands at its test.

mod address;
mod attack;
mod checksum;
mod close;
mod fallback;
mod fast_close;
mod handshake;
mod join;
mod limits;
mod list;
mod mapping;
mod paths;
mod puppet;
mod reinjection;
mod reset;
mod window;
mod wrap;
