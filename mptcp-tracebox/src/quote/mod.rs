//! ICMP errors, and what they quote of the packet that they are about (RFC 792, RFC 4443).

pub mod extension;

use std::net::IpAddr;

use crate::packet::fields::{Fields, IpFields};
use extension::Object;

/// An ICMP error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IcmpError<'a> {
    /// Who sent it.
    pub from: IpAddr,
    /// To whom.
    pub to: IpAddr,
    /// TTL or hop limit with which it arrived.
    pub ttl: u8,
    /// What it says.
    pub kind: ErrorKind,
    /// The beginning of the packet that it is about, from the IP header on.
    pub quote: &'a [u8],
    /// What RFC 4884 lets follow the quote.
    pub extension: Vec<Object>,
}

/// What an ICMP error says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorKind {
    /// The TTL ran out on the way.
    TimeExceeded,
    /// The packet cannot be delivered, with the code of its family.
    Unreachable(u8),
    /// The packet is larger than this MTU of a link.
    TooBig(u32),
}

impl ErrorKind {
    /// Whether somebody forbids the packet: codes 9, 10 and 13 of IPv4 (RFC 1812 §5.2.7.1), 1, 5 and 6
    /// of IPv6 (RFC 4443 §3.1).
    pub const fn is_prohibition(self, is_v4: bool) -> bool {
        match self {
            Self::Unreachable(code) if is_v4 => matches!(code, 9 | 10 | 13),
            Self::Unreachable(code) => matches!(code, 1 | 5 | 6),
            _ => false,
        }
    }
}

impl<'a> IcmpError<'a> {
    /// Takes a packet apart, from its IP header on. None when it is no ICMP error about a packet, or not as
    /// it was sent: its own checksum does not hold (RFC 792, RFC 4443 §2.3).
    pub fn parse(packet: &'a [u8]) -> Option<Self> {
        let fields = Fields::parse(packet)?;
        let Fields { ip, tcp } = fields;
        if !fields.is_whole() || checksum(ip.source, ip.destination, tcp.0) != 0 {
            return None;
        }
        let (head, rest) = tcp.0.split_first_chunk::<8>()?;
        let kind = kind(&ip, *head)?;
        let (quote, extension) = split(rest, length(&ip, *head, kind));
        Some(Self {
            from: ip.source,
            to: ip.destination,
            ttl: ip.ttl,
            kind,
            quote,
            extension,
        })
    }
}

/// The checksum of an ICMP message; 0 of one that has the right one already. That of IPv6 covers the addresses
/// too (RFC 8200 §8.1).
pub(crate) fn checksum(source: IpAddr, destination: IpAddr, message: &[u8]) -> u16 {
    let words = |bytes: &[u8]| -> u64 {
        let words = bytes.chunks(2).map(|pair| match *pair {
            [high, low] => u64::from(u16::from_be_bytes([high, low])),
            [high] => u64::from(high) << 8,
            _ => 0,
        });
        words.sum()
    };
    let mut sum = words(message);
    if let (IpAddr::V6(source), IpAddr::V6(destination)) = (source, destination) {
        let len = u64::try_from(message.len()).unwrap_or(0);
        sum += words(&source.octets()) + words(&destination.octets()) + len + u64::from(ICMPV6);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).map_or(0, |sum| !sum)
}

fn kind(ip: &IpFields<'_>, head: [u8; 8]) -> Option<ErrorKind> {
    let [kind, code, _, _, word @ ..] = head;
    let [_, _, m0, m1] = word;
    match (ip.is_v4(), ip.protocol, kind) {
        (true, ICMP, 11) | (false, ICMPV6, 3) if code == 0 => Some(ErrorKind::TimeExceeded),
        (true, ICMP, 3) if code == FRAGMENTATION_NEEDED => {
            Some(ErrorKind::TooBig(u32::from(u16::from_be_bytes([m0, m1]))))
        }
        (true, ICMP, 3) | (false, ICMPV6, 1) => Some(ErrorKind::Unreachable(code)),
        (false, ICMPV6, 2) => Some(ErrorKind::TooBig(u32::from_be_bytes(word))),
        _ => None,
    }
}

/// Bytes of the quote with its padding, if the error says so (RFC 4884 §4).
fn length(ip: &IpFields<'_>, head: [u8; 8], kind: ErrorKind) -> Option<usize> {
    let declared = match (ip.is_v4(), kind) {
        (_, ErrorKind::TooBig(_)) if !ip.is_v4() => 0,
        (true, _) => usize::from(head[5]) * 4,
        (false, _) => usize::from(head[4]) * 8,
    };
    (declared > 0).then_some(declared)
}

/// Quote and extension.
fn split(rest: &[u8], declared: Option<usize>) -> (&[u8], Vec<Object>) {
    if let Some((quote, after)) = declared.and_then(|len| rest.split_at_checked(len)) {
        return (
            without_padding(quote),
            extension::parse(after).unwrap_or_default(),
        );
    }
    // Routers from before RFC 4884 put it behind 128 bytes, and say nothing (§5.5).
    let old = rest.split_at_checked(OLD_QUOTE);
    if let Some((quote, after)) = old
        && let Some(objects) = extension::parse(after)
    {
        return (without_padding(quote), objects);
    }
    (rest, Vec::new())
}

/// A quote that is followed by an extension is filled up with zeros: they tell nothing. What is needed
/// to recognize the packet stays.
fn without_padding(quote: &[u8]) -> &[u8] {
    let Some(fields) = Fields::parse(quote) else {
        return quote;
    };
    let end = quote.len() - quote.iter().rev().take_while(|&&byte| byte == 0).count();
    let least = fields.ip.bytes.len() + LEAST_TCP;
    quote.get(..end.max(least)).unwrap_or(quote)
}

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const FRAGMENTATION_NEEDED: u8 = 4;
/// Where an extension begins if nothing says where (RFC 4884 §5.5).
const OLD_QUOTE: usize = 128;
/// What every router quotes of what follows the IP header (RFC 792).
const LEAST_TCP: usize = 8;

#[cfg(test)]
mod tests;
