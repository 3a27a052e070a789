//! A whole packet: IP and TCP header, options, payload (RFC 9293 §3.1).

use std::net::{IpAddr, SocketAddr};

use etherparse::{IpNumber, IpSlice, Ipv4Header, Ipv6FlowLabel, Ipv6Header};

use super::checksum::{
    PartialSum, TcpChecksum, check_tcp_checksum, check_tcp_checksum_of, tcp_checksum,
};
use super::writer::MAX_OPTION_AREA;
use crate::seq::TcpSeq;

/// The control bits of a TCP header.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push function.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement number is significant.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(0x20);
    /// ECN echo (RFC 3168 §6.1).
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced (RFC 3168 §6.1).
    pub const CWR: Self = Self(0x80);

    /// Both sets of bits.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether FIN is set.
    pub const fn fin(self) -> bool {
        self.contains(Self::FIN)
    }

    /// Whether SYN is set.
    pub const fn syn(self) -> bool {
        self.contains(Self::SYN)
    }

    /// Whether RST is set.
    pub const fn rst(self) -> bool {
        self.contains(Self::RST)
    }

    /// Whether ACK is set.
    pub const fn ack(self) -> bool {
        self.contains(Self::ACK)
    }
}

impl std::fmt::Debug for Flags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
        let set = (0..).zip(names).filter(|(bit, _)| self.0 >> bit & 1 == 1);
        let names: Vec<&str> = set.map(|(_, name)| name).collect();
        f.write_str(&names.join("|"))
    }
}

/// The ECN field of an IP header (RFC 3168 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Ecn {
    /// The transport does not understand ECN.
    #[default]
    NotCapable,
    /// ECN-capable transport, code point 01.
    Ect1,
    /// ECN-capable transport, code point 10.
    Ect0,
    /// Congestion experienced.
    Congestion,
}

impl Ecn {
    const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            1 => Self::Ect1,
            2 => Self::Ect0,
            3 => Self::Congestion,
            _ => Self::NotCapable,
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::NotCapable => 0,
            Self::Ect1 => 1,
            Self::Ect0 => 2,
            Self::Congestion => 3,
        }
    }
}

/// A differentiated services codepoint (RFC 2474 §3): six bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Dscp(u8);

impl Dscp {
    /// The codepoint of this number; none above 63.
    pub const fn new(bits: u8) -> Option<Self> {
        if bits < 64 { Some(Self(bits)) } else { None }
    }

    /// Its number, below 64.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// What a host may choose of the IP headers of a connection (RFC 9293 §3.9.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IpChoice {
    /// Differentiated services field, the upper six bits of it.
    pub dscp: Dscp,
    /// Time to live, or hop limit. Zero leaves no host.
    pub hop_limit: u8,
}

impl Default for IpChoice {
    fn default() -> Self {
        Self {
            dscp: Dscp::default(),
            hop_limit: HOP_LIMIT,
        }
    }
}

/// A TCP segment with the addresses of its IP header. Options and payload lie where they came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Who sends it.
    pub source: SocketAddr,
    /// Who is to receive it.
    pub destination: SocketAddr,
    /// Sequence number of the first byte, or of the SYN.
    pub seq: TcpSeq,
    /// Next number that the sender expects; without meaning unless the ACK bit is set.
    pub ack: TcpSeq,
    /// Control bits.
    pub flags: Flags,
    /// Window as in the header, not scaled.
    pub window: u16,
    /// Urgent pointer: from `seq` to the byte after the urgent data; without meaning unless the URG bit is set.
    pub urgent: u16,
    /// ECN field of the IP header.
    pub ecn: Ecn,
    /// The option area, a multiple of four bytes and at most [`MAX_OPTION_AREA`].
    pub options: &'a [u8],
    /// What follows the TCP header.
    pub payload: &'a [u8],
    /// The sum of the payload where [`Segment::parse`] has it from checking the TCP checksum, so that a DSS
    /// checksum need not pass over it again. Who changes the payload takes it away.
    pub payload_sum: Option<PartialSum>,
}

/// A packet that is no TCP segment for a host to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// The IP header does not parse, or is cut.
    #[error("no whole IP header")]
    Ip,
    /// Another protocol, or a fragment.
    #[error("no whole TCP segment, but IP protocol {0}")]
    NotTcp(u8),
    /// The data offset is below five words or past the end.
    #[error("TCP header cut: {have} bytes")]
    Header {
        /// Bytes after the IP header.
        have: usize,
    },
    /// The checksum does not hold.
    #[error("wrong TCP checksum")]
    Checksum,
}

