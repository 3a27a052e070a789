//! A TCP packet taken apart, so that a box can change it and put it together again.

use std::net::{IpAddr, SocketAddr};

use etherparse::{IpNumber, IpSlice, Ipv6ExtensionSlice};
use mptcp_proto::seq::TcpSeq;

use super::header;
use super::option_area::{self, Place};

/// FIN of the control bits.
pub const FIN: u8 = 0x01;
/// SYN of the control bits.
pub const SYN: u8 = 0x02;
/// RST of the control bits.
pub const RST: u8 = 0x04;
/// PSH of the control bits.
pub const PSH: u8 = 0x08;
/// ACK of the control bits.
pub const ACK: u8 = 0x10;
/// CWR of the control bits.
pub const CWR: u8 = 0x80;

/// A TCP packet. What no setter names stays as it came: IP options, reserved bits, the urgent
/// pointer. Its packet is the original to the last byte as long as nothing was changed.
#[derive(Debug, Clone)]
pub struct Segment {
    original: Vec<u8>,
    ip: Vec<u8>,
    header: [u8; HEADER_LEN],
    options: Vec<u8>,
    payload: Vec<u8>,
    source: IpAddr,
    destination: IpAddr,
}

/// The 4-tuple of a flow, the same for both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey {
    low: SocketAddr,
    high: SocketAddr,
}

