//! Addresses that come and go while data pass: the server advertises its second one, to which the client opens the
//! second subflow; in mid-transfer that becomes a backup. Where the boxes are about such options, the server then
//! withdraws the address: over other boxes the way that is left might be none (RFC 8684 §3.7).

use mptcp_analyze::model::Blame;
use mptcp_proto::conn::config::Offer;
use mptcp_tests::sim::Seed;

use super::boxes::{CASES, Case};
use super::run::{Heard, Host, Outcome, Place};
use super::{Row, SEED, run_all, table};

/// Boxes that take just these options, and what the hosts do not hear then.
const STRIPS: [(Case, Heard); 5] = [
    (strip(""), NOTHING),
    (
        strip("strip:option=add_addr_announce"),
        Heard {
            add_addr: true,
            echo: true,
            prio: true,
            // What is withdrawn was never known.
            remove_addr: true,
        },
    ),
    (
        strip("strip:option=add_addr_echo"),
        Heard {
            echo: true,
            ..NOTHING
        },
    ),
    (
        strip("strip:option=remove_addr"),
        Heard {
            remove_addr: true,
            ..NOTHING
        },
    ),
    (
        strip("strip:option=mp_prio"),
        Heard {
            prio: true,
            ..NOTHING
        },
    ),
];

const NOTHING: Heard = Heard {
    add_addr: false,
    echo: false,
    prio: false,
    remove_addr: false,
};

const fn strip(spec: &'static str) -> Case {
    Case {
        spec,
        checksum: false,
    }
}

/// What both hosts heard, together.
fn heard(outcome: &Outcome) -> Heard {
    let [client, server] = outcome.hosts.map(|host| host.heard);
    Heard {
        add_addr: client.add_addr,
        echo: server.echo,
        prio: server.prio,
        remove_addr: client.remove_addr,
    }
}

/// What follows from RFC 8684 §3.3.8 and §3.4 where only the box takes something away.
#[track_caller]
fn check_signals(outcome: &Outcome, missing: Heard, is_v1: bool) {
    let [client, server]: [Host; 2] = outcome.hosts;
    let expected = Heard {
        add_addr: !missing.add_addr,
        // RFC 6824 has no echo, and so no repetition.
        echo: is_v1 && !missing.echo,
        prio: !missing.prio,
        remove_addr: !missing.remove_addr,
    };
    assert_eq!(heard(outcome), expected, "{outcome:?}");
    // No join to an address that nobody heard of.
    let joins = usize::from(!missing.add_addr);
    assert_eq!([client.up, server.up], [1 + joins; 2], "{outcome:?}");
    // An address is repeated until its echo comes (§3.4.1), and once only where it does.
    if missing.echo && is_v1 {
        assert!(server.add_addrs >= 2, "{outcome:?}");
    } else {
        assert!(server.add_addrs <= 2, "{outcome:?}");
    }
}

#[test]
fn options_of_addresses_that_a_box_takes_are_missed_and_nothing_else() {
    let cases = STRIPS.map(|(case, _)| case);
    let rows = run_all(&cases, Seed::from_env_or(SEED.0), &table::SIGNALS);
    let complaints: Vec<String> = rows.iter().flat_map(Row::complaints).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    for row in &rows {
        let strip = STRIPS.iter().find(|(case, _)| case.spec == row.case.spec);
        let (_, missing) = strip.unwrap();
        // MP_PRIO goes over the subflow that it is about, addresses over the initial one.
        let is_there = row.place == Place::Both || row.place == Place::Initial && !missing.prio;
        for (column, outcomes) in &row.mptcp {
            if let Some([without_loss, ..]) = outcomes.as_ref().filter(|_| is_there) {
                check_signals(without_loss, *missing, column.offer == Offer::V1);
            }
        }
    }
}

/// No host is blamed, and where there is no box nothing is told but that a subflow was reset whose address is gone.
#[track_caller]
fn check_blame(outcome: &Outcome, is_alone: bool) {
    for seen in [&outcome.seen, &outcome.seen_by_server] {
        let is_host = matches!(seen.by, Some(Blame::Client | Blame::Server));
        let is_clean = seen.findings.iter().all(|id| *id == "MPT060");
        assert!(!is_host && (is_clean || !is_alone), "{outcome:?}");
    }
}

#[test]
fn addresses_come_and_go_over_every_box() {
    let seed = Seed::from_env_or(SEED.0);
    let rows = run_all(CASES, seed, &table::SIGNALS);
    // Reasons are those of the other tables, or none where a join was sooner than what shows them.
    let complaints: Vec<String> = rows.iter().flat_map(Row::complaints).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    for row in &rows {
        let outcomes = row
            .mptcp
            .iter()
            .filter_map(|(_, outcomes)| outcomes.as_ref());
        for outcome in outcomes.flatten() {
            if row.case.spec != MISJUDGED {
                check_blame(outcome, row.case.spec.is_empty());
            }
        }
    }
    if seed == SEED {
        insta::assert_snapshot!("signals", table::outcomes(&rows));
    }
}

/// The analyzer takes acknowledgements that are bare but for an ADD_ADDR for a host's own doing.
const MISJUDGED: &str = "strip:on=pure_ack,toward=client";
