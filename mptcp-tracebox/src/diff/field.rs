//! Names of header fields, and what can happen to one.

use std::fmt;

use mptcp_proto::wire::mptcp::Subtype;
use mptcp_proto::wire::tcp_option as kinds;

/// A field of an IP or TCP header, or the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// Source address.
    Source,
    /// Destination address.
    Destination,
    /// Differentiated services code point (RFC 2474).
    Dscp,
    /// ECN field of the IP header (RFC 3168).
    Ecn,
    /// Identification (IPv4).
    IpId,
    /// Don't fragment (IPv4).
    DontFragment,
    /// Flow label (IPv6).
    FlowLabel,
    /// What is left of the TTL or hop limit.
    Ttl,
    /// Source port.
    SourcePort,
    /// Destination port.
    DestinationPort,
    /// Sequence number.
    Seq,
    /// Acknowledgement number.
    Ack,
    /// The bits beside the data offset.
    Reserved,
    /// Control bits, those of ECN among them.
    Flags,
    /// Window.
    Window,
    /// TCP checksum.
    Checksum,
    /// Urgent pointer.
    Urgent,
    /// A TCP option.
    Option(OptionId),
    /// Order of the TCP options.
    OptionOrder,
    /// No-operations and zeros between and behind the options.
    Padding,
    /// Length of the packet.
    Length,
    /// Bytes of the payload.
    Payload,
}

/// Which option is meant: its kind, and what tells options of one kind apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OptionId {
    /// Kind.
    pub kind: u8,
    /// Subtype of kind 30; experiment of kinds 253 and 254 (RFC 6994).
    pub subtype: Option<u16>,
}

impl OptionId {
    /// Of an option from its kind on.
    pub fn of(bytes: &[u8]) -> Self {
        let kind = bytes.first().copied().unwrap_or(0);
        let subtype = match kind {
            kinds::KIND_MPTCP => bytes.get(2).map(|byte| u16::from(byte >> 4)),
            kinds::KIND_EXPERIMENT_1 | kinds::KIND_EXPERIMENT_2 => bytes
                .get(2..)
                .and_then(|rest| rest.first_chunk())
                .map(|id| u16::from_be_bytes(*id)),
            _ => None,
        };
        Self { kind, subtype }
    }

    /// Whether it is one of MPTCP.
    pub const fn is_mptcp(self) -> bool {
        self.kind == kinds::KIND_MPTCP
    }
}

/// What happened to a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// It has another value.
    Rewritten,
    /// The option is gone, and the header is shorter.
    Removed,
    /// No-operations are where the option was.
    Nopped,
    /// The list of options ends before it.
    Ended,
    /// The option has another kind.
    Renamed,
    /// The option was not sent.
    Added,
    /// The option is there more than once.
    Duplicated,
    /// The checksum does not hold: something was changed, and the checksum was not.
    Broken,
}

/// What a quote says of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// As it was sent.
    Same,
    /// Otherwise.
    Changed,
    /// The quote ends before it.
    NotQuoted,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Change {
    /// Of what.
    pub field: Field,
    /// What happened.
    pub how: How,
    /// Bytes that were sent, empty if the option was added.
    pub sent: Vec<u8>,
    /// Bytes that are quoted, empty if there are none.
    pub seen: Vec<u8>,
}

impl Field {
    /// Whether the field belongs to the TCP header or what follows: a box that touches it is no router.
    pub const fn is_above_ip(self) -> bool {
        !matches!(
            self,
            Self::Source
                | Self::Destination
                | Self::Dscp
                | Self::Ecn
                | Self::IpId
                | Self::DontFragment
                | Self::FlowLabel
                | Self::Ttl
        )
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Option(id) => return id.fmt(f),
            Self::Source => "source address",
            Self::Destination => "destination address",
            Self::Dscp => "DSCP",
            Self::Ecn => "ECN",
            Self::IpId => "IP id",
            Self::DontFragment => "DF",
            Self::FlowLabel => "flow label",
            Self::Ttl => "TTL",
            Self::SourcePort => "source port",
            Self::DestinationPort => "destination port",
            Self::Seq => "sequence number",
            Self::Ack => "acknowledgement number",
            Self::Reserved => "reserved bits",
            Self::Flags => "TCP flags",
            Self::Window => "window",
            Self::Checksum => "TCP checksum",
            Self::Urgent => "urgent pointer",
            Self::OptionOrder => "order of options",
            Self::Padding => "padding of options",
            Self::Length => "length",
            Self::Payload => "payload",
        })
    }
}

impl fmt::Display for OptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            kinds::KIND_END_OF_LIST => "end of options",
            kinds::KIND_NO_OPERATION => "no-operation",
            kinds::KIND_MAXIMUM_SEGMENT_SIZE => "MSS",
            kinds::KIND_WINDOW_SCALE => "window scale",
            kinds::KIND_SACK_PERMITTED => "SACK permitted",
            kinds::KIND_SACK => "SACK",
            kinds::KIND_TIMESTAMPS => "timestamps",
            kinds::KIND_MD5_SIGNATURE => "MD5 signature",
            kinds::KIND_USER_TIMEOUT => "user timeout",
            kinds::KIND_AUTHENTICATION => "TCP-AO",
            kinds::KIND_FAST_OPEN => "Fast Open",
            kinds::KIND_MPTCP => match self.subtype {
                Some(subtype) => {
                    let subtype = u8::try_from(subtype).unwrap_or(u8::MAX);
                    return f.pad(&Subtype(subtype).to_string());
                }
                None => "MPTCP",
            },
            kind => {
                return match self.subtype {
                    Some(id) => f.pad(&format!("option {kind} (experiment {id:#06x})")),
                    None => f.pad(&format!("option {kind}")),
                };
            }
        };
        f.pad(name)
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rewritten => "rewritten",
            Self::Removed => "removed",
            Self::Nopped => "replaced by NOPs",
            Self::Ended => "cut off by end of options",
            Self::Renamed => "given another kind",
            Self::Added => "added",
            Self::Duplicated => "doubled",
            Self::Broken => "broken",
        })
    }
}
