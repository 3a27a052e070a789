//! Ones' complement sums: the checksums of DSS and of TCP.

use std::net::IpAddr;

use crate::seq::{Dsn, Ssn};

/// Ones' complement sum of some bytes, which can be put together from pieces.
///
/// The sum pairs bytes to 16-bit words from the beginning of the whole, so a piece that begins at
/// an odd offset has its bytes in the other halves of the words; swapping the halves of its sum
/// makes up for it (RFC 1071 §2). The order of the pieces does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartialSum(u16);

impl PartialSum {
    /// Sum of bytes that begin at an even offset.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        // The byte order does not matter, up to a swap at the end.
        let (blocks, short) = bytes.as_chunks::<BLOCK>();
        let mut sum = if blocks.len() < MANY {
            sum_words(blocks.as_flattened())
        } else {
            sum_blocks(blocks)
        };
        let (words, tail) = short.as_chunks::<8>();
        for word in words {
            sum = end_around_add(sum, u64::from_ne_bytes(*word));
        }
        let mut last = [0; 8];
        for (slot, byte) in last.iter_mut().zip(tail) {
            *slot = *byte;
        }
        sum = end_around_add(sum, u64::from_ne_bytes(last));
        Self(u16::from_be(fold(sum)))
    }

    /// Sum of bytes that begin `offset` bytes after the beginning of the whole.
    #[must_use]
    pub fn of_at(bytes: &[u8], offset: u32) -> Self {
        Self::of(bytes).moved(offset)
    }

    /// The sum that the same bytes have `distance` bytes further on.
    #[must_use]
    pub const fn moved(self, distance: u32) -> Self {
        if distance.is_multiple_of(2) {
            self
        } else {
            Self(self.0.swap_bytes())
        }
    }

    /// Sum of both pieces together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(fold((self.0 as u64).wrapping_add(other.0 as u64)))
    }

    /// The checksum: the complement of the sum.
    #[must_use]
    pub const fn complement(self) -> u16 {
        !self.0
    }

    fn of_u16(number: u16) -> Self {
        Self(number)
    }

    fn of_u32(number: u32) -> Self {
        Self(fold(u64::from(number)))
    }

    fn of_u64(number: u64) -> Self {
        Self(fold(number))
    }

    /// Whether the sum, a checksum included, says that nothing changed.
    const fn is_all_ones(self) -> bool {
        self.0 == u16::MAX
    }
}

/// Checksum of a mapping and the payload that it maps (RFC 8684 §3.3.1).
///
/// The DSN is the full one, whatever width the option has. A DATA_FIN counts in `len` and has no
/// payload. Data that come with MP_CAPABLE have the DSN after the sender's IDSN, and SSN 1.
#[must_use]
pub fn dss_checksum(dsn: Dsn, ssn: Ssn, len: u16, payload: PartialSum) -> u16 {
    dss_sum(dsn, ssn, len, payload).complement()
}

/// Whether the checksum of a mapping holds (RFC 8684 §3.3.1).
///
/// Both forms of zero are taken, `0x0000` and `0xffff`: they are the same number in ones'
/// complement.
#[must_use]
pub fn dss_checksum_holds(
    dsn: Dsn,
    ssn: Ssn,
    len: u16,
    payload: PartialSum,
    checksum: u16,
) -> bool {
    dss_sum(dsn, ssn, len, payload)
        .plus(PartialSum::of_u16(checksum))
        .is_all_ones()
}

fn dss_sum(dsn: Dsn, ssn: Ssn, len: u16, payload: PartialSum) -> PartialSum {
    // The pseudo-header is a multiple of two bytes long, and so does not shift the payload. Its
    // last field is zero.
    PartialSum::of_u64(dsn.0)
        .plus(PartialSum::of_u32(ssn.0))
        .plus(PartialSum::of_u16(len))
        .plus(payload)
}

/// What the checksum of a TCP segment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TcpChecksum {
    /// It holds.
    Good,
    /// It covers the pseudo-header only: the segment was captured on its way to a network card
    /// that would have finished it (checksum offload).
    Partial,
    /// It does not hold.
    Bad,
}

/// Judges the checksum of a TCP segment, given from its first header byte to its last payload byte
/// (RFC 9293 §3.1). None when the segment is too short to have a checksum, or when one address is
/// IPv4 and the other IPv6.
#[must_use]
#[inline]
pub fn check_tcp_checksum(
    source: IpAddr,
    destination: IpAddr,
    segment: &[u8],
) -> Option<TcpChecksum> {
    let pseudo_header = tcp_pseudo_header(source, destination, segment.len())?;
    let field = segment.get(CHECKSUM_OFFSET..)?.first_chunk()?;
    Some(judge_tcp(*field, pseudo_header, PartialSum::of(segment)))
}

