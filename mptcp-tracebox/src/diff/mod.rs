//! What was sent against what is quoted, field by field.
//!
//! A field is [`State::Same`], [`State::Changed`] or [`State::NotQuoted`], never a truth value: a router
//! that quotes eight bytes has said nothing of the options.

mod field;
mod options;

use std::net::IpAddr;

pub use field::{Change, Field, How, OptionId, State};
use mptcp_proto::wire::checksum::{TcpChecksum, check_tcp_checksum};

use crate::packet::fields::{Fields, TcpFields};

/// What a quote says of the packet that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Each field of what was sent.
    pub states: Vec<(Field, State)>,
    /// What is otherwise.
    pub changes: Vec<Change>,
    /// Bytes of the quote from the TCP header on.
    pub tcp_len: usize,
    /// Bytes of what was sent, from the TCP header on.
    pub sent_len: usize,
    /// Nothing of the packet is missing in the quote.
    pub is_whole: bool,
    /// Bytes that the packet has more from the TCP header on than was sent, or fewer.
    pub growth: isize,
    /// The segment was split, and this is a later part of it, which begins at this byte of the payload.
    pub part: Option<usize>,
}

impl Comparison {
    /// State of a field.
    pub fn state(&self, field: Field) -> State {
        let found = self.states.iter().find(|(known, _)| *known == field);
        found.map_or(State::NotQuoted, |(_, state)| *state)
    }

    /// Says nothing of a field any more.
    pub(crate) fn forget(&mut self, field: Field) {
        self.states.retain(|(known, _)| *known != field);
        self.changes.retain(|change| change.field != field);
    }
}

/// Compares two packets, from their IP headers on. None when one is no packet, or they are of two
/// families.
pub fn compare(sent: &[u8], quote: &[u8]) -> Option<Comparison> {
    let (sent, seen) = (Fields::parse(sent)?, Fields::parse(quote)?);
    if sent.ip.is_v4() != seen.ip.is_v4() {
        return None;
    }
    let mut differ = Differ::default();
    differ.result.part = part(&sent, &seen);
    differ.ip(&sent, &seen);
    differ.tcp(sent.tcp, seen.tcp);
    differ.lengths(&sent, &seen);
    differ.checksum(&sent, &seen);
    Some(Comparison {
        tcp_len: seen.tcp.0.len(),
        sent_len: sent.ip.payload_len,
        is_whole: seen.is_whole(),
        growth: growth(&sent, &seen),
        ..differ.result
    })
}

/// Compares two segments, from their TCP headers on: all that an unprivileged process gets to see.
pub fn compare_tcp(sent: &[u8], quote: &[u8]) -> Comparison {
    let mut differ = Differ::default();
    let (sent, seen) = (TcpFields(sent), TcpFields(quote));
    differ.tcp(sent, seen);
    differ.payload(sent.payload(), seen.payload());
    Comparison {
        tcp_len: quote.len(),
        sent_len: sent.0.len(),
        is_whole: quote.len() >= sent.0.len(),
        ..differ.result
    }
}

#[derive(Default)]
struct Differ {
    result: Comparison,
}

impl Differ {
    /// Two values of one field; the one that is quoted is none if the quote ends before it.
    fn value<const N: usize>(
        &mut self,
        field: Field,
        sent: Option<[u8; N]>,
        seen: Option<[u8; N]>,
    ) {
        let Some(sent) = sent else { return };
        match seen {
            None => self.state(field, State::NotQuoted),
            Some(seen) if seen == sent => self.state(field, State::Same),
            Some(seen) => self.change(field, How::Rewritten, &sent, &seen),
        }
    }

    fn state(&mut self, field: Field, state: State) {
        self.result.states.push((field, state));
    }

    fn change(&mut self, field: Field, how: How, sent: &[u8], seen: &[u8]) {
        self.state(field, State::Changed);
        self.result.changes.push(Change {
            field,
            how,
            sent: sent.to_vec(),
            seen: seen.to_vec(),
        });
    }

