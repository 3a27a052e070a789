//! What a connection keeps, and the limit of each: the network can make nothing grow beyond it.

use crate::conn::address_book::AddressBook;
use crate::conn::subflow::Subflow;
use crate::conn::{Connection, MAX_EVENTS, Phase};
use crate::data::{ReceiveBuffer, SubflowMappings};
use crate::path::SubflowId;
use crate::tcp::MAX_OUT_OF_ORDER_PIECES;

/// One queue or table of a connection, and how much is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// What it holds.
    pub what: Queued,
    /// Whose it is; none for those of the connection.
    pub subflow: Option<SubflowId>,
    /// Bytes or entries in it.
    pub len: u64,
    /// What [`Self::len`] never exceeds.
    pub limit: u64,
}

impl Queue {
    /// Whether it keeps to its limit.
    pub const fn is_within(&self) -> bool {
        self.len <= self.limit
    }
}

/// What a [`Queue`] holds: bytes where the name says so, entries else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queued {
    /// Bytes of the send buffer that are not DATA_ACKed. Each of its blocks has one at least.
    SendBytes,
    /// Blocks of the send buffer.
    SendBlocks,
    /// Bytes that are to be sent again.
    ReinjectionBytes,
    /// Bytes of the receive buffer, in order or not.
    ReceiveBytes,
    /// Runs of those that are out of order.
    ReceiveRuns,
    /// Events for the application.
    Events,
    /// Changes for the endpoint.
    Changes,
    /// What the path manager has asked for.
    Actions,
    /// Our addresses.
    LocalAddresses,
    /// The peer's addresses.
    RemoteAddresses,
    /// ADD_ADDRs without echo.
    Announcements,
    /// Echoes that are to be sent.
    Echoes,
    /// Ids that are to be withdrawn.
    Removals,
    /// Subflows.
    Subflows,
    /// Bytes that were given to a subflow and that its TCP has not got acknowledged.
    GivenBytes,
    /// Mappings of those.
    SentMappings,
    /// Segments of those that were sent, the FIN among them.
    Segments,
    /// Their transmissions, by which losses are found.
    Transmissions,
    /// Ranges of the data that a subflow carries.
    CarriedRanges,
    /// Bytes out of order on a subflow.
    OutOfOrderBytes,
    /// Pieces of those.
    OutOfOrderPieces,
    /// Bytes without a mapping.
    UnmappedBytes,
    /// Bytes that wait for the rest of a mapping with a checksum.
    UnverifiedBytes,
    /// Mappings of what comes, those that are remembered included.
    Mappings,
    /// What a subflow has mapped and the connection has not taken.
    Delivered,
}

impl Connection {
    /// All queues and tables, each with its limit.
    pub fn queues(&self) -> Vec<Queue> {
        let mut queues = Vec::new();
        let mut add = |what, len: u64, limit: u64| {
            queues.push(Queue {
                what,
                subflow: None,
                len,
                limit,
            });
        };
        let capacity = self.send.capacity() as u64;
        add(Queued::SendBytes, self.send.used() as u64, capacity);
        add(Queued::SendBlocks, self.send.blocks() as u64, capacity);
        add(
            Queued::ReinjectionBytes,
            self.send.reinjections(),
            self.send.in_flight(),
        );
        let kept = (self.receive.readable() as u64).saturating_add(self.receive.out_of_order());
        add(Queued::ReceiveBytes, kept, self.receive_limit());
        let runs = self.receive.run_count() as u64;
        add(Queued::ReceiveRuns, runs, ReceiveBuffer::MAX_RUNS as u64);
        add(Queued::Events, self.events.len() as u64, MAX_EVENTS as u64);
        add(Queued::Changes, self.changes.len() as u64, MAX_CHANGES);
        let actions = self.paths.actions.len() as u64;
        add(Queued::Actions, actions, super::address::MAX_ACTIONS as u64);
        add(
            Queued::Subflows,
            self.subflows.len() as u64,
            super::MAX_SUBFLOWS as u64,
        );
        if let Some(book) = &self.paths.book {
            let sizes = book.sizes();
            add(Queued::LocalAddresses, sizes.local as u64, IDS);
            add(
                Queued::RemoteAddresses,
                sizes.remote as u64,
                AddressBook::MAX_REMOTE as u64,
            );
            add(
                Queued::Announcements,
                sizes.announcements as u64,
                AddressBook::MAX_ANNOUNCEMENTS as u64,
            );
            add(
                Queued::Echoes,
                sizes.echoes as u64,
                AddressBook::MAX_ECHOES as u64,
            );
            add(Queued::Removals, sizes.removals as u64, IDS);
        }
        for subflow in &self.subflows {
            self.subflow_queues(subflow, &mut queues);
        }
        queues
    }

