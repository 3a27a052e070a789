//! The engine over a path of routers that do nothing but forward, to a host that speaks MPTCP.

mod clean_path;
