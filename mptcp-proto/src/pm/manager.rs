//! What holds for every path manager.

use std::net::SocketAddr;

use super::mesh::has_room;
use super::{
    Command, CommandError, Kind, Limits, PathManager, PmAction, PmEvent, PmSubflow, PmView,
};
use crate::key::AddressId;
use crate::time::Instant;
use crate::wire::mptcp::{Priority, ResetReason};

/// A path manager with the rules before it.
///
/// Local addresses that are up when a connection begins are told by [`PmEvent::LocalUp`] before
/// [`PmEvent::Established`].
#[derive(Debug)]
pub struct Manager {
    policy: Box<dyn PathManager>,
    limits: Limits,
}

impl Manager {
    /// With this policy.
    pub fn new(kind: Kind, limits: Limits) -> Self {
        Self {
            policy: kind.build(limits),
            limits,
        }
    }

    /// Its limits.
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Which policy it has.
    pub fn kind(&self) -> Kind {
        self.policy.kind()
    }

    /// Reacts to an event by appending actions. Earlier ones that are not carried out yet must still
    /// be among them, or a subflow is asked for twice.
    pub fn handle_event(
        &mut self,
        view: &PmView<'_>,
        event: &PmEvent,
        actions: &mut Vec<PmAction>,
    ) {
        match event {
            PmEvent::AddressRemoved(id) => test_withdrawn(view, *id, actions),
            PmEvent::LocalDown(address) => {
                let address = address.to_canonical();
                let from_it = |subflow: &PmSubflow| subflow.local.ip().to_canonical() == address;
                give_up(view, from_it, actions);
            }
            _ => {}
        }
        self.policy.handle_event(view, event, actions);
    }

    /// Carries out a command by appending actions.
    pub fn handle_command(
        &mut self,
        view: &PmView<'_>,
        command: &Command,
        actions: &mut Vec<PmAction>,
    ) -> Result<(), CommandError> {
        if let Command::SetLimits(limits) = *command {
            self.limits = limits;
            self.policy.set_limits(limits);
            // There may be room now for what did not fit before.
            self.policy.handle_event(view, &PmEvent::Timeout, actions);
            return Ok(());
        }
        self.policy.handle_command(view, command, actions)
    }

    /// Whether the peer may open a subflow, or with which reason it is reset. From where it comes does not
    /// matter: an id names an address of the peer's also where a NAT on one of the paths shows another
    /// (RFC 8684 §3.2), and the HMACs tell who it is.
    pub fn check_join(&self, view: &PmView<'_>) -> Result<(), ResetReason> {
        // Linux, too, gives the same reason for both.
        if !view.is_joinable || !has_room(self.limits, view, &[]) {
            return Err(ResetReason::ADMINISTRATIVELY_PROHIBITED);
        }
        Ok(())
    }

    /// Whether one more subflow fits. A join is judged twice, as in Linux: its SYN, which anybody can have
    /// sent, takes nobody's place; its third ACK does.
    pub fn has_room(&self, view: &PmView<'_>) -> bool {
        has_room(self.limits, view, &[])
    }

    /// What a subflow that the peer opens to this end is for.
    pub fn priority(&self, view: &PmView<'_>, local: SocketAddr) -> Priority {
        self.policy.priority(view, local)
    }

    /// When it wants [`PmEvent::Timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.policy.poll_timeout()
    }
}

/// RFC 8684 §3.4.2: the subflows of a withdrawn address are tested. Those that are alive go on until who
/// withdrew the address closes them.
fn test_withdrawn(view: &PmView<'_>, id: AddressId, actions: &mut Vec<PmAction>) {
    let affected = view
        .subflows
        .iter()
        .filter(|subflow| subflow.remote_id == id);
    actions.extend(affected.map(|subflow| {
        if subflow.is_established {
            PmAction::Probe(subflow.id)
        } else {
            PmAction::Close(subflow.id)
        }
    }));
}

/// Subflows from an address that is gone cannot say goodbye; the peer hears of it elsewhere.
fn give_up(
    view: &PmView<'_>,
    is_affected: impl Fn(&PmSubflow) -> bool,
    actions: &mut Vec<PmAction>,
) {
    for subflow in view.subflows.iter().filter(|subflow| is_affected(subflow)) {
        let withdraw = PmAction::Withdraw(subflow.local_id);
        if !actions.contains(&withdraw) {
            actions.push(withdraw);
        }
        actions.push(PmAction::Reset(subflow.id, ResetReason::UNSPECIFIED));
    }
}
