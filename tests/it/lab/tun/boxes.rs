//! A middlebox between the two: what the kernel does about it, and what ours does in the same place.

use super::{CLIENT, KERNEL_JOINS, Outcome, Pair, Plan, SERVER, value};

/// The box `spec` between the hosts of `plan`.
#[track_caller]
fn with_box(plan: Plan<'_>, spec: &str) -> Option<Pair> {
    let settings = format!("{} box={spec}", plan.settings);
    Plan {
        settings: &settings,
        ..plan
    }
    .start()
}

/// A dialogue in which each has something to say after the other, and the ends.
#[track_caller]
fn converse(mut pair: Pair) -> Outcome {
    pair.ours(&["send 3000"]);
    pair.kernel(&["read 3000", "send 3000"]);
    pair.ours(&["read 3000"]);
    pair.kernel(&["send 20000"]);
    pair.ours(&["read 23000", "send 20000"]);
    pair.kernel(&["read 23000"]);
    pair.shut_down();
    pair.end()
}

/// The connection is TCP in the end, with all data; `reason` is ours, `counter` the kernel's.
#[track_caller]
fn check_fallback(plan: Plan<'_>, spec: &str, reason: &str, counter: &str) {
    let Some(pair) = with_box(plan, spec) else {
        return;
    };
    let outcome = converse(pair);
    outcome.check_whole();
    let told = format!("FellBack {{ reason: {reason} }}");
    assert!(outcome.has(&told), "{spec}: {:?}", outcome.events);
    if !counter.is_empty() {
        assert_eq!(outcome.kernel.mptcp(counter), 1, "{spec}: {counter}");
    }
}

#[test]
fn a_syn_that_gets_no_answer_is_followed_by_one_without_option() {
    // K6: the kernel answers with MP_CAPABLE still, and takes the plain third ACK for a fallback.
    let spec = "impair:toward=client,down_ms=0..900";
    let plan = Plan {
        settings: "syns=1",
        ..CLIENT
    };
    check_fallback(plan, spec, "Blackhole", "MPCapableFallbackACK");
}

#[test]
fn a_third_ack_without_option_is_a_fallback_on_either_side() {
    // K7. Both of ours: the client hears of it with the first data that nobody acknowledges as data.
    let spec = "strip:option=mptcp,on=non_syn,toward=server";
    check_fallback(CLIENT, spec, "DataAckMissing", "MPCapableFallbackACK");
    let spec = "strip:option=mptcp,on=third_ack";
    let server = "ThirdAckOptionMissing";
    check_fallback(SERVER, spec, server, "MPCapableDataFallback");
}

#[test]
fn an_option_lost_in_the_handshake_is_a_fallback_on_either_side() {
    let (syn, syn_ack) = ("strip:option=mptcp,on=syn", "strip:option=mptcp,on=synack");
    check_fallback(CLIENT, syn, "SynAckOptionMissing", "");
    check_fallback(
        CLIENT,
        syn_ack,
        "SynAckOptionMissing",
        "MPCapableFallbackACK",
    );
    check_fallback(SERVER, syn, "SynOptionMissing", "MPCapableFallbackSYNACK");
    let third = "ThirdAckOptionMissing";
    check_fallback(SERVER, syn_ack, third, "MPCapableFallbackSYNACK");
}

#[test]
fn first_data_without_option_is_a_fallback() {
    // K10. The kernel counts it as one or the other, depending on how far it was with the third ACK.
    let Some(pair) = with_box(CLIENT, "strip:option=mptcp,on=data,toward=server,count=1") else {
        return;
    };
    let outcome = converse(pair);
    outcome.check_whole();
    assert!(outcome.has("FellBack { reason: DataAckMissing }"));
    let counters = ["MPCapableFallbackACK", "DssFallback"];
    let counted: u64 = counters.map(|name| outcome.kernel.mptcp(name)).iter().sum();
    assert_eq!(counted, 1);
    let spec = "strip:option=mptcp,on=non_syn,toward=client";
    check_fallback(CLIENT, spec, "DataAckMissing", "DssFallback");
}

/// Options are lost in mid-stream, one way: all data arrive, and both applications hear of the end soon.
#[track_caller]
fn check_lost_one_way(plan: Plan<'_>, toward: &str) {
    let spec = format!("strip:option=mptcp,on=non_syn,toward={toward},from=12");
    let Some(pair) = with_box(plan, &spec) else {
        return;
    };
    let outcome = converse(pair);
    outcome.check_whole();
    assert!(outcome.has("FellBack"), "{spec}: {:?}", outcome.events);
}

/// The other way, options of the kernel that no longer arrive, is tried in the simulator only: a kernel that
/// is held up sends its data again within milliseconds, and then resets (docs/endpoint.md).
#[test]
fn options_that_the_kernel_no_longer_sees_end_mptcp_and_not_the_data() {
    check_lost_one_way(CLIENT, "server");
    check_lost_one_way(SERVER, "client");
}

