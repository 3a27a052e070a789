//! The crate against values it did not make itself, and against its own promises.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod corner;
mod endpoint;
mod identity;
mod lax;
mod lengths;
mod strategy;
mod tcp;
mod vectors;
mod whole_stream;
