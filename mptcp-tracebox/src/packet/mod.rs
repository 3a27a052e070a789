//! Packets that are sent: an IP and a TCP header of which every field is ours.

pub mod fields;

use std::net::{IpAddr, SocketAddr};

use etherparse::{IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header};
use mptcp_proto::seq::TcpSeq;
use mptcp_proto::wire::checksum::tcp_checksum;
use mptcp_proto::wire::segment::Flags;

use self::fields::Fields;

/// A TCP segment in an IP packet, before it is bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Who sends it.
    pub source: SocketAddr,
    /// Who is to receive it. Of the same family.
    pub destination: SocketAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// DSCP and ECN: the TOS byte or the traffic class.
    pub tos: u8,
    /// Identification (IPv4). Zero would be filled in by Linux.
    pub ip_id: u16,
    /// Flow label (IPv6): 20 bits.
    pub flow_label: u32,
    /// Sequence number.
    pub seq: TcpSeq,
    /// Acknowledgement number.
    pub ack: TcpSeq,
    /// Control bits.
    pub flags: Flags,
    /// Window as in the header.
    pub window: u16,
    /// Option area: a multiple of four bytes, 40 at most.
    pub options: Vec<u8>,
    /// What follows the header.
    pub payload: Vec<u8>,
}

impl Packet {
    /// Takes a whole packet apart, to change something in it. None when it is no TCP segment.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let fields = Fields::parse(bytes)?;
        let (source, destination) = fields.ends()?;
        Some(Self {
            source,
            destination,
            ttl: fields.ip.ttl,
            tos: fields.ip.tos,
            ip_id: fields.ip.id().unwrap_or(0),
            flow_label: fields.ip.flow_label().unwrap_or(0),
            seq: fields.tcp.seq()?,
            ack: fields.tcp.ack()?,
            flags: fields.tcp.flags()?,
            window: fields.tcp.window()?,
            options: fields.tcp.options().to_vec(),
            payload: fields.tcp.payload().to_vec(),
        })
    }

    /// The bytes, from the IP header on, with all lengths and checksums; DF is set in IPv4.
    ///
    /// # Errors
    /// When the addresses are of two families, or a length has no room in its field.
    pub fn emit(&self) -> Result<Vec<u8>, EmitError> {
        let options = self.options.len();
        if options > MAX_OPTIONS || !options.is_multiple_of(4) {
            return Err(EmitError::Options(options));
        }
        let mut segment = self.segment();
        let (source, destination) = (self.source.ip(), self.destination.ip());
        let sum = tcp_checksum(source, destination, &segment).ok_or(EmitError::Families)?;
        if let Some(field) = segment.get_mut(CHECKSUM_OFFSET..CHECKSUM_OFFSET + 2) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
        let mut packet = self.ip_header(segment.len())?;
        packet.append(&mut segment);
        Ok(packet)
    }

    fn segment(&self) -> Vec<u8> {
        let words = u8::try_from((HEADER_LEN + self.options.len()) / 4).unwrap_or(u8::MAX);
        let mut segment = Vec::with_capacity(HEADER_LEN + self.options.len() + self.payload.len());
        segment.extend(self.source.port().to_be_bytes());
        segment.extend(self.destination.port().to_be_bytes());
        segment.extend(self.seq.0.to_be_bytes());
        segment.extend(self.ack.0.to_be_bytes());
        segment.extend([words << 4, self.flags.0]);
        segment.extend(self.window.to_be_bytes());
        segment.extend([0; 4]);
        segment.extend(&self.options);
        segment.extend(&self.payload);
        segment
    }

    fn ip_header(&self, len: usize) -> Result<Vec<u8>, EmitError> {
        let too_long = EmitError::TooLong(len);
        let len = u16::try_from(len).map_err(|_| too_long)?;
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let (source, destination) = (source.octets(), destination.octets());
                let mut header = Ipv4Header::new(len, self.ttl, IpNumber::TCP, source, destination)
                    .map_err(|_| too_long)?;
                header.identification = self.ip_id;
                header.dont_fragment = true;
                header.dscp = etherparse::IpDscp::try_new(self.tos >> 2).unwrap_or_default();
                header.ecn = etherparse::IpEcn::try_new(self.tos & 3).unwrap_or_default();
                header.header_checksum = header.calc_header_checksum();
                Ok(header.to_bytes().to_vec())
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let header = Ipv6Header {
                    traffic_class: self.tos,
                    flow_label: Ipv6FlowLabel::try_new(self.flow_label & 0x000f_ffff)
                        .unwrap_or_default(),
                    payload_length: len,
                    next_header: IpNumber::TCP,
                    hop_limit: self.ttl,
                    source: source.octets(),
                    destination: destination.octets(),
                };
                Ok(header.to_bytes().to_vec())
            }
            _ => Err(EmitError::Families),
        }
    }
}