    fn subflow_queues(&self, subflow: &Subflow, queues: &mut Vec<Queue>) {
        let mut add = |what, len: u64, limit: u64| {
            queues.push(Queue {
                what,
                subflow: Some(subflow.id),
                len,
                limit,
            });
        };
        let given = subflow.tcp.queued();
        let receive = self.receive_limit();
        add(Queued::GivenBytes, given, self.given_limit());
        // Each maps a byte at least, and the last of them may be acknowledged in part.
        add(
            Queued::SentMappings,
            subflow.outgoing.iter().count() as u64,
            given,
        );
        let segments = subflow.tcp.segments_out() as u64;
        add(Queued::Segments, segments, given.saturating_add(FIN));
        let (transmissions, limit) = subflow.tcp.transmissions();
        add(Queued::Transmissions, transmissions as u64, limit);
        let capacity = self.send.capacity() as u64;
        add(
            Queued::CarriedRanges,
            self.send.ranges_of(subflow.id) as u64,
            capacity,
        );
        let (bytes, pieces) = (
            subflow.tcp.out_of_order(),
            subflow.tcp.out_of_order_pieces(),
        );
        add(Queued::OutOfOrderBytes, bytes, receive);
        add(
            Queued::OutOfOrderPieces,
            pieces as u64,
            MAX_OUT_OF_ORDER_PIECES as u64,
        );
        let incoming = &subflow.incoming;
        let unmapped = incoming.unmapped_bytes();
        add(Queued::UnmappedBytes, unmapped, self.unmapped_limit());
        add(
            Queued::UnverifiedBytes,
            incoming.unverified_bytes(),
            receive.saturating_add(SEGMENT),
        );
        let mappings = SubflowMappings::MAX_PENDING + SubflowMappings::MAX_HISTORY;
        add(
            Queued::Mappings,
            incoming.mappings() as u64,
            mappings as u64,
        );
        add(Queued::Delivered, incoming.undelivered() as u64, 0);
    }

    /// Bytes that are kept at most of what comes: the buffer, and the window of the SYN, which TCP may have
    /// announced beside it. A fallback turns what had no mapping into data, whether there is room or not.
    fn receive_limit(&self) -> u64 {
        let capacity = self.receive.capacity() as u64;
        let window = capacity.saturating_add(u64::from(self.config.tcp.initial_window));
        match self.phase {
            Phase::Tcp(_) => window.saturating_add(self.unmapped_limit()),
            _ => window,
        }
    }

    /// Bytes without a mapping: a receive window (RFC 8684 §3.3.1), and the segment that goes beyond it.
    fn unmapped_limit(&self) -> u64 {
        let window = self.config.buffers.max_receive.max(self.receive.capacity());
        (window as u64).saturating_add(SEGMENT)
    }

    /// Bytes that a subflow can have at most. What others have brought over stays with it until its TCP has got
    /// it acknowledged, so its queue can be longer than the send buffer, but not twice as long; after fallback
    /// all that is written goes there at once.
    fn given_limit(&self) -> u64 {
        let most = self.most_given();
        match self.phase {
            Phase::Tcp(_) => most.saturating_add(self.send.capacity() as u64),
            _ => most,
        }
    }

    /// Bytes on a subflow above which it is given nothing more.
    pub(super) fn most_given(&self) -> u64 {
        (self.send.capacity() as u64).saturating_mul(2)
    }
}

/// Ids that addresses can have.
const IDS: u64 = 256;
/// The FIN counts as a byte.
const FIN: u64 = 1;
/// Largest payload of a segment.
const SEGMENT: u64 = 65_535;
/// Changes between two calls of the endpoint: each subflow can be opened, closed and opened again.
const MAX_CHANGES: u64 = 4 * super::MAX_SUBFLOWS as u64;
