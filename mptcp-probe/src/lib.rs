//! Does Multipath TCP work from here to there, end to end, and if not, why and where?
//!
//! The crate is empty until the prober itself is built; the workspace reserves its name and its
//! place in the crate graph: it may depend on `mptcp-proto`, `mptcp-tracebox` and `mptcp-cli`.
