//! Each box, at each place of chains of three, five and ten routers, and once in chains of other lengths.
//!
//! Many labs work at once, so that a row may be late by chance. One that differs from the reviewed table is
//! looked at again when all is quiet: what is seen twice counts. That a wrong place is accused counts at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use mptcp_tests::lab::{self, Application, Lab, Node};
use mptcp_tracebox::trace::{Blame, Interval, Place, Trace};

use super::table::{self, Family, Key, Rows};
use super::{V4, V6, trace};

/// Lengths of the chains in which each box is at each place.
const FULL: [u8; 3] = [3, 5, 10];

/// Lengths of the chains in which each box is at one place, the next box at the next, and in the next chain
/// farther on.
const ROTATED: [u8; 5] = [4, 6, 7, 8, 9];

/// Labs at once. They wait most of the time; but all of them share the kernel's table of neighbours (1024, see
/// `net.ipv6.neigh.default.gc_thresh3`), and without neighbours a host is unreachable.
const LABS: usize = 12;

/// Looks at a row that differs, in all.
const MOST_LOOKS: usize = 3;

/// Percent of the rows that may need a second look.
const MOST_DOUBTS: usize = 3;

/// Marks a line that accuses somebody else.
const MISPLACED: &str = " MISPLACED";

const BOXES: &[&str] = &[
    "tcpoptstrip",
    "tcpoptstrip:kinds=8",
    "tcpmss",
    "ttl:set=64",
    "ttl-hide",
    "dscp:set=10",
    "ecn-ce",
    "ecn-off",
    "masquerade",
    "strict",
    "reject",
    "synproxy",
    "split-proxy",
    "split-proxy:front=mptcp,back=mptcp",
    "strip:option=mp_capable,on=syn",
    "strip:option=mp_capable,on=syn,how=remove",
    "strip:option=mp_capable,on=syn,how=eol",
    "strip:option=mp_capable,on=synack,toward=client",
    "strip:option=mp_capable,on=synack,toward=client,how=remove",
    "strip:option=mp_join,on=syn",
    "strip:option=mss,on=syn",
    "strip:option=wscale,on=syn,how=remove",
    "strip:on=syn,checksum=stale",
    "rewrite:field=version,set=0,on=syn",
    "rewrite:field=capable_flags,xor=0x80,on=syn",
    "rewrite:field=token,on=syn",
    "rewrite:field=nonce,on=syn",
    "rewrite:field=mss,set=1200,on=syn",
    "rewrite:field=wscale,set=2,on=syn",
    "header:field=ip_id,set=0x1234+header:field=flow_label,set=0x12345",
    "header:field=df+header:field=flow_label,xor=0xfffff",
    "header:field=traffic_class,set=0x28",
    "header:field=window,set=400,on=syn",
    "header:field=reserved,xor=0xe",
    "header:field=urgent,set=7",
    "header:field=sequence,xor=0x40000000,on=syn",
    "mirror",
    "isn",
    "refuse:with=mp_capable,on=syn,how=drop",
    "refuse:with=mp_capable,on=syn,how=rst",
    "refuse:with=mp_capable,on=syn,how=icmp",
    "refuse:with=mp_join,on=syn,how=drop",
    "refuse:with=mp_join,on=syn,how=rst",
    "quote:tcp_bytes=8",
    "quote:mpls=16188",
    // In an established connection.
    "strip:option=mp_capable,on=data",
    "strip:option=dss,on=data",
    "strip:option=dss,on=data,how=remove",
    "strip:option=add_addr,on=pure_ack",
    "strip:option=mp_prio,on=pure_ack",
    "strip:option=mp_fastclose,on=pure_ack",
    "rewrite:field=dsn,on=data",
    "payload:find=70726f626573,put=50524f424553",
    "payload:find=70726f626573,put=50524f4245534242",
    "split",
    "coalesce",
    "hole",
    "flip:at=20,toward=server",
    "impair:delay_ms=5",
    // Seen by one answer that came early, or by one that did not come: see `HASTY`.
    "proactive:toward=server",
    "ack:how=drop",
    "ack:how=correct",
    // Refused in an established connection.
    "refuse:with=add_addr,how=icmp",
    "refuse:with=mp_prio,how=rst",
    "refuse:with=dss,on=data,how=icmp",
    "refuse:with=mp_capable,on=data,how=rst",
];

/// Boxes of which is told, though not always in the same words, for they are told by when an answer comes; and
/// what is said of them behind each router but the last, behind which nobody but the target answers. They are
/// not in the table.
const HASTY: [(&str, &str); 3] = [
    ("proactive:toward=server", "proactive_ack"),
    ("ack:how=drop", "loses unseen ACKs"),
    ("ack:how=correct", "acknowledgement number rewritten"),
];

