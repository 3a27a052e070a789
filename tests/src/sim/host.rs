//! What the simulator asks of a host.

use mptcp_proto::time::Instant;

/// A host: a stack, and whatever runs on it. It has no clock and no sockets.
pub trait Host {
    /// A packet, from its IP header on, has arrived.
    fn handle_packet(&mut self, now: Instant, packet: &[u8]);

    /// Appends the next packet to be sent, from its IP header on, to `packet`, which is empty. False
    /// when there is none; it is asked again after something else has happened.
    fn poll_transmit(&mut self, now: Instant, packet: &mut Vec<u8>) -> bool;

    /// When [`Host::handle_timeout`] wants to be called.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The time of [`Host::poll_timeout`] has come.
    fn handle_timeout(&mut self, now: Instant);
}

/// A host of a network, by the order in which they were added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(super) usize);

/// The host at the near end of the paths that [`super::Net::path`] makes.
pub const CLIENT: HostId = HostId(0);

/// The host at their far end.
pub const SERVER: HostId = HostId(1);

/// The hosts of a run, by their number. They belong to the test, so that it can look into them.
pub trait Hosts {
    /// The host with this number, if there is one.
    fn host(&mut self, id: HostId) -> Option<&mut dyn Host>;
}

/// The two hosts of most tests.
#[derive(Debug, Clone)]
pub struct Pair<C, S> {
    /// The host [`CLIENT`].
    pub client: C,
    /// The host [`SERVER`].
    pub server: S,
}

impl<C: Host, S: Host> Hosts for Pair<C, S> {
    fn host(&mut self, id: HostId) -> Option<&mut dyn Host> {
        match id {
            CLIENT => Some(&mut self.client),
            SERVER => Some(&mut self.server),
            _ => None,
        }
    }
}

impl<H: Host> Hosts for Vec<H> {
    fn host(&mut self, id: HostId) -> Option<&mut dyn Host> {
        self.get_mut(id.0).map(|host| host as &mut dyn Host)
    }
}

impl<const N: usize> Hosts for [&mut dyn Host; N] {
    fn host(&mut self, id: HostId) -> Option<&mut dyn Host> {
        self.get_mut(id.0).map(|host| &mut **host as &mut dyn Host)
    }
}
