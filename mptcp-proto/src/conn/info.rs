//! How a connection stands, in the words of Linux' `struct mptcp_info`.

use crate::conn::address_book::{AddressBook, Origin};
use crate::conn::event::SubflowEnd;
use crate::conn::{Connection, FallbackReason, Phase, State};
use crate::key::{AddressId, Token};
use crate::path::SubflowId;
use crate::pm::{MAX_ADDRESSES, MAX_EXTRA_SUBFLOWS};
use crate::seq::Dsn;
use crate::tcp::{Path, TcpInfo};
use crate::time::Instant;
use crate::version::Version;
use crate::wire::mptcp::Priority;

/// What the address book says, in numbers.
struct AddressUse {
    signalled: usize,
    accepted: usize,
    used: usize,
}

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
    /// The limit of [`Self::subflows`], those that the peer opens counted (`mptcpi_subflows_max`).
    pub subflows_max: u32,
    /// Addresses of ours that were advertised and not withdrawn (`mptcpi_add_addr_signal`).
    pub add_addr_signal: u32,
    /// Most that can wait for their echo at a time. Linux tells how many endpoints it may advertise
    /// (`mptcpi_add_addr_signal_max`).
    pub add_addr_signal_max: u32,
    /// Addresses that the peer advertised and that may be joined (`mptcpi_add_addr_accepted`).
    pub add_addr_accepted: u32,
    /// Their limit (`mptcpi_add_addr_accepted_max`).
    pub add_addr_accepted_max: u32,
    /// Addresses of ours, beside the initial one, that subflows begin at (`mptcpi_local_addr_used`).
    pub local_addr_used: u32,
    /// Most addresses of ours that a path manager uses (`mptcpi_local_addr_max`).
    pub local_addr_max: u32,
    /// Whether the peer's key is known, or was (`MPTCP_INFO_FLAG_REMOTE_KEY_RECEIVED`).
    pub has_remote_key: bool,
    /// Our token.
    pub token: Option<Token>,
    /// DSN after the last byte that was written, and after the end of the stream once there is one
    /// (`mptcpi_write_seq`).
    pub write_seq: Dsn,
    /// DSN after the last byte that was sent.
    pub snd_nxt: Dsn,
    /// DSN of the first byte that is not acknowledged (`mptcpi_snd_una`).
    pub snd_una: Dsn,
    /// DSN that is expected next (`mptcpi_rcv_nxt`).
    pub rcv_nxt: Dsn,
    /// Whether mappings have checksums.
    pub has_checksums: bool,
    /// Data-level retransmissions, in all.
    pub retransmits: u64,
    /// Expiries of the data-level retransmission timer since the last progress (`mptcpi_retransmits`).
    pub retransmits_in_a_row: u32,
    /// Bytes sent, each counted once (`mptcpi_bytes_sent`).
    pub bytes_sent: u64,
    /// Bytes of data-level retransmissions (`mptcpi_bytes_retrans`).
    pub bytes_retrans: u64,
    /// Bytes received in order, each counted once (`mptcpi_bytes_received`).
    pub bytes_received: u64,
    /// Bytes that had come before, over the same subflow or another one.
    pub bytes_duplicate: u64,
    /// Bytes acknowledged by the peer (`mptcpi_bytes_acked`).
    pub bytes_acked: u64,
    /// MPTCP options that are unknown or do not parse, and were passed over.
    pub options_ignored: u64,
    /// Bytes that came twice and were not the same.
    pub bytes_differing: u64,
    /// Bytes sent again because they held up the receiver's window.
    pub bytes_opportunistic: u64,
    /// Times that a slow subflow was penalised.
    pub penalties: u64,
    /// When data were sent last (`mptcpi_last_data_sent` is the time since).
    pub last_data_sent: Instant,
    /// When data came last (`mptcpi_last_data_recv`).
    pub last_data_received: Instant,
    /// When a segment came last.
    pub last_segment_received: Instant,
    /// When data were acknowledged last (`mptcpi_last_ack_recv`).
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
    /// Bytes a second that pacing allows now; none while there is no limit (`tcpi_pacing_rate`).
    pub pacing_rate: Option<u64>,
}