    fn ip(&mut self, sent: &Fields<'_>, seen: &Fields<'_>) {
        let (sent, seen) = (&sent.ip, &seen.ip);
        self.address(Field::Source, sent.source, seen.source);
        self.address(Field::Destination, sent.destination, seen.destination);
        self.value(Field::Dscp, Some([sent.tos >> 2]), Some([seen.tos >> 2]));
        self.value(Field::Ecn, Some([sent.tos & 3]), Some([seen.tos & 3]));
        if let (Some(sent), Some(seen)) = (sent.id(), seen.id()) {
            // Some routers quote these fields in the order of their own machine.
            let seen = if seen == sent.swap_bytes() {
                sent
            } else {
                seen
            };
            self.value(
                Field::IpId,
                Some(sent.to_be_bytes()),
                Some(seen.to_be_bytes()),
            );
        }
        let bit = |flag: Option<bool>| flag.map(|flag| [u8::from(flag)]);
        self.value(
            Field::DontFragment,
            bit(sent.dont_fragment()),
            bit(seen.dont_fragment()),
        );
        let label = |label: Option<u32>| label.map(u32::to_be_bytes);
        self.value(
            Field::FlowLabel,
            label(sent.flow_label()),
            label(seen.flow_label()),
        );
        // One is left when the packet comes to the router that sees it run out, none when it goes.
        if seen.ttl <= 1 {
            self.state(Field::Ttl, State::Same);
        } else {
            self.change(Field::Ttl, How::Rewritten, &[sent.ttl], &[seen.ttl]);
        }
    }

    fn address(&mut self, field: Field, sent: IpAddr, seen: IpAddr) {
        if sent == seen {
            self.state(field, State::Same);
            return;
        }
        let octets = |address: IpAddr| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        self.change(field, How::Rewritten, &octets(sent), &octets(seen));
    }

    fn tcp(&mut self, sent: TcpFields<'_>, seen: TcpFields<'_>) {
        let port = |port: Option<u16>| port.map(u16::to_be_bytes);
        self.value(
            Field::SourcePort,
            port(sent.source_port()),
            port(seen.source_port()),
        );
        self.value(
            Field::DestinationPort,
            port(sent.destination_port()),
            port(seen.destination_port()),
        );
        let seq = |tcp: TcpFields<'_>| tcp.seq().map(|seq| seq.0.to_be_bytes());
        if self.result.part.is_none() {
            self.value(Field::Seq, seq(sent), seq(seen));
        }
        let ack = |tcp: TcpFields<'_>| tcp.ack().map(|ack| ack.0.to_be_bytes());
        self.value(Field::Ack, ack(sent), ack(seen));
        let reserved = |tcp: TcpFields<'_>| tcp.reserved().map(|bits| [bits]);
        self.value(Field::Reserved, reserved(sent), reserved(seen));
        self.value(Field::Window, port(sent.window()), port(seen.window()));
        self.value(Field::Urgent, port(sent.urgent()), port(seen.urgent()));
        if self.result.part.is_some() {
            // Who splits a segment gives the parts the options and flags that it likes.
            return;
        }
        let flags = |tcp: TcpFields<'_>| tcp.flags().map(|flags| [flags.0]);
        self.value(Field::Flags, flags(sent), flags(seen));
        let found = options::compare(sent.options(), seen.options(), seen.has_all_options());
        self.result.states.extend(found.states);
        self.result.changes.extend(found.changes);
    }

