//! What the kernel knows about a connection, as lines: `MPTCP_INFO`, `MPTCP_TCPINFO` and
//! `MPTCP_SUBFLOW_ADDRS` of the kernel's `linux/mptcp.h`.
//!
//! ```text
//! info is_mptcp=1 token=0x… write_seq=0x… snd_una=0x… rcv_nxt=0x… fallback=0 remote_key=1 …
//! info fallback is_mptcp=0
//! subflow 10.1.1.1:40000 10.2.1.1:5001 state=1 retransmits=0 rtt_us=31 …
//! ```
//!
//! An older kernel knows less; what it does not know is left out.

use std::fmt::Write;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};

use anyhow::{Context, bail};

use super::socket::is_mptcp;
use crate::lab::sys;

const MPTCP_INFO: i32 = 1;
const MPTCP_TCPINFO: i32 = 2;
const MPTCP_SUBFLOW_ADDRS: i32 = 3;

/// Room for a `struct mptcp_info` that grows; it has 96 bytes in Linux 6.18.
const INFO_BYTES: usize = 256;

/// `struct mptcp_subflow_data`: its own size, the number of subflows, the kernel's and our size of
/// an element.
const HEADER_BYTES: usize = 16;

/// `struct tcp_info` up to `tcpi_snd_wnd`, as in Linux 5.5; a kernel that knows more cuts it there.
const TCP_INFO_BYTES: usize = 232;

/// `struct mptcp_subflow_addrs`: two `struct sockaddr_storage`.
const ADDRESSES_BYTES: usize = 256;

/// Where the remote address begins in it.
const REMOTE: usize = 128;

/// More subflows than the kernel's path manager makes (8 besides the first, up to Linux 6.18).
const MOST_SUBFLOWS: usize = 64;

/// How often the two lists of subflows are asked for until they belong together.
const ATTEMPTS: u32 = 5;

/// A number of the kernel's structures: its key, its place and its size in bytes.
struct Field {
    key: &'static str,
    offset: usize,
    size: usize,
    hexadecimal: bool,
}

const fn decimal(key: &'static str, offset: usize, size: usize) -> Field {
    Field {
        key,
        offset,
        size,
        hexadecimal: false,
    }
}

const fn hexadecimal(key: &'static str, offset: usize, size: usize) -> Field {
    Field {
        key,
        offset,
        size,
        hexadecimal: true,
    }
}

/// `mptcpi_flags` is not here: its bits have names.
const CONNECTION_FIELDS: &[Field] = &[
    hexadecimal("token", 12, 4),
    hexadecimal("write_seq", 16, 8),
    hexadecimal("snd_una", 24, 8),
    hexadecimal("rcv_nxt", 32, 8),
    decimal("subflows", 0, 1),
    decimal("add_addr_signal", 1, 1),
    decimal("add_addr_accepted", 2, 1),
    decimal("csum_enabled", 42, 1),
    decimal("retransmits", 44, 4),
    decimal("bytes_retrans", 48, 8),
    decimal("bytes_sent", 56, 8),
    decimal("bytes_received", 64, 8),
    decimal("bytes_acked", 72, 8),
    decimal("subflows_total", 80, 1),
];

const SUBFLOW_FIELDS: &[Field] = &[
    decimal("state", 0, 1),
    decimal("retransmits", 100, 4),
    decimal("rtt_us", 68, 4),
    decimal("cwnd", 80, 4),
    decimal("bytes_sent", 200, 8),
    decimal("bytes_retrans", 208, 8),
    decimal("bytes_acked", 120, 8),
    decimal("bytes_received", 128, 8),
];

const FLAGS_OFFSET: usize = 8;
const FLAG_FALLBACK: u64 = 1;
const FLAG_REMOTE_KEY: u64 = 2;

/// The line for the connection.
pub(super) fn connection(stream: &TcpStream) -> anyhow::Result<String> {
    let is_mptcp = u8::from(is_mptcp(stream)?);
    match read_info(stream) {
        Ok(info) => Ok(format!("info is_mptcp={is_mptcp}{}", describe(&info))),
        Err(error) if says_fallback(&error) => Ok(format!("info fallback is_mptcp={is_mptcp}")),
        Err(error) => Err(error).context("MPTCP_INFO"),
    }
}

/// Whether the kernel refused an MPTCP option because the connection fell back, or never was
/// MPTCP: it passes the option on to the socket of its only subflow, where IPv4 and IPv6 refuse a
/// foreign level in different words.
fn says_fallback(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EOPNOTSUPP | libc::ENOPROTOOPT)
    )
}

/// The next data sequence number that the application writes.
pub(super) fn write_seq(stream: &TcpStream) -> io::Result<u64> {
    let info = read_info(stream)?;
    let found = CONNECTION_FIELDS
        .iter()
        .find(|field| field.key == "write_seq");
    found
        .and_then(|field| read(&info, field.offset, field.size))
        .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// One line per subflow; none after a fallback.
pub(super) fn subflows(stream: &TcpStream) -> anyhow::Result<Vec<String>> {
    if read_info(stream).is_err_and(|error| says_fallback(&error)) {
        return Ok(Vec::new());
    }
    for _ in 0..ATTEMPTS {
        let addresses = elements(stream, MPTCP_SUBFLOW_ADDRS, ADDRESSES_BYTES)?;
        let infos = elements(stream, MPTCP_TCPINFO, TCP_INFO_BYTES)?;
        // A subflow may come or go between the two calls.
        if addresses != elements(stream, MPTCP_SUBFLOW_ADDRS, ADDRESSES_BYTES)? {
            continue;
        }
        return addresses
            .iter()
            .zip(&infos)
            .map(|(addresses, info)| subflow(addresses, info))
            .collect();
    }
    bail!("the subflows changed in each of {ATTEMPTS} attempts to list them")
}

fn read_info(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; INFO_BYTES];
    let used = sys::get_option(stream, sys::SOL_MPTCP, MPTCP_INFO, &mut buffer)?;
    buffer.truncate(used);
    Ok(buffer)
}

