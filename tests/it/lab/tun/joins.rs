//! Second subflows, from either side.

use super::{CLIENT, KERNEL_JOINS, Plan, SERVER, value};

#[test]
fn our_join_to_the_kernel_carries_data_both_ways() {
    for plan in [
        Plan {
            records: true,
            ..CLIENT
        },
        Plan {
            family: "6",
            ..CLIENT
        },
        Plan {
            settings: "checksum scheduler=round-robin",
            ..CLIENT
        },
        // K53: the kernel keeps no half-open subflow either.
        Plan {
            before: "echo 2 > /proc/sys/net/ipv4/tcp_syncookies",
            ..CLIENT
        },
    ] {
        let Some(mut pair) = plan.start() else { return };
        pair.exchange(200_000);
        pair.join();
        pair.exchange(1_000_000);
        let subflows = pair.subflows();
        assert_eq!(subflows.len(), 2, "{subflows:?}");
        assert_eq!(value(&subflows[1], "local_id"), "1");
        let outcome = pair.end_whole();
        assert_eq!(outcome.kernel.mptcp("MPJoinAckRx"), 1);
        assert_eq!(outcome.kernel.mptcp("MPJoinAckHMacFailure"), 0);
    }
}

#[test]
fn a_join_before_any_data_is_accepted() {
    // K16. Our endpoint waits until it is fully established; the DATA_ACK of one byte is enough.
    let Some(mut pair) = CLIENT.start() else {
        return;
    };
    pair.exchange(1);
    pair.join();
    pair.exchange(100_000);
    pair.end_whole();
}

#[test]
fn a_join_of_the_kernel_carries_data_and_goes_when_its_address_goes() {
    for settings in ["", "checksum", "cookies"] {
        let plan = Plan {
            settings,
            after: KERNEL_JOINS,
            records: settings.is_empty(),
            ..SERVER
        };
        let Some(mut pair) = plan.start() else { return };
        pair.exchange(200_000);
        pair.ours(&["wait SubflowUp 2"]);
        pair.exchange(1_000_000);
        let subflows = pair.subflows();
        assert!(subflows[1].contains(" 10.200.1.1:"), "{subflows:?}");
        assert_eq!(value(&subflows[1], "remote_id"), "7");
        // K49: the kernel's REMOVE_ADDR, and FIN on the subflow.
        pair.lab
            .run(super::HOST, "ip mptcp endpoint del id 7")
            .unwrap();
        pair.ours(&["wait AddressRemoved", "wait SubflowDown"]);
        pair.exchange(200_000);
        let outcome = pair.end_unharmed();
        assert_eq!(outcome.kernel.mptcp("MPJoinSynAckRx"), 1);
        assert_eq!(outcome.count("MPJoinAckRx"), 1);
        assert_eq!(outcome.count("RmAddr"), outcome.kernel.mptcp("RmAddrTx"));
    }
}

#[test]
fn the_kernel_sends_only_where_we_do_not_ask_for_a_backup() {
    // K50, MP_PRIO of ours.
    let Some(mut pair) = CLIENT.start() else {
        return;
    };
    pair.exchange(200_000);
    pair.join();
    pair.ours(&["backup 0", "pause 100"]);
    let before = pair.kernel_sent("10.200.0.2:");
    pair.exchange(400_000);
    assert_eq!(pair.kernel_sent("10.200.0.2:"), before);
    pair.ours(&["regular 0", "backup 1", "pause 100"]);
    let before = pair.kernel_sent("10.200.1.2:");
    pair.exchange(400_000);
    assert_eq!(pair.kernel_sent("10.200.1.2:"), before);
    let outcome = pair.end_whole();
    assert_eq!(outcome.kernel.mptcp("MPPrioRx"), 3);
}

#[test]
fn we_send_only_where_the_kernel_does_not_ask_for_a_backup() {
    let plan = Plan {
        after: KERNEL_JOINS,
        ..SERVER
    };
    let Some(mut pair) = plan.start() else { return };
    pair.exchange(200_000);
    pair.ours(&["wait SubflowUp 2"]);
    let change = "ip mptcp endpoint change id 7 backup";
    pair.lab.run(super::HOST, change).unwrap();
    pair.ours(&["wait PriorityChanged"]);
    pair.exchange(400_000);
    let subflows = pair.subflows();
    assert_eq!(value(&subflows[1], "remote"), "Backup", "{subflows:?}");
    let outcome = pair.end_whole();
    assert_eq!(outcome.count("MPPrioRx"), 1);
}

#[test]
fn a_backup_join_of_the_kernel_stays_idle() {
    let plan = Plan {
        after: "ip mptcp endpoint add 10.200.1.1 id 7 subflow backup",
        ..SERVER
    };
    let Some(mut pair) = plan.start() else { return };
    pair.exchange(200_000);
    pair.ours(&["wait SubflowUp 2"]);
    pair.exchange(400_000);
    let sent = tell_idle(&mut pair);
    let outcome = pair.end_whole();
    assert_eq!(outcome.count("MPJoinSynBackupRx"), 1);
    // Where the machine was held up until a timer of the kernel's MPTCP ran out, a backup may help it too.
    assert!(
        sent == 0 || outcome.kernel.mptcp("MPTCPRetrans") > 0,
        "{sent} bytes"
    );
}

/// Nothing came over the kernel's subflow from its second address, but what ours had to send again: where the
/// machine was held up until a retransmission timer ran out, a backup may help. Returns what the kernel sent there.
#[track_caller]
fn tell_idle(pair: &mut super::Pair) -> u64 {
    let [ours, _] = pair.infos();
    let again: usize = value(&ours, "retransmits").parse().unwrap();
    super::tell(&mut pair.kernel, "subflows");
    let lines = pair.kernel.lines.iter().rev();
    let line = lines
        .into_iter()
        .find(|line| line.starts_with("subflow 10.200.1.1:"));
    let line = line.expect("the kernel has it");
    let sent = value(line, "bytes_sent").parse().unwrap();
    let received: usize = value(line, "bytes_received").parse().unwrap();
    assert!(
        received <= again * 1460,
        "{received} bytes, {again} retransmissions"
    );
    sent
}

#[test]
fn a_subflow_that_ends_leaves_the_connection_whole() {
    for end in ["reset 0 3", "finish 0"] {
        let Some(mut pair) = CLIENT.start() else {
            return;
        };
        pair.exchange(200_000);
        pair.join();
        pair.ours.tell("send 1000000").unwrap();
        pair.kernel.tell("send 1000000").unwrap();
        pair.ours(&[end, "wait SubflowDown", "read 1200000"]);
        pair.kernel(&["read 1200000"]);
        let outcome = pair.end_unharmed();
        let resets = u64::from(end.starts_with("reset"));
        assert_eq!(outcome.count("MPRstTx"), resets, "{end}");
        assert_eq!(outcome.kernel.mptcp("MPRstRx"), resets, "{end}");
    }
}

#[test]
fn a_connection_without_subflow_waits_for_the_next_one() {
    // K31: neither application sees anything.
    let Some(mut pair) = CLIENT.start() else {
        return;
    };
    pair.exchange(100_000);
    pair.ours(&["reset 0 5", "wait SubflowDown", "pause 50"]);
    pair.ours.tell("send 50000").unwrap();
    pair.kernel.tell("send 50000").unwrap();
    pair.join();
    pair.ours(&["read 150000"]);
    pair.kernel(&["read 150000"]);
    let outcome = pair.end_whole();
    assert_eq!(outcome.kernel.mptcp("MPRstRx"), 1);
}