/// Whether the box in the router at this TTL is where something is said to happen.
fn is_placed(router: u8, found: &Trace) -> bool {
    let contains = |between: Interval| {
        let ends_behind = match between.until {
            Place::Hop(hop) => hop >= router,
            Place::Target => true,
        };
        between.after <= router && ends_behind
    };
    let is_path = found.verdict.blame == Blame::Path;
    let mut changes = found.flows[0].changes.iter();
    (!is_path || found.verdict.between.is_none_or(contains))
        && changes.all(|located| contains(located.between))
}

/// The verdict in a few words; hops are counted from the router with the box, which is `r`.
fn line(router: u8, found: &Trace) -> String {
    let verdict = &found.verdict;
    let mut text = verdict.code.name().to_owned();
    let flow = &found.flows[0];
    // Writing to a string cannot fail.
    let mut add = |name: &str, between: Option<Interval>| {
        if let Some(between) = between {
            let _ = write!(text, "{name} {}", relative(router, between));
        }
    };
    add("", verdict.between);
    add("; keeps state", flow.other.and_then(|other| other.stateful));
    // Whether a firewall takes such an ACK for one of the connection depends on how it saw that begin.
    if flow.other.is_none_or(|other| other.stateful.is_none()) {
        add("; loses unseen ACKs", flow.unseen_lost);
    }
    if flow
        .talk
        .is_some_and(|talk| talk.passes_holes == Some(false))
    {
        text += "; blocks holes";
    }
    for located in &flow.changes {
        let _ = write!(text, "; {} {}", located.change.field, located.change.how);
    }
    text
}

fn relative(router: u8, between: Interval) -> String {
    let from_router = |hop: u8| match i16::from(hop) - i16::from(router) {
        0 => "r".to_owned(),
        distance => format!("r{distance:+}"),
    };
    let after = match between.after {
        0 => "client".to_owned(),
        hop => from_router(hop),
    };
    let until = match between.until {
        Place::Hop(hop) => from_router(hop),
        Place::Target => "target".to_owned(),
    };
    format!("[{after}..{until}]")
}

/// A box in one router of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Case {
    chain: u8,
    router: u8,
    /// Number of the box.
    number: usize,
}

/// All of them.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for number in 0..BOXES.len() {
        let case = |chain, router| Case {
            chain,
            router,
            number,
        };
        for chain in FULL {
            cases.extend((1..=chain).map(|router| case(chain, router)));
        }
        for (step, chain) in ROTATED.into_iter().enumerate() {
            let at = u8::try_from((number + 2 * step) % usize::from(chain)).unwrap();
            cases.push(case(chain, at + 1));
        }
    }
    cases
}

/// Cases that are left, by the length of their chains, and how many labs of that length there are.
struct Work(BTreeMap<u8, (Vec<Case>, usize)>);

impl Work {
    fn new(cases: &[Case]) -> Self {
        let mut work: BTreeMap<u8, (Vec<Case>, usize)> = BTreeMap::new();
        for case in cases {
            work.entry(case.chain).or_default().0.push(*case);
        }
        Self(work)
    }

    /// The next case for who has a lab of this length: of the same length, or else where most is left to do.
    fn next(&mut self, chain: Option<u8>) -> Option<Case> {
        let known = chain.and_then(|chain| self.0.get_mut(&chain));
        if let Some((left, labs)) = known {
            if let Some(case) = left.pop() {
                return Some(case);
            }
            *labs -= 1;
        }
        let most = |(left, labs): &(Vec<Case>, usize)| left.len() / (labs + 1);
        let (left, labs) = self.0.values_mut().max_by_key(|it| most(it))?;
        *labs += 1;
        left.pop()
    }
}

/// A chain that stays as long as the next cases need one of its length.
#[derive(Default)]
struct Site(Option<(u8, Lab, Application)>);

impl Site {
    /// What is said of a case, in both families at the same time.
    fn look(&mut self, case: Case) -> [String; 2] {
        let known = self.0.take().filter(|(chain, ..)| *chain == case.chain);
        let (_, lab, _server) = self.0.insert(known.unwrap_or_else(|| {
            let (lab, server) = super::chain(case.chain);
            (case.chain, lab, server)
        }));
        let place = Node::router(1, case.router);
        let _box = lab.place(place, BOXES[case.number]).unwrap();
        let found = thread::scope(|scope| {
            let runs = [V4, V6].map(|target| {
                let lab = &*lab;
                scope.spawn(move || trace(lab, target))
            });
            runs.map(|run| run.join().unwrap())
        });
        found.map(|found| {
            let mut line = line(case.router, &found);
            if !is_placed(case.router, &found) {
                line += MISPLACED;
            }
            line
        })
    }
}

