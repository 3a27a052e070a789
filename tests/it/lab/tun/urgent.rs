//! Urgent data (RFC 9293 §3.8.5) of the kernel's TCP and of ours; its MPTCP has none.

use super::{CLIENT, Plan, SERVER};

#[test]
fn urgent_data_of_the_kernel_are_told_and_read_in_their_place() {
    for plan in [CLIENT, SERVER] {
        let plan = Plan {
            socket: "tcp read",
            ..plan
        };
        let Some(mut pair) = plan.start() else { return };
        pair.kernel(&["send 3000", "urge stop", "send 10"]);
        pair.ours(&["read 3014", "wait Urgent"]);
        pair.shut_down();
        pair.end().check_whole();
    }
}

#[test]
fn the_kernel_keeps_apart_the_byte_that_we_say_is_the_last_urgent_one() {
    for plan in [CLIENT, SERVER] {
        // One that reads would pass over that byte before anybody asks for it.
        let plan = Plan {
            socket: "tcp hold",
            ..plan
        };
        let Some(mut pair) = plan.start() else { return };
        pair.ours(&["send 3000", "urge STOP", "send 10"]);
        pair.kernel(&["urgent"]);
        let last = pair
            .kernel
            .lines
            .iter()
            .find(|line| line.starts_with("urgent "));
        assert_eq!(last.map(String::as_str), Some("urgent P"));
    }
}
