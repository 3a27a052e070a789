//! The TCP of `mptcp-proto` in conversation: with itself over bad paths, and with a TCP that others
//! wrote.

mod pair;
mod peer;
mod smoltcp_host;
mod wire;