/// The same for a segment of which the sum of the payload, `payload_len` bytes, is known already, as
/// that of the DSS checksum may be. A header is a multiple of four bytes long.
#[must_use]
pub fn check_tcp_checksum_of(
    source: IpAddr,
    destination: IpAddr,
    header: &[u8],
    (payload, payload_len): (PartialSum, usize),
) -> Option<TcpChecksum> {
    let len = header.len().checked_add(payload_len)?;
    let pseudo_header = tcp_pseudo_header(source, destination, len)?;
    let field = header.get(CHECKSUM_OFFSET..)?.first_chunk()?;
    let segment = PartialSum::of(header).plus(payload);
    Some(judge_tcp(*field, pseudo_header, segment))
}

#[inline]
fn judge_tcp(field: [u8; 2], pseudo_header: PartialSum, segment: PartialSum) -> TcpChecksum {
    if pseudo_header.plus(segment).is_all_ones() {
        TcpChecksum::Good
    } else if u16::from_be_bytes(field) == pseudo_header.0 {
        TcpChecksum::Partial
    } else {
        TcpChecksum::Bad
    }
}

/// Checksum that a TCP segment should have, whatever it has now (RFC 9293 §3.1). None as for
/// [`check_tcp_checksum`].
#[must_use]
pub fn tcp_checksum(source: IpAddr, destination: IpAddr, segment: &[u8]) -> Option<u16> {
    let pseudo_header = tcp_pseudo_header(source, destination, segment.len())?;
    let (before, from_checksum) = segment.split_at_checked(CHECKSUM_OFFSET)?;
    let (_, after) = from_checksum.split_first_chunk::<2>()?;
    let sum = pseudo_header
        .plus(PartialSum::of(before))
        .plus(PartialSum::of(after));
    Some(sum.complement())
}

/// Sum over the pseudo-header of TCP on IPv4 (RFC 9293 §3.1) or IPv6 (RFC 8200 §8.1).
#[inline]
fn tcp_pseudo_header(source: IpAddr, destination: IpAddr, len: usize) -> Option<PartialSum> {
    let addresses = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            u64::from(source.to_bits()).wrapping_add(u64::from(destination.to_bits()))
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let [source, destination] = [source, destination].map(|end| {
                let PartialSum(sum) = PartialSum::of(&end.octets());
                u64::from(sum)
            });
            source.wrapping_add(destination)
        }
        _ => return None,
    };
    // Four numbers of 32 bits at most: their sum has room in 64.
    let rest = u64::from(u32::try_from(len).ok()?).wrapping_add(u64::from(PROTOCOL_TCP));
    Some(PartialSum::of_u64(addresses.wrapping_add(rest)))
}

/// Sum of whole words of 64 bits.
fn sum_words(bytes: &[u8]) -> u64 {
    let words = bytes.as_chunks::<8>().0.iter();
    words.fold(0, |sum, word| {
        end_around_add(sum, u64::from_ne_bytes(*word))
    })
}

/// Sum of whole blocks. The carries of each lane are counted aside: no addition waits for another,
/// which is faster than vector registers without AVX, and does not hang on the compiler finding them.
fn sum_blocks(blocks: &[[u8; BLOCK]]) -> u64 {
    let mut sums = [0_u64; LANES];
    let mut carries = [0_u64; LANES];
    for block in blocks {
        let lanes = sums.iter_mut().zip(&mut carries);
        for ((sum, carries), word) in lanes.zip(block.as_chunks::<8>().0) {
            let (next, carry) = sum.overflowing_add(u64::from_ne_bytes(*word));
            *sum = next;
            *carries = carries.wrapping_add(u64::from(carry));
        }
    }
    sums.into_iter().chain(carries).fold(0, end_around_add)
}

/// Adds with the carry going around, so that the result is zero for zeros only.
const fn end_around_add(a: u64, b: u64) -> u64 {
    let (sum, carry) = a.overflowing_add(b);
    sum.wrapping_add(carry as u64)
}

/// The ones' complement sum of the four 16-bit words of a number.
const fn fold(number: u64) -> u16 {
    let words = (number >> 48)
        .wrapping_add((number >> 32) & 0xffff)
        .wrapping_add((number >> 16) & 0xffff)
        .wrapping_add(number & 0xffff);
    // At most 0x3fffc, so one carry is left after the first time, and none after the second.
    let once = (words >> 16).wrapping_add(words & 0xffff);
    (once >> 16).wrapping_add(once) as u16
}

const LANES: usize = 4;
const BLOCK: usize = LANES * 8;
/// From so many blocks on, lanes are worth it.
const MANY: usize = 4;
const CHECKSUM_OFFSET: usize = 16;
const PROTOCOL_TCP: u16 = 6;

#[cfg(test)]
mod tests;
