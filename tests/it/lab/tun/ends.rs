//! How connections end: data, FIN and fast close.

use super::{CLIENT, Plan, SERVER};

#[test]
fn the_kernel_ends_its_data_first() {
    for plan in [CLIENT, SERVER] {
        let Some(mut pair) = plan.start() else { return };
        pair.exchange(100_000);
        pair.kernel(&["shutdown"]);
        pair.ours(&["eof", "send 50000"]);
        pair.kernel(&["read 150000"]);
        pair.ours(&["shutdown"]);
        pair.kernel(&["eof"]);
        let outcome = pair.end();
        outcome.check_whole();
        outcome.check_mirrored();
    }
}

#[test]
fn both_end_their_data_at_once_right_behind_them() {
    // K33, K35: DATA_FIN with the last data, and a mapping that gains it.
    for turn in 0..4 {
        let plan = if turn % 2 == 0 { CLIENT } else { SERVER };
        let Some(mut pair) = plan.start() else { return };
        for end in [&mut pair.ours, &mut pair.kernel] {
            end.tell("send 300000").unwrap();
            end.tell("shutdown").unwrap();
        }
        pair.ours(&["eof"]);
        pair.kernel(&["eof"]);
        let outcome = pair.end();
        outcome.check_whole();
        outcome.check_mirrored();
        assert!(!outcome.has("FellBack"), "{:?}", outcome.events);
    }
}

#[test]
fn a_connection_without_data_ends_too() {
    for plan in [CLIENT, SERVER] {
        let Some(pair) = plan.start() else { return };
        let outcome = pair.end_whole();
        assert_eq!(outcome.up.received_bytes, 0);
        assert!(
            outcome.has("Closed { how: Closed }"),
            "{:?}",
            outcome.events
        );
    }
}

#[test]
fn our_abort_resets_the_kernels_connection() {
    // K29 is the form of ours that is usual, K28 the other one.
    for (plan, resets) in [
        (CLIENT, false),
        (SERVER, false),
        (
            Plan {
                settings: "fastclose=ack",
                ..CLIENT
            },
            true,
        ),
    ] {
        let Some(mut pair) = plan.start() else { return };
        pair.exchange(100_000);
        pair.ours(&["abort", "wait Closed", "pause 50"]);
        pair.kernel(&["eof"]);
        let outcome = pair.end();
        assert_eq!(outcome.up.end, "ConnectionReset");
        assert!(outcome.has("Closed { how: Aborted }"));
        assert_eq!(outcome.kernel.mptcp("MPFastcloseRx"), 1);
        // The kernel answers the form in an ACK with a RST, ours sends it.
        let sent = (outcome.count("MPRstTx"), outcome.kernel.mptcp("MPRstTx"));
        assert_eq!(sent, if resets { (0, 1) } else { (1, 0) });
        outcome.check_mirrored();
    }
}

#[test]
fn our_abort_ends_all_subflows() {
    let Some(mut pair) = CLIENT.start() else {
        return;
    };
    pair.exchange(100_000);
    pair.join();
    pair.exchange(400_000);
    pair.ours(&["abort", "wait Closed"]);
    pair.kernel(&["eof"]);
    let outcome = pair.end();
    assert_eq!(outcome.up.end, "ConnectionReset");
    assert_eq!(outcome.count("MPFastcloseTx"), 2);
    // The kernel has ended the second one when its RST comes.
    assert!(outcome.kernel.mptcp("MPFastcloseRx") >= 1);
}

#[test]
fn an_abort_of_the_kernel_resets_our_connection() {
    // K30.
    for (plan, joins) in [(CLIENT, false), (SERVER, false), (CLIENT, true)] {
        let Some(mut pair) = plan.start() else { return };
        pair.exchange(100_000);
        if joins {
            pair.join();
            pair.exchange(400_000);
        }
        pair.kernel(&["abort"]);
        pair.ours(&["eof"]);
        let outcome = pair.end();
        assert_eq!(outcome.down.end, "ConnectionReset");
        assert!(outcome.has("Closed { how: ResetByPeer }"));
        assert!(outcome.count("MPFastcloseRx") >= 1);
        let sent = outcome.kernel.mptcp("MPFastcloseTx");
        assert_eq!(sent, if joins { 2 } else { 1 });
    }
}

#[test]
fn the_end_of_data_is_repeated_until_it_is_acknowledged() {
    // K34. Nothing passes toward the kernel for a while: neither our DATA_ACK nor our DATA_FIN.
    let plan = Plan {
        settings: "box=impair:toward=server,down_ms=300..900",
        ..CLIENT
    };
    for kernel_first in [true, false] {
        let Some(mut pair) = plan.start() else { return };
        pair.exchange(100_000);
        pair.ours(&["pause 400"]);
        if kernel_first {
            pair.kernel(&["shutdown"]);
            pair.ours(&["eof", "shutdown"]);
            pair.kernel(&["eof"]);
        } else {
            pair.ours(&["shutdown"]);
            pair.kernel(&["eof", "shutdown"]);
            pair.ours(&["eof"]);
        }
        pair.ours(&["wait Closed"]);
        let outcome = pair.end();
        outcome.check_whole();
        assert!(!outcome.has("FellBack"), "{:?}", outcome.events);
    }
}