impl MptcpInfo {
    /// The connection is TCP (`MPTCP_INFO_FLAG_FALLBACK`).
    pub const FLAG_FALLBACK: u32 = 1;
    /// The peer's key is known (`MPTCP_INFO_FLAG_REMOTE_KEY_RECEIVED`).
    pub const FLAG_REMOTE_KEY_RECEIVED: u32 = 2;

    /// `mptcpi_flags`.
    pub fn flags(&self) -> u32 {
        let fallback = u32::from(self.fallback.is_some()) * Self::FLAG_FALLBACK;
        let key = u32::from(self.has_remote_key) * Self::FLAG_REMOTE_KEY_RECEIVED;
        fallback | key
    }
}

impl Connection {
    /// How it stands.
    pub fn info(&self) -> MptcpInfo {
        let up = self.up().count();
        let has_initial = self.up().any(|subflow| subflow.id == SubflowId(0));
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let session = self.session();
        let limits = self.paths.manager.limits();
        let AddressUse {
            signalled,
            accepted,
            used,
        } = self.address_use();
        MptcpInfo {
            state: self.state,
            version: session.map(|session| session.version),
            fallback: self.fallback(),
            subflows: count(up.saturating_sub(usize::from(has_initial))),
            subflows_total: count(up),
            subflows_max: u32::from(limits.subflows.min(MAX_EXTRA_SUBFLOWS)),
            add_addr_signal: count(signalled),
            add_addr_signal_max: count(AddressBook::MAX_ANNOUNCEMENTS),
            add_addr_accepted: count(accepted.min(usize::from(limits.add_addr_accepted))),
            add_addr_accepted_max: u32::from(limits.add_addr_accepted),
            local_addr_used: count(used),
            local_addr_max: count(MAX_ADDRESSES),
            has_remote_key: self.paths.version().is_some(),
            token: match &self.phase {
                Phase::Mptcp(session) => Some(session.local_token),
                _ => None,
            },
            write_seq: self.send.write_dsn(),
            snd_nxt: self.send.next_dsn(),
            snd_una: self.send.unacked_dsn(),
            rcv_nxt: self.receive.data_ack(),
            has_checksums: session.is_some_and(|session| session.checksum),
            retransmits: self.tuning.reinjections,
            bytes_retrans: self.tuning.bytes_reinjected,
            retransmits_in_a_row: self.tries.retransmissions(),
            bytes_sent: self.send.bytes_sent(),
            bytes_received: self.receive.bytes_received(),
            bytes_duplicate: self.tuning.bytes_duplicate,
            bytes_acked: self.tuning.bytes_acked,
            options_ignored: self.tuning.options_ignored,
            bytes_differing: self.tuning.differing,
            bytes_opportunistic: self.tuning.opportunistic,
            penalties: self.tuning.penalties,
            last_data_sent: self.progress.last_sent,
            last_data_received: self.progress.last_data_received,
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
        (0..)
            .zip(&self.subflows)
            .map(|(index, subflow)| SubflowInfo {
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
                pacing_rate: self.pacing_rate(index),
            })
    }

    fn address_use(&self) -> AddressUse {
        let book = self.paths.book.as_ref();
        let remotes = book.map_or(&[][..], AddressBook::remotes).iter();
        let alive = self.subflows.iter().filter(|subflow| subflow.end.is_none());
        let mut used: Vec<AddressId> = alive.map(|subflow| subflow.local_id).collect();
        used.retain(|id| *id != AddressId(0));
        used.sort_unstable();
        used.dedup();
        AddressUse {
            signalled: book.map_or(0, AddressBook::signalled),
            accepted: remotes
                .filter(|known| known.origin == Origin::Advertised)
                .count(),
            used: used.len(),
        }
    }
}
