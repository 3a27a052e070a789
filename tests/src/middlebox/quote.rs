//! ICMP errors whose quote is shorter than it might be, or has an MPLS label behind it.

use std::time::Duration;

use etherparse::{IpNumber, IpSlice};

use super::header;
use super::spec::Fields;
use super::{Departure, Direction, Middlebox};

/// What happens to a quote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// So many bytes after the quoted IP header are left.
    pub tcp_bytes: Option<u16>,
    /// An extension with this MPLS label is appended.
    pub mpls: Option<u32>,
}

impl Plan {
    /// Its keys in the text form.
    pub fn fields(&mut self, fields: &mut Fields) {
        let default = Self::default();
        fields.field("tcp_bytes", &mut self.tcp_bytes, &default.tcp_bytes);
        fields.field("mpls", &mut self.mpls, &default.mpls);
    }

    /// The box.
    pub fn build(&self) -> Quote {
        Quote { plan: self.clone() }
    }
}

/// The box. It changes time exceeded and destination unreachable of both families; other packets
/// pass.
#[derive(Debug)]
pub struct Quote {
    plan: Plan,
}

impl Middlebox for Quote {
    fn handle_packet(
        &mut self,
        now: Duration,
        direction: Direction,
        packet: Vec<u8>,
        out: &mut Vec<Departure>,
    ) {
        let packet = self.changed(&packet).unwrap_or(packet);
        out.push(Departure {
            at: now,
            direction,
            packet,
        });
    }
}

impl Quote {
    /// The packet with another quote; none if it is no ICMP error or nothing is asked for.
    fn changed(&self, packet: &[u8]) -> Option<Vec<u8>> {
        if self.plan == Plan::default() {
            return None;
        }
        let slice = IpSlice::from_slice(packet).ok()?;
        let is_v4 = slice.source_addr().is_ipv4();
        let (protocol, errors) = if is_v4 {
            (IpNumber::ICMP, [3, 11])
        } else {
            (IpNumber::IPV6_ICMP, [1, 3])
        };
        let message = slice.payload().payload;
        if slice.is_fragmenting_payload()
            || slice.payload_ip_number() != protocol
            || !errors.contains(message.first()?)
        {
            return None;
        }
        let (fixed, rest) = message.split_first_chunk::<8>()?;
        let mut new = fixed.to_vec();
        let at = length_field(is_v4);
        new.extend(self.quote(rest, fixed[at], is_v4)?);
        new[at] = 0;
        if let Some(label) = self.plan.mpls {
            append_extension(&mut new, label, is_v4);
        }
        header::fix_icmp(slice.source_addr(), slice.destination_addr(), &mut new);
        let mut changed = outer_header(packet, message.len())?.to_vec();
        changed.extend(new);
        header::fix_ip(&mut changed);
        Some(changed)
    }

    /// What is left of the quote. An extension that was there goes.
    fn quote<'a>(&self, rest: &'a [u8], length: u8, is_v4: bool) -> Option<&'a [u8]> {
        let declared = usize::from(length) * unit(is_v4);
        let quote = match declared {
            0 => rest,
            _ => rest.get(..declared).unwrap_or(rest),
        };
        let inner = match quote.first()? >> 4 {
            4 => usize::from(quote[0] & 0x0f) * 4,
            6 => header::V6_LEN,
            _ => return None,
        };
        let wanted = self.plan.tcp_bytes.map_or(usize::MAX, usize::from);
        Some(quote.get(..inner.saturating_add(wanted)).unwrap_or(quote))
    }
}

/// RFC 4884 §3: the quote is filled up with zeros to 128 bytes and to whole units, its length
/// stands in the header, and the extension structure follows. RFC 4950 §3: the label.
fn append_extension(message: &mut Vec<u8>, label: u32, is_v4: bool) {
    let most = if is_v4 { V4_MOST } else { V6_MOST };
    message.truncate(ICMP_HEADER + most);
    let padded = (message.len() - ICMP_HEADER)
        .max(QUOTE_MIN)
        .next_multiple_of(unit(is_v4));
    message.resize(ICMP_HEADER + padded, 0);
    message[length_field(is_v4)] = u8::try_from(padded / unit(is_v4)).unwrap_or(u8::MAX);
    let mut extension = vec![0x20, 0, 0, 0, 0, 8, 1, 1];
    extension.extend((label << 12 | BOTTOM_OF_STACK | 1).to_be_bytes());
    let checksum = header::internet_checksum(&extension);
    extension[2..4].copy_from_slice(&checksum);
    message.extend(extension);
}