/// A packet that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// One address is IPv4, the other IPv6.
    #[error("the addresses are of two families")]
    Families,
    /// The option area has this length.
    #[error("an option area of {0} bytes: it must be a multiple of four, and 40 at most")]
    Options(usize),
    /// TCP header and payload have this length together.
    #[error("a segment of {0} bytes has no room in an IP packet")]
    TooLong(usize),
}

/// Longest option area (RFC 9293 §3.1).
pub const MAX_OPTIONS: usize = 40;
const HEADER_LEN: usize = 20;
const CHECKSUM_OFFSET: usize = 16;

#[cfg(test)]
pub(crate) mod tests {
    use mptcp_proto::wire::segment::{Ecn, Segment};

    use super::*;

    pub(crate) fn sample(source: &str, destination: &str) -> Packet {
        Packet {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            ttl: 3,
            tos: 0x29,
            ip_id: 0x1234,
            flow_label: 0xabcde,
            seq: TcpSeq(7),
            ack: TcpSeq(0),
            flags: Flags::SYN,
            window: 64_240,
            options: vec![2, 4, 5, 0xb4],
            payload: b"abc".to_vec(),
        }
    }

    #[test]
    fn the_shared_parser_reads_what_was_meant() {
        for (source, destination) in [
            ("10.0.0.1:9", "10.0.0.2:80"),
            ("[fd00::1]:9", "[fd00::2]:80"),
        ] {
            let packet = sample(source, destination);
            let bytes = packet.emit().unwrap();
            let segment = Segment::parse(&bytes, false).unwrap();
            assert_eq!(segment.source, packet.source);
            assert_eq!(segment.destination, packet.destination);
            assert_eq!((segment.seq, segment.flags), (TcpSeq(7), Flags::SYN));
            assert_eq!(segment.options, packet.options);
            assert_eq!(segment.payload, b"abc");
            assert_eq!(segment.ecn, Ecn::Ect1);
        }
    }

    #[test]
    fn what_is_emitted_parses_to_the_same_packet() {
        for (source, destination) in [
            ("10.0.0.1:9", "10.0.0.2:80"),
            ("[fd00::1]:9", "[fd00::2]:80"),
        ] {
            let bytes = sample(source, destination).emit().unwrap();
            let parsed = Packet::parse(&bytes).unwrap();
            assert_eq!(parsed.emit().unwrap(), bytes);
            assert!((0..36).all(|len| Packet::parse(&bytes[..len]).is_none()));
        }
    }

    #[test]
    fn each_family_has_its_fields_where_the_rfcs_put_them() {
        let v4 = sample("10.0.0.1:9", "10.0.0.2:80").emit().unwrap();
        assert_eq!(
            (v4[1], &v4[4..6], v4[6], v4[8]),
            (0x29, &[0x12, 0x34][..], 0x40, 3)
        );
        let v6 = sample("[fd00::1]:9", "[fd00::2]:80").emit().unwrap();
        assert_eq!(v6[..4], [0x62, 0x9a, 0xbc, 0xde]);
        assert_eq!(v6[7], 3);
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        let mut packet = sample("10.0.0.1:9", "[fd00::2]:80");
        assert_eq!(packet.emit(), Err(EmitError::Families));
        packet.options = vec![1; 3];
        assert_eq!(packet.emit(), Err(EmitError::Options(3)));
        let mut packet = sample("10.0.0.1:9", "10.0.0.2:80");
        packet.payload = vec![0; 70_000];
        assert_eq!(packet.emit(), Err(EmitError::TooLong(70_024)));
    }
}
