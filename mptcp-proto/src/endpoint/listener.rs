//! Who waits for connections.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::conn::{self, ListenerId};
use crate::endpoint::Endpoint;

/// Why nobody listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// Somebody listens there.
    #[error("somebody listens on {0}")]
    InUse(SocketAddr),
    /// There are too many listeners.
    #[error("the limit of {MAX_LISTENERS} listeners is reached")]
    LimitReached,
}

/// A listener.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) id: ListenerId,
    pub(super) config: conn::Config,
    /// Connections in their handshake at most.
    pub(super) backlog: usize,
    /// Connections in their handshake.
    pub(super) half_open: usize,
}

/// All listeners, by where they listen.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    by_address: BTreeMap<SocketAddr, Listener>,
    next: u32,
}

impl Listeners {
    /// Who listens on this address, or on any address with this port.
    pub(super) fn find(&mut self, local: SocketAddr) -> Option<&mut Listener> {
        let any = match local.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let wildcard = SocketAddr::new(any, local.port());
        let address = [local, wildcard]
            .into_iter()
            .find(|address| self.by_address.contains_key(address))?;
        self.by_address.get_mut(&address)
    }

    /// A connection of this listener has left its handshake.
    pub(super) fn on_handshake_end(&mut self, id: ListenerId) {
        let mut listeners = self.by_address.values_mut();
        if let Some(listener) = listeners.find(|listener| listener.id == id) {
            listener.half_open = listener.half_open.saturating_sub(1);
        }
    }
}

impl Endpoint {
    /// Waits for connections to this address; the unspecified address is any of its family. Up to
    /// `backlog` connections may be in their handshake.
    ///
    /// # Errors
    /// When somebody listens there, or there are too many listeners.
    pub fn listen(
        &mut self,
        local: SocketAddr,
        backlog: usize,
        mut config: conn::Config,
    ) -> Result<ListenerId, ListenError> {
        let listeners = &mut self.listeners;
        if listeners.by_address.contains_key(&local) {
            return Err(ListenError::InUse(local));
        }
        if listeners.by_address.len() >= MAX_LISTENERS {
            return Err(ListenError::LimitReached);
        }
        // Answers with cookies announce it as well.
        config.fit_window();
        let id = ListenerId(listeners.next);
        listeners.next = listeners.next.wrapping_add(1);
        let listener = Listener {
            id,
            config,
            backlog,
            half_open: 0,
        };
        listeners.by_address.insert(local, listener);
        Ok(id)
    }

    /// Ends a listener. Connections that came in stay.
    pub fn close_listener(&mut self, id: ListenerId) {
        self.listeners
            .by_address
            .retain(|_, listener| listener.id != id);
    }
}

/// Listeners of a host.
const MAX_LISTENERS: usize = 1024;