/// One look at each case, several at a time.
fn looked_at(cases: &[Case]) -> Rows {
    let left = Mutex::new(Work::new(cases));
    let next = |site: &Site| {
        let chain = site.0.as_ref().map(|(chain, ..)| *chain);
        let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
        left.next(chain)
    };
    let work = || {
        let mut site = Site::default();
        let mut rows = Rows::new();
        while let Some(case) = next(&site) {
            for (family, text) in Family::ALL.into_iter().zip(site.look(case)) {
                rows.insert(case.key(family), text);
            }
        }
        rows
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..LABS).map(|_| scope.spawn(work)).collect();
        let rows = workers.into_iter().map(|worker| worker.join().unwrap());
        rows.flatten().collect()
    })
}

impl Case {
    const fn key(self, family: Family) -> Key {
        Key {
            number: self.number,
            family,
            chain: self.chain,
            router: self.router,
        }
    }

    fn of(key: Key) -> Self {
        Self {
            chain: key.chain,
            router: key.router,
            number: key.number,
        }
    }
}

/// What is to be said of a row.
enum Wanted<'a> {
    /// Exactly this: it was reviewed.
    Row(Option<&'a String>),
    /// This among others.
    Mention(&'a str),
    /// Nothing in particular.
    Anything,
}

impl<'a> Wanted<'a> {
    fn of(key: Key, reviewed: &'a Rows) -> Self {
        match HASTY.iter().find(|(spec, _)| *spec == BOXES[key.number]) {
            None => Self::Row(reviewed.get(&key)),
            Some((_, words)) if key.router < key.chain => Self::Mention(words),
            Some(_) => Self::Anything,
        }
    }

    fn is_met(&self, text: &str) -> bool {
        match self {
            Self::Row(reviewed) => reviewed.is_some_and(|reviewed| reviewed == text),
            Self::Mention(words) => text.contains(words),
            Self::Anything => true,
        }
    }
}

/// Looks again at what is not as it should be. Only what is as it should be at last, and was not seen twice
/// as something else, is changed. Returns how many rows were looked at again.
fn look_again(rows: &mut Rows, reviewed: &Rows) -> usize {
    let doubts = rows
        .iter()
        .filter(|(key, text)| !Wanted::of(**key, reviewed).is_met(text));
    let mut doubts: Vec<Key> = doubts.map(|(key, _)| *key).collect();
    // Rows without a reviewed one, as of a new box, are to be reviewed, not to be looked at again.
    doubts.retain(|key| !matches!(Wanted::of(*key, reviewed), Wanted::Row(None)));
    doubts.sort_by_key(|key| Case::of(*key));
    let count = doubts.len();
    // That many are no chance.
    if is_too_many(count, rows) {
        return count;
    }
    let mut site = Site::default();
    for key in doubts {
        let mut seen = vec![rows[&key].clone()];
        while seen.len() < MOST_LOOKS {
            let [v4, v6] = site.look(Case::of(key));
            let text = match key.family {
                Family::V4 => v4,
                Family::V6 => v6,
            };
            let is_met = Wanted::of(key, reviewed).is_met(&text);
            say(&format!(
                "{} {key:?}\n  {}\n  {text}",
                BOXES[key.number], rows[&key]
            ));
            check_places(&text, key);
            if is_met {
                rows.insert(key, text);
                break;
            }
            if seen.contains(&text) && matches!(Wanted::of(key, reviewed), Wanted::Row(_)) {
                break;
            }
            seen.push(text);
        }
    }
    count
}

#[expect(
    clippy::print_stderr,
    reason = "how much is in doubt is worth to be known also of a test that passes"
)]
fn say(text: &str) {
    eprintln!("{text}");
}

fn is_too_many(doubts: usize, rows: &Rows) -> bool {
    doubts * 100 > MOST_DOUBTS * rows.len()
}

#[track_caller]
fn check_places(text: &str, key: Key) {
    let spec = BOXES[key.number];
    assert!(!text.contains(MISPLACED), "{spec} {key:?}: {text}");
}

#[test]
fn every_box_is_found_where_it_is() {
    if !lab::works() {
        return;
    }
    let begin = Instant::now();
    let reviewed = table::reviewed(BOXES);
    let mut rows = looked_at(&cases());
    for (key, text) in &rows {
        check_places(text, *key);
    }
    let parallel = begin.elapsed();
    let doubts = look_again(&mut rows, &reviewed);
    say(&format!(
        "{} rows in {parallel:?}, {doubts} looked at again until {:?}",
        rows.len(),
        begin.elapsed()
    ));
    for (key, text) in &rows {
        if let wanted @ Wanted::Mention(words) = Wanted::of(*key, &reviewed) {
            assert!(wanted.is_met(text), "{words}: {key:?}: {text}");
        }
    }
    rows.retain(|key, _| HASTY.iter().all(|(spec, _)| *spec != BOXES[key.number]));
    insta::assert_snapshot!("boxes", table::text(&rows, BOXES));
    assert!(
        !is_too_many(doubts, &rows),
        "{doubts} of {} rows were looked at again",
        rows.len()
    );
}
