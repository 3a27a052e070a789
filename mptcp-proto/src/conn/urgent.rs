//! Urgent data (RFC 9293 §3.8.5): delivered in their place in the stream, with a mark where they end.
//!
//! RFC 8684 §3.3.1 wants those of a subflow mapped and told like those of TCP. In a subflow the pointer never cuts a
//! mapping, as the bytes go in order with all others.

use crate::conn::Connection;
use crate::conn::command::WriteError;
use crate::conn::event::Event;
use crate::seq::Dsn;

impl Connection {
    /// The same as [`Connection::write`] with data that the peer should read soon, and all before them. New
    /// applications should not use it (RFC 6093 §5).
    ///
    /// # Errors
    /// When nothing can be written any more.
    pub fn write_urgent(&mut self, data: &[u8]) -> Result<usize, WriteError> {
        let written = self.write(data)?;
        if written > 0 {
            self.progress.urgent = Some(self.send.write_dsn());
        }
        Ok(written)
    }

    /// Bytes to be read up to the last one that is urgent; none where nothing urgent waits. Those that have not
    /// arrived count.
    pub fn urgent(&self) -> Option<u64> {
        Some(self.receive.urgent()).filter(|bytes| *bytes > 0)
    }

    /// TCP has been given `len` bytes of ours from `dsn` on, at this position of the subflow.
    pub(super) fn mark_urgent(&mut self, index: usize, position: u64, dsn: Dsn, len: u64) {
        let Some(end) = self.progress.urgent else {
            return;
        };
        let distance = end.distance_from(dsn).filter(|distance| *distance > 0);
        if let Some(distance) = distance
            && distance <= len
        {
            let end = position.saturating_add(distance);
            self.subflows[index].tcp.set_urgent(end);
        }
    }

    /// The peer's urgent data on a subflow end before this position, or it was told so earlier. Their place in the
    /// data is known once their last byte is mapped.
    pub(super) fn note_urgent(&mut self, index: usize, end: Option<u64>) {
        let subflow = &mut self.subflows[index];
        subflow.urgent = end.max(subflow.urgent);
        let Some(end) = subflow.urgent else {
            return;
        };
        let Some(last) = subflow.incoming.dsn_at(end.saturating_sub(1)) else {
            return;
        };
        subflow.urgent = None;
        if self.receive.note_urgent(last.add(1)) {
            self.tell(Event::Urgent);
        }
    }
}
