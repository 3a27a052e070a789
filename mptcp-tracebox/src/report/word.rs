//! Words for what a run found: those of programs, which do not change, and those of people.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use mptcp_cli::quantity;
use mptcp_proto::wire::segment::Flags;
use mptcp_proto::wire::tcp_option::KIND_MAXIMUM_SEGMENT_SIZE;

use crate::diff::{Change, Field, How, State};
use crate::evidence::Role;
use crate::probe::Probe;
use crate::quote::ErrorKind;
use crate::trace::{Blame, CellState, Confidence, EndAnswer, EndOption};

/// Name of a role, for programs.
pub const fn role(role: Role) -> &'static str {
    match role {
        Role::Ladder => "ladder",
        Role::End => "end",
        Role::Connection => "connection",
        Role::Reset => "reset",
    }
}

/// Name of the state of a cell, for programs.
pub const fn cell(state: CellState) -> &'static str {
    match state {
        CellState::NotAsked => "not_asked",
        CellState::Silent => "silent",
        CellState::NotQuoted => "not_quoted",
        CellState::Same => "same",
        CellState::Changed => "changed",
        CellState::Reached => "reached",
        CellState::Refused => "refused",
    }
}

/// Name of the state of a field, for programs.
pub const fn state(state: State) -> &'static str {
    match state {
        State::Same => "same",
        State::Changed => "changed",
        State::NotQuoted => "not_quoted",
    }
}

/// Name of what is to blame, for programs and for people.
pub const fn blame(blame: Blame) -> &'static str {
    match blame {
        Blame::Nobody => "nobody",
        Blame::Local => "local",
        Blame::Path => "path",
        Blame::Server => "server",
        Blame::Unknown => "unknown",
    }
}

/// Name of how sure something is, for programs and for people.
pub const fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Unknown => "unknown",
        Confidence::Likely => "likely",
        Confidence::Proven => "proven",
    }
}

/// Name of what happened to a field, for programs.
pub const fn how(how: How) -> &'static str {
    match how {
        How::Rewritten => "rewritten",
        How::Removed => "removed",
        How::Nopped => "nopped",
        How::Ended => "ended",
        How::Renamed => "renamed",
        How::Added => "added",
        How::Duplicated => "duplicated",
        How::Broken => "broken",
    }
}

/// Name of a field, for programs.
pub const fn field(field: Field) -> &'static str {
    match field {
        Field::Source => "source_address",
        Field::Destination => "destination_address",
        Field::Dscp => "dscp",
        Field::Ecn => "ecn",
        Field::IpId => "ip_id",
        Field::DontFragment => "dont_fragment",
        Field::FlowLabel => "flow_label",
        Field::Ttl => "ttl",
        Field::SourcePort => "source_port",
        Field::DestinationPort => "destination_port",
        Field::Seq => "sequence_number",
        Field::Ack => "acknowledgement_number",
        Field::Reserved => "reserved_bits",
        Field::Flags => "tcp_flags",
        Field::Window => "window",
        Field::Checksum => "tcp_checksum",
        Field::Urgent => "urgent_pointer",
        Field::Option(_) => "tcp_option",
        Field::OptionOrder => "option_order",
        Field::Padding => "option_padding",
        Field::Length => "length",
        Field::Payload => "payload",
    }
}

/// What an ICMP error of a sender says, for people.
pub fn error(kind: ErrorKind, from: IpAddr) -> String {
    let is_v4 = from.is_ipv4();
    match kind {
        ErrorKind::TimeExceeded => "TTL ran out".to_owned(),
        ErrorKind::Unreachable(code) => match (is_v4, code) {
            _ if kind.is_prohibition(is_v4) => format!("forbidden by a filter, code {code}"),
            (_, 0) => "no route to the network".to_owned(),
            (true, 1) | (false, 3) => "the host does not answer its router".to_owned(),
            (true, 3) | (false, 4) => "nobody listens on the port".to_owned(),
            _ => format!("unreachable, code {code}"),
        },
        ErrorKind::TooBig(mtu) => format!("too big for an MTU of {mtu}"),
    }
}

/// Control bits, for people: `SYN ACK`.
pub fn flags(flags: Flags) -> String {
    let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
    let set = names
        .iter()
        .enumerate()
        .filter(|(bit, _)| flags.0 >> bit & 1 == 1);
    let names: Vec<&str> = set.map(|(_, name)| *name).collect();
    if names.is_empty() {
        "no flags".to_owned()
    } else {
        names.join(" ")
    }
}

