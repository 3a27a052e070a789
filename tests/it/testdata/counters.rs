//! Events of the analyzer against the kernel's counters.

use mptcp_analyze::model::{CheckResult, Event, EventKind, Side, Subflow};

use super::{check_all, differ};

/// Whether a counter counts an event.
type Counted = fn(&EventKind) -> bool;

/// Counters of what a host sent, as events.
const SENT: &[(&str, Counted)] = &[
    ("MPTcpExtMPPrioTx", |kind| {
        matches!(kind, EventKind::Prio { .. })
    }),
    ("MPTcpExtMPFastcloseTx", |kind| {
        matches!(kind, EventKind::FastClose { .. })
    }),
    ("MPTcpExtMPFailTx", |kind| {
        matches!(kind, EventKind::Fail { .. })
    }),
    ("MPTcpExtRmAddrTx", |kind| {
        matches!(kind, EventKind::RemoveAddr { .. })
    }),
    ("MPTcpExtAddAddrTx", |kind| {
        matches!(kind, EventKind::AddAddr { echo: false, .. })
    }),
    ("MPTcpExtEchoAddTx", |kind| {
        matches!(kind, EventKind::AddAddr { echo: true, .. })
    }),
];

/// Counters of what a host received. The kernel does not count an address with a wrong HMAC.
const RECEIVED: &[(&str, Counted)] = &[
    ("MPTcpExtMPPrioRx", |kind| {
        matches!(kind, EventKind::Prio { .. })
    }),
    ("MPTcpExtMPFastcloseRx", |kind| {
        matches!(kind, EventKind::FastClose { .. })
    }),
    ("MPTcpExtRmAddr", |kind| {
        matches!(kind, EventKind::RemoveAddr { .. })
    }),
    (
        "MPTcpExtAddAddr",
        |kind| matches!(kind, EventKind::AddAddr { echo: false, hmac, .. } if *hmac != CheckResult::Bad),
    ),
    ("MPTcpExtEchoAdd", |kind| {
        matches!(kind, EventKind::AddAddr { echo: true, .. })
    }),
];

/// Who sent what a counter counts, seen from the host whose counter it is.
enum Sender {
    Own,
    Peer,
}

/// Counters that leave something out: resets of joins for which there is no full socket yet, and what
/// comes after a fallback, when the kernel does not look at options any more and has counted another
/// reason already.
const AT_LEAST: &[(&str, Sender, Counted)] = &[
    ("MPTcpExtMPRstTx", Sender::Own, is_reset),
    ("MPTcpExtMPRstRx", Sender::Peer, is_reset),
    ("MPTcpExtInfiniteMapTx", Sender::Own, is_infinite),
    ("MPTcpExtInfiniteMapRx", Sender::Peer, is_infinite),
    ("MPTcpExtMPFailRx", Sender::Peer, |kind| {
        matches!(kind, EventKind::Fail { .. })
    }),
];

fn is_reset(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::Reset {
            reason: Some(_),
            ..
        }
    )
}

fn is_infinite(kind: &EventKind) -> bool {
    matches!(kind, EventKind::InfiniteMapping { .. })
}

#[test]
fn events_are_as_many_as_the_kernel_counted() {
    check_all(|place, connection| {
        let mut wrong = Vec::new();
        if place.file.late {
            return wrong;
        }
        for (table, sender) in [(SENT, place.side), (RECEIVED, place.side.other())] {
            for (name, is) in table {
                let counts = |event: &&Event| event.sender == sender && is(&event.kind);
                let ours = connection.events.iter().filter(counts).count() as u64;
                differ(&mut wrong, name, &ours, &place.counter(name));
            }
        }
        for (name, sender, is) in AT_LEAST {
            let sender = match sender {
                Sender::Own => place.side,
                Sender::Peer => place.side.other(),
            };
            let counts = |event: &&Event| event.sender == sender && is(&event.kind);
            let ours = connection.events.iter().filter(counts).count() as u64;
            let kernel = place.counter(name);
            if ours < kernel {
                wrong.push(format!("{name}: ours {ours}, kernel {kernel}"));
            }
        }
        wrong
    });
}

#[test]
fn joins_are_as_many_as_the_kernel_counted() {
    check_all(|place, connection| {
        let mut wrong = Vec::new();
        let joins = |opener: Side| {
            let opened = move |subflow: &&Subflow| subflow.initiator == Some(opener);
            let opened = connection.subflows.iter().filter(opened);
            opened.filter_map(|subflow| subflow.join.as_ref())
        };
        let (own, peer) = (place.side, place.side.other());
        let asked = joins(own).filter(|join| join.syn_frame.is_some());
        // Those with a wrong HMAC or at a wrong port have counters of their own, and the HMAC is checked
        // first.
        let fits = |check| check != CheckResult::Bad;
        let answered =
            joins(own).filter(|join| join.syn_ack_frame.is_some() && fits(join.syn_ack_hmac));
        let accepted = joins(peer).filter(|join| join.ack_frame.is_some() && fits(join.ack_hmac));
        let counts = [
            (asked.count(), &["MPTcpExtMPJoinSynTx"][..]),
            (answered.count(), &["MPTcpExtMPJoinSynAckRx"]),
            (
                accepted.count(),
                &["MPTcpExtMPJoinAckRx", "MPTcpExtMismatchPortAckRx"],
            ),
        ];
        for (ours, names) in counts {
            let kernel = names.iter().map(|name| place.counter(name)).sum();
            differ(&mut wrong, &names.join(" + "), &(ours as u64), &kernel);
        }
        wrong
    });
}
