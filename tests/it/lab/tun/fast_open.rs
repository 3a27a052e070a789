//! Fast Open with MPTCP (RFC 8684 appendix B), both ways.

use super::{CLIENT, HOST, Plan, SERVER, counters, value};

/// Both sides of the kernel may do it, with its own cookies.
const WILLING: &str = "echo 3 > /proc/sys/net/ipv4/tcp_fastopen";

/// Runs a connection with data in its SYN; all arrives, and it stays MPTCP.
#[track_caller]
fn check(plan: &Plan<'_>, counter: &str) {
    let early = plan.early.unwrap();
    let Some(mut pair) = plan.start() else { return };
    let read = format!("read {}", early + 50_000);
    if plan.listens {
        pair.kernel(&["send 50000"]);
        pair.ours(&[&read, "send 70000"]);
        pair.kernel(&["read 70000"]);
    } else {
        pair.ours(&["send 50000"]);
        pair.kernel(&[&read, "send 70000"]);
        pair.ours(&["read 70000"]);
    }
    for info in pair.infos() {
        assert_eq!(value(&info, "is_mptcp"), "1", "{info}");
    }
    let fast = counters(&pair.lab, HOST).of(counter);
    assert_eq!(fast, 1, "{counter}");
    pair.end_unharmed();
}

#[test]
fn a_kernel_server_takes_the_data_of_our_syn() {
    for settings in ["fast", "fast checksum"] {
        let plan = Plan {
            before: WILLING,
            settings,
            early: Some(400),
            ..CLIENT
        };
        check(&plan, "TcpExtTCPFastOpenPassive");
    }
}

#[test]
fn our_server_takes_the_data_of_a_kernel_s_syn() {
    for (settings, early) in [("fast", 1400), ("fast checksum", 1400), ("fast", 3000)] {
        let plan = Plan {
            before: WILLING,
            settings,
            early: Some(early),
            ..SERVER
        };
        check(&plan, "TcpExtTCPFastOpenActive");
    }
}
