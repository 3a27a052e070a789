//! A packet that may be cut anywhere, field by field.
//!
//! Quotes in ICMP errors end after eight bytes of TCP, or in the middle of an option; the strict
//! parsers of other crates refuse them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mptcp_proto::seq::TcpSeq;
use mptcp_proto::wire::segment::Flags;

/// A TCP segment in an IP packet, as far as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields<'a> {
    /// The IP header with its options or extension headers.
    pub ip: IpFields<'a>,
    /// What follows it, from the source port on.
    pub tcp: TcpFields<'a>,
}

/// An IP header that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpFields<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Who sent it.
    pub source: IpAddr,
    /// For whom it is.
    pub destination: IpAddr,
    /// TOS byte or traffic class.
    pub tos: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Bytes that follow the header, as it says; more than there are when the packet is cut.
    pub payload_len: usize,
    /// Protocol of what follows.
    pub protocol: u8,
}

impl<'a> Fields<'a> {
    /// Takes a packet apart. None when it is no IP packet, its header is cut, or it is a later
    /// fragment; the protocol is for the caller to look at.
    pub fn parse(packet: &'a [u8]) -> Option<Self> {
        let (ip, rest) = IpFields::parse(packet)?;
        let end = ip.payload_len.min(rest.len());
        Some(Self {
            ip,
            tcp: TcpFields(rest.get(..end)?),
        })
    }

    /// Ends of the segment, if its ports are there.
    pub fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        Some((
            SocketAddr::new(self.ip.source, self.tcp.source_port()?),
            SocketAddr::new(self.ip.destination, self.tcp.destination_port()?),
        ))
    }

    /// Whether nothing of the packet is missing.
    pub fn is_whole(&self) -> bool {
        self.tcp.0.len() == self.ip.payload_len
    }
}

impl<'a> IpFields<'a> {
    fn parse(packet: &'a [u8]) -> Option<(Self, &'a [u8])> {
        match packet.first()? >> 4 {
            4 => Self::parse_v4(packet),
            6 => Self::parse_v6(packet),
            _ => None,
        }
    }

    fn parse_v4(packet: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let fixed: &[u8; 20] = packet.first_chunk()?;
        let header_len = usize::from(fixed[0] & 0x0f) * 4;
        let (bytes, rest) = packet.split_at_checked(header_len.max(20))?;
        let offset = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x1fff;
        let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        let ip = Self {
            bytes,
            source: Ipv4Addr::from(*fixed[12..].first_chunk()?).into(),
            destination: Ipv4Addr::from(*fixed[16..].first_chunk()?).into(),
            tos: fixed[1],
            ttl: fixed[8],
            payload_len: total.saturating_sub(header_len),
            protocol: fixed[9],
        };
        (offset == 0).then_some((ip, rest))
    }

    fn parse_v6(packet: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (fixed, mut rest) = packet.split_first_chunk::<40>()?;
        let mut protocol = fixed[6];
        for _ in 0..MAX_EXTENSIONS {
            // Hop-by-hop options, routing, destination options: length in units of eight bytes.
            if !matches!(protocol, 0 | 43 | 60) {
                break;
            }
            let (&[next, len], _) = rest.split_first_chunk::<2>()?;
            rest = rest.get((usize::from(len) + 1) * 8..)?;
            protocol = next;
        }
        let header_len = packet.len() - rest.len();
        let len = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
        let ip = Self {
            bytes: packet.get(..header_len)?,
            source: Ipv6Addr::from(*fixed[8..].first_chunk()?).into(),
            destination: Ipv6Addr::from(*fixed[24..].first_chunk()?).into(),
            tos: fixed[0] << 4 | fixed[1] >> 4,
            ttl: fixed[7],
            payload_len: (len + 40).saturating_sub(header_len),
            protocol,
        };
        Some((ip, rest))
    }

    /// Identification (IPv4).
    pub fn id(&self) -> Option<u16> {
        self.is_v4().then(|| self.u16_at(4)).flatten()
    }

    /// Whether DF is set (IPv4).
    pub fn dont_fragment(&self) -> Option<bool> {
        let flags = self.is_v4().then(|| self.bytes.get(6)).flatten()?;
        Some(flags & 0x40 != 0)
    }

    /// Flow label (IPv6).
    pub fn flow_label(&self) -> Option<u32> {
        let first = (!self.is_v4())
            .then(|| self.bytes.first_chunk())
            .flatten()?;
        Some(u32::from_be_bytes(*first) & 0x000f_ffff)
    }

    /// Whether it is IPv4.
    pub fn is_v4(&self) -> bool {
        self.source.is_ipv4()
    }

    fn u16_at(&self, offset: usize) -> Option<u16> {
        self.bytes
            .get(offset..)?
            .first_chunk()
            .copied()
            .map(u16::from_be_bytes)
    }
}

