//! Every middlebox of the kit against the kernel: what it does to packets, seen on both sides of it,
//! and what the kernel's MPTCP makes of that.
//!
//! ```text
//! client ── r11 ──near─ box ─far── server
//! ```

mod change;
mod ground;
mod header;
mod impair;
mod kernel;
mod numbers;
mod paths;
mod payload;
mod quote;
mod refuse;
mod rewrite;
mod segments;
mod sides;
mod strip;
mod syn_payload;

use std::collections::BTreeSet;

use mptcp_tests::lab::{self, KERNEL_BOXES};
use mptcp_tests::middlebox::spec;

use change::Change;
use ground::{Data, Ground, Plan, Trial};

/// What is expected of one box.
struct Case {
    /// The box, as [`lab::Lab::place`] reads it.
    spec: &'static str,
    /// Another box, in the router before it.
    upstream: Option<&'static str>,
    /// Shell text in its router, before it comes.
    before: &'static str,
    /// What it does to packets.
    change: Change,
    /// Checks what else it does, and takes it out of the captures or undoes it.
    own: fn(&mut Trial),
    /// Whether the client's and the server's connection is MPTCP after the handshake, and after
    /// data.
    mptcp: [(bool, bool); 2],
    /// The counters of the client and of the server that say that something went wrong.
    incidents: [&'static [&'static str]; 2],
    /// What becomes of the data.
    data: Data,
}

/// MPTCP all the time, and nothing to tell.
const UNHARMED: Case = Case {
    spec: "",
    upstream: None,
    before: "",
    change: Change::NONE,
    own: |_| {},
    mptcp: [YES, YES],
    incidents: [&[], &[]],
    data: Data::Whole,
};

/// The connection is MPTCP, and stays so.
const YES: (bool, bool) = (true, true);
/// It never was.
const NO: (bool, bool) = (false, false);
/// It falls back when data flow.
const FALLS: (bool, bool) = (true, false);

/// Tries every case with both families.
#[track_caller]
fn check(cases: &[Case]) {
    check_with(cases, &Plan::USUAL, "");
}

/// The same for another exchange, after shell text on both hosts.
#[track_caller]
fn check_with(cases: &[Case], plan: &Plan, hosts: &str) {
    if !lab::works() {
        return;
    }
    let ground = Ground::new(hosts);
    let mut wrong = Vec::new();
    for case in cases {
        for to in [V4, V6] {
            let trial = ground.attempt_case(case, &Plan { to, ..*plan });
            wrong.extend(case.differences(&trial).iter().map(|difference| {
                let spec = case.spec;
                format!("{spec} to {to}: {difference}")
            }));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Tries one box whose effect is a matter of chance; one of the cases must fit.
#[track_caller]
fn check_either(cases: &[Case], plan: &Plan, hosts: &str) {
    if !lab::works() {
        return;
    }
    let ground = Ground::new(hosts);
    for to in [V4, V6] {
        let trial = ground.attempt_case(&cases[0], &Plan { to, ..*plan });
        let outcomes: Vec<_> = cases.iter().map(|case| case.differences(&trial)).collect();
        let fits = outcomes.iter().any(Vec::is_empty);
        assert!(fits, "{to}: {outcomes:#?}");
    }
}

/// The server's addresses.
const V4: &str = "10.2.1.1:5001";
const V6: &str = "[fd00:2:1::1]:5001";

impl Case {
    /// What is not as it should be.
    fn differences(&self, trial: &Trial) -> Vec<String> {
        let mut wrong = sides::differences(trial, &self.change);
        let mut compare = |what: &str, seen: String, expected: String| {
            if seen != expected {
                wrong.push(format!("{what}: {seen}, not {expected}"));
            }
        };
        for (index, host) in ["client", "server"].into_iter().enumerate() {
            let measured = &trial.hosts[index];
            compare(
                &format!("{host} is MPTCP"),
                format!("{:?}", measured.mptcp),
                format!("{:?}", self.mptcp[index]),
            );
            compare(
                &format!("{host} counts"),
                format!("{:?}", measured.incidents()),
                format!("{:?}", self.incidents[index]),
            );
        }
        compare(
            "data",
            format!("{:?}", trial.data),
            format!("{:?}", self.data),
        );
        wrong
    }
}

#[test]
fn every_box_has_a_case() {
    let cases = [
        header::CASES,
        impair::CASES,
        kernel::CASES,
        numbers::CASES,
        payload::CASES,
        refuse::CASES,
        rewrite::CASES,
        segments::CASES,
        strip::CASES,
    ];
    let cases = cases.into_iter().flatten().copied().flatten();
    let specs = cases.map(|case| case.spec);
    let others = [
        kernel::SPECS,
        refuse::SPECS,
        syn_payload::SPECS,
        &quote::SPECS,
        &paths::specs(),
    ]
    .concat();
    let names = specs.chain(others).flat_map(|spec| spec.split('+'));
    let tried: BTreeSet<&str> = names.filter_map(|spec| spec.split(':').next()).collect();
    let own = spec::ALL.iter().map(|entry| entry.name);
    let known: BTreeSet<&str> = own
        .chain(KERNEL_BOXES.iter().map(|known| known.name))
        .collect();
    assert_eq!(tried, known);
}
