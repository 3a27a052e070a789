//! What the kernel, the applications and `TShark` say about a connection, read from their text.

pub mod counters;
pub mod monitor;
pub mod sockets;
pub mod stream;
pub mod tshark;

use std::net::{IpAddr, SocketAddr};

/// `ADDRESS:PORT` as `ss` prints it: `10.1.1.2%c1:5001`, `[fd00::1]:5001`, `*:5001`. None when
/// it does not name one address and one port.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.rsplit_once(':')?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let address = address
        .split_once('%')
        .map_or(address, |(address, _)| address);
    let address: IpAddr = address.parse().ok()?;
    Some(SocketAddr::new(address, port.parse().ok()?))
}
