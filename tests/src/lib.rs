//! Test kit of the toolkit: what tests of several crates share.
#![expect(
    clippy::missing_panics_doc,
    reason = "what a test script gets wrong shall stop the test at once, in every function here"
)]

pub mod craft;
pub mod lab;
pub mod middlebox;
pub mod path;
pub mod payload;
pub mod sim;
pub mod tcp_host;