impl<'a> Segment<'a> {
    /// Takes a packet apart, from its IP header on. A segment whose checksum does not hold is an
    /// error unless `checksum_is_known_good` (a device has checked it, or nothing can go wrong).
    pub fn parse(packet: &'a [u8], checksum_is_known_good: bool) -> Result<Self, SegmentError> {
        let slice = IpSlice::from_slice(packet).map_err(|_| SegmentError::Ip)?;
        let protocol = slice.payload_ip_number();
        if protocol != IpNumber::TCP || slice.is_fragmenting_payload() {
            return Err(SegmentError::NotTcp(protocol.0));
        }
        let ecn = match &slice {
            IpSlice::Ipv4(v4) => v4.header().ecn().value(),
            IpSlice::Ipv6(v6) => v6.header().traffic_class(),
        };
        let (source, destination) = (slice.source_addr(), slice.destination_addr());
        let bytes: &'a [u8] = match slice {
            IpSlice::Ipv4(v4) => v4.payload().payload,
            IpSlice::Ipv6(v6) => v6.payload().payload,
        };
        let parsed = Self::parse_tcp(source, destination, Ecn::from_bits(ecn), bytes);
        if checksum_is_known_good {
            return parsed;
        }
        let mut segment = parsed.map_err(|error| {
            // A broken length, or the sender's fault?
            let checked = check_tcp_checksum(source, destination, bytes);
            if checked == Some(TcpChecksum::Good) {
                error
            } else {
                SegmentError::Checksum
            }
        })?;
        let header_len = bytes.len().saturating_sub(segment.payload.len());
        let header = bytes.get(..header_len).unwrap_or_default();
        let sum = PartialSum::of(segment.payload);
        let payload = (sum, segment.payload.len());
        let checked = check_tcp_checksum_of(source, destination, header, payload);
        if checked != Some(TcpChecksum::Good) {
            return Err(SegmentError::Checksum);
        }
        segment.payload_sum = Some(sum);
        Ok(segment)
    }

    fn parse_tcp(
        source: IpAddr,
        destination: IpAddr,
        ecn: Ecn,
        bytes: &'a [u8],
    ) -> Result<Self, SegmentError> {
        let short = SegmentError::Header { have: bytes.len() };
        let (header, rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(short)?;
        let [
            s0,
            s1,
            d0,
            d1,
            q0,
            q1,
            q2,
            q3,
            a0,
            a1,
            a2,
            a3,
            offset,
            flags,
            w0,
            w1,
            _,
            _,
            u0,
            u1,
        ] = *header;
        let area_len = usize::from(offset >> 4)
            .saturating_mul(4)
            .checked_sub(HEADER_LEN)
            .ok_or(short)?;
        let (options, payload) = rest.split_at_checked(area_len).ok_or(short)?;
        Ok(Segment {
            source: SocketAddr::new(source, u16::from_be_bytes([s0, s1])),
            destination: SocketAddr::new(destination, u16::from_be_bytes([d0, d1])),
            seq: TcpSeq(u32::from_be_bytes([q0, q1, q2, q3])),
            ack: TcpSeq(u32::from_be_bytes([a0, a1, a2, a3])),
            flags: Flags(flags),
            window: u16::from_be_bytes([w0, w1]),
            urgent: u16::from_be_bytes([u0, u1]),
            ecn,
            options,
            payload,
            payload_sum: None,
        })
    }

    /// Sequence numbers that it takes: its payload, and one each for SYN and FIN (RFC 9293 §3.4).
    pub fn seq_len(&self) -> u32 {
        let len = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        len.saturating_add(u32::from(self.flags.syn()))
            .saturating_add(u32::from(self.flags.fin()))
    }

    /// Appends the packet to `out`, from the IP header on, with all lengths and checksums.
    ///
    /// # Errors
    /// When the addresses are not of one family, the option area is no multiple of four or longer
    /// than [`MAX_OPTION_AREA`], or IP has no room for the payload.
    pub fn emit(&self, out: &mut Vec<u8>) -> Result<(), EmitSegmentError> {
        self.emit_in(IpChoice::default(), out)
    }

    /// The same with an IP header as chosen.
    ///
    /// # Errors
    /// As [`Segment::emit`].
    pub fn emit_in(&self, ip: IpChoice, out: &mut Vec<u8>) -> Result<(), EmitSegmentError> {
        let options = self.options.len();
        if options > MAX_OPTION_AREA || !options.is_multiple_of(4) {
            return Err(EmitSegmentError::Options(options));
        }
        let header_len = HEADER_LEN.saturating_add(options);
        let len = header_len.saturating_add(self.payload.len());
        self.emit_ip(ip, len, out)?;
        let start = out.len();
        out.reserve(len);
        let words = u8::try_from(header_len / 4).unwrap_or(0);
        out.extend_from_slice(&self.source.port().to_be_bytes());
        out.extend_from_slice(&self.destination.port().to_be_bytes());
        out.extend_from_slice(&self.seq.0.to_be_bytes());
        out.extend_from_slice(&self.ack.0.to_be_bytes());
        out.extend_from_slice(&[words << 4, self.flags.0]);
        out.extend_from_slice(&self.window.to_be_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.urgent.to_be_bytes());
        out.extend_from_slice(self.options);
        out.extend_from_slice(self.payload);
        let segment = out.get(start..).unwrap_or_default();
        let sum = tcp_checksum(self.source.ip(), self.destination.ip(), segment).unwrap_or(0);
        let field = out
            .get_mut(start.saturating_add(CHECKSUM_OFFSET)..)
            .and_then(|rest| rest.first_chunk_mut());
        if let Some(field) = field {
            *field = sum.to_be_bytes();
        }
        Ok(())
    }

    fn emit_ip(&self, ip: IpChoice, len: usize, out: &mut Vec<u8>) -> Result<(), EmitSegmentError> {
        let too_long = EmitSegmentError::TooLong(len);
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let len = u16::try_from(len).map_err(|_| too_long)?;
                let mut header = Ipv4Header::new(
                    len,
                    ip.hop_limit,
                    IpNumber::TCP,
                    source.octets(),
                    destination.octets(),
                )
                .map_err(|_| too_long)?;
                header.dont_fragment = true;
                header.dscp = etherparse::IpDscp::try_new(ip.dscp.bits()).unwrap_or_default();
                header.ecn = etherparse::IpEcn::try_new(self.ecn.bits()).unwrap_or_default();
                header.header_checksum = header.calc_header_checksum();
                out.extend_from_slice(&header.to_bytes());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let header = Ipv6Header {
                    traffic_class: ip.dscp.bits() << 2 | self.ecn.bits(),
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: u16::try_from(len).map_err(|_| too_long)?,
                    next_header: IpNumber::TCP,
                    hop_limit: ip.hop_limit,
                    source: source.octets(),
                    destination: destination.octets(),
                };
                out.extend_from_slice(&header.to_bytes());
            }
            _ => return Err(EmitSegmentError::Families),
        }
        Ok(())
    }
}

