//! ADD_ADDR and REMOVE_ADDR, from either side.

use super::{CLIENT, HOST, KERNEL_ADVERTISES, Plan, SERVER, value};

#[test]
fn the_kernel_joins_the_address_that_we_advertise_and_leaves_it_when_we_withdraw_it() {
    // K46: an echo, and a join, also when the kernel is the server.
    for plan in [
        SERVER,
        Plan {
            records: true,
            ..CLIENT
        },
        Plan {
            family: "6",
            ..SERVER
        },
    ] {
        let Some(mut pair) = plan.start() else { return };
        pair.exchange(100_000);
        pair.ours(&["announce 1", "wait AddressEchoed", "wait SubflowUp 2"]);
        pair.exchange(500_000);
        let subflows = pair.subflows();
        assert_eq!(value(&subflows[1], "local_id"), "1", "{subflows:?}");
        // K48.
        pair.ours(&["withdraw 1", "wait SubflowDown"]);
        pair.exchange(200_000);
        let outcome = pair.end_whole();
        assert_eq!(outcome.kernel.mptcp("AddAddr"), 1);
        assert_eq!(outcome.kernel.mptcp("RmAddr"), 1);
    }
}

#[test]
fn the_kernel_joins_the_port_that_we_advertise() {
    let Some(mut pair) = SERVER.start() else {
        return;
    };
    pair.exchange(100_000);
    pair.ours(&["announce 1 6001", "wait AddressEchoed", "wait SubflowUp 2"]);
    pair.exchange(500_000);
    let subflows = pair.subflows();
    assert!(subflows[1].contains(" 10.200.1.2:6001 "), "{subflows:?}");
    let outcome = pair.end_whole();
    assert_eq!(outcome.kernel.mptcp("PortAdd"), 1);
    assert_eq!(outcome.kernel.mptcp("MPJoinPortSynAckRx"), 1);
}

/// Our path manager `settings` opens so many subflows after the kernel's ADD_ADDR.
#[track_caller]
fn check_reaction(settings: &str, after: &str, joins: usize) {
    let plan = Plan {
        settings,
        after,
        records: after == KERNEL_ADVERTISES,
        ..CLIENT
    };
    let Some(mut pair) = plan.start() else { return };
    pair.exchange(100_000);
    pair.ours(&[
        "wait AddressAnnounced",
        &format!("wait SubflowUp {}", joins + 1),
    ]);
    pair.exchange(500_000);
    assert_eq!(pair.subflows().len(), joins + 1);
    // K49: with it go the subflows to it.
    pair.lab.run(HOST, "ip mptcp endpoint del id 7").unwrap();
    pair.ours(&["wait AddressRemoved", "pause 100"]);
    let left = pair.subflows();
    let to_it = |line: &&String| line.contains(" 10.200.1.1:") && value(line, "up") == "1";
    assert_eq!(left.iter().filter(to_it).count(), 0, "{left:?}");
    pair.exchange(200_000);
    let outcome = pair.end_unharmed();
    for name in ["AddAddr", "RmAddr"] {
        let sent = outcome.kernel.mptcp(&format!("{name}Tx"));
        assert_eq!(outcome.count(name), sent, "{settings}: {name}");
    }
    assert_eq!(outcome.kernel.mptcp("EchoAdd"), outcome.count("EchoAddTx"));
    let accepted = outcome.kernel.mptcp("MPJoinAckRx");
    assert_eq!(accepted, joins as u64, "{settings}");
}

#[test]
fn the_full_mesh_goes_to_the_address_that_the_kernel_advertises() {
    check_reaction("addresses pm=fullmesh limits=4,4", KERNEL_ADVERTISES, 3);
}

#[test]
fn the_kernel_like_manager_opens_one_subflow_to_an_advertised_address() {
    check_reaction("pm=kernel limits=4,4", KERNEL_ADVERTISES, 1);
}

#[test]
fn an_advertised_port_is_joined() {
    let advertises = "ip mptcp endpoint add 10.200.1.1 port 6001 id 7 signal";
    check_reaction("pm=kernel limits=4,4", advertises, 1);
}

#[test]
fn the_user_manager_echoes_and_opens_nothing() {
    check_reaction("pm=user", KERNEL_ADVERTISES, 0);
}