impl Segment {
    /// Takes a packet apart. None for whatever is not a whole TCP segment: other protocols,
    /// fragments, broken lengths, and the headers that hide or replace the addresses of the
    /// pseudo-header (authentication, routing).
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let slice = IpSlice::from_slice(packet).ok()?;
        if slice.is_fragmenting_payload() || slice.payload_ip_number() != IpNumber::TCP {
            return None;
        }
        let declared = match &slice {
            IpSlice::Ipv4(v4) if v4.extensions().auth.is_none() => {
                usize::from(v4.header().total_len())
            }
            IpSlice::Ipv6(v6) if addresses_are_final(v6) => {
                header::V6_LEN + usize::from(v6.header().payload_length())
            }
            _ => return None,
        };
        let tcp = slice.payload().payload;
        let ip = packet.get(..declared.checked_sub(tcp.len())?)?;
        let (fixed, rest) = tcp.split_first_chunk::<HEADER_LEN>()?;
        let area_len = usize::from(fixed[12] >> 4)
            .checked_mul(4)?
            .checked_sub(HEADER_LEN)?;
        let (options, payload) = rest.split_at_checked(area_len)?;
        Some(Self {
            original: packet.to_vec(),
            ip: ip.to_vec(),
            header: *fixed,
            options: options.to_vec(),
            payload: payload.to_vec(),
            source: slice.source_addr(),
            destination: slice.destination_addr(),
        })
    }

    /// A segment without payload that answers this one: a fresh IP header, the ends swapped.
    #[must_use]
    pub fn answer(&self, flags: u8, seq: u32, ack: u32, window: u16) -> Self {
        let mut fixed = [0; HEADER_LEN];
        fixed[..2].copy_from_slice(&self.header[2..4]);
        fixed[2..4].copy_from_slice(&self.header[..2]);
        let mut answer = Self {
            original: Vec::new(),
            ip: header::ip(self.destination, self.source, IpNumber::TCP.0),
            header: fixed,
            options: Vec::new(),
            payload: Vec::new(),
            source: self.destination,
            destination: self.source,
        };
        answer.set_flags(flags);
        answer.set_seq(seq);
        answer.set_ack(ack);
        answer.set_window(window);
        answer
    }

    /// The packet: the original one if nothing was changed, else as [`Segment::emit`] makes it.
    pub fn into_packet(self) -> Vec<u8> {
        if self.is_changed() {
            self.emit()
        } else {
            self.original
        }
    }

    /// The packet with right lengths and checksums. A payload for which an IP packet has no room
    /// is cut.
    pub fn emit(&self) -> Vec<u8> {
        let headers = self.ip.len() + HEADER_LEN + self.options.len();
        let room = header::MAX_PACKET.saturating_sub(headers);
        let payload = self.payload.get(..room).unwrap_or(&self.payload);
        let mut tcp = self.header.to_vec();
        let words = u8::try_from((HEADER_LEN + self.options.len()) / 4).unwrap_or(u8::MAX);
        tcp[12] = words << 4 | self.header[12] & 0x0f;
        tcp[CHECKSUM..CHECKSUM + 2].fill(0);
        tcp.extend(&self.options);
        tcp.extend(payload);
        let checksum =
            header::transport_checksum(self.source, self.destination, IpNumber::TCP.0, &tcp);
        tcp[CHECKSUM..CHECKSUM + 2].copy_from_slice(&checksum);
        let mut packet = self.ip.clone();
        packet.extend(tcp);
        header::fix_ip(&mut packet);
        packet
    }

    fn is_changed(&self) -> bool {
        let mut rest = self.original.as_slice();
        let parts: [&[u8]; 4] = [&self.ip, &self.header, &self.options, &self.payload];
        for part in parts {
            match rest.strip_prefix(part) {
                Some(left) => rest = left,
                None => return true,
            }
        }
        // A part that shrank leaves its bytes behind; link-layer padding was there before.
        self.ip.len() + HEADER_LEN + self.options.len() + self.payload.len()
            != header::declared_len(&self.original)
    }

    /// The flow it belongs to.
    pub fn flow(&self) -> FlowKey {
        let (from, to) = (self.source(), self.destination());
        FlowKey {
            low: from.min(to),
            high: from.max(to),
        }
    }

    /// Source address and port.
    pub fn source(&self) -> SocketAddr {
        SocketAddr::new(self.source, self.short(0))
    }

    /// Destination address and port.
    pub fn destination(&self) -> SocketAddr {
        SocketAddr::new(self.destination, self.short(2))
    }

    /// Sequence number.
    pub fn seq(&self) -> u32 {
        self.long(4)
    }

    /// Sets the sequence number.
    pub fn set_seq(&mut self, seq: u32) {
        self.header[4..8].copy_from_slice(&seq.to_be_bytes());
    }

    /// Acknowledgment number, which says something only with the ACK bit.
    pub fn ack(&self) -> u32 {
        self.long(8)
    }

    /// Sets the acknowledgment number.
    pub fn set_ack(&mut self, ack: u32) {
        self.header[8..12].copy_from_slice(&ack.to_be_bytes());
    }

    /// The control bits from CWR to FIN.
    pub fn flags(&self) -> u8 {
        self.header[13]
    }

    /// Sets the control bits from CWR to FIN.
    pub fn set_flags(&mut self, flags: u8) {
        self.header[13] = flags;
    }

    /// Whether one of these control bits is set.
    pub fn has(&self, flags: u8) -> bool {
        self.flags() & flags != 0
    }

    /// Whether it opens a flow: SYN without ACK.
    pub fn is_syn(&self) -> bool {
        self.flags() & (SYN | ACK) == SYN
    }

    /// Whether it accepts a flow: SYN with ACK.
    pub fn is_syn_ack(&self) -> bool {
        self.flags() & (SYN | ACK) == SYN | ACK
    }

    /// Whether it acknowledges and nothing else: no payload, no SYN, FIN or RST.
    pub fn is_pure_ack(&self) -> bool {
        self.payload.is_empty() && self.flags() & (SYN | FIN | RST | ACK) == ACK
    }

    /// The window field.
    pub fn window(&self) -> u16 {
        self.short(14)
    }

    /// Sets the window field.
    pub fn set_window(&mut self, window: u16) {
        self.header[14..16].copy_from_slice(&window.to_be_bytes());
    }

    /// The option area, padding included.
    pub fn options(&self) -> &[u8] {
        &self.options
    }

    /// Bytes of the option area, to change in place.
    pub fn options_mut(&mut self) -> &mut [u8] {
        &mut self.options
    }

    /// Replaces the option area: filled up with NOPs to whole words, cut at 40 bytes.
    pub fn set_options(&mut self, mut options: Vec<u8>) {
        options.truncate(MAX_OPTIONS);
        options.resize(options.len().next_multiple_of(4), option_area::NOP);
        self.options = options;
    }

    /// Where its options are, up to the first byte that makes no sense.
    pub fn places(&self) -> Vec<Place> {
        option_area::walk(&self.options)
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Replaces the payload.
    pub fn set_payload(&mut self, payload: Vec<u8>) {
        self.payload = payload;
    }

    /// Sequence number of the first payload byte, which a SYN moves by one.
    pub fn data_seq(&self) -> u32 {
        self.seq().wrapping_add(u32::from(self.has(SYN)))
    }

    /// Sequence number after the last payload byte.
    pub fn data_end(&self) -> u32 {
        self.data_seq().wrapping_add(self.payload_len())
    }

    /// Sequence number after the segment, a FIN counted.
    pub fn end(&self) -> u32 {
        self.data_end().wrapping_add(u32::from(self.has(FIN)))
    }

    /// Length of the whole packet as it would be emitted.
    pub fn packet_len(&self) -> usize {
        self.headers_len() + self.payload.len()
    }

    /// Length of the IP and TCP headers.
    pub fn headers_len(&self) -> usize {
        self.ip.len() + HEADER_LEN + self.options.len()
    }

    /// Adds to the IPv4 identification, as a sender that cuts one segment into several does.
    pub fn add_to_ip_id(&mut self, n: u16) {
        if self.source.is_ipv4()
            && let Some(id) = self.ip.get_mut(4..6)
        {
            let sum = u16::from_be_bytes([id[0], id[1]]).wrapping_add(n);
            id.copy_from_slice(&sum.to_be_bytes());
        }
    }

    /// Bytes of the IP header, to change in place: any but its length, its protocol and the
    /// addresses. The checksum is made anew.
    pub fn ip_header_mut(&mut self) -> &mut [u8] {
        &mut self.ip
    }

    /// Bytes of the TCP header before the options, to change in place. The data offset and the
    /// checksum are made anew.
    pub fn tcp_header_mut(&mut self) -> &mut [u8] {
        &mut self.header
    }

    /// Where the checksum lies in the packet.
    pub fn checksum_range(&self) -> std::ops::Range<usize> {
        let at = self.ip.len() + CHECKSUM;
        at..at + 2
    }

    fn payload_len(&self) -> u32 {
        u32::try_from(self.payload.len()).unwrap_or(u32::MAX)
    }

    fn short(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.header[at], self.header[at + 1]])
    }

    fn long(&self, at: usize) -> u32 {
        u32::from(self.short(at)) << 16 | u32::from(self.short(at + 2))
    }
}