    /// The payload, and the length of the packet where it is not explained by options that came or went.
    fn lengths(&mut self, sent: &Fields<'_>, seen: &Fields<'_>) {
        let len = |fields: &Fields<'_>| {
            let header = fields.tcp.header_len()?;
            Some(fields.ip.payload_len.saturating_sub(header))
        };
        let bytes = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
        let (before, after) = match (len(sent), len(seen)) {
            (Some(before), Some(after)) => (before, after),
            _ => (sent.ip.payload_len, seen.ip.payload_len),
        };
        if before != after && !is_swapped(sent, seen) {
            self.change(Field::Length, How::Rewritten, &bytes(before), &bytes(after));
        } else {
            self.state(Field::Length, State::Same);
        }
        let start = self.result.part.unwrap_or(0);
        let payload = sent.tcp.payload().get(start..).unwrap_or_default();
        self.payload(payload, seen.tcp.payload());
        self.explain_resegmenting(!sent.tcp.payload().is_empty());
    }

    /// Who splits or joins segments numbers the new packets and pushes where it likes: that is one change.
    fn explain_resegmenting(&mut self, has_payload: bool) {
        let found = &self.result;
        let is_other = found.state(Field::Length) == State::Changed;
        if has_payload && is_other && found.state(Field::Payload) != State::Changed {
            for field in [Field::IpId, Field::Flags] {
                self.result.forget(field);
            }
        }
    }

    fn payload(&mut self, sent: &[u8], seen: &[u8]) {
        if sent.is_empty() {
            return;
        }
        let common = sent.len().min(seen.len());
        let differs = sent.iter().zip(seen).any(|(sent, seen)| sent != seen);
        // The number of a part may be another too, so that its place is not known.
        let mut parts = sent.windows(seen.len().max(1));
        let is_part = seen.len() < sent.len() && parts.any(|part| part == seen);
        let is_placed = self.result.state(Field::Seq) != State::Changed;
        match (differs, common) {
            (_, 0) => self.state(Field::Payload, State::NotQuoted),
            (false, _) => self.state(Field::Payload, State::Same),
            (true, LEAST_PART..) if is_part => self.state(Field::Payload, State::Same),
            // So few bytes are there by chance, or not.
            (true, _) if is_part && !is_placed => self.state(Field::Payload, State::NotQuoted),
            (true, _) => self.change(Field::Payload, How::Rewritten, sent, seen),
        }
    }

    /// The checksum can be judged only where all that it covers is quoted.
    fn checksum(&mut self, sent: &Fields<'_>, seen: &Fields<'_>) {
        let field = |fields: &Fields<'_>| fields.tcp.checksum().map(u16::to_be_bytes);
        let (Some(before), Some(after)) = (field(sent), field(seen)) else {
            return self.state(Field::Checksum, State::NotQuoted);
        };
        if !seen.is_whole() {
            return self.state(Field::Checksum, State::NotQuoted);
        }
        let (source, destination) = (seen.ip.source, seen.ip.destination);
        let is_untouched = self
            .result
            .changes
            .iter()
            .all(|change| !change.field.is_above_ip());
        match check_tcp_checksum(source, destination, seen.tcp.0) {
            Some(TcpChecksum::Good) => self.state(Field::Checksum, State::Same),
            // The addresses were translated, and the quote was translated back but for this.
            _ if is_untouched && before != after => {
                self.change(Field::Checksum, How::Rewritten, &before, &after);
            }
            _ => self.change(Field::Checksum, How::Broken, &before, &after),
        }
    }
}

/// Where in the payload that was sent the quoted segment begins, if not at its begin.
fn part(sent: &Fields<'_>, seen: &Fields<'_>) -> Option<usize> {
    let distance = seen.tcp.seq()?.distance_from(sent.tcp.seq()?)?;
    let distance = usize::try_from(distance).ok()?;
    (1..sent.tcp.payload().len())
        .contains(&distance)
        .then_some(distance)
}

/// Whether the lengths differ only because the router quotes them in the order of its own machine.
fn is_swapped(sent: &Fields<'_>, seen: &Fields<'_>) -> bool {
    let total = |fields: &Fields<'_>| fields.ip.bytes.len() + fields.ip.payload_len;
    let [sent, seen] = [total(sent), total(seen)].map(|len| u16::try_from(len).unwrap_or(0));
    seen == sent.swap_bytes()
}

fn growth(sent: &Fields<'_>, seen: &Fields<'_>) -> isize {
    let [sent, seen] =
        [sent, seen].map(|fields| isize::try_from(fields.ip.payload_len).unwrap_or(0));
    seen.saturating_sub(sent)
}

/// Bytes of a part of a payload that are not there by chance.
const LEAST_PART: usize = 8;

#[cfg(test)]
mod tests;
