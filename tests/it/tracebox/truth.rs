//! What the boxes of a path truly changed, read from the bytes without any code of the tracebox.

use mptcp_tests::middlebox::Direction;
use mptcp_tests::path::Passage;
use mptcp_tracebox::diff::{Change, Field, How};
use mptcp_tracebox::trace::{Interval, Place};

/// A TCP packet without IP options: all that the tracebox sends.
struct Raw<'a> {
    ip: &'a [u8],
    tcp: &'a [u8],
}

impl<'a> Raw<'a> {
    fn of(packet: &'a [u8]) -> Option<Self> {
        let at = match packet.first()? >> 4 {
            4 if packet.get(9)? == &6 => 20,
            6 if packet.get(6)? == &6 => 40,
            _ => return None,
        };
        let (ip, tcp) = packet.split_at_checked(at)?;
        (tcp.len() >= 20).then_some(Self { ip, tcp })
    }

    fn is_v4(&self) -> bool {
        self.ip.len() == 20
    }

    fn area(&self) -> &'a [u8] {
        let end = usize::from(self.tcp[12] >> 4) * 4;
        self.tcp.get(20..end).unwrap_or_default()
    }

    fn payload(&self) -> &'a [u8] {
        let start = usize::from(self.tcp[12] >> 4) * 4;
        self.tcp.get(start..).unwrap_or_default()
    }

    fn addresses(&self) -> &'a [u8] {
        self.ip
            .get(if self.is_v4() { 12.. } else { 8.. })
            .unwrap_or_default()
    }

    fn tos(&self) -> u8 {
        if self.is_v4() {
            self.ip[1]
        } else {
            self.ip[0] << 4 | self.ip[1] >> 4
        }
    }

    fn ttl(&self) -> u8 {
        self.ip[if self.is_v4() { 8 } else { 7 }]
    }

    fn label(&self) -> [u8; 3] {
        [self.ip[1] & 0x0f, self.ip[2], self.ip[3]]
    }

    /// Kind and bytes of each option but fillers.
    fn options(&self) -> Vec<&'a [u8]> {
        let mut rest = self.area();
        let mut options = Vec::new();
        while let Some(&kind) = rest.first().filter(|kind| **kind != 0) {
            let len = if kind == 1 {
                1
            } else {
                usize::from(rest.get(1).copied().unwrap_or(0))
            };
            if len == 0 || len > rest.len() {
                break;
            }
            let (option, after) = rest.split_at(len);
            if kind != 1 {
                options.push(option);
            }
            rest = after;
        }
        options
    }

    /// Whether the TCP checksum is right (RFC 9293 §3.1).
    fn is_sound(&self) -> bool {
        let mut bytes = self.addresses().to_vec();
        bytes.extend([0, 6]);
        bytes.extend(u16::try_from(self.tcp.len()).unwrap().to_be_bytes());
        bytes.extend(self.tcp);
        let words = bytes.chunks(2).map(|pair| {
            let low = pair.get(1).copied().unwrap_or(0);
            u32::from(u16::from_be_bytes([pair[0], low]))
        });
        let mut sum: u32 = words.sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum == 0xffff
    }
}

/// Whether a box that made `after` of `before` can be the reason for this change.
fn explains(change: &Change, before: &[u8], after: &[u8]) -> bool {
    let (Some(before), Some(after)) = (Raw::of(before), Raw::of(after)) else {
        return false;
    };
    let bytes = |from: usize, to: usize| before.tcp[from..to] != after.tcp[from..to];
    let half = before.addresses().len() / 2;
    match change.field {
        Field::Source => before.addresses()[..half] != after.addresses()[..half],
        Field::Destination => before.addresses()[half..] != after.addresses()[half..],
        Field::Dscp => before.tos() >> 2 != after.tos() >> 2,
        Field::Ecn => before.tos() & 3 != after.tos() & 3,
        Field::IpId => before.ip[4..6] != after.ip[4..6],
        Field::DontFragment => before.ip[6] & 0x40 != after.ip[6] & 0x40,
        Field::FlowLabel => before.label() != after.label(),
        Field::Ttl => before.ttl() != after.ttl(),
        Field::SourcePort => bytes(0, 2),
        Field::DestinationPort => bytes(2, 4),
        Field::Seq => bytes(4, 8),
        Field::Ack => bytes(8, 12),
        Field::Reserved => (before.tcp[12] ^ after.tcp[12]) & 0x0f != 0,
        Field::Flags => bytes(13, 14),
        Field::Window => bytes(14, 16),
        Field::Checksum if change.how == How::Broken => before.is_sound() && !after.is_sound(),
        Field::Checksum => bytes(16, 18),
        Field::Urgent => bytes(18, 20),
        Field::Option(id) => {
            let is_it = |option: &&[u8]| {
                let subtype = option.get(2).map(|byte| u16::from(byte >> 4));
                option[0] == id.kind && (id.kind != 30 || subtype == id.subtype)
            };
            let chosen = |raw: &Raw<'_>| -> Vec<Vec<u8>> {
                let options = raw.options().into_iter().filter(is_it);
                options.map(<[u8]>::to_vec).collect()
            };
            chosen(&before) != chosen(&after)
        }
        Field::OptionOrder => {
            let kinds = |raw: &Raw<'_>| -> Vec<u8> {
                raw.options().iter().map(|option| option[0]).collect()
            };
            kinds(&before) != kinds(&after)
        }
        Field::Padding => before.area() != after.area(),
        Field::Length => before.tcp.len() != after.tcp.len(),
        Field::Payload => before.payload() != after.payload(),
    }
}

