//! Opens the subflows that a policy wants and that are not there, within the limits, and remembers
//! which ones failed.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{
    DownReason, Join, Limits, MAX_EXTRA_SUBFLOWS, PmAction, PmEvent, PmSubflow, PmView,
    RemoteAddress, is_advertisable,
};
use crate::key::AddressId;
use crate::path::SubflowId;
use crate::time::Instant;
use crate::wire::mptcp::Priority;

/// A subflow that a policy wants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) local: IpAddr,
    pub(super) local_id: AddressId,
    pub(super) remote: RemoteAddress,
    pub(super) priority: Priority,
    /// How many of them.
    pub(super) copies: usize,
}

/// What is open, and what was tried.
#[derive(Debug)]
pub(super) struct Mesh {
    pub(super) limits: Limits,
    failures: Vec<Failure>,
}

#[derive(Debug)]
struct Failure {
    local: IpAddr,
    remote: SocketAddr,
    times: u32,
    /// Whether a host wanted it to end.
    is_wanted: bool,
    /// Since when there is one again.
    up_since: Option<Instant>,
    /// How often such a subflow broke soon after it was up.
    broken: u32,
    retry: Retry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    Never,
    At(Instant),
    Now,
}

impl Mesh {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            failures: Vec::new(),
        }
    }

    /// Remembers what failed, and forgets it when an address is new again.
    pub(super) fn note(&mut self, view: &PmView<'_>, event: &PmEvent) {
        match event {
            PmEvent::SubflowDown { subflow, why } => self.fail(view.now, subflow, *why),
            PmEvent::SubflowUp(id) => {
                if let Some(up) = view.subflows.iter().find(|subflow| subflow.id == *id) {
                    let mut failures = self.failures.iter_mut();
                    if let Some(failure) = failures.find(|failure| failure.is_of(up)) {
                        failure.up_since = Some(view.now);
                        failure.times = 0;
                        failure.retry = Retry::Now;
                    }
                }
            }
            PmEvent::AddressAnnounced(remote) => {
                self.failures
                    .retain(|failure| failure.remote != remote.address);
            }
            PmEvent::LocalUp(address) => {
                let address = address.to_canonical();
                self.failures.retain(|failure| failure.local != address);
            }
            PmEvent::Timeout => {
                for failure in &mut self.failures {
                    if matches!(failure.retry, Retry::At(at) if at <= view.now) {
                        failure.retry = Retry::Now;
                    }
                }
            }
            PmEvent::Established
            | PmEvent::AddressRemoved(_)
            | PmEvent::AddressEchoed(_)
            | PmEvent::LocalDown(_) => {}
        }
        if view.is_joinable && view.subflows.is_empty() {
            self.try_all_again(view.now);
        }
    }

    /// RFC 8684 §3.7: when the last subflow was reset because its data could not be told apart any more, a
    /// host may create a new one that belongs to the connection. Nothing else can save the connection.
    fn try_all_again(&mut self, now: Instant) {
        for failure in &mut self.failures {
            let is_over = failure.retry == Retry::Never
                && failure.times < MAX_RETRIES
                && failure.broken < MAX_BROKEN;
            if is_over && !failure.is_wanted {
                failure.retry = Retry::At(now + FIRST_RETRY * (1 << failure.times));
            }
        }
    }

    /// RFC 8684 §3.6: a reset without the T flag is not to be tried again. What timed out may have
    /// had bad luck.
    fn fail(&mut self, now: Instant, subflow: &PmSubflow, why: DownReason) {
        let is_wanted = matches!(why, DownReason::Closed | DownReason::PeerClosed);
        let is_transient = match why {
            DownReason::Closed | DownReason::PeerClosed | DownReason::Broken => false,
            DownReason::Reset(reset) => reset.is_some_and(|reset| reset.flags.transient()),
            DownReason::TimedOut | DownReason::Unreachable => true,
        };
        let known = self.failures.iter().position(|known| known.is_of(subflow));
        let (times, broken) = match known {
            Some(index) => self.failures.swap_remove(index).counts_after(now, why),
            None => (0, 0),
        };
        let retry = if is_transient && times < MAX_RETRIES && broken < MAX_BROKEN {
            Retry::At(now + FIRST_RETRY * (1 << times))
        } else {
            Retry::Never
        };
        if self.failures.len() >= MAX_FAILURES {
            self.failures.remove(0);
        }
        self.failures.push(Failure {
            local: subflow.local.ip().to_canonical(),
            remote: subflow.remote,
            times,
            is_wanted,
            up_since: None,
            broken,
            retry,
        });
    }

    /// When a failed subflow may be tried again.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let times = self
            .failures
            .iter()
            .filter_map(|failure| match failure.retry {
                Retry::At(at) => Some(at),
                Retry::Never | Retry::Now => None,
            });
        times.min()
    }

    /// Asks for the wanted subflow as often as it is not there. Whether it asked for any.
    pub(super) fn open(&self, view: &PmView<'_>, wish: &Wish, actions: &mut Vec<PmAction>) -> bool {
        let local = wish.local.to_canonical();
        let remote = wish.remote.address;
        let is_open = |subflow: &&PmSubflow| {
            subflow.local.ip().to_canonical() == local && subflow.remote == remote
        };
        let is_asked = |action: &&PmAction| match action {
            PmAction::Open(join) => join.local.ip() == local && join.remote == remote,
            _ => false,
        };
        let there =
            view.subflows.iter().filter(is_open).count() + actions.iter().filter(is_asked).count();
        let may_open = view.is_joinable
            && local.is_ipv4() == remote.ip().to_canonical().is_ipv4()
            && is_allowed(view, remote)
            && !self.has_failed(local, remote);
        if !may_open {
            return false;
        }
        let before = actions.len();
        for _ in there..wish.copies {
            if !self.has_room(view, actions) {
                break;
            }
            actions.push(PmAction::Open(Join {
                local: SocketAddr::new(local, 0),
                local_id: wish.local_id,
                remote,
                remote_id: wish.remote.id,
                priority: wish.priority,
            }));
        }
        actions.len() > before
    }

    fn has_failed(&self, local: IpAddr, remote: SocketAddr) -> bool {
        let of = |failure: &&Failure| failure.local == local && failure.remote == remote;
        let failure = self.failures.iter().find(of);
        failure.is_some_and(|failure| failure.retry != Retry::Now)
    }

    /// Whether one more subflow fits, those that were asked for counted.
    pub(super) fn has_room(&self, view: &PmView<'_>, actions: &[PmAction]) -> bool {
        has_room(self.limits, view, actions)
    }

    /// The peer's addresses to which subflows may be opened: the initial one, and as many of the
    /// advertised ones as the limit has it.
    pub(super) fn remotes(&self, view: &PmView<'_>) -> Vec<RemoteAddress> {
        let initial = initial_remote(view);
        let accepted = usize::from(self.limits.add_addr_accepted);
        let all = std::iter::once(initial).chain(view.remotes.iter().copied().take(accepted));
        all.filter(|remote| is_allowed(view, remote.address))
            .collect()
    }
}

