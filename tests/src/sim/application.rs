//! What runs on a host, without knowing what the host's stack is.

use mptcp_proto::time::Instant;

/// A connection as an application has it. Nothing blocks.
pub trait Socket {
    /// How far it is.
    fn state(&self) -> SocketState;

    /// Hands over bytes to be sent; how many were taken, from the first one on.
    fn write(&mut self, bytes: &[u8]) -> usize;

    /// Takes received bytes, in order; how many `bytes` has now, zero if there are none.
    fn read(&mut self, bytes: &mut [u8]) -> usize;

    /// Whether the other host has sent all and all of it was read.
    fn is_at_end(&self) -> bool;

    /// Nothing more will be written.
    fn shutdown_write(&mut self);

    /// Ends the connection at once, without regard for data.
    fn abort(&mut self);
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketState {
    /// Its handshake goes on.
    Connecting,
    /// It carries data, at least one way.
    Open,
    /// It is over in good order, or its rest does not concern the application.
    Closed,
    /// It was reset, refused, or given up.
    Failed,
}

/// A program with one connection.
pub trait Application {
    /// Does what it can do now.
    fn run(&mut self, now: Instant, socket: &mut dyn Socket);

    /// When it wants to run next though nothing happens on its connection.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Whether it has done all it wanted and has seen all it waits for.
    fn is_done(&self) -> bool;
}
