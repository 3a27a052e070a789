//! Open connections that go on while they are packed: where many are awake, the ordinary segments of the
//! others are noted in their journals.

use tracing::{Level, enabled};

use super::{Unpacked, pack};
use crate::rebuild::Rebuilder;
use crate::rebuild::connection::ConnectionBuilder;
use crate::rebuild::flow::End;
use crate::rebuild::glance::{Glance, Whole};
use crate::rebuild::journal::Journal;
use crate::rebuild::slots::Asleep;
use crate::rebuild::stream::Stream;

impl Rebuilder {
    /// Whether so many connections are awake that others are to go on packed.
    pub(super) fn are_many_awake(&self) -> bool {
        self.connections.awake_count() > self.limits.awake
    }

    /// Whether an open connection may be packed although it had packets lately: all of them were ordinary.
    pub(super) fn may_be_noted(&self, builder: &ConnectionBuilder) -> bool {
        self.are_many_awake()
            && !self.takes_long_way
            && !builder.is_queued
            && !builder.is_over()
            && builder.noted_after(self.idle_frames()) < self.frame
    }

    /// Begins the journal of a connection that is awake, and was just packed.
    pub(super) fn with_journal(
        &self,
        connection: usize,
        asleep: Asleep,
    ) -> Result<Journal, Asleep> {
        let Some(builder) = self.connections.awake(connection) else {
            return Err(asleep);
        };
        let streams = builder.streams.iter().filter_map(|id| self.streams.get(id));
        Journal::begin(asleep, builder, streams, &self.options)
    }

    /// Takes a segment whose connection is asleep if it can be noted; `false` when it cannot, and nothing
    /// was done.
    #[inline(never)]
    pub(in crate::rebuild) fn note_asleep<'a>(
        &mut self,
        connection: usize,
        from: (usize, End),
        glance: &Glance,
        whole: &impl Whole<'a>,
    ) -> bool {
        if self.takes_long_way || enabled!(Level::TRACE) {
            return false;
        }
        let is_ordinary = || whole.plain_dss().is_some_and(|dss| !dss.data_fin);
        let is_ready = match self.connections.journal(connection) {
            Some(journal) if !journal.is_full() => true,
            // One that sends so much is cheaper when it is awake.
            Some(journal) if journal.began().saturating_add(self.idle_frames()) > self.frame => {
                false
            }
            Some(_) => is_ordinary() && self.begin_anew(connection),
            // One that wakes now would have to be packed again.
            None => {
                self.connections.at_hand() > self.limits.awake
                    && is_ordinary()
                    && self.begin_asleep(connection)
            }
        };
        let journal = self.connections.journal_mut(connection);
        journal
            .filter(|_| is_ready)
            .is_some_and(|journal| journal.note(from, glance, whole, &self.options))
    }

    /// Enters what a journal notes, and begins another.
    fn begin_anew(&mut self, connection: usize) -> bool {
        let Some(journal) = self.connections.journal(connection) else {
            return false;
        };
        let (mut builder, mut streams) = journal.asleep.unpack(&self.packing.words);
        journal.enter(&mut builder, &mut streams, &self.options, &mut self.pieces);
        let whole: Vec<&Stream> = streams.iter().map(|(_, stream)| stream).collect();
        if !Journal::may_begin(&builder, whole.iter().copied(), &self.options) {
            return false;
        }
        let Some(asleep) = pack(&mut self.packing, (connection, &builder), &whole) else {
            return false;
        };
        let whole = whole.into_iter();
        let Ok(journal) = Journal::begin(asleep, &builder, whole, &self.options) else {
            return false;
        };
        if let Some(place) = self.connections.journal_mut(connection) {
            *place = journal;
        }
        true
    }

    /// Begins a journal for an open connection that was idle.
    fn begin_asleep(&mut self, connection: usize) -> bool {
        let Some(asleep) = self.connections.take_asleep(connection) else {
            return false;
        };
        let rest = if asleep.head().is_over {
            Err(asleep)
        } else {
            let (builder, streams) = asleep.unpack(&self.packing.words);
            let streams = streams.iter().map(|(_, stream)| stream);
            Journal::begin(asleep, &builder, streams, &self.options)
        };
        let is_begun = rest.is_ok();
        self.connections.put_back(connection, rest);
        is_begun
    }

    /// A connection that is asleep, with what its journal notes, for a report.
    pub(in crate::rebuild) fn unpacked(&self, connection: usize) -> Option<Unpacked> {
        let asleep = self.connections.asleep(connection)?;
        let words = &self.packing.words;
        let journal = self.connections.journal(connection);
        let Some(journal) = journal.filter(|journal| !journal.is_empty()) else {
            return Some(asleep.unpack_for_report(words));
        };
        let (mut builder, mut streams) = asleep.unpack(words);
        journal.enter(&mut builder, &mut streams, &self.options, &mut Vec::new());
        Some((builder, streams))
    }
}
