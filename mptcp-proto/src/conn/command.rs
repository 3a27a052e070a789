//! What the application asks of a connection.

use std::net::SocketAddr;

use crate::conn::event::{ConnectionEnd, Event};
use crate::conn::subflow::Subflow;
use crate::conn::{Connection, Phase, State};
use crate::key::AddressId;
use crate::path::SubflowId;
use crate::pm::{Command, CommandError, PmAction};
use crate::tcp::Path;
use crate::wire::mptcp::{Priority, ResetReason};

/// Why nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// [`Connection::shutdown_write`] or [`Connection::close`] was called, or the connection is over.
    #[error("the connection is closed for writing")]
    Closed,
}

/// What a read gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// So many bytes; zero when the buffer has no room.
    Data(usize),
    /// Nothing is there now.
    Blocked,
    /// The peer sends no more, and all of it was read.
    End,
    /// The connection was reset, and what was not read is gone.
    Reset,
}

/// Why a subflow was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubflowError {
    /// The connection is TCP, not established, or over.
    #[error("the connection takes no subflows")]
    NotJoinable,
    /// There are too many.
    #[error("the limit of {max} subflows is reached", max = super::MAX_SUBFLOWS)]
    LimitReached,
    /// There is such a subflow already.
    #[error("there is a subflow between these ends")]
    Exists,
    /// There is no such subflow.
    #[error("there is no such subflow")]
    NotFound,
}

/// How to close a subflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubflowClose {
    /// With FIN, once what it carries is acknowledged.
    Fin,
    /// With RST for this reason; what it carries goes over another.
    Reset(ResetReason),
}

impl Connection {
    /// Copies what the send buffer has room for, and says how much; an [`Event::Writable`] follows when
    /// it was less than all.
    ///
    /// # Errors
    /// When nothing can be written any more.
    pub fn write(&mut self, data: &[u8]) -> Result<usize, WriteError> {
        if !self.state.may_write() {
            return Err(WriteError::Closed);
        }
        let written = self.send.write(data);
        self.progress.is_write_blocked |= written < data.len();
        self.progress.may_schedule = true;
        Ok(written)
    }

    /// Bytes that can be written.
    pub fn writable(&self) -> usize {
        if self.state.may_write() {
            self.send.free()
        } else {
            0
        }
    }

    /// Copies what is in order.
    pub fn read(&mut self, buffer: &mut [u8]) -> Read {
        let read = self.receive.read(buffer);
        self.after_read(read as u64);
        match read {
            0 if self.receive.readable() > 0 => Read::Data(0),
            0 if self.receive.is_fin_reached() => Read::End,
            0 if self.state == State::Closed => Read::Reset,
            0 => Read::Blocked,
            read => Read::Data(read),
        }
    }

    /// The next bytes that are in order, without taking them.
    pub fn peek(&self) -> &[u8] {
        self.receive.peek()
    }

    /// Bytes that can be read.
    pub fn readable(&self) -> usize {
        self.receive.readable()
    }

    /// No more is written: a DATA_FIN follows what was (RFC 8684 §3.3.3).
    pub fn shutdown_write(&mut self) {
        if self.state.may_write() {
            self.send.shut_down();
            self.state = self.state.after_shutdown();
            self.progress.may_schedule = true;
        }
    }

    /// Closes in both directions. What was written is still delivered; what was not read, or still
    /// comes, is a reason for [`Connection::abort`], as the peer must learn that it is lost.
    pub fn close(&mut self) {
        if self.receive.readable() > 0 && !self.receive.is_fin_reached() {
            self.abort();
            return;
        }
        self.progress.is_read_closed = true;
        self.shutdown_write();
    }

    /// Ends the connection at once, with MP_FASTCLOSE (RFC 8684 §3.5) or RST.
    pub fn abort(&mut self) {
        self.progress.is_read_closed = true;
        if self.state != State::Closed && self.state != State::FastCloseWait {
            self.begin_fast_close(ConnectionEnd::Aborted);
        }
    }

    /// Opens a subflow with MP_JOIN (RFC 8684 §3.2). Its id is told by [`Event::SubflowUp`].
    ///
    /// # Errors
    /// When the connection takes no more subflows, or has this one.
    pub fn open_subflow(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        priority: Priority,
    ) -> Result<(), SubflowError> {
        self.check_open(Path { local, remote })?;
        self.paths.request_open(local, remote, priority);
        self.progress.may_schedule = true;
        Ok(())
    }

