//! How a connection stands, in the words of Linux' `struct mptcp_info`.

use crate::conn::event::SubflowEnd;
use crate::conn::{Connection, FallbackReason, Phase, State};
use crate::key::{AddressId, Token};
use crate::path::SubflowId;
use crate::seq::Dsn;
use crate::tcp::{Path, TcpInfo};
use crate::time::Instant;
use crate::version::Version;
use crate::wire::mptcp::Priority;

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MptcpInfo {
    /// State of the data level.
    pub state: State,
    /// Version; none when the connection is TCP, or not established.
    pub version: Option<Version>,
    /// Why it is TCP.
    pub fallback: Option<FallbackReason>,
    /// Subflows beside the initial one that are up (`mptcpi_subflows`).
    pub subflows: u32,
    /// Subflows that are up (`mptcpi_subflows_total`).
    pub subflows_total: u32,
    /// Our token.
    pub token: Option<Token>,
    /// DSN after the last byte that was sent (`mptcpi_write_seq`).
    pub write_seq: Dsn,
    /// DSN of the first byte that is not acknowledged (`mptcpi_snd_una`).
    pub snd_una: Dsn,
    /// DSN that is expected next (`mptcpi_rcv_nxt`).
    pub rcv_nxt: Dsn,
    /// Whether mappings have checksums.
    pub has_checksums: bool,
    /// Data-level retransmissions (`mptcpi_retransmits`).
    pub retransmits: u64,
    /// Bytes of them.
    pub bytes_retrans: u64,
    /// Bytes received, duplicates included.
    pub bytes_received: u64,
    /// Bytes acknowledged by the peer.
    pub bytes_acked: u64,
    /// Bytes that came twice and were not the same.
    pub bytes_differing: u64,
    /// Bytes sent again because they held up the receiver's window.
    pub bytes_opportunistic: u64,
    /// Times that a slow subflow was penalised.
    pub penalties: u64,
    /// When data were sent last.
    pub last_data_sent: Instant,
    /// When a segment came last.
    pub last_segment_received: Instant,
    /// When data were acknowledged last.
    pub last_ack_received: Instant,
    /// Size of the send buffer, and what is in it, in bytes.
    pub send_buffer: (usize, usize),
    /// Size of the receive buffer, and what can be read and waits for others, in bytes.
    pub receive_buffer: (usize, usize, u64),
}

/// How a subflow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubflowInfo {
    /// Which one.
    pub id: SubflowId,
    /// From where to where.
    pub path: Path,
    /// Id of our address.
    pub local_id: AddressId,
    /// Id of the peer's address.
    pub remote_id: AddressId,
    /// What the peer's sending obeys.
    pub local_priority: Priority,
    /// What our sending obeys.
    pub remote_priority: Priority,
    /// Whether it may carry data.
    pub is_up: bool,
    /// Whether it has lost so much in a row that it gets no new data.
    pub is_stale: bool,
    /// How it ended.
    pub end: Option<SubflowEnd>,
    /// Its TCP.
    pub tcp: TcpInfo,
    /// Congestion window in bytes.
    pub cwnd: u64,
    /// Slow start threshold in bytes.
    pub ssthresh: u64,
}

impl Connection {
    /// How it stands.
    pub fn info(&self) -> MptcpInfo {
        let up = self.up().count();
        let has_initial = self.up().any(|subflow| subflow.id == SubflowId(0));
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let session = self.session();
        MptcpInfo {
            state: self.state,
            version: session.map(|session| session.version),
            fallback: self.fallback(),
            subflows: count(up.saturating_sub(usize::from(has_initial))),
            subflows_total: count(up),
            token: match &self.phase {
                Phase::Mptcp(session) => Some(session.local_token),
                _ => None,
            },
            write_seq: self.send.next_dsn(),
            snd_una: self.send.unacked_dsn(),
            rcv_nxt: self.receive.data_ack(),
            has_checksums: session.is_some_and(|session| session.checksum),
            retransmits: self.tuning.reinjections,
            bytes_retrans: self.tuning.bytes_reinjected,
            bytes_received: self.tuning.bytes_received,
            bytes_acked: self.tuning.bytes_acked,
            bytes_differing: self.tuning.differing,
            bytes_opportunistic: self.tuning.opportunistic,
            penalties: self.tuning.penalties,
            last_data_sent: self.progress.last_sent,
            last_segment_received: self.progress.last_received,
            last_ack_received: self.progress.last_acked,
            send_buffer: (self.send.capacity(), self.send.used()),
            receive_buffer: (
                self.receive.capacity(),
                self.receive.readable(),
                self.receive.out_of_order(),
            ),
        }
    }

    /// The subflows, those that are being opened or closed among them.
    pub fn subflows(&self) -> impl Iterator<Item = SubflowInfo> + '_ {
        self.subflows.iter().map(|subflow| SubflowInfo {
            id: subflow.id,
            path: subflow.path(),
            local_id: subflow.local_id,
            remote_id: subflow.remote_id,
            local_priority: subflow.local_priority,
            remote_priority: subflow.remote_priority,
            is_up: subflow.is_up(),
            is_stale: subflow.is_stale,
            end: subflow.end,
            tcp: subflow.tcp.info(),
            cwnd: self.congestion.cwnd(subflow.id),
            ssthresh: self.congestion.ssthresh(subflow.id),
        })
    }
}
