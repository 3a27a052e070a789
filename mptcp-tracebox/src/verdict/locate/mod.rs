//! Where a change happens: a closed interval from the last hop that saw the packet as it was sent to the
//! first one that did not.
//!
//! A router shows the packet as it came in, or after what it does before it looks at the TTL; so both ends
//! of the interval may be the culprit. Hops that are silent or quote too little widen it.

use super::Packets;
use crate::diff::{Change, Comparison, Field, How, State};
use crate::evidence::{AnswerKind, Role, Sent};
use crate::probe::{Phase, Probe};
use crate::trace::{Interval, Located, Place};

/// Changes of the flow, each once.
pub(super) fn changes(packets: &Packets<'_>, is_balanced: bool) -> Vec<Located> {
    let probes = by_probe(packets);
    // What the quotes of one probe show of the ways of packets holds for all of them.
    let is_balanced = is_balanced
        || probes.iter().any(Sights::contradict)
        || probes.iter().any(|one| one.is_contradicted(&probes))
        || is_lost_now_and_then(packets);
    match located(&probes, is_balanced) {
        Placed { is_agreed, .. } if !is_agreed && !is_balanced => located(&probes, true).changes,
        Placed { changes, .. } => changes,
    }
}

/// Changes of all probes, and whether the probes say the same of where they are.
struct Placed {
    changes: Vec<Located>,
    is_agreed: bool,
}

