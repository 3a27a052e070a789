//! What a router says about a packet that does not fit its next link.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{IpNumber, IpSlice};

use crate::middlebox::header;

/// The ICMP error that goes back to the sender: fragmentation needed (RFC 1191 §4), or packet too
/// big (RFC 4443 §3.2). None for what is no whole IP packet, is an ICMP message itself or could be
/// cut into fragments, which this kit does not do.
pub(super) fn too_big(packet: &[u8], mtu: usize) -> Option<Vec<u8>> {
    let slice = IpSlice::from_slice(packet).ok()?;
    let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
    let (router, sender, head, room): (IpAddr, IpAddr, [u8; 8], usize) = match &slice {
        IpSlice::Ipv4(v4) => {
            if !v4.header().dont_fragment() || v4.payload_ip_number() == IpNumber::ICMP {
                return None;
            }
            let [high, low] = mtu.to_be_bytes();
            let head = [3, 4, 0, 0, 0, 0, high, low];
            (ROUTER_V4.into(), slice.source_addr(), head, V4_QUOTE)
        }
        IpSlice::Ipv6(_) => {
            if slice.payload_ip_number() == IpNumber::IPV6_ICMP {
                return None;
            }
            let [high, low] = mtu.to_be_bytes();
            let head = [2, 0, 0, 0, 0, 0, high, low];
            (ROUTER_V6.into(), slice.source_addr(), head, V6_QUOTE)
        }
    };
    let mut message = head.to_vec();
    message.extend(packet.get(..room).unwrap_or(packet));
    Some(header::icmp(router, sender, message))
}

/// Where the errors of simulated routers come from (RFC 5737, RFC 3849).
const ROUTER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const ROUTER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// RFC 1812 §4.3.2.3: the error has 576 bytes at most.
const V4_QUOTE: usize = 576 - 20 - 8;
/// RFC 4443 §3.2: the error fits the minimum MTU.
const V6_QUOTE: usize = 1280 - 40 - 8;
