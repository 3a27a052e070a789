//! Where a change happens: a closed interval from the last hop that saw the packet as it was sent to the
//! first one that did not.
//!
//! A router shows the packet as it came in, or after what it does before it looks at the TTL; so both ends
//! of the interval may be the culprit. Hops that are silent or quote too little widen it.

use super::Packets;
use crate::diff::{Change, Comparison, Field, How, State};
use crate::evidence::{AnswerKind, Role};
use crate::probe::Probe;
use crate::trace::{Hop, Interval, Located, Place};

/// Changes of the flow, each once.
pub(super) fn changes(packets: &Packets<'_>, hops: &[Hop]) -> Vec<Located> {
    let branch = hops
        .iter()
        .find(|hop| hop.routers.len() > 1)
        .map(|hop| hop.ttl);
    let mut located: Vec<Located> = Vec::new();
    for sights in by_probe(packets) {
        for found in sights.located(branch) {
            let same = located
                .iter_mut()
                .find(|known| is_same(&known.change, &found.change));
            match same {
                Some(known) => known.join(found),
                None => located.push(found),
            }
        }
    }
    located.sort_by_key(|located| (located.between.until, located.change.field));
    located
}

/// Whether two changes are one: what is done, not to which value, which may differ by probe.
fn is_same(one: &Change, other: &Change) -> bool {
    one.field == other.field && one.how == other.how
}

impl Located {
    /// The same change, seen with another probe: each has its interval, and both are right.
    fn join(&mut self, other: Self) {
        self.witnesses += other.witnesses;
        self.probes.extend(other.probes);
        let between = Interval {
            after: self.between.after.max(other.between.after),
            until: self.between.until.min(other.between.until),
        };
        let is_possible = match between.until {
            Place::Hop(until) => between.after < until,
            Place::Target => true,
        };
        // Otherwise the two went different ways.
        self.between = if is_possible {
            between
        } else {
            Interval {
                after: self.between.after.min(other.between.after),
                until: self.between.until.max(other.between.until),
            }
        };
    }
}

/// All that the hops say of one probe.
struct Sights<'a> {
    probe: Probe,
    /// TTL and quote, in the order of TTLs.
    quotes: Vec<(u8, &'a Comparison)>,
}

fn by_probe<'a>(packets: &Packets<'a>) -> Vec<Sights<'a>> {
    let mut all: Vec<Sights<'a>> = Vec::new();
    for (_, sent) in packets {
        if sent.purpose.role != Role::Ladder {
            continue;
        }
        let at = all
            .iter()
            .position(|sights| sights.probe == sent.purpose.probe);
        let at = at.unwrap_or_else(|| {
            all.push(Sights {
                probe: sent.purpose.probe.clone(),
                quotes: Vec::new(),
            });
            all.len() - 1
        });
        for answer in &sent.answers {
            if let (AnswerKind::Error { comparison, .. }, Some(sights)) =
                (&answer.kind, all.get_mut(at))
            {
                sights.quotes.push((sent.purpose.ttl, comparison));
            }
        }
    }
    for sights in &mut all {
        sights.quotes.sort_by_key(|(ttl, _)| *ttl);
    }
    all
}

impl Sights<'_> {
    fn located(&self, branch: Option<u8>) -> Vec<Located> {
        let mut found: Vec<Located> = Vec::new();
        for (ttl, comparison) in &self.quotes {
            for change in &comparison.changes {
                if let Some(known) = found
                    .iter_mut()
                    .find(|known| is_same(&known.change, change))
                {
                    known.witnesses += 1;
                    continue;
                }
                found.push(Located {
                    change: change.clone(),
                    probes: vec![self.probe.clone()],
                    between: Interval {
                        after: self.last_clean(change, *ttl, branch),
                        until: Place::Hop(*ttl),
                    },
                    witnesses: 1,
                });
            }
        }
        self.explain_lengths(&mut found);
        found
    }

    /// The last hop before this TTL that quotes the field as it was sent.
    fn last_clean(&self, change: &Change, ttl: u8, branch: Option<u8>) -> u8 {
        // Behind the point where ways part, a clean hop may lie on another way than the box.
        let limit = branch.unwrap_or(u8::MAX).min(ttl);
        let clean = self
            .quotes
            .iter()
            .filter(|(at, comparison)| *at < limit && is_clean(change, comparison));
        clean.map(|(at, _)| *at).max().unwrap_or(0)
    }

    /// A router that quotes little shows only that the packet became shorter or longer; one behind it
    /// shows why. That is one change.
    fn explain_lengths(&self, found: &mut Vec<Located>) {
        let Some(at) = found
            .iter()
            .position(|located| located.change.field == Field::Length)
        else {
            return;
        };
        let Place::Hop(first) = found[at].between.until else {
            return;
        };
        let growth = |ttl: u8| {
            let mut quotes = self.quotes.iter().filter(|(at, _)| *at == ttl);
            quotes
                .find(|(_, comparison)| comparison.growth != 0)
                .map(|(_, comparison)| comparison.growth)
        };
        let Some(here) = growth(first) else { return };
        let after = found[at].between.after;
        let mut is_explained = false;
        for located in found.iter_mut() {
            let Place::Hop(until) = located.between.until else {
                continue;
            };
            let resizes = matches!(
                located.change.how,
                How::Removed | How::Added | How::Duplicated | How::Ended
            );
            if resizes && until > first && growth(until) == Some(here) {
                located.between = Interval {
                    after: located.between.after.max(after),
                    until: Place::Hop(first),
                };
                is_explained = true;
            }
        }
        if is_explained {
            found.remove(at);
        }
    }
}

/// Whether a quote shows that the change has not happened yet.
fn is_clean(change: &Change, comparison: &Comparison) -> bool {
    match (change.field, change.how) {
        // What was not sent is absent only where all options are quoted.
        (Field::Option(_), How::Added | How::Duplicated) | (Field::Padding, _) => {
            let is_there = comparison
                .changes
                .iter()
                .any(|known| is_same(known, change));
            !is_there && comparison.state(Field::OptionOrder) != State::NotQuoted
        }
        (Field::Option(_), _) => comparison.state(change.field) == State::Same,
        (Field::Payload, _) => {
            let same = comparison.state(Field::Payload) == State::Same;
            // A shorter quote may end before the place.
            same && comparison.is_whole
        }
        (field, _) => comparison.state(field) == State::Same,
    }
}
