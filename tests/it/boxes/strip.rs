//! Options disappear.

use super::change::{Change, What, When, mptcp};
use super::{Case, FALLS, NO, UNHARMED, check};

const NOPS: What = What::Nop(mptcp);
const REMOVED: What = What::Remove(mptcp);
const CUT: What = What::Cut(mptcp);

const fn on_syn(spec: &'static str, what: What) -> Case {
    Case {
        spec,
        change: Change::new(When::Syn, what),
        mptcp: [NO, NO],
        incidents: [&["MPCapableFallbackSYNACK"], &[]],
        ..UNHARMED
    }
}

const fn on_syn_ack(spec: &'static str, what: What) -> Case {
    Case {
        spec,
        change: Change::new(When::SynAck, what),
        mptcp: [NO, NO],
        incidents: [&["MPCapableFallbackSYNACK"], &["MPCapableFallbackACK"]],
        ..UNHARMED
    }
}

const fn on_third_ack(spec: &'static str, what: What) -> Case {
    Case {
        spec,
        change: Change::new(When::ThirdAck, what),
        mptcp: [FALLS, NO],
        incidents: [&["MPCapableDataFallback"], &["MPCapableFallbackACK"]],
        ..UNHARMED
    }
}

const fn on_data(spec: &'static str, what: What) -> Case {
    Case {
        spec,
        change: Change::new(When::Data, what),
        mptcp: [FALLS, FALLS],
        // The server had its proof in the third ACK, so it is MPTCP when the data come without a
        // mapping (RFC 8684 §3.7). Without the third ACK's option too it would count
        // MPCapableFallbackACK instead.
        incidents: [&["MPCapableDataFallback"], &["DssFallback"]],
        ..UNHARMED
    }
}

const fn on_all(spec: &'static str, what: What) -> Case {
    Case {
        change: Change::new(When::All, what),
        ..on_syn(spec, what)
    }
}

const fn from_fourth(spec: &'static str, what: What) -> Case {
    Case {
        change: Change::new(When::From(4), what),
        ..on_data(spec, what)
    }
}

const HANDSHAKE: &[Case] = &[
    on_syn("strip:on=syn", NOPS),
    on_syn("strip:on=syn,how=remove", REMOVED),
    on_syn("strip:on=syn,how=eol", CUT),
    Case {
        // What tells a probe that it was the answer that lost its option, of 12 bytes.
        own: |trial| {
            let mut answers = trial.near.iter().filter(|packet| packet.is_syn_ack());
            assert!(answers.all(|answer| answer.nop_run() >= 12));
        },
        ..on_syn_ack("strip:on=synack", NOPS)
    },
    on_syn_ack("strip:on=synack,how=remove", REMOVED),
    on_syn_ack("strip:on=synack,how=eol", CUT),
];
const LATER: &[Case] = &[
    on_third_ack("strip:on=third_ack", NOPS),
    on_third_ack("strip:on=third_ack,how=remove", REMOVED),
    on_third_ack("strip:on=third_ack,how=eol", CUT),
    on_data("strip:on=data", NOPS),
    on_data("strip:on=data,how=remove", REMOVED),
    on_data("strip:on=data,how=eol", CUT),
];
const ALWAYS: &[Case] = &[
    on_all("strip", NOPS),
    on_all("strip:how=remove", REMOVED),
    on_all("strip:how=eol", CUT),
    Case {
        spec: "strip:option=dss",
        change: Change::new(
            When::All,
            What::Nop(|kind, value| kind == 30 && value[0] >> 4 == 2),
        ),
        ..on_data("", NOPS)
    },
    from_fourth("strip:from=4", NOPS),
    from_fourth("strip:from=4,how=remove", REMOVED),
    from_fourth("strip:from=4,how=eol", CUT),
];

#[test]
fn a_handshake_without_its_option_gives_tcp() {
    check(HANDSHAKE);
}

#[test]
fn a_connection_that_loses_its_options_falls_back() {
    check(LATER);
}

#[test]
fn a_box_that_takes_every_option_leaves_tcp() {
    check(ALWAYS);
}

/// For the list of all that is tried.
pub(super) const CASES: &[&[Case]] = &[HANDSHAKE, LATER, ALWAYS];
