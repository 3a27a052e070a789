//! What the kernel's own MPTCP gets from the target.

use std::time::Duration;

use libc::c_int;
use socket2::{Domain, Protocol, Socket, Type};

use super::wait;
use crate::net::{NetError, Route, is_mptcp};
use crate::run::KernelMptcp;
use crate::session::Stop;

/// Begins an MPTCP connection, looks what became of it, and takes it back. None if the run is to end before
/// that is known.
pub(super) fn ask(route: &Route, stop: &Stop) -> Result<Option<KernelMptcp>, NetError> {
    let doing = "opening an MPTCP socket";
    let domain = Domain::for_address(route.target);
    let protocol = Protocol::from(libc::IPPROTO_MPTCP);
    let socket = match Socket::new(domain, Type::STREAM, Some(protocol)) {
        Ok(socket) => socket,
        // Not built in, or `net.mptcp.enabled` is 0.
        Err(error) if is_unsupported(error.raw_os_error()) => {
            return Ok(Some(KernelMptcp::Unsupported));
        }
        Err(error) => return Err(NetError::while_doing(doing)(error)),
    };
    route.tie(&socket)?;
    let prepared = socket
        .set_linger(Some(Duration::ZERO))
        .and_then(|()| socket.set_nonblocking(true))
        .and_then(|()| socket.bind(&route.source.into()));
    prepared.map_err(NetError::while_doing(doing))?;
    if let Err(error) = socket.connect(&route.target.into())
        && error.raw_os_error() != Some(libc::EINPROGRESS)
    {
        return Err(NetError::of_route(error, route.target.ip(), "connecting"));
    }
    let doing = "waiting for an MPTCP connection";
    if !wait(&socket, PATIENCE, stop).map_err(NetError::while_doing(doing))? {
        return Ok((!stop.is_wanted()).then_some(KernelMptcp::Silent));
    }
    let error = socket.take_error().map_err(NetError::while_doing(doing))?;
    // A socket that was refused says that it is MPTCP all the same.
    if error.is_some() {
        return Ok(Some(KernelMptcp::Refused));
    }
    Ok(Some(match is_mptcp(&socket) {
        Ok(true) => KernelMptcp::Mptcp,
        Ok(false) => KernelMptcp::Tcp,
        // Before Linux 6.10.
        Err(_) => KernelMptcp::Untold,
    }))
}

fn is_unsupported(error: Option<c_int>) -> bool {
    let codes = [libc::EPROTONOSUPPORT, libc::ENOPROTOOPT, libc::EINVAL];
    error.is_some_and(|error| codes.contains(&error))
}

/// A kernel that hears nothing sends its third SYN, after three seconds, without MP_CAPABLE.
const PATIENCE: Duration = Duration::from_millis(4500);
