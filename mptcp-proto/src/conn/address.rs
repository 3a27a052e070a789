//! Addresses, and what the path manager wants (RFC 8684 §3.4).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::conn::address_book::{AddAddrRefusal, AddressBook, AddressConfig, Advertised, Origin};
use crate::conn::event::{Event, SubflowEnd};
use crate::conn::handshake::Session;
use crate::conn::received::ReceivedOptions;
use crate::conn::{Config, Connection, Counter, State, Violation};
use crate::key::{AddressId, Key};
use crate::path::SubflowId;
use crate::pm::{
    Command, CommandError, DownReason, Join, Manager, PmAction, PmEvent, PmSubflow, PmView,
    RemoteAddress,
};
use crate::tcp::Path;
use crate::time::Instant;
use crate::version::Version;
use crate::wire::mptcp::{AddAddr, Prio, Priority, RemoveAddr, ResetFlags, ResetReason, TcpReset};

/// Addresses of both hosts, and who decides about them.
#[derive(Debug)]
pub(super) struct Paths {
    session: Option<Session>,
    pub(super) manager: Manager,
    config: AddressConfig,
    initial: Path,
    /// From when the keys are known.
    pub(super) book: Option<AddressBook>,
    pub(super) actions: VecDeque<PmAction>,
    /// Addresses of this host that are up, the initial one among them or not.
    locals: Vec<IpAddr>,
    pub(super) is_token_released: bool,
    /// Bytes of the option that waits for a segment.
    pub(super) waiting: usize,
    /// The last segment had no room for it: another one at once would not either.
    pub(super) has_no_room: bool,
}

impl Paths {
    pub(super) fn new(config: &Config, initial: Path) -> Self {
        Self {
            session: None,
            manager: Manager::new(
                config.path_manager,
                config
                    .limits
                    .unwrap_or_else(|| config.path_manager.limits()),
            ),
            config: AddressConfig {
                echo_timeout: config.patience.add_addr,
                max_remote: MAX_REMOTE,
            },
            initial,
            book: None,
            actions: VecDeque::new(),
            locals: Vec::new(),
            is_token_released: false,
            waiting: 0,
            has_no_room: false,
        }
    }

    /// Both keys are known.
    pub(super) fn begin(&mut self, session: &Session) {
        self.session = Some(*session);
        self.book = Some(AddressBook::new(
            session.version,
            session.local_key,
            session.remote_key,
            self.initial.local,
            self.initial.remote,
            self.config,
        ));
    }

    /// The version, from when it is agreed on, for good.
    pub(super) fn version(&self) -> Option<Version> {
        self.session.map(|session| session.version)
    }

    /// The key that MP_FASTCLOSE names.
    pub(super) fn fast_close_key(&self) -> Option<Key> {
        self.session.map(|session| session.remote_key)
    }

    pub(super) fn request(&mut self, action: PmAction) {
        if self.actions.len() < MAX_ACTIONS && !self.actions.contains(&action) {
            self.actions.push_back(action);
        }
    }

    pub(super) fn request_open(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        priority: Priority,
    ) {
        let id = AddressId(0);
        let (mut local_id, mut remote_id) = (id, id);
        if let Some(book) = &mut self.book {
            local_id = book.local_id(local.ip()).unwrap_or(id);
            let known = book.remotes().iter().find(|known| known.address == remote);
            remote_id = known.map_or(id, |known| known.id);
        }
        self.request(PmAction::Open(Join {
            local,
            local_id,
            remote,
            remote_id,
            priority,
        }));
    }

    /// When an option about addresses is to be sent.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.book.as_ref().and_then(AddressBook::poll_timeout)
    }

    /// Whether an option about addresses is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let due = self.book.as_ref().and_then(AddressBook::poll_timeout);
        due.is_some_and(|at| at <= now)
    }
}

impl Connection {
    /// An address of this host is usable.
    pub(crate) fn local_up(&mut self, address: IpAddr) {
        if !self.paths.locals.contains(&address) {
            self.paths.locals.push(address);
            if self.progress.may_join {
                self.path_event(&PmEvent::LocalUp(address));
            }
        }
    }

    /// An address of this host is gone.
    pub(crate) fn local_down(&mut self, address: IpAddr) {
        self.paths.locals.retain(|known| *known != address);
        if self.progress.may_join {
            self.path_event(&PmEvent::LocalDown(address));
        }
    }

    /// Tells the path manager what happened.
    pub(super) fn path_event(&mut self, event: &PmEvent) {
        if !self.is_mptcp() {
            return;
        }
        self.ask(|manager, view, actions| manager.handle_event(view, event, actions));
        self.progress.may_schedule = true;
    }

    pub(super) fn path_command(&mut self, command: &Command) -> Result<(), CommandError> {
        self.ask(|manager, view, actions| manager.handle_command(view, command, actions))
    }