impl Failure {
    /// How often it was not there, and how often it broke, with this time.
    fn counts_after(&self, now: Instant, why: DownReason) -> (u32, u32) {
        let Some(since) = self.up_since else {
            return (self.times.saturating_add(1), self.broken);
        };
        let is_broken = matches!(why, DownReason::Broken | DownReason::Reset(_));
        if is_broken && now.since(since) < STEADY {
            (0, self.broken.saturating_add(1))
        } else {
            (0, 0)
        }
    }

    fn is_of(&self, subflow: &PmSubflow) -> bool {
        self.local == subflow.local.ip().to_canonical() && self.remote == subflow.remote
    }
}

/// The peer's end of the initial subflow, which has id 0 (RFC 8684 §3.2).
pub(super) fn initial_remote(view: &PmView<'_>) -> RemoteAddress {
    RemoteAddress {
        id: AddressId(0),
        address: view.initial_remote,
    }
}

/// The subflows that were asked for and are not in the view yet.
pub(super) fn asked(actions: &[PmAction]) -> impl Iterator<Item = &Join> {
    actions.iter().filter_map(|action| match action {
        PmAction::Open(join) => Some(join),
        _ => None,
    })
}

/// Whether the limits leave room for one more subflow beside those that are there or asked for.
pub(super) fn has_room(limits: Limits, view: &PmView<'_>, actions: &[PmAction]) -> bool {
    let is_extra = |subflow: &&PmSubflow| subflow.id != SubflowId(0) && !subflow.is_half_open;
    let extra = view.subflows.iter().filter(is_extra).count();
    extra + asked(actions).count() < usize::from(limits.subflows.min(MAX_EXTRA_SUBFLOWS))
}

/// Whether a join to this end is allowed: the peer's C flag forbids the initial one (RFC 8684
/// §3.1), and some addresses cannot be a peer's.
fn is_allowed(view: &PmView<'_>, remote: SocketAddr) -> bool {
    if remote == view.initial_remote {
        return !view.is_join_to_initial_denied;
    }
    is_advertisable(remote.ip())
}

/// The first retry comes after a second, each further one after twice the time.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The last retry is a minute after the one before.
const MAX_RETRIES: u32 = 7;

/// A path that lets handshakes pass and breaks all that follows does not have subflows opened without end. Each
/// may have brought some data, so that it has many.
const MAX_BROKEN: u32 = 64;

/// A subflow that was up for so long was a good one.
const STEADY: Duration = Duration::from_secs(60);

/// Most pairs of addresses whose failure is remembered; beyond them the oldest is forgotten.
const MAX_FAILURES: usize = 128;
