//! At which hop of a path a TCP or Multipath TCP option, or any other header field, is removed or
//! rewritten.
//!
//! The crate is empty until the tracer itself is built; the workspace reserves its name and its
//! place in the crate graph: it may depend on `mptcp-proto` and `mptcp-cli` only.