/// Whether some box in the interval made the change, as far as the records of the path say.
pub(super) fn is_true(change: &Change, between: Interval, passages: &[Passage]) -> bool {
    passages.iter().any(|passage| {
        let mut after = passage.after.iter();
        is_within(passage, Some(between))
            && passage.direction == Direction::ToServer
            && after.any(|(_, after)| explains(change, &passage.before, after))
    })
}

/// Whether a box took a packet with this MPTCP subtype and let nothing of it go on, at a hop in the
/// interval; or let it go with a checksum for which the target drops it, wherever that box is.
pub(super) fn is_stopped(subtype: u8, between: Option<Interval>, passages: &[Passage]) -> bool {
    passages.iter().any(|passage| {
        // What another box has left of the option counts too: NOPs are as long.
        let is_long = Raw::of(&passage.before).is_some_and(|raw| raw.area().len() > 20);
        let has_it = has_mptcp(&passage.before, subtype) || is_long;
        let goes_on = |(way, _): &(Direction, Vec<u8>)| *way == passage.direction;
        let is_within = is_within(passage, between);
        let is_spoilt = |(_, after): &(Direction, Vec<u8>)| {
            let raw = [&passage.before, after].map(|packet| Raw::of(packet));
            matches!(raw, [Some(before), Some(after)] if before.is_sound() && !after.is_sound())
        };
        let is_lost = !passage.after.iter().any(goes_on);
        has_it && (is_within && is_lost || passage.after.iter().any(is_spoilt))
    })
}

/// Whether a box in the interval took a packet on its way there and let nothing of it go on.
pub(super) fn is_anything_stopped(between: Option<Interval>, passages: &[Passage]) -> bool {
    passages.iter().any(|passage| {
        let mut after = passage.after.iter();
        passage.direction == Direction::ToServer
            && is_within(passage, between)
            && !after.any(|(way, _)| *way == passage.direction)
    })
}

/// Whether a box in the interval took a packet of a connection on its way there and answered it, and let nothing of
/// it go on.
pub(super) fn is_refused(between: Option<Interval>, passages: &[Passage]) -> bool {
    passages.iter().any(|passage| {
        let is_syn = Raw::of(&passage.before).is_none_or(|raw| raw.tcp[13] & 2 != 0);
        passage.direction == Direction::ToServer
            && !is_syn
            && is_within(passage, between)
            && !passage.after.is_empty()
            && passage
                .after
                .iter()
                .all(|(way, _)| *way != passage.direction)
    })
}

/// Whether a box in the interval changed the MPTCP option of a packet of this direction.
pub(super) fn is_touched(
    direction: Direction,
    between: Option<Interval>,
    passages: &[Passage],
) -> bool {
    let mptcp = |packet: &[u8]| -> Vec<Vec<u8>> {
        let raw = Raw::of(packet);
        let options = raw.map(|raw| raw.options()).unwrap_or_default();
        let options = options.into_iter().filter(|option| option[0] == 30);
        options.map(<[u8]>::to_vec).collect()
    };
    passages.iter().any(|passage| {
        let mut after = passage.after.iter();
        passage.direction == direction
            && is_within(passage, between)
            && after.any(|(_, after)| mptcp(&passage.before) != mptcp(after))
    })
}

/// Whether a box changed the bytes of a payload on its way there, or parted or joined segments.
pub(super) fn is_payload_touched(between: Option<Interval>, passages: &[Passage]) -> bool {
    let payload = |packet: &[u8]| Raw::of(packet).map(|raw| raw.payload().to_vec());
    passages.iter().any(|passage| {
        let before = payload(&passage.before);
        let has_data = before.as_ref().is_some_and(|bytes| !bytes.is_empty());
        let mut after = passage.after.iter();
        passage.direction == Direction::ToServer
            && has_data
            && is_within(passage, between)
            && (passage.after.len() != 1 || after.any(|(_, after)| payload(after) != before))
    })
}

/// Whether a box changed the options of what comes back.
pub(super) fn is_answer_touched(passages: &[Passage]) -> bool {
    let area = |packet: &[u8]| Raw::of(packet).map(|raw| raw.area().to_vec());
    passages.iter().any(|passage| {
        let mut after = passage.after.iter();
        passage.direction == Direction::ToClient
            && after.any(|(_, after)| area(after) != area(&passage.before))
    })
}

/// Whether a box in the interval changed the TTL of what it sent on.
pub(super) fn is_ttl_touched(between: Option<Interval>, passages: &[Passage]) -> bool {
    let ttl = |packet: &[u8]| Raw::of(packet).map(|raw| raw.ttl());
    passages.iter().any(|passage| {
        let mut after = passage.after.iter();
        passage.direction == Direction::ToServer
            && is_within(passage, between)
            && after.any(|(_, after)| ttl(after) != ttl(&passage.before))
    })
}

/// Whether a box in the interval answered data itself.
pub(super) fn is_acked_early(between: Option<Interval>, passages: &[Passage]) -> bool {
    passages.iter().any(|passage| {
        let has_data = Raw::of(&passage.before).is_some_and(|raw| !raw.payload().is_empty());
        let mut after = passage.after.iter();
        let answers = has_data && after.any(|(way, _)| *way != passage.direction);
        answers && is_within(passage, between)
    })
}

fn is_within(passage: &Passage, between: Option<Interval>) -> bool {
    let hop = passage.spot.hop;
    between.is_none_or(|between| {
        between.after <= hop
            && match between.until {
                Place::Hop(until) => hop <= until,
                Place::Target => true,
            }
    })
}

fn has_mptcp(packet: &[u8], subtype: u8) -> bool {
    let options = Raw::of(packet).map(|raw| raw.options());
    let mut options = options.unwrap_or_default().into_iter();
    options.any(|option| option[0] == 30 && option.get(2).is_some_and(|byte| byte >> 4 == subtype))
}