#[test]
fn an_address_with_a_wrong_hmac_is_ignored_by_both() {
    // K46.
    const BOX: &str = "box=rewrite:field=address_hmac";
    let plan = Plan {
        settings: BOX,
        ..SERVER
    };
    let Some(mut pair) = plan.start() else { return };
    pair.exchange(100_000);
    pair.ours(&["announce 1", "pause 300"]);
    pair.exchange(100_000);
    let outcome = pair.end_unharmed();
    assert_eq!(outcome.kernel.mptcp("EchoAddTx"), 0);
    assert_eq!(outcome.kernel.mptcp("MPJoinSynTx"), 0);

    let plan = Plan {
        settings: &format!("{BOX} addresses pm=fullmesh limits=4,4"),
        after: KERNEL_ADVERTISES,
        ..CLIENT
    };
    let Some(mut pair) = plan.start() else { return };
    pair.exchange(100_000);
    pair.ours(&["pause 300"]);
    pair.exchange(100_000);
    let outcome = pair.end_unharmed();
    assert_eq!(outcome.count("EchoAddTx"), 0);
    assert!(!outcome.has("AddressAnnounced"), "{:?}", outcome.events);
}

#[test]
fn an_address_is_advertised_again_until_it_is_echoed() {
    // K47. The kernel stops after four; ours echoes each, or the first echo's loss would be for ever.
    let plan = Plan {
        settings: "pm=user box=strip:option=add_addr,toward=server",
        before: "echo 1 > /proc/sys/net/mptcp/add_addr_timeout",
        after: KERNEL_ADVERTISES,
        ..CLIENT
    };
    let Some(mut pair) = plan.start() else { return };
    pair.exchange(100_000);
    pair.ours(&["pause 1700"]);
    let outcome = pair.end_unharmed();
    assert_eq!(outcome.kernel.mptcp("AddAddrTx"), 4);
    assert_eq!(
        (outcome.count("AddAddr"), outcome.count("EchoAddTx")),
        (4, 4)
    );
    assert_eq!(outcome.kernel.mptcp("EchoAdd"), 0);

    let plan = Plan {
        settings: "echo_ms=100 box=strip:option=add_addr,toward=server",
        ..SERVER
    };
    let Some(mut pair) = plan.start() else { return };
    pair.exchange(100_000);
    pair.ours(&["announce 1", "wait SubflowUp 2", "pause 500"]);
    let outcome = pair.end_unharmed();
    assert!(outcome.kernel.mptcp("AddAddr") >= 2);
    assert_eq!(outcome.kernel.mptcp("AddAddr"), outcome.count("AddAddrTx"));
}

#[test]
fn nobody_joins_an_address_whose_host_forbids_it() {
    // K21. Ours.
    let plan = Plan {
        settings: "addresses pm=fullmesh limits=4,4",
        before: "echo 0 > /proc/sys/net/mptcp/allow_join_initial_addr_port",
        after: KERNEL_ADVERTISES,
        ..CLIENT
    };
    let Some(mut pair) = plan.start() else { return };
    pair.exchange(100_000);
    pair.ours(&["wait SubflowUp 3", "pause 100"]);
    let subflows = pair.subflows();
    let to_initial = |line: &&String| line.contains(" 10.200.0.1:5001 ");
    assert_eq!(
        subflows.iter().filter(to_initial).count(),
        1,
        "{subflows:?}"
    );
    pair.end_whole();
    // The kernel's.
    let plan = Plan {
        settings: "private",
        after: super::KERNEL_JOINS,
        ..SERVER
    };
    let Some(mut pair) = plan.start() else { return };
    pair.exchange(100_000);
    pair.ours(&["pause 200"]);
    assert_eq!(pair.subflows().len(), 1);
    pair.ours(&["announce 1", "wait SubflowUp 2"]);
    pair.exchange(100_000);
    pair.end_whole();
}

#[test]
fn the_initial_address_can_be_removed_by_either_side() {
    // K48: the subflow ends with FIN.
    let Some(mut pair) = CLIENT.start() else {
        return;
    };
    pair.exchange(100_000);
    pair.join();
    pair.ours(&["withdraw 0", "wait SubflowDown"]);
    pair.exchange(200_000);
    let outcome = pair.end_whole();
    assert_eq!(outcome.kernel.mptcp("RmAddr"), 1);

    let Some(mut pair) = CLIENT.start() else {
        return;
    };
    pair.exchange(100_000);
    pair.ours(&["join 1 10.200.1.1:5001", "wait SubflowUp 2"]);
    let removal = "ip mptcp endpoint del id 0 10.200.0.1";
    pair.lab.run(HOST, removal).unwrap();
    pair.ours(&["wait AddressRemoved", "wait SubflowDown"]);
    pair.exchange(200_000);
    let outcome = pair.end_whole();
    assert_eq!(outcome.count("RmAddr"), 1);
    assert!(outcome.has("AddressRemoved { id: AddressId(0) }"));
}
