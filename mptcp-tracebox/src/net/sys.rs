//! What no safe interface offers: the only unsafe code of the crate.

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use libc::{c_int, c_void, socklen_t};

/// Lets a socket drop all packets with a TTL or hop limit below 255.
pub(super) fn require_full_ttl(socket: &impl AsRawFd, is_v4: bool) -> io::Result<()> {
    if is_v4 {
        set_number(socket, libc::IPPROTO_IP, libc::IP_MINTTL, FULL_TTL)
    } else {
        set_number(socket, libc::IPPROTO_IPV6, IPV6_MINHOPCOUNT, FULL_TTL)
    }
}

/// Lets a socket keep the ICMP errors that come for it, to be read by [`queued_error`].
pub(crate) fn report_errors(socket: &impl AsRawFd, is_v4: bool) -> io::Result<()> {
    if is_v4 {
        set_number(socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1)
    } else {
        set_number(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)
    }
}

/// An ICMP error that the kernel kept for a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueuedError {
    /// Who sent it.
    pub(crate) from: IpAddr,
    /// Type of the ICMP message, of either family.
    pub(crate) icmp_type: u8,
    /// Its code.
    pub(crate) icmp_code: u8,
    /// Its MTU, where it has one.
    pub(crate) info: u32,
    /// What it quotes, from the TCP header on.
    pub(crate) quote: Vec<u8>,
}

/// The next error that was kept; none if there is none.
pub(crate) fn queued_error(socket: &impl AsRawFd) -> io::Result<Option<QueuedError>> {
    let mut quote = vec![0_u8; MAX_QUOTE];
    // Words, because the kernel writes structures that begin with one.
    let mut control = [0_usize; CONTROL_WORDS];
    let mut part = libc::iovec {
        iov_base: quote.as_mut_ptr().cast::<c_void>(),
        iov_len: quote.len(),
    };
    #[expect(
        unsafe_code,
        reason = "no safe interface returns the control message of an error"
    )]
    // SAFETY: zeros are a valid `msghdr`: no name, no buffers.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast::<c_void>();
    message.msg_controllen = size_of_val(&control);
    #[expect(unsafe_code, reason = "as above")]
    // SAFETY: `message` points to `part` and `control`, `part` to `quote`, all with their lengths, and
    // all of them outlive the call.
    let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_ERRQUEUE) };
    let Ok(len) = usize::try_from(len) else {
        let error = io::Error::last_os_error();
        let is_empty = error.kind() == io::ErrorKind::WouldBlock;
        return if is_empty { Ok(None) } else { Err(error) };
    };
    quote.truncate(len);
    let bytes: Vec<u8> = control.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let used = bytes.get(..message.msg_controllen).unwrap_or_default();
    Ok(parse(used, quote))
}

/// Finds the `sock_extended_err` among control messages, with the address of who sent the error
/// behind it.
fn parse(mut control: &[u8], quote: Vec<u8>) -> Option<QueuedError> {
    loop {
        let (len, rest) = control.split_first_chunk::<{ size_of::<usize>() }>()?;
        let len = usize::from_ne_bytes(*len);
        let (level, rest) = rest.split_first_chunk::<4>()?;
        let (kind, _) = rest.split_first_chunk::<4>()?;
        let kind = (c_int::from_ne_bytes(*level), c_int::from_ne_bytes(*kind));
        let data = control.get(size_of::<libc::cmsghdr>()..len)?;
        let is_v4 = kind == (libc::IPPROTO_IP, libc::IP_RECVERR);
        if is_v4 || kind == (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) {
            let (error, offender) = data.split_first_chunk::<16>()?;
            let [_, _, _, _, _, icmp_type, icmp_code, _, i0, i1, i2, i3, ..] = *error;
            return Some(QueuedError {
                from: address(offender)?,
                icmp_type,
                icmp_code,
                info: u32::from_ne_bytes([i0, i1, i2, i3]),
                quote,
            });
        }
        control = control.get(len.next_multiple_of(size_of::<usize>())..)?;
    }
}

/// The address in a `sockaddr_in` or `sockaddr_in6`.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    let (family, rest) = bytes.split_first_chunk::<2>()?;
    match c_int::from(u16::from_ne_bytes(*family)) {
        libc::AF_INET => {
            let octets: [u8; 4] = rest.get(2..6)?.try_into().ok()?;
            Some(Ipv4Addr::from(octets).into())
        }
        libc::AF_INET6 => {
            let octets: [u8; 16] = rest.get(6..22)?.try_into().ok()?;
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

/// Lets a connection begin with the question for a Fast Open cookie, and without data: if the kernel has
/// a cookie already, it sends nothing at all before the first data.
pub(crate) fn ask_fast_open(socket: &impl AsRawFd) -> io::Result<()> {
    set_number(socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, 1)
}

/// Lets a socket sign what it sends to `target` (RFC 2385), with a key that nobody has.
pub(crate) fn sign(socket: &impl AsRawFd, target: SocketAddr) -> io::Result<()> {
    // `struct tcp_md5sig` (`linux/tcp.h`): sockaddr_storage, flags, prefix, length of the key, interface, key.
    let mut request = [0_u8; 216];
    let bytes = match target {
        SocketAddr::V4(target) => {
            let family = u16::try_from(libc::AF_INET).map_err(io::Error::other)?;
            let port = target.port().to_be_bytes();
            [&family.to_ne_bytes()[..], &port, &target.ip().octets()].concat()
        }
        SocketAddr::V6(target) => {
            let family = u16::try_from(libc::AF_INET6).map_err(io::Error::other)?;
            let port = target.port().to_be_bytes();
            let flow = [0; 4];
            [
                &family.to_ne_bytes()[..],
                &port,
                &flow,
                &target.ip().octets(),
            ]
            .concat()
        }
    };
    let (place, _) = request.split_at_mut(bytes.len());
    place.copy_from_slice(&bytes);
    let key_len: u16 = 1;
    request[130..132].copy_from_slice(&key_len.to_ne_bytes());
    request[136] = b'k';
    set_bytes(socket, libc::IPPROTO_TCP, libc::TCP_MD5SIG, &request)
}

/// Whether an MPTCP socket has not fallen back to TCP; since Linux 6.10.
pub(crate) fn is_mptcp(socket: &impl AsRawFd) -> io::Result<bool> {
    let mut value: c_int = 0;
    let mut len = socklen_t::try_from(size_of::<c_int>()).map_err(io::Error::other)?;
    #[expect(unsafe_code, reason = "socket2 does not know this option")]
    // SAFETY: `value` is valid for writes of `len` bytes, and both outlive the call.
    let outcome = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            TCP_IS_MPTCP,
            (&raw mut value).cast::<c_void>(),
            &raw mut len,
        )
    };
    if outcome < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(value != 0)
}

