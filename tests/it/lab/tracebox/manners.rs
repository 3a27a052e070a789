//! A user without rights, one who does not wait for the end, routers that limit their errors, flows that
//! take different ways.

use std::net::SocketAddr;

use mptcp_proto::time::Instant;
use mptcp_tests::lab::{self, Application, IcmpLimit, Lab, Node, Topology};
use mptcp_tracebox::engine::Transmit;
use mptcp_tracebox::evidence::Evidence;
use mptcp_tracebox::probe::Probe;
use mptcp_tracebox::run::KernelMptcp;
use mptcp_tracebox::trace::{CellState, Code, Interval, Place, Trace};
use mptcp_tracebox::tracer::{
    Ended, NetError, Nobody, Observer, Request, Stop, Tracer, trace_unprivileged,
};
use mptcp_tracebox::verdict::judge;
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::{V4, V6, chain, on_client, run, trace};

fn request(target: &str) -> Request {
    Request::new(target.parse::<SocketAddr>().unwrap())
}

/// What a user without any capability gets, and what the kernel's own MPTCP.
fn trace_as_nobody(lab: &Lab, target: &str) -> (Trace, Option<KernelMptcp>) {
    let request = Request {
        probes: vec![Probe::Syn, Probe::fast_open(), Probe::md5()],
        ..request(target)
    };
    on_client(lab, move || {
        let none = CapabilitySet::empty();
        let sets = CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        };
        set_capabilities(None, sets).unwrap();
        let refused = Tracer::open(&request).unwrap_err();
        assert!(matches!(refused, NetError::NoPrivilege), "{refused}");
        let outcome = trace_unprivileged(&request, &Stop::default()).unwrap();
        assert!(matches!(outcome.ended, Ended::Complete));
        let found = judge(&outcome.evidence, request.target);
        (found, outcome.kernel_mptcp)
    })
}

#[test]
fn a_user_without_rights_sees_the_options_of_plain_tcp() {
    if !lab::works() {
        return;
    }
    let (lab, _server) = chain(4);
    for target in [V4, V6] {
        let (found, kernel) = trace_as_nobody(&lab, target);
        assert_eq!(found.verdict.code, Code::PathClean);
        assert_eq!(kernel, Some(KernelMptcp::Mptcp));
        assert_eq!(found.flows[0].distance, Some(5));
        for hop in &found.flows[0].hops {
            let states: Vec<_> = hop.cells.iter().map(|cell| cell.state).collect();
            assert_eq!(states, [CellState::Same; 3], "{target}, hop {}", hop.ttl);
        }
    }
    // Each of them with the probe that shows it.
    for (kind, probe) in [
        (8, Probe::Syn),
        (34, Probe::fast_open()),
        (19, Probe::md5()),
    ] {
        let place = Node::router(1, 2);
        let placed = lab.place(place, &format!("tcpoptstrip:kinds={kind}"));
        let _box = placed.unwrap();
        for target in [V4, V6] {
            let (found, kernel) = trace_as_nobody(&lab, target);
            assert_eq!(found.verdict.code, Code::PathChanges, "{kind}");
            assert_eq!(kernel, Some(KernelMptcp::Mptcp));
            let between = Interval {
                after: 2,
                until: Place::Hop(3),
            };
            let change = &found.flows[0].changes[0];
            assert_eq!(change.between, between, "{kind}");
            assert!(change.probes.contains(&probe), "{kind}: {change:?}");
        }
    }
}

#[test]
fn the_kernels_own_mptcp_tells_a_user_without_rights_whether_it_comes_through() {
    if !lab::works() {
        return;
    }
    let (lab, _server) = chain(3);
    for (text, expected) in [
        ("strip:option=mp_capable,on=syn", KernelMptcp::Tcp),
        (
            "refuse:with=mp_capable,on=syn,how=rst",
            KernelMptcp::Refused,
        ),
    ] {
        let _box = lab.place(Node::router(1, 2), text).unwrap();
        for target in [V4, V6] {
            let (found, kernel) = trace_as_nobody(&lab, target);
            // A plain SYN meets none of it.
            assert_eq!(found.verdict.code, Code::PathClean, "{text}");
            assert_eq!(kernel, Some(expected), "{text} {target}");
        }
    }
}

/// Has enough after a few packets.
struct Impatient {
    stop: Stop,
    left: u32,
}

impl Observer for Impatient {
    fn sent(&mut self, _at: Instant, _transmit: &Transmit) -> anyhow::Result<()> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.stop.want();
        }
        Ok(())
    }
}

#[test]
fn a_run_that_is_interrupted_tells_what_it_knows() {
    if !lab::works() {
        return;
    }
    let (lab, _server) = chain(3);
    let stop = Stop::default();
    let impatient = Impatient {
        stop: stop.clone(),
        left: 4,
    };
    let mut request = request(V4);
    // One at a time, so that there are answers before the end.
    request.pps = 10;
    request.max_ttl = 3;
    let target = request.target;
    let outcome = run(&lab, request, stop, impatient);
    assert!(matches!(outcome.ended, Ended::Interrupted));
    let is_heard = |evidence: &Evidence| evidence.all().iter().any(|sent| !sent.answers.is_empty());
    assert!(is_heard(&outcome.evidence));
    let found = judge(&outcome.evidence, target);
    assert_eq!(found.flows[0].changes, []);
}

#[test]
fn routers_that_limit_their_errors_are_not_accused() {
    if !lab::works() {
        return;
    }
    let topology = Topology::chain(3).with_icmp_limit(IcmpLimit::LinuxDefault);
    let lab = crate::network::build(&topology);
    let words = ["serve", "echo", "mptcp", "[::]:5001"];
    let mut server = Application::start(&lab, Node::Server, &words).unwrap();
    server.wait_for("listening").unwrap();
    for target in [V4, V6, V4, V6] {
        let found = trace(&lab, target);
        assert_eq!(
            found.verdict.code,
            Code::MptcpOk,
            "{}",
            found.verdict.sentence
        );
    }
}

#[test]
fn flows_that_meet_a_box_are_told_from_those_that_do_not() {
    if !lab::works() {
        return;
    }
    let lab = crate::network::build(&Topology::ecmp(2));
    let words = ["serve", "echo", "mptcp", "[::]:5001"];
    let mut server = Application::start(&lab, Node::Server, &words).unwrap();
    server.wait_for("listening").unwrap();
    let _box = lab
        .place(Node::router(1, 2), "strip:option=mp_capable,on=syn")
        .unwrap();
    let mut request = request(V4);
    request.flows = 12;
    let target = request.target;
    let outcome = run(&lab, request, Stop::default(), Nobody);
    let found = judge(&outcome.evidence, target);
    let hit = found.flows.iter().filter(|flow| !flow.changes.is_empty());
    let hit = hit.count();
    // All on one side is a chance of 1 in 2,048.
    assert!((1..12).contains(&hit), "{hit}");
    assert_eq!(found.verdict.code, Code::PathStripsSyn);
    let flows = format!("({hit} of 12 flows)");
    assert!(
        found.verdict.sentence.contains(&flows),
        "{}",
        found.verdict.sentence
    );
}