#[test]
fn a_lost_third_ack_is_made_up_for_by_the_first_data() {
    // K8: MP_CAPABLE with the data's length establishes.
    let Some(mut pair) = with_box(CLIENT, "impair:toward=server,down_ms=4..300") else {
        return;
    };
    pair.ours(&["pause 20"]);
    let outcome = converse(pair);
    outcome.check_whole();
    assert!(!outcome.has("FellBack"), "{:?}", outcome.events);
    assert_eq!(outcome.kernel.mptcp("MPCapableACKRX"), 1);
}

/// A join that fails leaves one subflow and all data.
#[track_caller]
fn check_failed_join(
    plan: Plan<'_>,
    spec: &str,
    ours: &[(&str, u64)],
    kernel: &[(&str, u64)],
) -> Option<Outcome> {
    let mut pair = with_box(plan, spec)?;
    pair.exchange(100_000);
    if !plan.listens {
        pair.ours(&["join 1"]);
    }
    pair.ours(&["pause 300"]);
    let up = pair.subflows();
    let up = up.iter().filter(|line| value(line, "up") == "1");
    assert_eq!(up.count(), 1, "{spec}");
    pair.exchange(100_000);
    let outcome = pair.end_unharmed();
    for (name, count) in ours {
        assert_eq!(outcome.count(name), *count, "{spec}: our {name}");
    }
    for (name, count) in kernel {
        assert_eq!(outcome.kernel.mptcp(name), *count, "{spec}: {name}");
    }
    Some(outcome)
}

/// The same for a join of ours that the kernel resets with this reason.
#[track_caller]
fn check_kernel_reset(plan: Plan<'_>, spec: &str, kernel: &[(&str, u64)], reason: u8) {
    let Some(outcome) = check_failed_join(plan, spec, &[("MPRstRx", 1)], kernel) else {
        return;
    };
    let told = format!("ResetByPeer {{ reason: Some((ResetReason({reason}), false)) }}");
    assert!(outcome.has(&told), "{spec}: {:?}", outcome.events);
}

/// A listener whom the kernel joins.
const JOINED: Plan<'_> = Plan {
    after: KERNEL_JOINS,
    ..SERVER
};

#[test]
fn a_join_with_an_unknown_token_is_reset_by_both() {
    // K13: RST with reason 1. The kernel does not count that one.
    let spec = "rewrite:field=token";
    check_failed_join(
        CLIENT,
        spec,
        &[("MPRstRx", 1)],
        &[("MPJoinNoTokenFound", 1)],
    );
    let ours = [("MPJoinNoTokenFound", 1), ("MPRstTx", 1)];
    check_failed_join(JOINED, spec, &ours, &[("MPJoinSynTx", 1)]);
}

#[test]
fn a_third_ack_with_a_wrong_hmac_is_reset_by_both() {
    // K14.
    let spec = "rewrite:field=join_hmac,on=third_ack";
    let kernel = [("MPJoinAckHMacFailure", 1), ("MPJoinAckRx", 0)];
    check_kernel_reset(CLIENT, spec, &kernel, 1);
    let ours = [("MPJoinAckHMacFailure", 1), ("MPRstTx", 1)];
    check_failed_join(JOINED, spec, &ours, &[]);
}

#[test]
fn a_syn_ack_with_a_wrong_hmac_is_reset_by_both() {
    // K18.
    let spec = "rewrite:field=join_hmac,on=synack";
    let ours = [("MPJoinSynAckHMacFailure", 1), ("MPRstTx", 1)];
    check_failed_join(CLIENT, spec, &ours, &[("MPJoinAckRx", 0)]);
    let kernel = [("MPJoinSynAckHMacFailure", 1), ("MPRstTx", 1)];
    check_failed_join(JOINED, spec, &[("MPRstRx", 1)], &kernel);
}

#[test]
fn a_syn_ack_without_mp_join_is_reset_by_both() {
    // K18.
    let spec = "strip:option=mp_join,on=synack";
    check_failed_join(CLIENT, spec, &[("MPRstTx", 1)], &[("MPJoinAckRx", 0)]);
    check_failed_join(JOINED, spec, &[("MPRstRx", 1)], &[("MPRstTx", 1)]);
}

#[test]
fn a_join_above_the_limit_is_rejected_by_both() {
    // K15: the kernel answers the SYN and resets at the third ACK. Ours resets at once: a half-open
    // subflow that will be refused costs both hosts a round trip.
    let plan = Plan {
        before: "ip mptcp limits set subflow 0",
        ..CLIENT
    };
    let harmless = "impair:delay_ms=0";
    check_kernel_reset(plan, harmless, &[("MPJoinRejected", 1)], 3);
    let plan = Plan {
        settings: "limits=0,0",
        ..JOINED
    };
    let ours = [("MPJoinRejected", 1), ("MPRstTx", 1)];
    check_failed_join(plan, harmless, &ours, &[("MPJoinSynAckRx", 0)]);
}