/// A TCP segment that ends anywhere. Each field is none when not all of it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpFields<'a>(pub &'a [u8]);

impl<'a> TcpFields<'a> {
    /// Source port.
    pub fn source_port(self) -> Option<u16> {
        self.u16_at(0)
    }

    /// Destination port.
    pub fn destination_port(self) -> Option<u16> {
        self.u16_at(2)
    }

    /// Sequence number.
    pub fn seq(self) -> Option<TcpSeq> {
        self.u32_at(4).map(TcpSeq)
    }

    /// Acknowledgement number.
    pub fn ack(self) -> Option<TcpSeq> {
        self.u32_at(8).map(TcpSeq)
    }

    /// Length of the header as its data offset says, at least 20.
    pub fn header_len(self) -> Option<usize> {
        Some((usize::from(self.0.get(12)? >> 4) * 4).max(FIXED_LEN))
    }

    /// The four bits beside the data offset.
    pub fn reserved(self) -> Option<u8> {
        Some(self.0.get(12)? & 0x0f)
    }

    /// Control bits.
    pub fn flags(self) -> Option<Flags> {
        self.0.get(13).copied().map(Flags)
    }

    /// Window as in the header.
    pub fn window(self) -> Option<u16> {
        self.u16_at(14)
    }

    /// Checksum.
    pub fn checksum(self) -> Option<u16> {
        self.u16_at(16)
    }

    /// Urgent pointer.
    pub fn urgent(self) -> Option<u16> {
        self.u16_at(18)
    }

    /// What there is of the option area.
    pub fn options(self) -> &'a [u8] {
        let end = self.header_len().unwrap_or(FIXED_LEN).min(self.0.len());
        self.0.get(FIXED_LEN..end).unwrap_or_default()
    }

    /// Whether the option area is there to its end.
    pub fn has_all_options(self) -> bool {
        self.header_len().is_some_and(|len| self.0.len() >= len)
    }

    /// What there is of the payload.
    pub fn payload(self) -> &'a [u8] {
        let start = self.header_len().unwrap_or(usize::MAX);
        self.0.get(start..).unwrap_or_default()
    }

    fn u16_at(self, offset: usize) -> Option<u16> {
        self.0
            .get(offset..)?
            .first_chunk()
            .copied()
            .map(u16::from_be_bytes)
    }

    fn u32_at(self, offset: usize) -> Option<u32> {
        self.0
            .get(offset..)?
            .first_chunk()
            .copied()
            .map(u32::from_be_bytes)
    }
}

/// TCP header without options.
pub const FIXED_LEN: usize = 20;
/// Extension headers that are looked past.
const MAX_EXTENSIONS: usize = 4;

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    #[test]
    fn a_cut_packet_has_the_fields_that_are_whole() {
        for (source, destination) in [
            ("10.0.0.1:9", "10.0.0.2:80"),
            ("[fd00::1]:9", "[fd00::2]:80"),
        ] {
            let packet = sample(source, destination);
            let bytes = packet.emit().unwrap();
            let start = bytes.len() - 27;
            for len in 0..=bytes.len() {
                let Some(fields) = Fields::parse(&bytes[..len]) else {
                    assert!(len < start, "{len}");
                    continue;
                };
                let tcp = len - start;
                assert_eq!(fields.tcp.seq().is_some(), tcp >= 8, "{len}");
                assert_eq!(fields.tcp.window().is_some(), tcp >= 16, "{len}");
                assert_eq!(fields.tcp.has_all_options(), tcp >= 24, "{len}");
                assert_eq!(fields.tcp.payload().len(), tcp.saturating_sub(24), "{len}");
                assert_eq!(fields.is_whole(), tcp == 27, "{len}");
            }
        }
    }

    #[test]
    fn what_lies_behind_the_packet_is_no_payload() {
        let mut bytes = sample("10.0.0.1:9", "10.0.0.2:80").emit().unwrap();
        bytes.extend([0xee; 40]);
        assert_eq!(Fields::parse(&bytes).unwrap().tcp.payload(), b"abc");
    }

    #[test]
    fn the_fields_of_the_ip_header_are_where_the_rfcs_put_them() {
        let v4 = sample("10.0.0.1:9", "10.0.0.2:80").emit().unwrap();
        let ip = Fields::parse(&v4).unwrap().ip;
        assert_eq!((ip.id(), ip.dont_fragment()), (Some(0x1234), Some(true)));
        assert_eq!((ip.tos, ip.ttl, ip.protocol), (0x29, 3, 6));
        let v6 = sample("[fd00::1]:9", "[fd00::2]:80").emit().unwrap();
        let ip = Fields::parse(&v6).unwrap().ip;
        assert_eq!((ip.flow_label(), ip.tos, ip.ttl), (Some(0xabcde), 0x29, 3));
        assert_eq!((ip.id(), ip.protocol), (None, 6));
    }
}
