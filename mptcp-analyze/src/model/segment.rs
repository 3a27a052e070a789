//! One TCP segment as it stands in a capture: the value that `capture` hands to `rebuild`.

use std::net::SocketAddr;

use mptcp_proto::seq::TcpSeq;

use super::Timestamp;

/// One TCP segment, borrowed from the packet that carried it (or from the reassembled fragments).
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// Number of the packet, from 1, as Wireshark counts. Of a fragmented packet: the last fragment.
    pub frame: u64,
    /// When it was captured.
    pub at: Timestamp,
    /// Index into the list of interfaces of all captures: the point where it was captured.
    pub interface: u32,
    /// Sender.
    pub source: SocketAddr,
    /// Receiver.
    pub destination: SocketAddr,
    /// What the IP header says beside the addresses.
    pub ip: IpFacts,
    /// Sequence number of the first byte (of the SYN, if there is one).
    pub seq: TcpSeq,
    /// Acknowledgment number; without meaning unless the ACK flag is set.
    pub ack: TcpSeq,
    /// Control bits.
    pub flags: TcpFlags,
    /// The window field, not scaled.
    pub window: u16,
    /// The checksum field.
    pub checksum: u16,
    /// Length of the header according to its data offset, in bytes; 20 at least.
    pub header_len: u8,
    /// The captured part of the whole segment: header and payload.
    pub bytes: &'a [u8],
    /// Length of the payload on the wire, in bytes; more than `payload().len()` when it was cut.
    pub payload_len: u32,
}

/// What has to be known of a segment beside its captured bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around {
    pub(crate) frame: u64,
    pub(crate) at: Timestamp,
    pub(crate) interface: u32,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) ip: IpFacts,
    pub(crate) payload_len: u32,
}

impl<'a> Segment<'a> {
    /// Bytes of a TCP header without options (RFC 9293 §3.1).
    pub const FIXED_HEADER_BYTES: usize = 20;

    /// The least that makes a segment: ports, numbers, data offset, flags, window. A snapshot length
    /// that cuts checksum and urgent pointer still shows which byte of which subflow this is.
    pub(crate) const LEAST_BYTES: usize = 16;

    /// The segment in `bytes`, of which at least [`Self::LEAST_BYTES`] were captured; those that are
    /// missing count as zeros.
    #[inline]
    pub(crate) fn new(around: Around, bytes: &'a [u8]) -> Self {
        let fixed = bytes.first_chunk().unwrap_or(&[0; Self::LEAST_BYTES]);
        let (words, _) = fixed.as_chunks::<4>();
        let word = |index: usize| {
            let word = words.get(index).copied().unwrap_or_default();
            u32::from_be_bytes(word)
        };
        let [offset, flags, w0, w1] = word(3).to_be_bytes();
        let checksum = bytes.get(16..).and_then(<[u8]>::first_chunk);
        Segment {
            frame: around.frame,
            at: around.at,
            interface: around.interface,
            source: around.source,
            destination: around.destination,
            ip: around.ip,
            seq: TcpSeq(word(1)),
            ack: TcpSeq(word(2)),
            flags: TcpFlags(flags),
            window: u16::from_be_bytes([w0, w1]),
            checksum: checksum.map_or(0, |field| u16::from_be_bytes(*field)),
            header_len: Self::header_len_of(offset),
            bytes,
            payload_len: around.payload_len,
        }
    }

    /// Length of the header, in bytes, by the byte with the data offset.
    #[inline]
    pub(crate) fn header_len_of(offset: u8) -> u8 {
        offset >> 4 << 2
    }

    /// The whole captured TCP header, options included.
    #[inline]
    pub fn header(&self) -> &'a [u8] {
        let whole = self.bytes.get(..usize::from(self.header_len));
        whole.unwrap_or(self.bytes)
    }

    /// The captured part of the option area.
    #[inline]
    pub fn options(&self) -> &'a [u8] {
        let options = self.header().get(Self::FIXED_HEADER_BYTES..);
        options.unwrap_or_default()
    }

    /// Length of the option area according to the data offset, in bytes.
    #[inline]
    pub fn options_len(&self) -> usize {
        usize::from(self.header_len).saturating_sub(Self::FIXED_HEADER_BYTES)
    }

    /// Whether the snapshot length cut the option area.
    #[inline]
    pub fn are_options_cut(&self) -> bool {
        self.options_len() > 0 && self.bytes.len() < usize::from(self.header_len)
    }

    /// The captured part of the payload.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        let payload = self.bytes.get(usize::from(self.header_len)..);
        payload.unwrap_or_default()
    }

    /// Whether the snapshot length cut the header or the payload.
    #[inline]
    pub fn is_cut(&self) -> bool {
        let len = u64::from(self.payload_len).saturating_add(u64::from(self.header_len));
        (self.bytes.len() as u64) < len
    }
}

/// What the IP header says beside the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IpFacts {
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// IPv4 identification; `None` for IPv6.
    pub id: Option<u16>,
    /// DSCP and ECN bits: the type-of-service byte, or the traffic class.
    pub tos: u8,
    /// Whether the capture marks the packet as sent by the capturing host (cooked captures,
    /// pcapng flags), received by it, or says nothing.
    pub outbound: Option<bool>,
}

/// Control bits of a TCP header: CWR ECE URG ACK PSH RST SYN FIN, from the highest bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// FIN bit.
    pub const FIN: u8 = 0x01;
    /// SYN bit.
    pub const SYN: u8 = 0x02;
    /// RST bit.
    pub const RST: u8 = 0x04;
    /// PSH bit.
    pub const PSH: u8 = 0x08;
    /// ACK bit.
    pub const ACK: u8 = 0x10;
    /// URG bit.
    pub const URG: u8 = 0x20;

    /// Whether FIN is set.
    pub fn fin(self) -> bool {
        self.0 & Self::FIN != 0
    }
    /// Whether SYN is set.
    pub fn syn(self) -> bool {
        self.0 & Self::SYN != 0
    }
    /// Whether RST is set.
    pub fn rst(self) -> bool {
        self.0 & Self::RST != 0
    }
    /// Whether ACK is set.
    pub fn ack(self) -> bool {
        self.0 & Self::ACK != 0
    }
}