fn describe(info: &[u8]) -> String {
    let flags = read(info, FLAGS_OFFSET, 4).unwrap_or(0);
    let mut text = fields(info, CONNECTION_FIELDS);
    let _ = write!(
        text,
        " fallback={} remote_key={}",
        u8::from(flags & FLAG_FALLBACK != 0),
        u8::from(flags & FLAG_REMOTE_KEY != 0)
    );
    text
}

fn fields(bytes: &[u8], table: &[Field]) -> String {
    let mut text = String::new();
    for field in table {
        let Some(value) = read(bytes, field.offset, field.size) else {
            continue;
        };
        let _ = if field.hexadecimal {
            let digits = field.size * 2;
            write!(text, " {}=0x{value:0digits$x}", field.key)
        } else {
            write!(text, " {}={value}", field.key)
        };
    }
    text
}

fn subflow(addresses: &[u8], info: &[u8]) -> anyhow::Result<String> {
    let (local, remote) = addresses
        .split_at_checked(REMOTE)
        .context("half an address")?;
    let local = address(local).context("a local address of an unknown family")?;
    let remote = address(remote).context("a remote address of an unknown family")?;
    Ok(format!(
        "subflow {local} {remote}{}",
        fields(info, SUBFLOW_FIELDS)
    ))
}

/// The array that follows a `struct mptcp_subflow_data`, one `element` each. The kernel keeps the
/// distance that we ask for and fills as much of it as it knows.
fn elements(stream: &TcpStream, option: i32, element: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut buffer = vec![0; HEADER_BYTES + MOST_SUBFLOWS * element];
    for (offset, value) in [(0, HEADER_BYTES), (12, element)] {
        let value = u32::try_from(value)?.to_ne_bytes();
        let place = buffer.get_mut(offset..offset + value.len());
        place.context("no room")?.copy_from_slice(&value);
    }
    let used = sys::get_option(stream, sys::SOL_MPTCP, option, &mut buffer).context(
        "the list of subflows (the connection is not MPTCP, or the kernel is older than 5.16)",
    )?;
    let count = read(&buffer, 4, 4).context("no header")?;
    let known = read(&buffer, 8, 4).context("no header")?;
    let listed: Vec<Vec<u8>> = buffer
        .get(HEADER_BYTES..used)
        .context("no header")?
        .chunks(element)
        .map(|bytes| {
            let known = usize::try_from(known).unwrap_or(element);
            bytes.iter().copied().take(known).collect()
        })
        .collect();
    if listed.len() as u64 != count {
        bail!("{count} subflows, {} of them fit", listed.len());
    }
    Ok(listed)
}

/// An unsigned number of the kernel's, in the machine's byte order.
fn read(bytes: &[u8], offset: usize, size: usize) -> Option<u64> {
    let field = bytes.get(offset..offset.checked_add(size)?)?;
    Some(match *field {
        [byte] => byte.into(),
        [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]).into(),
        _ => u64::from_ne_bytes(field.try_into().ok()?),
    })
}

/// A `struct sockaddr_in` or `sockaddr_in6`.
fn address(bytes: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(*bytes.first_chunk()?);
    let (_, rest) = bytes.split_first_chunk::<2>()?;
    let port = u16::from_be_bytes(*rest.first_chunk()?);
    let address: IpAddr = match i32::from(family) {
        libc::AF_INET => Ipv4Addr::from(*bytes.get(4..)?.first_chunk::<4>()?).into(),
        libc::AF_INET6 => Ipv6Addr::from(*bytes.get(8..)?.first_chunk::<16>()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_kernel_knows_less() {
        let mut info = vec![0_u8; 44];
        info[12..16].copy_from_slice(&0xa5_u32.to_ne_bytes());
        info[FLAGS_OFFSET..12].copy_from_slice(&2_u32.to_ne_bytes());
        let text = describe(&info);
        assert!(
            text.starts_with(" token=0x000000a5 write_seq=0x0000000000000000 "),
            "{text}"
        );
        assert!(
            text.ends_with(" csum_enabled=0 fallback=0 remote_key=1"),
            "{text}"
        );
    }

    fn family(number: i32) -> [u8; 2] {
        u16::try_from(number).unwrap().to_ne_bytes()
    }

    #[test]
    fn addresses_of_both_families_are_read() {
        let mut bytes = vec![0_u8; REMOTE];
        bytes[..2].copy_from_slice(&family(libc::AF_INET));
        bytes[2..8].copy_from_slice(&[0x13, 0x89, 10, 1, 1, 1]);
        assert_eq!(address(&bytes), Some("10.1.1.1:5001".parse().unwrap()));
        bytes[..2].copy_from_slice(&family(libc::AF_INET6));
        bytes[4..8].fill(0);
        bytes[8] = 0xfd;
        bytes[23] = 1;
        assert_eq!(address(&bytes), Some("[fd00::1]:5001".parse().unwrap()));
        assert_eq!(address(&bytes[..20]), None);
        assert_eq!(address(&[0; REMOTE]), None);
    }
}
