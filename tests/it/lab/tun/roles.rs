//! Both roles, both families, with and without checksums.

use super::{CLIENT, Plan, SERVER, sequence, value};

/// Everything in one connection: data at the same time, each direction alone, a half close.
#[track_caller]
fn check(plan: &Plan<'_>) {
    let Some(mut pair) = plan.start() else { return };
    pair.exchange(200_000);
    pair.ours(&["send 100000"]);
    pair.kernel(&["read 300000", "send 50000"]);
    pair.ours(&["read 250000"]);
    // The last DATA_ACK may be on its way.
    pair.ours(&["pause 60"]);
    let [ours, kernel] = pair.infos();
    assert_ne!(value(&ours, "token"), value(&kernel, "token"));
    for (here, there, bytes) in [(&ours, &kernel, 300_000), (&kernel, &ours, 250_000)] {
        assert_eq!(value(here, "is_mptcp"), "1");
        let written = sequence(here, "write_seq");
        assert_eq!(written, sequence(there, "rcv_nxt"), "{bytes}");
        assert_eq!(written, sequence(here, "snd_una"), "{bytes}");
    }
    let wants = plan.settings.contains("checksum") || plan.before.contains("checksum");
    let shown = if wants { "1" } else { "0" };
    for info in [&ours, &kernel] {
        assert_eq!(value(info, "csum_enabled"), shown, "{info}");
    }
    pair.ours(&["shutdown"]);
    pair.kernel(&["eof", "send 5000"]);
    pair.ours(&["read 255000"]);
    let outcome = pair.end_whole();
    assert_eq!(outcome.up.received_bytes, 300_000);
    assert_eq!(outcome.down.received_bytes, 255_000);
    assert!(outcome.has("FullyEstablished") && outcome.has("Closed { how: Closed }"));
}

/// Who asks for checksums: nobody, our endpoint, the kernel, both.
#[track_caller]
fn check_all(plan: &Plan<'_>) {
    const KERNEL: &str = "echo 1 > /proc/sys/net/mptcp/checksum_enabled";
    for (settings, before, records) in [
        ("", "", true),
        ("checksum", "", false),
        ("", KERNEL, false),
        ("checksum", KERNEL, true),
    ] {
        check(&Plan {
            settings,
            before,
            records,
            ..*plan
        });
    }
}

#[test]
fn our_client_and_a_kernel_server_speak_mptcp_over_ipv4() {
    check_all(&CLIENT);
}

#[test]
fn our_client_and_a_kernel_server_speak_mptcp_over_ipv6() {
    check_all(&Plan {
        family: "6",
        ..CLIENT
    });
}

#[test]
fn a_kernel_client_and_our_server_speak_mptcp_over_ipv4() {
    check_all(&SERVER);
}

#[test]
fn a_kernel_client_and_our_server_speak_mptcp_over_ipv6() {
    check_all(&Plan {
        family: "6",
        ..SERVER
    });
}

#[test]
fn cookies_of_either_side_remember_that_it_is_mptcp() {
    // K53.
    const COOKIES: &str = "echo 2 > /proc/sys/net/ipv4/tcp_syncookies";
    for plan in [
        Plan {
            before: COOKIES,
            ..CLIENT
        },
        Plan {
            settings: "cookies",
            ..SERVER
        },
    ] {
        let Some(mut pair) = plan.start() else { return };
        pair.exchange(100_000);
        pair.shut_down();
        let outcome = pair.end();
        outcome.check_whole();
        assert!(outcome.has("Connected { version: Some(V1) }"));
        assert!(!outcome.has("FellBack"), "{:?}", outcome.events);
    }
}

#[test]
fn twenty_megabytes_pass_in_each_direction() {
    for plan in [CLIENT, SERVER] {
        let Some(mut pair) = plan.start() else { return };
        pair.ours(&["send 20000000"]);
        pair.kernel(&["read 20000000", "send 20000000"]);
        pair.ours(&["read 20000000"]);
        pair.end_whole();
    }
}

#[test]
fn a_kernel_echo_server_is_understood() {
    let Some(mut pair) = CLIENT.start() else {
        return;
    };
    // Byte for byte, as a dialogue is: every segment is small and alone.
    for turn in 1..=20 {
        pair.ours(&["send 100"]);
        pair.kernel(&[&format!("read {}", turn * 100), "send 100"]);
        pair.ours(&[&format!("read {}", turn * 100)]);
    }
    pair.end_whole();
}