fn located(probes: &[Sights<'_>], is_balanced: bool) -> Placed {
    let mut groups: Vec<Vec<Located>> = Vec::new();
    for found in probes.iter().flat_map(|sights| sights.located(is_balanced)) {
        let is_known = |group: &&mut Vec<Located>| {
            let first = group.first();
            first.is_some_and(|known| is_same(&known.change, &found.change))
        };
        match groups.iter_mut().find(is_known) {
            Some(group) => group.push(found),
            None => groups.push(vec![found]),
        }
    }
    let is_agreed = groups.iter().all(|group| common(group).is_some());
    let mut changes: Vec<Located> = groups.into_iter().filter_map(joined).collect();
    changes.sort_by_key(|located| (located.between.until, located.change.field));
    Placed { changes, is_agreed }
}

/// Whether packets of some probe arrive at the target and others do not, though all plain SYNs do: the target, or
/// who drops what it does not like, may be on one of several ways.
fn is_lost_now_and_then(packets: &Packets<'_>) -> bool {
    let ends = packets.iter().map(|(_, sent)| *sent).filter(|sent| {
        let purpose = &sent.purpose;
        purpose.role == Role::End && purpose.probe.phase() == Phase::Syn
    });
    let ends: Vec<_> = ends.collect();
    let is_answered = |sent: &&Sent| !sent.answers.is_empty();
    let mut controls = ends.iter().filter(|it| it.purpose.probe == Probe::Syn);
    let mut lost = ends.iter().filter(|sent| !is_answered(sent));
    controls.all(is_answered)
        && lost.any(|lost| {
            let mut alike = ends
                .iter()
                .filter(|it| it.purpose.probe == lost.purpose.probe);
            alike.any(is_answered)
        })
}

/// Whether two changes are one: what is done, not to which value, which may differ by probe. What is left
/// of a lost option may look otherwise behind the next box: it is lost once.
fn is_same(one: &Change, other: &Change) -> bool {
    one.field == other.field && (one.how == other.how || (is_loss(one.how) && is_loss(other.how)))
}

const fn is_loss(how: How) -> bool {
    matches!(how, How::Removed | How::Nopped | How::Ended | How::Renamed)
}

/// Where one change lies after all probes that show it: each has its interval, and all of them are right. None
/// if they cannot be.
fn common(group: &[Located]) -> Option<Interval> {
    let after = group.iter().map(|located| located.between.after).max()?;
    let until = group.iter().map(|located| located.between.until).min()?;
    let is_possible = match until {
        Place::Hop(until) => after < until,
        Place::Target => true,
    };
    is_possible.then_some(Interval { after, until })
}

/// The same change, as several probes show it.
fn joined(group: Vec<Located>) -> Option<Located> {
    // Where it cannot be all of them, packets went different ways.
    let widest = Interval {
        after: group.iter().map(|located| located.between.after).min()?,
        until: group.iter().map(|located| located.between.until).max()?,
    };
    let between = common(&group).unwrap_or(widest);
    let witnesses = group.iter().map(|located| located.witnesses).sum();
    let mut group = group.into_iter();
    let mut located = group.next()?;
    located.probes.extend(group.flat_map(|other| other.probes));
    Some(Located {
        between,
        witnesses,
        ..located
    })
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
    fn located(&self, is_balanced: bool) -> Vec<Located> {
        let mut found: Vec<Located> = Vec::new();
        for (ttl, comparison) in &self.quotes {
            for change in &comparison.changes {
                if change.field == Field::Length && self.is_explained(comparison) {
                    continue;
                }
                if let Some(known) = found
                    .iter_mut()
                    .find(|known| is_same(&known.change, change))
                {
                    known.witnesses += 1;
                    continue;
                }
                let mut between = self.between(change, *ttl, comparison);
                // Segments are joined when they happen to meet: a clean hop proves nothing.
                let is_joined = change.field == Field::Length && comparison.growth > 0;
                // Nor does one that another part of the packet may have passed on another way.
                let is_spread = change.field == Field::Length && is_balanced;
                if is_joined
                    || is_spread
                    || self.takes_ways(change, (*ttl, comparison), is_balanced)
                {
                    between.after = 0;
                }
                found.push(Located {
                    change: change.clone(),
                    probes: vec![self.probe.clone()],
                    between,
                    witnesses: 1,
                });
            }
        }
        found
    }

    /// A router that quotes no more than the ports shows only that the packet became shorter or longer;
    /// one that quotes more may show that this is the doing of options.
    fn is_explained(&self, vague: &Comparison) -> bool {
        is_vague(vague)
            && self.quotes.iter().any(|(_, comparison)| {
                !is_vague(comparison)
                    && comparison.growth == vague.growth
                    && comparison.state(Field::Length) == State::Same
            })
    }

    /// Whether a change is seen at a hop, and at that one or behind it that it has not happened.
    fn contradict(&self) -> bool {
        self.quotes.iter().any(|(ttl, comparison)| {
            let mut changes = comparison.changes.iter();
            changes.any(|change| {
                let beyond = self.quotes.iter().filter(|(at, _)| at >= ttl);
                let mut clean = beyond.filter(|(_, other)| is_clean(change, other));
                change.field != Field::Length && clean.next().is_some()
            })
        })
    }

    /// Whether a SYN of one kind shows a change of what all of them have, and one of another kind, there or farther
    /// on, that it has not happened.
    fn is_contradicted(&self, all: &[Self]) -> bool {
        let is_syn = |sights: &&Self| sights.probe.phase() == Phase::Syn;
        let others = || {
            let others = all.iter().filter(is_syn);
            others.filter(|other| other.probe != self.probe)
        };
        is_syn(&self)
            && self.quotes.iter().any(|(ttl, comparison)| {
                let mut common = comparison.changes.iter().filter(|it| is_common(it.field));
                common.any(|change| {
                    // Those that do not ask for ECN have nothing that can be cleared.
                    let is_ecn = |one: &Self| one.probe == Probe::Ecn && is_of_ecn(change.field);
                    let others = others().filter(|other| is_ecn(self) == is_ecn(other));
                    let beyond = others.flat_map(|other| &other.quotes);
                    let mut beyond = beyond.filter(|(at, _)| at >= ttl);
                    beyond.any(|(_, other)| is_clean(change, other))
                })
            })
    }

    /// Whether packets may take more than one way, so that a clean hop may lie on another way than the box.
    /// Quotes that contradict each other show it. Where routers do, the quotes must be so many, and agree so
    /// well, that it would be a rare chance if the box were on one of several ways.
    fn takes_ways(
        &self,
        change: &Change,
        (ttl, shown): (u8, &Comparison),
        is_balanced: bool,
    ) -> bool {
        // The length tells it too, where nothing else is quoted.
        let growth = resizes_alone(change, shown).then_some(shown.growth);
        let (mut clean, mut changed) = (0_u32, 0_u32);
        for (at, comparison) in &self.quotes {
            let mut known = comparison.changes.iter();
            let has_it = growth.is_some() && concerns(change, comparison);
            let is_alike = has_it && growth == Some(comparison.growth);
            if known.any(|known| is_same(known, change)) || is_alike {
                changed += 1;
            } else if is_clean(change, comparison) || (has_it && comparison.growth == 0) {
                if *at >= ttl && change.field != Field::Length {
                    return true;
                }
                clean += 1;
            }
        }
        let [clean, changed] = [clean, changed].map(f64::from);
        let all = clean + changed;
        // The share of packets that meet the box for which what was seen is most likely.
        let likelihood = (clean / all).powf(clean) * (changed / all).powf(changed);
        is_balanced && clean > 0.0 && likelihood > CHANCE
    }

    fn between(&self, change: &Change, ttl: u8, comparison: &Comparison) -> Interval {
        let last = |before: u8, is_clean: &dyn Fn(&Comparison) -> bool| {
            let earlier = self.quotes.iter().filter(|(at, _)| *at < before);
            let clean = earlier.filter(|(_, comparison)| is_clean(comparison));
            clean.map(|(at, _)| *at).max().unwrap_or(0)
        };
        let growth = comparison.growth;
        // Who splits or joins segments, or strips some of an option, lets others pass.
        let is_alike = |earlier: &Comparison| {
            change.field != Field::Length || earlier.sent_len == comparison.sent_len
        };
        if change.field == Field::Length && is_vague(comparison) {
            return Interval {
                after: last(ttl, &|earlier| {
                    earlier.growth != growth && is_alike(earlier)
                }),
                until: Place::Hop(ttl),
            };
        }
        let mut between = Interval {
            after: last(ttl, &|earlier| {
                is_clean(change, earlier) && is_alike(earlier)
            }),
            until: Place::Hop(ttl),
        };
        // Where this change alone makes the packet longer or shorter, its length tells the place even of
        // routers that do not quote the option.
        if resizes_alone(change, comparison) {
            let mut alike = self
                .quotes
                .iter()
                .filter(|(_, one)| one.growth == growth && concerns(change, one));
            let first = alike.next().map_or(ttl, |(at, _)| *at);
            if between.after < first {
                between.until = Place::Hop(first);
                let unchanged = last(first, &|earlier| {
                    earlier.growth == 0 && concerns(change, earlier)
                });
                between.after = between.after.max(unchanged);
            }
        }
        between
    }
}

/// Whether all SYNs have this, and it is theirs alone to change: it does not follow from an option of a probe.
fn is_common(field: Field) -> bool {
    match field {
        Field::Option(id) => !id.is_mptcp(),
        Field::OptionOrder | Field::Padding | Field::Length | Field::Checksum | Field::Payload => {
            false
        }
        _ => true,
    }
}

/// Whether it is what a probe for ECN has and others have not.
const fn is_of_ecn(field: Field) -> bool {
    matches!(field, Field::Flags | Field::Ecn)
}

/// Whether the quote ends before the length of the TCP header, so that what came or went is not known.
fn is_vague(comparison: &Comparison) -> bool {
    comparison.state(Field::Reserved) == State::NotQuoted
}

/// Whether a change may make the header longer or shorter.
fn resizes(change: &Change) -> bool {
    matches!(change.field, Field::Option(_))
        && matches!(
            change.how,
            How::Removed | How::Added | How::Duplicated | How::Ended
        )
}

/// Whether a packet became longer or shorter by a change, and by no other; that is known only where all
/// options are quoted.
fn resizes_alone(change: &Change, comparison: &Comparison) -> bool {
    let resizing = comparison.changes.iter().filter(|one| resizes(one));
    comparison.growth != 0
        && resizes(change)
        && resizing.count() == 1
        && comparison.state(Field::OptionOrder) != State::NotQuoted
}

/// Whether the change could happen to a packet: it has what is changed, quoted or not.
fn concerns(change: &Change, comparison: &Comparison) -> bool {
    let mut states = comparison.states.iter();
    change.how == How::Added || states.any(|(field, _)| *field == change.field)
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

/// What is less likely than this is no chance: changes of many probes on many paths are looked at.
const CHANCE: f64 = 1e-9;

#[cfg(test)]
mod tests;