/// A segment that no packet can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmitSegmentError {
    /// One address is IPv4, the other IPv6.
    #[error("the addresses are of two families")]
    Families,
    /// The option area has this length.
    #[error("an option area of {0} bytes")]
    Options(usize),
    /// TCP header and payload have this length together.
    #[error("a segment of {0} bytes")]
    TooLong(usize),
}

/// TCP header without options.
const HEADER_LEN: usize = 20;
const CHECKSUM_OFFSET: usize = 16;
/// Recommended by IANA, and what Linux sends.
const HOP_LIMIT: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn sample<'a>(source: &str, destination: &str, payload: &'a [u8]) -> Segment<'a> {
        Segment {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            seq: TcpSeq(0xffff_fffe),
            ack: TcpSeq(7),
            flags: Flags::ACK.with(Flags::PSH),
            window: 512,
            urgent: 3,
            ecn: Ecn::Ect0,
            options: &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
            payload,
            payload_sum: None,
        }
    }

    #[test]
    fn what_is_emitted_parses_to_the_same_segment() {
        for (source, destination) in [
            ("10.0.0.1:80", "10.9.0.2:5001"),
            ("[fd00::1]:80", "[fd00::2]:9"),
        ] {
            for payload in [&b""[..], b"x", b"hello kernel"] {
                let segment = sample(source, destination, payload);
                let mut packet = Vec::new();
                segment.emit(&mut packet).unwrap();
                assert_eq!(Segment::parse(&packet, true), Ok(segment));
                let summed = Segment {
                    payload_sum: Some(PartialSum::of(payload)),
                    ..segment
                };
                assert_eq!(Segment::parse(&packet, false), Ok(summed));
            }
        }
    }

    #[test]
    fn every_flipped_bit_of_the_tcp_part_is_noticed() {
        let mut packet = Vec::new();
        sample("10.0.0.1:80", "10.9.0.2:5001", b"abc")
            .emit(&mut packet)
            .unwrap();
        for bit in 20 * 8..packet.len() * 8 {
            let mut broken = packet.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                Segment::parse(&broken, false),
                Err(SegmentError::Checksum),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn cut_packets_are_errors() {
        let mut packet = Vec::new();
        sample("[fd00::1]:80", "[fd00::2]:9", b"abc")
            .emit(&mut packet)
            .unwrap();
        for len in 0..packet.len() {
            assert!(Segment::parse(&packet[..len], true).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn a_packet_of_two_families_is_refused() {
        let mixed = sample("10.0.0.1:80", "[fd00::2]:9", b"");
        assert_eq!(mixed.emit(&mut Vec::new()), Err(EmitSegmentError::Families));
    }

    #[test]
    fn syn_and_fin_take_a_sequence_number_each() {
        let mut segment = sample("10.0.0.1:80", "10.9.0.2:5001", b"abc");
        segment.flags = Flags::SYN.with(Flags::FIN);
        assert_eq!(segment.seq_len(), 5);
    }
}