/// Whether sequence number `a` lies after `b`.
pub fn is_after(a: u32, b: u32) -> bool {
    TcpSeq(a).offset_from(TcpSeq(b)) > 0
}

/// The later one of two sequence numbers.
pub fn later(a: u32, b: u32) -> u32 {
    if is_after(a, b) { a } else { b }
}

fn addresses_are_final(v6: &etherparse::Ipv6Slice<'_>) -> bool {
    // Length 0 announces a jumbogram, or is left over from offloading.
    v6.header().payload_length() > 0
        && !v6.extensions().clone().into_iter().any(|extension| {
            matches!(
                extension,
                Ipv6ExtensionSlice::Routing(_) | Ipv6ExtensionSlice::Authentication(_)
            )
        })
}

const HEADER_LEN: usize = 20;
const CHECKSUM: usize = 16;
const MAX_OPTIONS: usize = 40;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::bench::{Tcp, check_checksums};
    use super::*;

    #[test]
    fn a_packet_that_nobody_changes_keeps_even_a_wrong_checksum() {
        let mut packet = Tcp::to_server().payload(b"abc").packet();
        packet[36] ^= 0x55;
        assert_eq!(Segment::parse(&packet).unwrap().into_packet(), packet);
    }

    #[test]
    fn padding_after_the_packet_survives_unless_the_packet_changes() {
        let mut packet = Tcp::to_server().packet();
        let len = packet.len();
        packet.extend([0; 6]);
        let mut segment = Segment::parse(&packet).unwrap();
        assert_eq!(segment.clone().into_packet(), packet);
        segment.set_seq(7);
        assert_eq!(segment.into_packet().len(), len);
    }

    #[test]
    fn reserved_bits_and_the_urgent_pointer_survive_a_change() {
        for tcp in [Tcp::to_server(), Tcp::to_server().v6()] {
            let mut packet = tcp.payload(b"abc").packet();
            let at = packet.len() - 23;
            packet[at + 12] |= 0x0f;
            packet[at + 19] = 9;
            let mut segment = Segment::parse(&packet).unwrap();
            segment.set_seq(99);
            let changed = segment.into_packet();
            assert_eq!(changed[at + 12], packet[at + 12]);
            assert_eq!(changed[at + 19], 9);
            check_checksums(&changed);
        }
    }

    #[test]
    fn fragments_and_other_protocols_are_no_segments() {
        let mut fragment = Tcp::to_server().payload(b"abc").packet();
        fragment[6] |= 0x20;
        assert!(Segment::parse(&fragment).is_none());
        let mut udp = Tcp::to_server().packet();
        udp[9] = 17;
        assert!(Segment::parse(&udp).is_none());
    }

    #[test]
    fn a_payload_that_no_packet_can_hold_is_cut() {
        let mut segment = Tcp::to_server().segment();
        segment.set_payload(vec![1; 70_000]);
        let packet = segment.into_packet();
        assert_eq!(packet.len(), header::MAX_PACKET);
        check_checksums(&packet);
    }

    proptest! {
        #[test]
        fn parse_then_emit_is_the_identity_on_valid_packets(
            seq: u32, ack: u32, flags: u8, v6: bool,
            words in proptest::collection::vec(any::<[u8; 4]>(), 0..=10),
            payload in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut tcp = Tcp::to_server().seq(seq).ack(ack).flags(flags);
            tcp = tcp.area(&words.concat()).payload(&payload);
            let packet = if v6 { tcp.v6() } else { tcp }.packet();
            prop_assert_eq!(Segment::parse(&packet).unwrap().emit(), packet);
        }
    }
}