/// Closes a socket without waiting for it: a child has it too, and goes when this process is gone.
///
/// Before the kernel closes a packet socket it waits until no processor looks at it any more, some ten
/// milliseconds, which on a short path is more than the run took.
pub(crate) fn close_behind(socket: OwnedFd) -> io::Result<()> {
    let (theirs, ours) = io::pipe()?;
    #[expect(unsafe_code, reason = "nobody else forks without starting a program")]
    // SAFETY: the child calls nothing but `close`, `read` and `_exit`, which are safe after a fork of a
    // process with threads (signal-safety(7)).
    let child = unsafe { libc::fork() };
    if child < 0 {
        return Err(io::Error::last_os_error());
    }
    if child == 0 {
        let (theirs, ours) = (theirs.as_raw_fd(), ours.as_raw_fd());
        #[expect(unsafe_code, reason = "as above")]
        // SAFETY: these are the child's copies, and it uses them no more; `byte` is one byte long.
        unsafe {
            // Who reads our output must not wait for the child.
            for file in [
                ours,
                libc::STDIN_FILENO,
                libc::STDOUT_FILENO,
                libc::STDERR_FILENO,
            ] {
                libc::close(file);
            }
            let mut byte = 0_u8;
            // Ends with the process that has the other end.
            libc::read(theirs, (&raw mut byte).cast::<c_void>(), 1);
            libc::_exit(0);
        }
    }
    drop(socket);
    // Open as long as this process is there.
    std::mem::forget(ours);
    Ok(())
}

fn set_number(socket: &impl AsRawFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    set_bytes(socket, level, name, &value.to_ne_bytes())
}

fn set_bytes(socket: &impl AsRawFd, level: c_int, name: c_int, bytes: &[u8]) -> io::Result<()> {
    let len = socklen_t::try_from(bytes.len()).map_err(io::Error::other)?;
    #[expect(unsafe_code, reason = "socket2 does not know these options")]
    // SAFETY: `bytes` is valid for reads of the length that is passed, and outlives the call.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            bytes.as_ptr().cast::<c_void>(),
            len,
        )
    };
    if outcome < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

const FULL_TTL: c_int = 255;
/// `linux/in6.h`.
const IPV6_MINHOPCOUNT: c_int = 73;
/// `linux/tcp.h`.
const TCP_IS_MPTCP: c_int = 43;
/// More than any router quotes.
const MAX_QUOTE: usize = 1500;
/// Room for the error, the address, and more.
const CONTROL_WORDS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn an_error_of_the_network_is_read_with_its_sender() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let free = UdpSocket::bind(address).unwrap();
            let nobody = free.local_addr().unwrap();
            drop(free);
            let socket = UdpSocket::bind(address).unwrap();
            socket.set_nonblocking(true).unwrap();
            report_errors(&socket, nobody.is_ipv4()).unwrap();
            assert_eq!(queued_error(&socket).unwrap(), None);
            socket.send_to(b"hello", nobody).unwrap();
            let error = queued_error(&socket).unwrap().unwrap();
            assert_eq!(error.from, nobody.ip());
            // Port unreachable: RFC 792, RFC 4443 §3.1.
            let expected = if nobody.is_ipv4() { (3, 3) } else { (1, 4) };
            assert_eq!((error.icmp_type, error.icmp_code), expected);
            assert_eq!(
                error.quote, b"hello",
                "of UDP, the kernel hands the data only"
            );
        }
    }

    /// Names the port for the process that leaves its socket behind.
    const PORT: &str = "MPTCP_TRACEBOX_TEST_PORT";

    #[test]
    fn what_is_closed_behind_a_process_goes_with_it() {
        if let Ok(port) = std::env::var(PORT) {
            let address = format!("127.0.0.1:{port}");
            let socket = UdpSocket::bind(&address).unwrap();
            close_behind(socket.into()).unwrap();
            assert!(UdpSocket::bind(&address).is_err(), "the child has it");
            return;
        }
        let free = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args([
            "--exact",
            "net::sys::tests::what_is_closed_behind_a_process_goes_with_it",
        ]);
        // Ends only when nobody has its output any more.
        let output = again.env(PORT, address.port().to_string()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        let is_free = (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            UdpSocket::bind(address).is_ok()
        });
        assert!(is_free);
    }
}