    /// The view of the path manager lacks what was asked for and is not carried out yet, so it gets that
    /// list to go on with.
    fn ask<T>(
        &mut self,
        ask: impl FnOnce(&mut Manager, &PmView<'_>, &mut Vec<PmAction>) -> T,
    ) -> T {
        let mut actions = Vec::from(std::mem::take(&mut self.paths.actions));
        let before = actions.len();
        let done = self.with_view(self.is_joinable(), |manager, view| {
            ask(manager, view, &mut actions)
        });
        let new = actions.split_off(before.min(actions.len()));
        self.paths.actions = VecDeque::from(actions);
        for action in new {
            // Several subflows between the same two addresses are no mistake of the path manager's.
            let is_open = matches!(action, PmAction::Open(_));
            if is_open && self.paths.actions.len() < MAX_ACTIONS {
                self.paths.actions.push_back(action);
            } else {
                self.paths.request(action);
            }
        }
        done
    }

    fn with_view<T>(
        &mut self,
        is_joinable: bool,
        ask: impl FnOnce(&mut Manager, &PmView<'_>) -> T,
    ) -> T {
        let alive = self.subflows.iter().filter(|subflow| subflow.end.is_none());
        let subflows: Vec<PmSubflow> = alive.map(super::subflow::Subflow::pm_view).collect();
        let book = self.paths.book.as_ref();
        let known = book.map_or(&[][..], |book| book.remotes()).iter();
        let advertised = known.filter(|known| known.origin == Origin::Advertised);
        let remotes: Vec<RemoteAddress> = advertised
            .map(|known| RemoteAddress {
                id: known.id,
                address: known.address,
            })
            .collect();
        let view = PmView {
            now: self.progress.now,
            role: self.role,
            initial_local: self.initial.local,
            initial_remote: self.initial.remote,
            subflows: &subflows,
            remotes: &remotes,
            is_join_to_initial_denied: self
                .session()
                .is_some_and(|session| !session.may_join_initial),
            is_joinable,
        };
        ask(&mut self.paths.manager, &view)
    }

    /// Whether joins are possible.
    pub(super) fn is_joinable(&self) -> bool {
        self.is_mptcp()
            && self.progress.may_join
            && !self.state.is_finished()
            && self.state != State::FastCloseWait
    }

    /// Whether the peer may open this subflow.
    pub(super) fn check_join_request(&mut self, path: Path) -> Result<(), Violation> {
        let wishes = self.config.wishes;
        let is_v1 = self.paths.version() == Some(Version::V1);
        // RFC 8684 §3.1: the C flag of our MP_CAPABLE said so.
        let is_denied = wishes.no_join_to_initial && is_v1 && path.local == self.initial.local;
        // Linux, too, takes joins before it is fully established itself.
        let answer = self.with_view(true, |manager, view| manager.check_join(view));
        if is_denied || answer.is_err() {
            self.count(Counter::JoinRejected);
            return Err(Violation::JoinProhibited);
        }
        Ok(())
    }

    /// Whether a join whose third ACK is here finds room beside the others.
    pub(super) fn has_room_for_join(&mut self) -> bool {
        self.with_view(true, |manager, view| manager.has_room(view))
    }

    /// Id and priority of our end of a subflow that the peer opens.
    pub(super) fn local_end(&mut self, local: SocketAddr) -> (AddressId, Priority) {
        let book = self.paths.book.as_mut();
        let id = book.and_then(|book| book.local_id(local.ip()));
        let priority = self.with_view(true, |manager, view| manager.priority(view, local));
        (id.unwrap_or(AddressId(0)), priority)
    }

    /// Joins and ADD_ADDR are possible from here on.
    pub(super) fn on_established(&mut self) {
        for address in self.paths.locals.clone() {
            self.path_event(&PmEvent::LocalUp(address));
        }
        self.path_event(&PmEvent::Established);
    }

    pub(super) fn on_subflow_up(&mut self, index: usize) {
        let subflow = &self.subflows[index];
        let (id, remote_id, remote) = (subflow.id, subflow.remote_id, subflow.path().remote);
        if let Some(book) = &mut self.paths.book {
            book.on_subflow(remote_id, remote);
        }
        self.path_event(&PmEvent::SubflowUp(id));
    }

    pub(super) fn on_subflow_down(&mut self, subflow: PmSubflow, how: SubflowEnd, by_peer: bool) {
        if let Some(book) = &mut self.paths.book
            && subflow.is_established
        {
            book.on_subflow_closed(subflow.remote_id);
        }
        let why = match how {
            SubflowEnd::Closed if by_peer => DownReason::PeerClosed,
            SubflowEnd::ResetByUs { reason } if is_of_path(reason) => DownReason::Broken,
            // A new one is what it was reset for.
            SubflowEnd::TimedOut
            | SubflowEnd::ResetByUs {
                reason: ResetReason::TOO_MUCH_OUTSTANDING_DATA,
            } => DownReason::TimedOut,
            SubflowEnd::Closed | SubflowEnd::ResetByUs { .. } => DownReason::Closed,
            SubflowEnd::ResetByPeer { reason } => {
                DownReason::Reset(reason.map(|(reason, is_transient)| TcpReset {
                    flags: if is_transient {
                        ResetFlags::TRANSIENT
                    } else {
                        ResetFlags::default()
                    },
                    reason,
                }))
            }
            SubflowEnd::Unreachable => DownReason::Unreachable,
        };
        self.path_event(&PmEvent::SubflowDown { subflow, why });
    }

    /// ADD_ADDR, REMOVE_ADDR and MP_PRIO came.
    pub(super) fn on_address_options(&mut self, index: usize, options: &ReceivedOptions) {
        if let Some(option) = &options.add_addr {
            self.on_add_addr(index, option);
        }
        if let Some(echo) = &options.add_addr_echo {
            self.count(Counter::EchoAdd);
            let book = self.paths.book.as_mut();
            if let Some(Ok(Advertised::Echo(id))) = book.map(|book| book.handle_add_addr(echo)) {
                self.tell(Event::AddressEchoed { id });
                self.path_event(&PmEvent::AddressEchoed(id));
            }
        }
        if let Some(option) = &options.remove_addr {
            self.on_remove_addr(option);
        }
        if let Some(prio) = options.prio {
            self.on_prio(index, prio);
        }
    }

    fn on_add_addr(&mut self, index: usize, option: &AddAddr) {
        self.count(Counter::AddAddr);
        if option.port.is_some() {
            self.count(Counter::PortAdd);
        }
        let Some(book) = &mut self.paths.book else {
            return;
        };
        match book.handle_add_addr(option) {
            Ok(Advertised::New(remote)) => {
                let (id, address) = (remote.id, remote.address);
                self.tell(Event::AddressAnnounced { id, address });
                self.path_event(&PmEvent::AddressAnnounced(RemoteAddress { id, address }));
            }
            Ok(Advertised::Repeated | Advertised::Echo(_)) => {}
            Err(refusal) => {
                self.count(Counter::AddAddrDrop);
                let violation = match refusal {
                    AddAddrRefusal::Hmac => Some(Violation::AddAddrHmac),
                    AddAddrRefusal::Unusable | AddAddrRefusal::Own => {
                        Some(Violation::AddAddrUnusable)
                    }
                    _ => None,
                };
                if let Some(violation) = violation {
                    let id = self.subflows[index].id;
                    self.tell(Event::Violation { id, violation });
                }
            }
        }
        // The echo, if there is one to send.
        if self.paths.is_due(self.progress.now) {
            self.subflows[index].tcp.ack_now();
        }
    }

    fn on_remove_addr(&mut self, option: &RemoveAddr) {
        self.count(Counter::RmAddr);
        let Some(book) = &mut self.paths.book else {
            return;
        };
        let (removed, unknown) = book.handle_remove_addr(&option.ids);
        self.counters.add(Counter::RmAddrDrop, unknown as u64);
        for remote in removed {
            let id = remote.id;
            let alive = self.subflows.iter().filter(|subflow| subflow.end.is_none());
            let affected = alive.filter(|subflow| subflow.remote_id == id).count();
            self.counters.add(Counter::RmSubflow, affected as u64);
            self.tell(Event::AddressRemoved { id });
            self.path_event(&PmEvent::AddressRemoved(id));
        }
    }

    /// RFC 8684 §3.3.8: what we send obeys it. Version 0 may name all subflows of an address.
    fn on_prio(&mut self, index: usize, prio: Prio) {
        self.count(Counter::PrioRx);
        let own = self.subflows[index].id;
        let mut changed: Vec<SubflowId> = Vec::new();
        for subflow in &mut self.subflows {
            let is_meant = match prio.address_id {
                Some(id) => subflow.remote_id == id,
                None => subflow.id == own,
            };
            if is_meant {
                subflow.remote_priority = prio.priority;
                changed.push(subflow.id);
            }
        }
        for id in changed {
            let priority = prio.priority;
            self.tell(Event::PriorityChanged { id, priority });
        }
    }
}

/// Whether a subflow was reset for what came over it, not because this host wanted it to end.
const fn is_of_path(reason: ResetReason) -> bool {
    matches!(
        reason,
        ResetReason::MPTCP_SPECIFIC | ResetReason::MIDDLEBOX_INTERFERENCE
    )
}

/// Actions of the path manager that wait.
pub(super) const MAX_ACTIONS: usize = 1024;
/// Addresses of the peer that are kept; those above are echoed and forgotten.
const MAX_REMOTE: usize = crate::pm::MAX_ADDRESSES;
