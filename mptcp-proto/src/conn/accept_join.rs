//! A SYN with MP_JOIN comes in (RFC 8684 §3.2), and is remembered or not.

use crate::conn::event::SubflowEnd;
use crate::conn::handshake::Session;
use crate::conn::join::{JoinRequest, JoinSynReceived};
use crate::conn::subflow::{Step, Subflow};
use crate::conn::{Change, Connection, Context, Counter, State, Violation};
use crate::key::{Nonce, Token};
use crate::path::SubflowId;
use crate::seq::TcpSeq;
use crate::tcp::{Config, Path, Tcp};
use crate::time::Instant;
use crate::wire::mptcp::{Join, Priority};
use crate::wire::segment::Segment;

impl Connection {
    /// A SYN with MP_JOIN names our token.
    ///
    /// # Errors
    /// Why it is reset.
    pub(crate) fn accept_join(
        &mut self,
        now: Instant,
        syn: &Segment<'_>,
        request: JoinRequest,
        context: &mut Context<'_>,
    ) -> Result<(), Violation> {
        let path = Path {
            local: syn.destination,
            remote: syn.source,
        };
        let nonce = Nonce(context.random.next_u32());
        let step = self.answer_join(path, request, nonce)?;
        let isn = TcpSeq(context.random.next_u32());
        let tcp = Tcp::accept(&self.config.tcp, path, isn, syn, now);
        self.add_joined(tcp, step, request);
        Ok(())
    }

    /// Judges a SYN with MP_JOIN that names our token, and remembers nothing of it: the step gives the
    /// option of the SYN/ACK.
    ///
    /// # Errors
    /// Why it is reset.
    pub(crate) fn answer_join(
        &mut self,
        path: Path,
        request: JoinRequest,
        nonce: Nonce,
    ) -> Result<JoinSynReceived, Violation> {
        self.count(Counter::JoinSynRx);
        if request.priority == Priority::Backup {
            self.count(Counter::JoinSynBackupRx);
        }
        let session = self.check_join(path)?;
        Ok(self.join_step(session, path, request, nonce))
    }

    /// The third ACK of a join whose SYN was answered with a cookie; `tcp` is what the cookie stands for.
    /// The segment then goes to the subflow.
    ///
    /// # Errors
    /// Why it is reset: the connection takes it no longer, or the HMAC does not hold.
    pub(crate) fn accept_cookie_join(
        &mut self,
        tcp: Tcp,
        request: JoinRequest,
        nonce: Nonce,
        ack: Option<&Join>,
    ) -> Result<(), Violation> {
        let session = self.check_join(tcp.path())?;
        let step = self.join_step(session, tcp.path(), request, nonce);
        if let Err(violation) = step.handle_ack(ack) {
            if violation == Violation::JoinAckHmac {
                self.count(Counter::JoinAckHmacFailure);
            }
            return Err(violation);
        }
        self.add_joined(tcp, step, request);
        Ok(())
    }

    /// Joins that came in and wait for their third ACK.
    pub(crate) fn half_open_joins(&self) -> usize {
        let half_open = self
            .subflows
            .iter()
            .filter(|subflow| subflow.is_half_open());
        half_open.count()
    }

    /// Makes room for one more: the oldest join that is half open goes, and its initiator, if there is one,
    /// begins again. Nobody was told of it, so nobody is told of its end: forged SYNs must not fill the
    /// events.
    pub(super) fn forget_oldest_half_open(&mut self) {
        let Some(index) = self.subflows.iter().position(Subflow::is_half_open) else {
            return;
        };
        self.forget_half_open(index);
    }

    /// Forgets a join that nobody was told of.
    pub(super) fn forget_half_open(&mut self, index: usize) {
        let forgotten = self.subflows.remove(index);
        self.congestion.remove(forgotten.id);
        self.tuning.remove(forgotten.id);
        self.send.forget_subflow(forgotten.id);
        self.changes.push_back(Change::PathClosed(forgotten.path()));
    }

    /// What the TCP of a subflow that comes in is to be like.
    pub(crate) const fn tcp_config(&self) -> &Config {
        &self.config.tcp
    }

    fn check_join(&mut self, path: Path) -> Result<Session, Violation> {
        let session = *self.session().ok_or(Violation::UnknownToken)?;
        if self.state.is_finished() || self.state == State::FastCloseWait {
            return Err(Violation::UnknownToken);
        }
        let proven = self.subflows.len().saturating_sub(self.half_open_joins());
        if proven >= super::MAX_SUBFLOWS {
            self.count(Counter::JoinRejected);
            return Err(Violation::OutOfResources);
        }
        self.check_join_request(path)?;
        Ok(session)
    }

    fn join_step(
        &mut self,
        session: Session,
        path: Path,
        request: JoinRequest,
        nonce: Nonce,
    ) -> JoinSynReceived {
        let (local_id, priority) = self.local_end(path.local);
        JoinSynReceived::new(session, request, nonce, local_id, priority)
    }

    fn add_joined(&mut self, mut tcp: Tcp, step: JoinSynReceived, request: JoinRequest) {
        if self.half_open_joins() >= MAX_HALF_OPEN_JOINS {
            self.forget_oldest_half_open();
        }
        tcp.set_shared_window(true);
        let (local_id, priority) = step.local_end();
        let id = self.add_subflow(tcp, Step::JoinSynReceived(step), local_id, priority);
        if let Some(index) = self.index_of(id) {
            self.subflows[index].remote_id = request.address_id;
            // Either host makes it a backup for both, as with MP_PRIO.
            if request.priority == Priority::Backup {
                self.subflows[index].remote_priority = Priority::Backup;
            }
        }
    }

    /// Forgets a join that waits for its third ACK when a SYN between the same ends names the same
    /// token with another nonce: the peer has begun anew. Says whether it did.
    pub(crate) fn forget_older_join(&mut self, id: SubflowId, token: Token, nonce: Nonce) -> bool {
        let Some(index) = self.index_of(id) else {
            return false;
        };
        let subflow = &self.subflows[index];
        let is_older = match subflow.step {
            Step::JoinSynReceived(step) => step.is_older_than(token, nonce),
            _ => false,
        };
        if is_older {
            let path = subflow.path();
            self.end_subflow(index, SubflowEnd::Closed);
            self.subflows.remove(index);
            self.changes.push_back(Change::PathClosed(path));
        }
        is_older
    }
}

/// Joins of a connection that wait for their third ACK: as many as hosts with several addresses open at
/// once.
pub(crate) const MAX_HALF_OPEN_JOINS: usize = 8;
