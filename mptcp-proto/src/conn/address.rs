//! Addresses, and what the path manager wants.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::conn::event::{Event, SubflowEnd};
use crate::conn::handshake::Session;
use crate::conn::join::JoinRequest;
use crate::conn::options::{Composed, Wanted};
use crate::conn::received::ReceivedOptions;
use crate::conn::{Config, Connection, Context, Counter, State, Violation};
use crate::key::{AddressId, Key};
use crate::path::SubflowId;
use crate::pm::{Command, CommandError, Join, PmAction, PmSubflow};
use crate::tcp::Path;
use crate::time::Instant;
use crate::version::Version;
use crate::wire::mptcp::Priority;

/// Addresses of both hosts, and who decides about them.
#[derive(Debug)]
pub(super) struct Paths {
    session: Option<Session>,
    actions: VecDeque<PmAction>,
    pub(super) is_token_released: bool,
}

impl Paths {
    pub(super) fn new(config: &Config, initial: Path) -> Self {
        let _ = (config, initial);
        Self {
            session: None,
            actions: VecDeque::new(),
            is_token_released: false,
        }
    }

    /// Both keys are known.
    pub(super) fn begin(&mut self, session: &Session) {
        self.session = Some(*session);
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
        self.actions.push_back(action);
    }

    pub(super) fn request_open(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        priority: Priority,
    ) {
        self.request(PmAction::Open(Join {
            local,
            local_id: AddressId(0),
            remote,
            remote_id: AddressId(0),
            priority,
        }));
    }

    pub(super) fn has_announcements(&self) -> bool {
        false
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Adds what is to be said of addresses.
    pub(super) fn fill(&mut self, now: Instant, id: SubflowId, wanted: &mut Wanted) {
        let _ = (now, id, wanted);
    }
}

impl Connection {
    pub(super) fn paths_sent(
        &mut self,
        now: Instant,
        id: SubflowId,
        wanted: &Wanted,
        composed: &Composed,
    ) {
        let _ = (now, id, wanted, composed);
    }

    pub(super) fn paths_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    pub(super) fn path_command(&mut self, command: &Command) -> Result<(), CommandError> {
        let _ = command;
        Err(CommandError::NotJoinable)
    }

    /// Whether joins are possible.
    pub(super) fn is_joinable(&self) -> bool {
        self.is_mptcp()
            && self.progress.is_fully_established
            && !self.state.is_finished()
            && self.state != State::FastCloseWait
    }

    pub(super) fn check_join_request(
        &mut self,
        now: Instant,
        path: Path,
        request: JoinRequest,
    ) -> Result<(), Violation> {
        let _ = (now, path, request);
        Ok(())
    }

    /// Id and priority of our end of a subflow that the peer opens.
    pub(super) fn local_end(&mut self, local: SocketAddr) -> (AddressId, Priority) {
        let _ = local;
        (AddressId(0), Priority::Regular)
    }

    /// Carries out what the path manager and the application want.
    pub(super) fn run_actions(&mut self, now: Instant, context: &mut Context<'_>) {
        while let Some(action) = self.paths.actions.pop_front() {
            match action {
                PmAction::Open(join) => self.join(now, &join, context),
                PmAction::Close(id) => {
                    if let Some(index) = self.index_of(id) {
                        self.subflows[index].close();
                    }
                }
                PmAction::Reset(id, reason) => {
                    if let Some(index) = self.index_of(id) {
                        self.reset_subflow(index, reason);
                    }
                }
                PmAction::SetPriority(id, priority) => {
                    let _ = self.set_priority(id, priority);
                }
                PmAction::Probe(_) | PmAction::Announce(_) | PmAction::Withdraw(_) => {}
            }
        }
    }

    pub(super) fn on_established(&mut self, now: Instant) {
        let _ = now;
    }

    pub(super) fn on_subflow_up(&mut self, now: Instant, id: SubflowId) {
        let _ = (now, id);
    }

    pub(super) fn on_subflow_down(&mut self, subflow: PmSubflow, how: SubflowEnd) {
        let _ = (subflow, how);
    }

    /// ADD_ADDR, REMOVE_ADDR and MP_PRIO.
    pub(super) fn on_address_options(
        &mut self,
        now: Instant,
        index: usize,
        options: &ReceivedOptions,
    ) {
        let _ = now;
        if let Some(prio) = options.prio {
            self.count(Counter::PrioRx);
            let id = self.subflows[index].id;
            self.subflows[index].remote_priority = prio.priority;
            self.tell(Event::PriorityChanged {
                id,
                priority: prio.priority,
            });
        }
    }
}
