//! What the path manager wants is done, and options about addresses go out.

use std::net::SocketAddr;

use crate::conn::address_book::LocalAddress;
use crate::conn::event::{Event, SubflowEnd};
use crate::conn::options::{Composed, SegmentKind, Wanted, room_for};
use crate::conn::subflow::Subflow;
use crate::conn::{Connection, Context, Counter};
use crate::path::SubflowId;
use crate::pm::{Join, PmAction, PmSubflow};
use crate::tcp::Path;
use crate::time::Instant;
use crate::wire::mptcp::Subtype;

impl Connection {
    /// Carries out what the path manager and the application want.
    pub(super) fn run_actions(&mut self, now: Instant, context: &mut Context<'_>) {
        while let Some(action) = self.paths.actions.pop_front() {
            if !self.is_mptcp() {
                continue;
            }
            match action {
                PmAction::Open(join) => self.open(now, join, context),
                PmAction::Close(id) => {
                    if let Some(index) = self.index_of(id) {
                        self.close_one(index);
                    }
                }
                PmAction::Reset(id, reason) => {
                    if let Some(index) = self.index_of(id) {
                        self.reset_subflow(index, reason);
                    }
                }
                PmAction::SetPriority(id, priority) => {
                    // The subflow may be gone by now.
                    let _ = self.set_priority(id, priority);
                }
                PmAction::Probe(id) => {
                    if let Some(index) = self.index_of(id) {
                        self.keep_alive(now, index);
                    }
                }
                PmAction::Announce(address) => {
                    let address = LocalAddress {
                        id: address.id,
                        address: address.address,
                        port: address.port,
                    };
                    let book = self.paths.book.as_mut();
                    if book.is_none_or(|book| book.announce(now, address).is_err()) {
                        self.count(Counter::AddAddrTxDrop);
                    }
                }
                PmAction::Withdraw(id) => {
                    if let Some(book) = &mut self.paths.book {
                        book.withdraw(&[id]);
                    }
                }
            }
        }
        self.note_waiting(now);
    }

    fn open(&mut self, now: Instant, mut join: Join, context: &mut Context<'_>) {
        if join.local.port() == 0 {
            let free = (0..MAX_PORT_TRIES).find_map(|_| {
                let offset = context.random.next_u32() % EPHEMERAL_PORTS;
                let port = FIRST_EPHEMERAL.saturating_add(u16::try_from(offset).unwrap_or(0));
                join.local.set_port(port);
                let path = Path {
                    local: join.local,
                    remote: join.remote,
                };
                (context.is_free)(&path).then_some(port)
            });
            if free.is_none() {
                self.count(Counter::JoinSynTxBindErr);
                self.unreachable(&join);
                return;
            }
        }
        let address = LocalAddress {
            id: join.local_id,
            address: join.local.ip(),
            port: None,
        };
        if let Some(book) = &mut self.paths.book
            && book.set_local(address).is_err()
        {
            join.local_id = book.local_id(join.local.ip()).unwrap_or(join.local_id);
        }
        self.join(now, &join, context);
    }

    /// A subflow could not even begin: who asked for it hears so.
    fn unreachable(&mut self, join: &Join) {
        let id = SubflowId(self.next_subflow);
        self.next_subflow = self.next_subflow.saturating_add(1);
        let how = SubflowEnd::Unreachable;
        self.tell(Event::SubflowDown { id, how });
        let subflow = PmSubflow {
            id,
            local: SocketAddr::new(join.local.ip(), 0),
            remote: join.remote,
            local_id: join.local_id,
            remote_id: join.remote_id,
            priority: join.priority,
            is_established: false,
            is_half_open: false,
        };
        self.on_subflow_down(subflow, how, false);
    }

    /// Closes a subflow with FIN; what it carries and the peer has not acknowledged goes elsewhere too.
    pub(super) fn close_one(&mut self, index: usize) {
        let id = self.subflows[index].id;
        self.send
            .reinject_from(id, crate::data::send::Reinject::OnlyHere);
        self.subflows[index].close();
        self.progress.may_schedule = true;
    }

    /// Whether options about addresses may go out, and would find room.
    pub(super) fn may_announce(&self) -> bool {
        // RFC 8684 §3.1: before, third ACKs with MP_CAPABLE go out, which have no room.
        let is_ready = self.is_mptcp() && self.progress.is_fully_established;
        let has_subflow = || self.up().any(|subflow| !subflow.is_closing);
        is_ready && !self.paths.has_no_room && has_subflow()
    }

    /// Makes an acknowledgement carry the options about addresses that are due.
    fn note_waiting(&mut self, now: Instant) {
        self.paths.waiting = 0;
        let is_free = self.signals_open_at().is_some_and(|at| at <= now);
        if !self.may_announce() || !is_free || !self.paths.is_due(now) {
            return;
        }
        let Some(version) = self.paths.version() else {
            return;
        };
        let mut wanted = Wanted {
            segment: SegmentKind::PureAck,
            ..Wanted::default()
        };
        self.fill_addresses(now, &mut wanted);
        self.paths.waiting = room_for(version, &wanted);
        let is_free = |subflow: &&mut Subflow| {
            subflow.is_up() && !subflow.is_closing && subflow.may_signal(now)
        };
        if let Some(subflow) = self.subflows.iter_mut().find(is_free) {
            subflow.tcp.ack_now();
        }
    }

    /// Adds what is to be said of addresses.
    pub(super) fn fill_addresses(&self, now: Instant, wanted: &mut Wanted) {
        let Some(book) = &self.paths.book else {
            return;
        };
        wanted.add_addr = book.next_add_addr(now);
        wanted.remove_addr = book.next_removal();
    }

    /// Takes note of what went out.
    pub(super) fn on_addresses_sent(&mut self, now: Instant, wanted: &Wanted, done: &Composed) {
        let Some(book) = &mut self.paths.book else {
            return;
        };
        if let Some(add_addr) = &wanted.add_addr {
            let has = done.has(Subtype::ADD_ADDR);
            self.paths.has_no_room = !has;
            if has {
                book.on_add_addr_sent(now, add_addr);
            }
            self.counters.count(match (add_addr.echo, has) {
                (false, true) => Counter::AddAddrTx,
                (false, false) => Counter::AddAddrTxDrop,
                (true, true) => Counter::EchoAddTx,
                (true, false) => Counter::EchoAddTxDrop,
            });
        }
        if let Some(ids) = wanted.remove_addr.as_ref() {
            let has = done.has(Subtype::REMOVE_ADDR);
            self.paths.has_no_room |= !has && wanted.add_addr.is_none();
            if has {
                book.on_removal_sent(ids);
                self.counters.count(Counter::RmAddrTx);
            }
        }
        self.paths.waiting = 0;
    }

    pub(super) fn paths_timeout(&mut self, now: Instant) {
        let due = self.paths.manager.poll_timeout();
        if due.is_some_and(|at| at <= now) {
            self.path_event(&crate::pm::PmEvent::Timeout);
        }
    }
}

/// RFC 6335 §6.
const FIRST_EPHEMERAL: u16 = 49_152;
const EPHEMERAL_PORTS: u32 = 16_384;
const MAX_PORT_TRIES: u32 = 64;
