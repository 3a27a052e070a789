//! The value of an option changes on its way.

use std::ops::Range;
use std::time::Duration;

use crate::middlebox::option_area::{
    ADD_ADDR, DSS, MP_CAPABLE, MP_FAIL, MP_FASTCLOSE, MP_JOIN, MSS, Place, TIMESTAMPS, WINDOW_SCALE,
};
use crate::middlebox::segment::Segment;
use crate::middlebox::select::{Selection, Selector};
use crate::middlebox::spec::{Fields, words};
use crate::middlebox::tcp_box::{TcpBox, forward};
use crate::middlebox::{Departure, Direction};

words! {
    /// What changes.
    pub enum Field {
        /// MP_CAPABLE: the key of its sender.
        Key = "key",
        /// MP_CAPABLE: the key of its receiver, in the third ACK.
        PeerKey = "peer_key",
        /// MP_CAPABLE: the version.
        Version = "version",
        /// MP_CAPABLE: the flags A to H, `0x80` is A, `0x20` is C.
        CapableFlags = "capable_flags",
        /// MP_JOIN of a SYN: the token.
        Token = "token",
        /// MP_JOIN of a SYN or SYN/ACK: the random number.
        Nonce = "nonce",
        /// MP_JOIN of a SYN/ACK or third ACK: the HMAC.
        JoinHmac = "join_hmac",
        /// MP_JOIN of a SYN or SYN/ACK: the Address ID.
        JoinId = "join_id",
        /// MP_JOIN of a SYN or SYN/ACK: the B flag.
        Backup = "backup",
        /// DSS: the data sequence number.
        Dsn = "dsn",
        /// DSS: the subflow sequence number.
        Ssn = "ssn",
        /// DSS, or MP_CAPABLE with data: the data-level length.
        DataLen = "data_len",
        /// DSS, or MP_CAPABLE with data: the checksum.
        DataChecksum = "data_checksum",
        /// DSS: the DATA_ACK.
        DataAck = "data_ack",
        /// ADD_ADDR: the address.
        Address = "address",
        /// ADD_ADDR: the Address ID.
        AddressId = "address_id",
        /// ADD_ADDR of v1: the HMAC.
        AddressHmac = "address_hmac",
        /// MP_FAIL: the data sequence number.
        FailDsn = "fail_dsn",
        /// MP_FASTCLOSE: the key.
        FastCloseKey = "fastclose_key",
        /// Maximum segment size.
        Mss = "mss",
        /// The sender's time of the timestamps.
        TimestampValue = "ts_value",
        /// The echoed time of the timestamps.
        TimestampEcho = "ts_echo",
        /// Window scale.
        WindowScale = "wscale",
    }
}

/// Which field changes, to what, and in which segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The field.
    pub field: Field,
    /// The new value; of a field beyond 8 bytes only the last 8.
    pub set: Option<u64>,
    /// Bits that flip, when no value is set.
    pub xor: u64,
    /// The segments.
    pub select: Selector,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            field: Field::Key,
            set: None,
            xor: 1,
            select: Selector::default(),
        }
    }
}

impl Plan {
    /// Its keys in the text form.
    pub fn fields(&mut self, fields: &mut Fields) {
        let default = Self::default();
        fields.field("field", &mut self.field, &default.field);
        fields.field("set", &mut self.set, &default.set);
        fields.field("xor", &mut self.xor, &default.xor);
        self.select.fields(fields, &default.select);
    }

    /// The box.
    pub fn build(&self) -> Rewrite {
        Rewrite {
            plan: self.clone(),
            selection: Selection::new(self.select.clone()),
        }
    }
}

/// The box.
#[derive(Debug)]
pub struct Rewrite {
    plan: Plan,
    selection: Selection,
}

impl TcpBox for Rewrite {
    fn handle_segment(
        &mut self,
        now: Duration,
        direction: Direction,
        mut segment: Segment,
        out: &mut Vec<Departure>,
    ) {
        let spots: Vec<Spot> = segment
            .places()
            .into_iter()
            .filter_map(|place| spot(self.plan.field, place, segment.options()))
            .collect();
        if self.selection.picks(direction, &segment, !spots.is_empty()) {
            for spot in spots {
                if let Some(bytes) = segment.options_mut().get_mut(spot.range) {
                    self.plan.change(bytes, spot.mask);
                }
            }
        }
        forward(now, direction, segment, out);
    }
}