    /// Closes a subflow.
    ///
    /// # Errors
    /// When there is no such subflow, or closing it alone has no meaning: the connection is TCP.
    pub fn close_subflow(&mut self, id: SubflowId, how: SubflowClose) -> Result<(), SubflowError> {
        if !matches!(self.phase, Phase::Mptcp(_)) {
            return Err(SubflowError::NotJoinable);
        }
        let index = self.index_of(id).ok_or(SubflowError::NotFound)?;
        match how {
            SubflowClose::Fin => self.close_one(index),
            SubflowClose::Reset(reason) => self.reset_subflow(index, reason),
        }
        Ok(())
    }

    /// Tells the peer what a subflow is for (RFC 8684 §3.3.8).
    ///
    /// # Errors
    /// When there is no such subflow.
    pub fn set_priority(&mut self, id: SubflowId, priority: Priority) -> Result<(), SubflowError> {
        if !matches!(self.phase, Phase::Mptcp(_)) {
            return Err(SubflowError::NotJoinable);
        }
        let index = self.index_of(id).ok_or(SubflowError::NotFound)?;
        let subflow = &mut self.subflows[index];
        subflow.local_priority = priority;
        // The host that asks for a backup uses it as one itself: Linux does, and half a backup is none.
        subflow.remote_priority = priority;
        subflow.announce.prio = Some(priority);
        subflow.announce.holds_prio = true;
        subflow.release_prio(self.progress.now);
        Ok(())
    }

    /// Advertises an address (RFC 8684 §3.4.1); with a port when it is not that of the initial subflow.
    pub fn announce(&mut self, id: AddressId, address: SocketAddr) {
        let port = (address.port() != self.initial.local.port()).then_some(address.port());
        self.paths
            .request(PmAction::Announce(crate::pm::LocalAddress {
                id,
                address: address.ip(),
                port,
            }));
        self.progress.may_schedule = true;
    }

    /// Withdraws an address, and closes its subflows, which is up to who withdraws it (RFC 8684 §3.4.2);
    /// the last ones go on.
    pub fn remove_address(&mut self, id: AddressId) {
        self.paths.request(PmAction::Withdraw(id));
        let is_other = |subflow: &Subflow| subflow.local_id != id && !subflow.is_closing;
        let has_others = self.up().any(is_other);
        if has_others {
            let alive = self.subflows.iter().filter(|subflow| subflow.end.is_none());
            for subflow in alive.filter(|subflow| subflow.local_id == id) {
                self.paths.request(PmAction::Close(subflow.id));
            }
        }
        self.progress.may_schedule = true;
    }

    /// A command for the path manager.
    ///
    /// # Errors
    /// What the path manager has against it.
    pub fn command(&mut self, command: &Command) -> Result<(), CommandError> {
        self.path_command(command)?;
        self.progress.may_schedule = true;
        Ok(())
    }

    /// Whether a subflow may be opened between these ends.
    pub(super) fn check_open(&self, path: Path) -> Result<(), SubflowError> {
        if !self.is_joinable() {
            return Err(SubflowError::NotJoinable);
        }
        let proven = self.subflows.len().saturating_sub(self.half_open_joins());
        if proven >= super::MAX_SUBFLOWS {
            return Err(SubflowError::LimitReached);
        }
        if self.subflows.iter().any(|subflow| subflow.path() == path) {
            return Err(SubflowError::Exists);
        }
        Ok(())
    }

    fn after_read(&mut self, read: u64) {
        self.progress.is_readable_told = false;
        if read == 0 {
            return;
        }
        self.on_application_read(read);
        let mss = self.up().map(|subflow| subflow.tcp.mss(0)).max();
        if self
            .receive
            .is_window_update_due(mss.unwrap_or(DEFAULT_MSS) as usize)
        {
            // RFC 8684 §3.3.1: the window is shared, and whichever subflow is blocked must hear of it.
            self.ack_on_all();
        }
    }

    /// Tells the end, once.
    pub(super) fn tell_closed(&mut self, how: ConnectionEnd) {
        if !self.progress.is_closed_told {
            self.progress.is_closed_told = true;
            self.tell(Event::Closed { how });
        }
    }
}

/// RFC 9293 §3.7.1.
const DEFAULT_MSS: u32 = 536;
