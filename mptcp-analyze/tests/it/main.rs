//! Tests of the analyzer as a library.

#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions only, not in what they share"
)]

mod capture;
