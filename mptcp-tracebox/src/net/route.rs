//! Which address of this host leads to the target.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

use super::NetError;
use crate::tracer::Request;

/// The way out of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// Whom the packets are for.
    pub(crate) target: SocketAddr,
    /// Where they come from; the port is not chosen yet.
    pub(crate) source: SocketAddr,
    /// The interface that they must leave by.
    pub(crate) interface: Option<String>,
}

impl Route {
    /// The way that is asked for.
    pub(crate) fn of(request: &Request) -> Result<Self, NetError> {
        Self::find(request.target, request.source, request.interface.as_deref())
    }

    /// Asks the kernel, without sending anything: a UDP socket that is connected has an address.
    fn find(
        target: SocketAddr,
        source: Option<IpAddr>,
        interface: Option<&str>,
    ) -> Result<Self, NetError> {
        let is_broadcast = target.ip() == IpAddr::V4(Ipv4Addr::BROADCAST);
        if target.ip().is_multicast() || target.ip().is_unspecified() || is_broadcast {
            return Err(NetError::NoHost(target.ip()));
        }
        let socket = Socket::new(Domain::for_address(target), Type::DGRAM, None)
            .map_err(NetError::while_doing("opening a UDP socket"))?;
        if let Some(interface) = interface {
            check_interface(interface, target.ip())?;
            bind_to(&socket, interface)?;
        }
        if let Some(source) = source {
            let bound = socket.bind(&SocketAddr::new(source, 0).into());
            bound.map_err(|error| match error.kind() {
                io::ErrorKind::AddrNotAvailable => NetError::ForeignSource(source),
                _ => NetError::while_doing("binding to the source address")(error),
            })?;
        }
        let connected = socket.connect(&target.into());
        connected.map_err(|error| {
            match (
                NetError::of_route(error, target.ip(), "looking for a route"),
                interface,
            ) {
                (NetError::NoRoute(target), Some(interface)) => NetError::InterfaceLeadsElsewhere {
                    interface: interface.to_owned(),
                    target,
                },
                (error, _) => error,
            }
        })?;
        let local = socket
            .local_addr()
            .map_err(NetError::while_doing("reading the source address"))?;
        let mut source = local.as_socket().ok_or(NetError::NoRoute(target.ip()))?;
        source.set_port(0);
        if source.ip() == target.ip() || target.ip().is_loopback() || is_own(target) {
            return Err(NetError::OwnAddress(target.ip()));
        }
        Ok(Self {
            target,
            source,
            interface: interface.map(str::to_owned),
        })
    }

    /// Ties a socket to the interface, if one was named.
    pub(crate) fn tie(&self, socket: &Socket) -> Result<(), NetError> {
        match &self.interface {
            Some(interface) => bind_to(socket, interface),
            None => Ok(()),
        }
    }
}

/// Whether the target is this host, whatever source is asked for: from an address to itself is the way that
/// the kernel chooses then.
fn is_own(target: SocketAddr) -> bool {
    let local = || {
        let socket = Socket::new(Domain::for_address(target), Type::DGRAM, None)?;
        socket.connect(&target.into())?;
        socket.local_addr()
    };
    let local = local().ok().and_then(|local| local.as_socket());
    local.is_some_and(|local| local.ip() == target.ip())
}

fn bind_to(socket: &Socket, interface: &str) -> Result<(), NetError> {
    let bound = socket.bind_device(Some(interface.as_bytes()));
    bound.map_err(|error| match error.raw_os_error() {
        Some(libc::ENODEV) => NetError::UnknownInterface(interface.to_owned()),
        _ => NetError::while_doing("binding to the interface")(error),
    })
}

/// The interface is there and up, and leads out of this host if the target is elsewhere.
fn check_interface(interface: &str, target: IpAddr) -> Result<(), NetError> {
    let unknown = || NetError::UnknownInterface(interface.to_owned());
    // The kernel's own rule for names (`dev_valid_name`); the name becomes a part of a path here.
    let is_name = !interface.is_empty() && !interface.contains(['/', ':', '\0']);
    if !is_name || [".", ".."].contains(&interface) {
        return Err(unknown());
    }
    let path = format!("/sys/class/net/{interface}/flags");
    let Ok(text) = fs::read_to_string(path) else {
        // Without /sys, the kernel says later whether it knows the name.
        return Ok(());
    };
    let flags = u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).unwrap_or(IFF_UP);
    if flags & IFF_UP == 0 {
        return Err(NetError::InterfaceDown(interface.to_owned()));
    }
    // The kernel would send through it all the same, and only silence would come of it.
    if flags & IFF_LOOPBACK != 0 && !target.is_loopback() {
        return Err(NetError::InterfaceLeadsElsewhere {
            interface: interface.to_owned(),
            target,
        });
    }
    Ok(())
}

/// The bit of an interface that is up.
const IFF_UP: u32 = 1;
/// The bit of the interface that leads back to this host.
const IFF_LOOPBACK: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(target: &str, source: Option<&str>, interface: Option<&str>, says: &str) {
        let source = source.map(|source| source.parse().unwrap());
        let error = Route::find(target.parse().unwrap(), source, interface).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(says), "{text}");
    }

    #[test]
    fn an_address_of_this_host_is_one_whatever_the_source() {
        for (target, expected) in [
            ("127.0.0.1:80", true),
            ("[::1]:80", true),
            ("127.0.0.2:80", false),
            ("255.255.255.255:80", false),
        ] {
            assert_eq!(is_own(target.parse().unwrap()), expected, "{target}");
        }
    }

    #[test]
    fn what_cannot_be_reached_is_refused_with_the_reason() {
        check_refused("127.0.0.1:80", None, None, "an address of this host");
        check_refused("[::1]:80", None, None, "an address of this host");
        for nobody in [
            "0.0.0.0:80",
            "224.0.0.1:80",
            "255.255.255.255:80",
            "[ff02::1]:80",
        ] {
            check_refused(nobody, None, None, "not the address of one host");
        }
        check_refused(
            "127.0.0.1:80",
            Some("192.0.2.77"),
            None,
            "no address of this host",
        );
        check_refused("127.0.0.1:80", None, Some("no-such-if"), "no interface");
        check_refused("127.0.0.1:80", None, Some("../lo"), "no interface");
        check_refused("192.0.2.1:80", None, Some("lo"), "leads nowhere near");
    }
}
