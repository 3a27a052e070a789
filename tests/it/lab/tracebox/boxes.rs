//! Each box, at each place of a chain of four routers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::thread;

use mptcp_tests::lab::{self, Lab, Node};
use mptcp_tracebox::trace::{Blame, Interval, Place, Trace};

use super::{V4, V6, chain, trace};

const ROUTERS: u8 = 4;

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

/// The verdict in a few words.
fn line(found: &Trace) -> String {
    let verdict = &found.verdict;
    let mut text = verdict.code.name().to_owned();
    if let Some(between) = verdict.between {
        let until = match between.until {
            Place::Hop(hop) => hop.to_string(),
            Place::Target => "T".to_owned(),
        };
        let _ = write!(text, " [{}..{until}]", between.after);
    }
    for located in &found.flows[0].changes {
        let _ = write!(text, "; {} {}", located.change.field, located.change.how);
    }
    text
}

/// What is found of every box in one router.
fn at(router: u8) -> BTreeMap<(usize, u8), String> {
    let (lab, _server): (Lab, _) = chain(ROUTERS);
    let mut rows = BTreeMap::new();
    for (number, spec) in BOXES.iter().enumerate() {
        let _box = lab.place(Node::router(1, router), spec).unwrap();
        let found = [V4, V6].map(|target| {
            let found = trace(&lab, target);
            let mut line = line(&found);
            if !is_placed(router, &found) {
                line += MISPLACED;
            }
            line
        });
        let [v4, v6] = found;
        let text = if v4 == v6 {
            v4
        } else {
            format!("IPv4 {v4} | IPv6 {v6}")
        };
        rows.insert((number, router), text);
    }
    rows
}

#[test]
fn every_box_is_found_where_it_is() {
    if !lab::works() {
        return;
    }
    let threads: Vec<_> = (1..=ROUTERS)
        .map(|router| thread::spawn(move || at(router)))
        .collect();
    let mut rows = BTreeMap::new();
    for thread in threads {
        rows.extend(thread.join().unwrap());
    }
    let mut table = String::new();
    for ((number, router), text) in &rows {
        if *router == 1 {
            let _ = writeln!(table, "{}", BOXES[*number]);
        }
        let _ = writeln!(table, "  @{router} {text}");
    }
    assert!(!table.contains(MISPLACED), "{table}");
    insta::assert_snapshot!("boxes", table);
}
