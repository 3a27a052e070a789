//! Bad links between the two.

use super::{CLIENT, Plan, SERVER};

/// Two megabytes each way at the same time, in both roles.
#[track_caller]
fn check(impairment: &str, joins: bool) {
    for plan in [CLIENT, SERVER] {
        let plan = Plan {
            settings: &format!("box=impair:{impairment}"),
            ..plan
        };
        let Some(mut pair) = plan.start() else { return };
        pair.exchange(1000);
        if joins && !plan.listens {
            pair.join();
        }
        pair.exchange(2_000_000);
        pair.end_unharmed();
    }
}

#[test]
fn one_packet_of_a_hundred_is_lost() {
    check("loss=0.01", false);
}

#[test]
fn one_packet_of_twenty_is_lost() {
    check("loss=0.05", false);
}

#[test]
fn packets_are_reordered() {
    check("reorder=0.1,reorder_ms=8", false);
}

#[test]
fn packets_are_late_by_chance() {
    check("delay_ms=20,jitter_ms=10", false);
}

#[test]
fn two_subflows_lose_and_delay() {
    check("loss=0.02,delay_ms=5", true);
}