/// What the target says, for people.
pub fn answer(answer: &EndAnswer) -> String {
    match answer {
        EndAnswer::Silent => "nothing".to_owned(),
        EndAnswer::SynAck { option, window } => {
            let option = match option {
                EndOption::Capable(version) => {
                    format!(" with MP_CAPABLE of version {version}")
                }
                EndOption::Join => " with MP_JOIN".to_owned(),
                EndOption::Mirrored => " that repeats the option".to_owned(),
                EndOption::Erased(len) => format!(" with {len} NOPs where an option may have been"),
                EndOption::Absent => String::new(),
            };
            let window = if *window == 0 { ", window 0" } else { "" };
            format!("SYN/ACK{option}{window}")
        }
        EndAnswer::Reset { reason: None } => "RST".to_owned(),
        EndAnswer::Reset {
            reason: Some(reason),
        } => format!("RST with MP_TCPRST, reason {reason}"),
        EndAnswer::Ack => "ACK of something else".to_owned(),
        EndAnswer::Error { from, kind } => format!("ICMP of {from}: {}", error(*kind, *from)),
    }
}

/// A change, for people: `window rewritten: 64240 became 29200`.
pub fn change(change: &Change) -> String {
    let Change {
        field,
        how,
        sent,
        seen,
    } = change;
    let before = value(*field, sent);
    let after = value(*field, seen);
    match (sent.is_empty(), seen.is_empty()) {
        _ if *field == Field::OptionOrder || *field == Field::Padding => {
            format!("{field} {how}: {after}")
        }
        (true, true) => format!("{field} {how}"),
        (true, false) => format!("{field} {how}: {after}"),
        (false, true) => format!("{field} {how}: {before} was sent"),
        (false, false) => format!("{field} {how}: {before} became {after}"),
    }
}

/// Value of a field, for people.
pub fn value(field: Field, bytes: &[u8]) -> String {
    let number = bytes
        .iter()
        .take(4)
        .fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
    match field {
        Field::Dscp
        | Field::Ecn
        | Field::DontFragment
        | Field::Ttl
        | Field::SourcePort
        | Field::DestinationPort
        | Field::Window
        | Field::Urgent
        | Field::Length
            if bytes.len() <= 4 =>
        {
            number.to_string()
        }
        Field::Flags => flags(Flags(u8::try_from(number).unwrap_or(0))),
        Field::Source | Field::Destination => address(bytes),
        Field::Option(id) if id.kind == KIND_MAXIMUM_SEGMENT_SIZE && bytes.len() == 4 => {
            (number & 0xffff).to_string()
        }
        _ => hex(bytes, MAX_HEX),
    }
}

fn address(bytes: &[u8]) -> String {
    let v4: Option<[u8; 4]> = bytes.try_into().ok();
    let v6: Option<[u8; 16]> = bytes.try_into().ok();
    v4.map(|bytes| std::net::Ipv4Addr::from(bytes).to_string())
        .or_else(|| v6.map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()))
        .unwrap_or_else(|| hex(bytes, MAX_HEX))
}

/// Bytes in hexadecimal digits with blanks, `most` of them at most.
pub fn hex(bytes: &[u8], most: usize) -> String {
    let mut text = String::new();
    for (at, byte) in bytes.iter().take(most).enumerate() {
        let blank = if at == 0 { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{blank}{byte:02x}");
    }
    if bytes.len() > most {
        let _ = write!(text, " and {} more", bytes.len() - most);
    }
    text
}

/// Bytes in hexadecimal digits, all of them, for programs.
pub fn digits(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A span of time, for people.
pub fn duration(time: Duration) -> String {
    quantity::duration(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
}

/// Names of those probes that show something, of all that could; empty when all do.
pub fn probes(probes: &[Probe], all: &[Probe]) -> String {
    if all.iter().all(|probe| probes.contains(probe)) {
        return String::new();
    }
    let names: Vec<String> = probes.iter().map(Probe::to_string).collect();
    format!(" ({})", names.join(", "))
}

/// Bytes of a change that are written out.
const MAX_HEX: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::OptionId;

    #[test]
    fn the_same_code_means_something_else_in_the_other_family() {
        let check = |code, v4: &str, v6: &str| {
            let kind = ErrorKind::Unreachable(code);
            assert_eq!(error(kind, [10, 0, 0, 1].into()), v4);
            assert_eq!(error(kind, [0_u16; 8].into()), v6);
        };
        let port = "nobody listens on the port";
        let host = "the host does not answer its router";
        check(1, host, "forbidden by a filter, code 1");
        check(3, port, host);
        check(4, "unreachable, code 4", port);
        check(13, "forbidden by a filter, code 13", "unreachable, code 13");
    }

    #[test]
    fn values_are_written_as_people_know_them() {
        let check = |field, bytes: &[u8], expected: &str| {
            assert_eq!(value(field, bytes), expected);
        };
        check(Field::Window, &[0xfa, 0xf0], "64240");
        check(Field::Flags, &[0x12], "SYN ACK");
        check(Field::Source, &[10, 0, 0, 1], "10.0.0.1");
        check(Field::Seq, &[1, 2, 0xff, 0], "01 02 ff 00");
        let option = |bytes: &[u8]| Field::Option(OptionId::of(bytes));
        check(option(&[2, 4, 5, 0x64]), &[2, 4, 5, 0x64], "1380");
        check(option(&[2, 3, 5]), &[2, 3, 5], "02 03 05");
        let long = [7; 30];
        assert!(value(Field::Payload, &long).ends_with("07 07 and 6 more"));
    }
}
