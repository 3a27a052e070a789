//! What the rebuilder learnt from one packet, for views that print a line per packet.

use mptcp_proto::key::AddressId;

use super::Direction;

/// Where a TCP segment belongs and what its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketNote {
    /// TCP stream of the segment: the same number in every pass over the same input.
    pub tcp_stream: u64,
    /// Direction within its connection; of a plain stream, within the stream. An early packet of a
    /// subflow without handshake may not know.
    pub direction: Option<Direction>,
    /// Whether the segment is a copy of one captured before.
    pub duplicate: bool,
    /// Relative subflow sequence number of the first payload byte; the first byte after SYN is 1.
    pub ssn: Option<u64>,
    /// Payload, cut where its class or mapping changes, in order.
    pub pieces: Vec<Piece>,
    /// The mapping that the segment's options carry.
    pub mapping: Option<MappingSeen>,
    /// The DATA_ACK that the segment carries.
    pub data_ack: Option<DataAckSeen>,
    /// Address ids of ADD_ADDR or REMOVE_ADDR in it, for cross-references.
    pub address_ids: Vec<AddressId>,
}

/// A run of payload bytes of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Offset in the payload, in bytes.
    pub offset: u32,
    /// Length in bytes.
    pub len: u32,
    /// Relative DSN of the first byte, when a mapping is known.
    pub dsn: Option<i64>,
    /// What kind of bytes they are.
    pub class: ByteClass,
    /// Whether they were already DATA_ACKed when they were sent.
    pub spurious: bool,
}

/// Class of a payload byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ByteClass {
    /// Seen for the first time.
    New,
    /// Same subflow, same SSN as before.
    TcpRetransmission,
    /// Same subflow, old DSN, new SSN.
    DataRetransmission,
    /// Old DSN that another subflow sent first.
    Reinjection {
        /// Frame in or after which the other subflow sent it first.
        of_frame: u64,
    },
    /// No mapping covers it (so far).
    Unmapped,
}

/// A mapping as an option carries it, in relative numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MappingSeen {
    /// Relative DSN of the first byte; the first byte after the IDSN is 1.
    pub dsn: i64,
    /// Subflow sequence number field: relative, as on the wire.
    pub ssn: u32,
    /// Data-level length, in bytes; 0 is the infinite mapping. A DATA_FIN counts as one.
    pub len: u16,
    /// Checksum field, if present.
    pub checksum: Option<u16>,
    /// Whether the same mapping was seen before.
    pub repeated: bool,
    /// Whether DATA_FIN is set.
    pub data_fin: bool,
}

/// A DATA_ACK in relative numbers of the opposite direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataAckSeen {
    /// Relative DSN of the next byte expected.
    pub dsn: i64,
    /// Whether it was written with 8 bytes.
    pub long: bool,
}
