//! Ports of our own, and a kernel that keeps silent about them.
//!
//! A SYN/ACK for a port that nobody has makes the kernel send a RST, and so does one for a port on which
//! somebody listens. But a listener that wants a TTL of 255 (RFC 5082) drops everything else without a
//! word, and raw sockets see it all the same. No firewall rule, no capability.

use std::net::SocketAddr;

use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::{NetError, Route, filter, sys};

/// A port for each flow, for as long as this value lives.
#[derive(Debug)]
pub(crate) struct Ports {
    listeners: Vec<Socket>,
    /// Where the packets of each flow come from.
    pub(crate) sources: Vec<SocketAddr>,
}

impl Ports {
    /// Takes as many free ports.
    pub(crate) fn take(route: &Route, flows: usize) -> Result<Self, NetError> {
        let mut ports = Self {
            listeners: Vec::with_capacity(flows),
            sources: Vec::with_capacity(flows),
        };
        for _ in 0..flows {
            let (listener, source) = silent(route)?;
            ports.listeners.push(listener);
            ports.sources.push(source);
        }
        Ok(ports)
    }
}

fn silent(route: &Route) -> Result<(Socket, SocketAddr), NetError> {
    let doing = "holding a source port";
    let held = || {
        let domain = Domain::for_address(route.target);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        sys::require_full_ttl(&socket, route.target.is_ipv4())?;
        // A neighbour's answer may have a TTL of 255. Where the kernel lets us, nothing gets through.
        let _ = socket.attach_filter(&[SockFilter::new(filter::RETURN, 0, 0, 0)]);
        Ok(socket)
    };
    let socket = held().map_err(NetError::while_doing(doing))?;
    route.tie(&socket)?;
    let bound = || {
        socket.bind(&route.source.into())?;
        socket.listen(1)?;
        socket.local_addr()
    };
    let address = bound().map_err(NetError::while_doing(doing))?;
    let source = address
        .as_socket()
        .ok_or(NetError::NoRoute(route.target.ip()))?;
    Ok((socket, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::net::TcpListener;

    #[test]
    fn each_flow_has_a_port_that_nobody_else_gets() {
        for (target, source) in [
            ("192.0.2.1:80", "127.0.0.1:0"),
            ("[2001:db8::1]:80", "[::1]:0"),
        ] {
            let route = Route {
                target: target.parse().unwrap(),
                source: source.parse().unwrap(),
                interface: None,
            };
            let ports = Ports::take(&route, 3).unwrap();
            let all: BTreeSet<SocketAddr> = ports.sources.iter().copied().collect();
            assert_eq!(all.len(), 3);
            for source in all {
                assert_ne!(source.port(), 0);
                assert!(TcpListener::bind(source).is_err(), "{source} is held");
            }
        }
    }
}