impl Plan {
    fn change(&self, bytes: &mut [u8], mask: u64) {
        let skip = bytes.len().saturating_sub(8);
        let low = &mut bytes[skip..];
        let old = low
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte));
        let wanted = self.set.unwrap_or(old ^ self.xor);
        let new = (old & !mask | wanted & mask).to_be_bytes();
        low.copy_from_slice(&new[8 - low.len()..]);
    }
}

/// A field in an option area; the bits of `mask` belong to it.
struct Spot {
    range: Range<usize>,
    mask: u64,
}

fn spot(field: Field, place: Place, area: &[u8]) -> Option<Spot> {
    let (inside, mask) = match place.kind {
        MSS | WINDOW_SCALE | TIMESTAMPS => (plain(field, place)?, u64::MAX),
        _ => mptcp(field, place, area)?,
    };
    (inside.end <= place.len).then(|| Spot {
        range: place.at + inside.start..place.at + inside.end,
        mask,
    })
}

fn plain(field: Field, place: Place) -> Option<Range<usize>> {
    match (field, place.kind) {
        (Field::Mss, MSS) => Some(2..4),
        (Field::WindowScale, WINDOW_SCALE) => Some(2..3),
        (Field::TimestampValue, TIMESTAMPS) => Some(2..6),
        (Field::TimestampEcho, TIMESTAMPS) => Some(6..10),
        _ => None,
    }
}

#[expect(
    clippy::match_same_arms,
    reason = "a table with one row for each field"
)]
fn mptcp(field: Field, place: Place, area: &[u8]) -> Option<(Range<usize>, u64)> {
    let all = |range| Some((range, u64::MAX));
    match (place.subtype(area)?, field, place.len) {
        (MP_CAPABLE, Field::Version, _) => Some((2..3, 0x0f)),
        (MP_CAPABLE, Field::CapableFlags, _) => all(3..4),
        // v0 has the key in the SYN too; elsewhere both versions agree.
        (MP_CAPABLE, Field::Key, _) => all(4..12),
        (MP_CAPABLE, Field::PeerKey, _) => all(12..20),
        (MP_CAPABLE, Field::DataLen, _) => all(20..22),
        (MP_CAPABLE, Field::DataChecksum, _) => all(22..24),
        (MP_JOIN, Field::Token, 12) => all(4..8),
        (MP_JOIN, Field::Nonce, 12) => all(8..12),
        (MP_JOIN, Field::Nonce, 16) => all(12..16),
        (MP_JOIN, Field::JoinHmac, 16) => all(4..12),
        (MP_JOIN, Field::JoinHmac, 24) => all(4..24),
        (MP_JOIN, Field::JoinId, 12 | 16) => all(3..4),
        (MP_JOIN, Field::Backup, 12 | 16) => Some((2..3, 0x01)),
        (DSS, _, _) => all(dss(field, place.of(area))?),
        (ADD_ADDR, Field::AddressId, _) => all(3..4),
        // RFC 6824 §3.4.1 and RFC 8684 §3.4.1: the length tells address family, port and HMAC.
        (ADD_ADDR, Field::Address, 8 | 10 | 16 | 18) => all(4..8),
        (ADD_ADDR, Field::Address, 20 | 22 | 28 | 30) => all(4..20),
        (ADD_ADDR, Field::AddressHmac, len @ (16 | 18 | 28 | 30)) => all(len - 8..len),
        (MP_FAIL, Field::FailDsn, _) | (MP_FASTCLOSE, Field::FastCloseKey, _) => all(4..12),
        _ => None,
    }
}

/// RFC 8684 §3.3: DATA_ACK, then data sequence number, subflow sequence number, length, checksum,
/// each as wide as the flags say.
fn dss(field: Field, option: &[u8]) -> Option<Range<usize>> {
    let flags = *option.get(3)?;
    let width = |present: u8, wide: u8| match (flags & present != 0, flags & wide != 0) {
        (false, _) => 0,
        (true, false) => 4,
        (true, true) => 8,
    };
    let dsn = 4 + width(0x01, 0x02);
    let ssn = dsn + width(0x04, 0x08);
    match field {
        Field::DataAck if dsn > 4 => Some(4..dsn),
        _ if ssn == dsn => None,
        Field::Dsn => Some(dsn..ssn),
        Field::Ssn => Some(ssn..ssn + 4),
        Field::DataLen => Some(ssn + 4..ssn + 6),
        Field::DataChecksum => Some(ssn + 6..ssn + 8),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
