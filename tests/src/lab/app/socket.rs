//! Opens the sockets of the applications. Every one of them waits only so long.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use libc::MSG_FASTOPEN;
use socket2::{Domain, Socket, Type};

use crate::lab::sys;

/// How long an application may wait for the peer: a run of the lab must end, also when a path is
/// dead.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Connections that wait to be accepted; a burst arrives faster than threads are scheduled.
const BACKLOG: i32 = 1024;

/// Fast-opened connections that may wait for their third ACK.
const FAST_OPEN_QUEUE: i32 = 64;

/// What a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Mptcp,
    Tcp,
}

impl FromStr for Protocol {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> anyhow::Result<Self> {
        match word {
            "mptcp" => Ok(Self::Mptcp),
            "tcp" => Ok(Self::Tcp),
            other => bail!("{other}: no such protocol"),
        }
    }
}

/// What differs from an ordinary listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listening {
    Plain,
    /// Takes data in the SYN (TCP Fast Open). On Linux 6.18 the option works on MPTCP sockets as
    /// it does on TCP sockets, and like there only if bit 1 of `net.ipv4.tcp_fastopen` is set in
    /// the namespace (the default, 1, lets clients only). Bits 1 and 10 together (1026) do the
    /// same for every listener without the option.
    FastOpen,
    /// Accepts what TPROXY brings, whatever its destination is.
    Transparent,
}

/// A socket whose blocking calls, `connect` among them, give up after [`PATIENCE`].
pub(super) fn open(protocol: Protocol, address: SocketAddr) -> anyhow::Result<Socket> {
    let number = match protocol {
        Protocol::Mptcp => socket2::Protocol::MPTCP,
        Protocol::Tcp => socket2::Protocol::TCP,
    };
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(number))
        .context("opening a socket (does this kernel speak MPTCP?)")?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// A listener that says `listening` when it does.
pub(super) fn listen(
    protocol: Protocol,
    address: SocketAddr,
    how: Listening,
) -> anyhow::Result<TcpListener> {
    let socket = open(protocol, address)?;
    socket.set_reuse_address(true)?;
    match how {
        Listening::Plain => {}
        Listening::FastOpen => sys::set_option(
            &socket,
            libc::IPPROTO_TCP,
            libc::TCP_FASTOPEN,
            FAST_OPEN_QUEUE,
        )
        .context("TCP_FASTOPEN")?,
        Listening::Transparent => {
            // The IPv4 listener stands beside it.
            if address.is_ipv6() {
                socket.set_only_v6(true)?;
            }
            be_transparent(&socket, address)?;
        }
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Lets `socket` use addresses that are not the machine's own.
pub(super) fn be_transparent(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() {
        socket.set_ip_transparent_v6(true)
    } else {
        socket.set_ip_transparent_v4(true)
    }
}

/// Connects as `connect` does.
pub(super) fn connect(protocol: Protocol, address: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = open(protocol, address)?;
    socket.connect(&address.into())?;
    Ok(socket.into())
}

/// Connects with `data` in the SYN, if the kernel has a cookie of the server; else the data
/// follow the handshake and the SYN asks for a cookie. Returns how many bytes the kernel took.
///
/// With MPTCP the data of the SYN have no mapping: the data sequence and the subflow sequence
/// begin behind them (RFC 8684 appendix B). If a server that gave a cookie does not take the data
/// any more, Linux 6.18 sends them again and falls back to TCP.
pub(super) fn connect_fast(
    protocol: Protocol,
    address: SocketAddr,
    data: &[u8],
) -> anyhow::Result<(TcpStream, usize)> {
    let socket = open(protocol, address)?;
    let sent = socket.send_to_with_flags(data, &address.into(), MSG_FASTOPEN)?;
    Ok((socket.into(), sent))
}

/// Whether the kernel still treats the connection as MPTCP.
pub(super) fn is_mptcp(stream: &TcpStream) -> io::Result<bool> {
    let mut value = [0; 4];
    sys::get_option(stream, libc::IPPROTO_TCP, sys::TCP_IS_MPTCP, &mut value)?;
    Ok(value != [0; 4])
}