/// Our endpoint with checksums and a box that flips a bit of one byte.
#[track_caller]
fn with_flip(spec: &str) -> Option<Pair> {
    let plan = Plan {
        settings: "checksum",
        ..CLIENT
    };
    with_box(plan, spec)
}

#[test]
fn a_wrong_checksum_on_the_only_subflow_is_a_fallback_of_both() {
    // K22, K25: MP_FAIL, an infinite mapping, and the damaged byte is delivered.
    let Some(pair) = with_flip("flip:at=10000,toward=server") else {
        return;
    };
    let outcome = converse(pair);
    assert_eq!(outcome.down.sent_sha256, outcome.down.received_sha256);
    assert_ne!(outcome.up.sent_sha256, outcome.up.received_sha256);
    assert_eq!(
        (outcome.up.received_bytes, &*outcome.up.end),
        (23_000, "eof")
    );
    assert!(outcome.has("FellBack { reason: FailReceived }"));
    assert_eq!(outcome.kernel.mptcp("MPFailTx"), outcome.count("MPFailRx"));
    // K26.
    assert_eq!(outcome.kernel.mptcp("InfiniteMapRx"), 1);
    assert!(outcome.count("InfiniteMapTx") >= 1);

    // In the other direction ours does what the kernel does in K22.
    let Some(pair) = with_flip("flip:at=10000,toward=client") else {
        return;
    };
    let outcome = converse(pair);
    assert_eq!(outcome.up.sent_sha256, outcome.up.received_sha256);
    assert_ne!(outcome.down.sent_sha256, outcome.down.received_sha256);
    assert_eq!(
        (outcome.down.received_bytes, &*outcome.down.end),
        (23_000, "eof")
    );
    assert!(outcome.has("FellBack { reason: Checksum }"));
    assert_eq!(
        (outcome.count("DataCsumErr"), outcome.count("MPFailTx")),
        (1, 1)
    );
    assert_eq!(outcome.kernel.mptcp("MPFailRx"), 1);
}

#[test]
fn a_wrong_checksum_on_the_first_mapping_is_a_silent_fallback_of_both() {
    // K23.
    let Some(pair) = with_flip("flip:at=10,toward=server") else {
        return;
    };
    let outcome = converse(pair);
    assert_eq!(outcome.kernel.mptcp("DataCsumErr"), 1);
    assert_eq!(outcome.kernel.mptcp("MPFailTx"), 0);
    assert!(outcome.has("FellBack { reason: DataAckMissing }"));

    let Some(pair) = with_flip("flip:at=10,toward=client") else {
        return;
    };
    let outcome = converse(pair);
    assert_eq!(
        (outcome.count("DataCsumErr"), outcome.count("MPFailTx")),
        (1, 0)
    );
    assert!(outcome.has("FellBack { reason: FirstChecksum }"));
    assert_eq!(outcome.kernel.mptcp("DssFallback"), 1);
}

#[test]
fn a_wrong_checksum_on_one_of_two_subflows_costs_that_subflow() {
    // K24: RST with MP_FAIL and reason 6; the data come over the other subflow, undamaged.
    for toward in ["server", "client"] {
        let Some(mut pair) = with_flip(&format!("flip:at=150000,toward={toward}")) else {
            return;
        };
        pair.exchange(100_000);
        pair.join();
        // The second subflow is for when the first is gone: it must not come to its own byte 150,000.
        pair.ours(&["backup 1", "pause 50"]);
        pair.exchange(140_000);
        let up = pair.subflows();
        let up = up.iter().filter(|line| value(line, "up") == "1").count();
        assert!(up < 2, "{toward}");
        let outcome = pair.end_unharmed();
        let (ours, kernel) = (outcome.count("DataCsumErr"), &outcome.kernel);
        if toward == "server" {
            assert!(kernel.mptcp("DataCsumErr") >= 1);
            assert!(outcome.has("ResetByPeer { reason: Some((ResetReason(6)"));
        } else {
            assert!(ours >= 1);
            assert!(outcome.has("ResetByUs { reason: ResetReason(6) }"));
        }
    }
}

#[test]
fn the_kernel_never_sends_beyond_the_edge_of_our_window() {
    // K51.
    let plan = Plan {
        settings: "buffer=65536",
        ..CLIENT
    };
    let Some(mut pair) = plan.start() else { return };
    pair.exchange(10_000);
    pair.ours(&["hold"]);
    pair.kernel.tell("send 2000000").unwrap();
    pair.ours(&["pause 500", "take", "read 2010000"]);
    let outcome = pair.end_unharmed();
    assert_eq!(outcome.count("NoDSSInWindow"), 0);
    assert_eq!(outcome.kernel.mptcp("DSSNotMatching"), 0);
}
