//! Who has something to send, to say, or to wait for.

use crate::conn::{Change, Context, Counter, Outcome};
use crate::endpoint::{ConnId, Endpoint};
use crate::time::Instant;
use crate::version::Version;

impl Endpoint {
    /// Puts the next packet into `out`, whose content is replaced; false when there is none for now.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        self.now = now;
        out.clear();
        if let Some(reply) = self.replies.pop_front() {
            *out = reply;
            return true;
        }
        while let Some(id) = self.ready.pop_front() {
            let paths = &self.paths;
            let mut context = Context {
                random: &mut *self.random,
                is_free: &|path| !paths.contains_key(path),
            };
            let Some(entry) = self
                .slots
                .get_mut(id.slot as usize)
                .filter(|slot| slot.generation == id.generation)
                .and_then(|slot| slot.entry.as_deref_mut())
            else {
                continue;
            };
            let has_packet = entry.connection.poll_transmit(now, out, &mut context);
            if has_packet {
                // The others have their turn before this one comes again.
                self.ready.push_back(id);
            } else {
                entry.is_ready = false;
            }
            self.apply_changes(id);
            if has_packet {
                return true;
            }
            self.watch(id);
            self.remove_if_gone(id);
        }
        false
    }

    /// A time not later than the next deadline: call [`Endpoint::handle_timeout`] then. To be asked when
    /// [`Endpoint::poll_transmit`] has nothing more.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let connections = self.deadlines.first().map(|(at, _)| *at);
        connections
            .into_iter()
            .chain(self.joins.poll_timeout())
            .chain(self.spent.poll_timeout())
            .min()
    }

    /// Acts on all deadlines up to `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.joins.expire(now);
        self.spent.expire(now);
        while let Some(&(at, id)) = self.deadlines.first() {
            if at > now {
                return;
            }
            self.deadlines.pop_first();
            let Some(entry) = self.entry_mut(id) else {
                continue;
            };
            entry.deadline = None;
            if entry.connection.poll_timeout().is_some_and(|at| at <= now) {
                entry.connection.handle_timeout(now);
                self.touch(id);
                self.apply_changes(id);
            } else {
                self.watch(id);
            }
        }
    }

    /// Something was done with a connection: it may have something to send, or to say.
    pub(super) fn touch(&mut self, id: ConnId) {
        let Some(entry) = self.entry_mut(id) else {
            return;
        };
        let was_ready = std::mem::replace(&mut entry.is_ready, true);
        let was_talkative = std::mem::replace(&mut entry.is_talkative, true);
        if !was_ready {
            self.ready.push_back(id);
        }
        if !was_talkative {
            self.talkative.push_back(id);
        }
    }

    /// Learns from a connection what changed for the host.
    pub(super) fn apply_changes(&mut self, id: ConnId) {
        while let Some(entry) = self.entry_mut(id) {
            if entry.connection.is_connected()
                && let Some(listener) = entry.is_half_open.take()
            {
                self.listeners.on_handshake_end(listener);
                continue;
            }
            let Some(change) = entry.connection.poll_change() else {
                return;
            };
            match change {
                Change::PathOpened(path, subflow) => {
                    self.paths.insert(path, (id, subflow));
                }
                Change::PathClosed(path) => {
                    let is_ours = self.paths.get(&path).is_some_and(|(owner, _)| *owner == id);
                    if is_ours {
                        self.paths.remove(&path);
                    }
                }
                Change::TokenReleased(token) => {
                    self.tokens.release(token);
                }
                Change::Outcome(outcome) => self.learn(id, outcome),
            }
        }
    }

    /// What the first handshake with a destination says of it.
    fn learn(&mut self, id: ConnId, outcome: Outcome) {
        let Some(entry) = self.entry(id) else {
            return;
        };
        let destination = entry.initial.remote.ip();
        let version = entry.connection.session().map(|session| session.version);
        match (outcome, version) {
            (Outcome::Mptcp, Some(version)) => self.destinations.on_mptcp(destination, version),
            (Outcome::Blackhole, _) => {
                self.counters.count(Counter::Blackhole);
                self.destinations.on_blackhole(self.now, destination);
            }
            (Outcome::Refused, _) => {
                let until = self.destinations.on_refusal(self.now, destination);
                if until.is_some() {
                    self.counters.count(Counter::Blackhole);
                }
            }
            (Outcome::OtherVersion(number), _) => {
                if let Some(version) = Version::from_number(number) {
                    self.destinations.on_version(destination, version);
                }
            }
            (Outcome::Mptcp | Outcome::Tcp, _) => {}
        }
    }

    /// Keeps a deadline for a connection that is not later than its own. A deadline that moves away costs
    /// nothing: the connection is asked again when the old one has come.
    fn watch(&mut self, id: ConnId) {
        let Some(entry) = self.entry_mut(id) else {
            return;
        };
        let Some(at) = entry.connection.poll_timeout() else {
            return;
        };
        if entry.deadline.is_none_or(|known| at < known) {
            let known = entry.deadline.replace(at);
            if let Some(known) = known {
                self.deadlines.remove(&(known, id));
            }
            self.deadlines.insert((at, id));
        }
    }

    pub(super) fn remove_if_gone(&mut self, id: ConnId) {
        let Some(entry) = self.entry_mut(id) else {
            return;
        };
        // What the application was not told yet it must be able to hear.
        let is_silent = entry.incoming.is_some() || !entry.connection.has_events();
        if !entry.connection.is_gone() || !is_silent {
            return;
        }
        let Some(slot) = self.slots.get_mut(id.slot as usize) else {
            return;
        };
        slot.generation = slot.generation.wrapping_add(1);
        if let Some(entry) = slot.entry.take() {
            self.counters.merge(entry.connection.counters());
            if let Some(at) = entry.deadline {
                self.deadlines.remove(&(at, id));
            }
            if let Some(listener) = entry.is_half_open {
                self.listeners.on_handshake_end(listener);
            }
        }
        self.free.push(id.slot);
    }
}