fn outer_header(packet: &[u8], message_len: usize) -> Option<&[u8]> {
    packet.get(..header::declared_len(packet).checked_sub(message_len)?)
}

/// RFC 4884 §4: where the length of the quote stands.
fn length_field(is_v4: bool) -> usize {
    if is_v4 { 5 } else { 4 }
}

/// RFC 4884 §4: what the length of the quote counts.
fn unit(is_v4: bool) -> usize {
    if is_v4 { 4 } else { 8 }
}

const ICMP_HEADER: usize = 8;
const QUOTE_MIN: usize = 128;
const BOTTOM_OF_STACK: u32 = 1 << 8;

/// Header, quote and extension stay within 576 bytes, what every IPv4 host takes.
const V4_MOST: usize = 576 - 20 - ICMP_HEADER - 12;

/// Header, quote and extension stay within the minimum MTU of IPv6.
const V6_MOST: usize = 1280 - 40 - ICMP_HEADER - 16;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::super::bench::{Tcp, check_checksums, check_untouched};
    use super::super::spec::Spec;
    use super::*;
    use crate::craft::ones_complement;

    fn error(tcp: &Tcp) -> Vec<u8> {
        let (source, kind) = match tcp.segment().source().ip() {
            IpAddr::V4(_) => ("10.3.3.3", 11),
            IpAddr::V6(_) => ("fd03::3", 3),
        };
        let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
        message.extend(tcp.packet());
        header::icmp(
            source.parse().unwrap(),
            tcp.segment().source().ip(),
            message,
        )
    }

    #[track_caller]
    fn quoted(text: &str, packet: Vec<u8>) -> Vec<u8> {
        let mut quote = text.parse::<Spec>().unwrap().build();
        let mut out = Vec::new();
        quote.handle_packet(Duration::ZERO, Direction::ToClient, packet, &mut out);
        let packet = out.remove(0).packet;
        check_checksums(&packet);
        packet
    }

    #[test]
    fn the_quote_is_cut_after_the_inner_header() {
        for bytes in [0, 8, 28] {
            let text = format!("quote:tcp_bytes={bytes}");
            let tcp = Tcp::syn().payload(b"some payload");
            let packet = quoted(&text, error(&tcp));
            assert_eq!(packet[28..], tcp.packet()[..20 + bytes]);
            let packet = quoted(&text, error(&tcp.clone().v6()));
            assert_eq!(packet[48..], tcp.v6().packet()[..40 + bytes]);
        }
    }

    #[test]
    fn a_label_follows_the_padded_quote() {
        let tcp = Tcp::syn();
        for (packet, icmp, length) in [
            (quoted("quote:mpls=16188", error(&tcp)), 20, (5, 32)),
            (
                quoted("quote:mpls=16188", error(&tcp.clone().v6())),
                40,
                (4, 16),
            ),
        ] {
            let message = &packet[icmp..];
            assert_eq!(message[length.0], length.1);
            assert_eq!(message.len(), 8 + 128 + 12);
            let extension = &message[136..];
            assert_eq!(ones_complement(extension), 0xffff);
            assert_eq!(extension[..2], [0x20, 0]);
            assert_eq!(extension[4..], [0, 8, 1, 1, 0x03, 0xf3, 0xc1, 1]);
        }
    }

    #[test]
    fn an_extension_is_replaced_and_a_long_quote_keeps_the_size_limit() {
        let tcp = Tcp::syn().payload(&[7; 1100]);
        for (packet, limit) in [(error(&tcp), 576), (error(&tcp.clone().v6()), 1280)] {
            let once = quoted("quote:mpls=1", packet);
            assert!(once.len() <= limit);
            assert_eq!(quoted("quote:mpls=1", once.clone()), once);
        }
    }

    #[test]
    fn other_packets_pass() {
        let mut quote = "quote:tcp_bytes=8".parse::<Spec>().unwrap().build();
        check_untouched(quote.as_mut(), &Tcp::syn());
    }
}
