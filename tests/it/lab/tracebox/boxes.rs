//! Each box, at each place of chains of three, five and ten routers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::thread;

use mptcp_tests::lab::{self, Lab, Node};
use mptcp_tracebox::trace::{Blame, Interval, Place, Trace};

use super::{V4, V6, trace};

/// Lengths of the chains.
const CHAINS: [u8; 3] = [3, 5, 10];

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
];

/// Boxes that now and then are not seen, or a hop more widely, for they are told by when an answer comes;
/// and what is said of them when they are. They are in no snapshot.
const HASTY: [(&str, &str); 3] = [
    ("proactive:toward=server", "proactive_ack"),
    ("ack:how=drop", "loses unseen ACKs"),
    ("ack:how=correct", "acknowledgement number rewritten"),
];

/// Of a hundred places, in how many such a box is seen at least.
const LEAST_SEEN: usize = 75;

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

/// A box, what is said of it, and where.
type Row = (usize, String, (u8, u8));

/// What is found of every box in one router, in both families at the same time.
fn at(chain: u8, router: u8) -> Vec<Row> {
    let (lab, _server): (Lab, _) = super::chain(chain);
    let mut rows = Vec::new();
    for (number, spec) in BOXES.iter().enumerate() {
        let _box = lab.place(Node::router(1, router), spec).unwrap();
        let found = thread::scope(|scope| {
            let runs = [V4, V6].map(|target| {
                let lab = &lab;
                scope.spawn(move || trace(lab, target))
            });
            runs.map(|run| run.join().unwrap())
        });
        for (family, found) in ["IPv4", "IPv6"].into_iter().zip(found) {
            let mut line = format!("{family} {}", line(router, &found));
            if !is_placed(router, &found) {
                line += MISPLACED;
            }
            rows.push((number, line, (chain, router)));
        }
    }
    rows
}

#[test]
fn every_box_is_found_where_it_is() {
    if !lab::works() {
        return;
    }
    let places = CHAINS
        .into_iter()
        .flat_map(|chain| (1..=chain).map(move |router| (chain, router)));
    let threads: Vec<_> = places
        .map(|(chain, router)| thread::spawn(move || at(chain, router)))
        .collect();
    let rows = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap());
    let mut table = Table::new();
    let mut hasty = [(0, 0); HASTY.len()];
    for (number, text, place) in rows {
        let at = HASTY.iter().position(|(spec, _)| *spec == BOXES[number]);
        if let Some(at) = at {
            assert!(!text.contains(MISPLACED), "{}: {text}", BOXES[number]);
            let (chain, router) = place;
            // Behind the last router nobody but the target answers.
            if router < chain {
                let (all, seen) = &mut hasty[at];
                *all += 1;
                *seen += usize::from(text.contains(HASTY[at].1));
            }
            continue;
        }
        let texts = table.entry(number).or_default();
        texts.entry(text).or_default().push(place);
    }
    for ((spec, _), (all, seen)) in HASTY.iter().zip(hasty) {
        assert!(seen * 100 >= all * LEAST_SEEN, "{spec}: {seen} of {all}");
    }
    let table = text(&table);
    assert!(!table.contains(MISPLACED), "{table}");
    insta::assert_snapshot!("boxes", table);
}

/// For each box and each thing that is said of it: the lengths of the chains, and the router with the box.
type Table = BTreeMap<usize, BTreeMap<String, Vec<(u8, u8)>>>;

/// Each box, and where each thing is said of it: `5@1-4` is a chain of five routers with the box in one of
/// the first four.
fn text(table: &Table) -> String {
    let mut out = String::new();
    for (number, texts) in table {
        let _ = writeln!(out, "{}", BOXES[*number]);
        for (text, places) in texts {
            let _ = writeln!(out, "  {text}  {}", ranges(places));
        }
    }
    out
}

fn ranges(places: &[(u8, u8)]) -> String {
    let mut places = places.to_vec();
    places.sort_unstable();
    let mut ranges: Vec<(u8, u8, u8)> = Vec::new();
    for (chain, router) in places {
        match ranges.last_mut() {
            Some((known, _, last)) if *known == chain && *last + 1 == router => *last = router,
            _ => ranges.push((chain, router, router)),
        }
    }
    let texts = ranges.iter().map(|(chain, first, last)| {
        if first == last {
            format!("{chain}@{first}")
        } else {
            format!("{chain}@{first}-{last}")
        }
    });
    texts.collect::<Vec<_>>().join(" ")
}
