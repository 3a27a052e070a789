//! Segments do not pass.

use mptcp_tests::lab::{self, Application, Node, Recording, Tap};

use super::change::{Change, What, When, mptcp};
use super::ground::{Data, Ground, PLACE, Plan};
use super::{Case, NO, UNHARMED, V4, V6, check};
use crate::seen::Seen;

/// A SYN that asks for MPTCP is lost.
fn lost(packet: &Seen) -> Vec<Seen> {
    if packet.mptcp(0).is_some() {
        return Vec::new();
    }
    vec![packet.clone()]
}

/// Three SYNs stay without answer, then one without the option gets through.
const PATIENTLY: Case = Case {
    change: Change::new(When::Syn, What::Replace(lost)),
    mptcp: [NO, NO],
    incidents: [&["MPCapableSYNTXDrop"], &[]],
    ..UNHARMED
};

const DROPPED: &[Case] = &[Case {
    spec: "refuse:with=mp_capable,on=syn",
    ..PATIENTLY
}];

/// MP_CAPABLE in a SYN needs one word more than the 20 bytes of the other options.
const LONG: &[Case] = &[Case {
    spec: "refuse:on=syn,options_over=20",
    change: Change::new(
        When::Syn,
        What::Replace(|packet| {
            let fits = packet.options.len() <= 20;
            vec![packet.clone(); usize::from(fits)]
        }),
    ),
    ..PATIENTLY
}];

const BROKEN: &[Case] = &[Case {
    spec: "strip:on=syn,checksum=stale",
    own: |trial| assert_eq!(trial.hosts[1].counters.of("TcpInCsumErrors"), 3),
    change: Change {
        stale: true,
        ..Change::new(When::Syn, What::Nop(mptcp))
    },
    ..PATIENTLY
}];

#[test]
fn syns_that_vanish_are_tried_again_without_mptcp() {
    check(DROPPED);
}

#[test]
fn syns_with_too_many_options_vanish_until_mptcp_is_left_out() {
    check(LONG);
}

#[test]
fn a_wrong_tcp_checksum_loses_the_segment() {
    check(BROKEN);
}

const RESET: [&str; 2] = ["refuse:with=mp_capable,on=syn,how=rst", "reject"];
const PROHIBITED: &str = "refuse:with=mp_capable,on=syn,how=icmp";
const FORGOTTEN: &str = DROPPED[0].spec;

#[test]
fn after_lost_syns_the_client_gives_up_mptcp_for_an_hour() {
    if !lab::works() {
        return;
    }
    let ground = Ground::new("");
    let hour = "echo 3600 > /proc/sys/net/mptcp/blackhole_timeout";
    ground.lab.run(Node::Client, hour).unwrap();
    let trial = ground.attempt(FORGOTTEN, &Plan::USUAL);
    assert_eq!(
        trial.hosts[0].incidents(),
        ["Blackhole", "MPCapableSYNTXDrop"]
    );
    // Without the box.
    let trial = ground.exchange(&Plan::USUAL);
    assert_eq!(trial.hosts[0].incidents(), ["MPCapableSYNTXDisabled"]);
    assert_eq!(trial.hosts[0].mptcp, NO);
    assert!(trial.near.iter().all(|packet| packet.mptcp(0).is_none()));
}

/// The answer to the client's only packet.
#[track_caller]
fn check_answered(spec: &str, errors: &str, answered: impl Fn(&Seen, &Seen)) {
    if !lab::works() {
        return;
    }
    let ground = Ground::new("");
    for to in [V4, V6] {
        let trial = ground.attempt(spec, &Plan { to, ..Plan::USUAL });
        assert_eq!(trial.data, Data::Refused, "{spec} to {to}");
        assert!(trial.far.is_empty(), "{spec} to {to}: nothing passes");
        let said = trial.hosts[0].said.join("\n");
        assert!(said.contains(errors), "{spec} to {to}: {said}");
        // No fallback: the client takes the answer for the server's.
        assert_eq!(trial.hosts[0].incidents(), [""; 0], "{spec} to {to}");
        assert_eq!(trial.hosts[0].counters.mptcp("MPCapableSYNTX"), 1);
        let [syn, rest @ ..] = trial.near.as_slice() else {
            panic!("{spec} to {to}: no SYN")
        };
        assert!(syn.is_syn() && syn.mptcp(0).is_some());
        for packet in rest {
            answered(syn, packet);
        }
        assert_eq!(rest.len(), usize::from(errors.contains("refused")));
    }
}

#[test]
fn a_reset_syn_is_no_fallback() {
    let answered = |syn: &Seen, reset: &Seen| {
        assert!(reset.rst && reset.ack && reset.checksum_ok);
        assert_eq!(
            (reset.source, reset.destination),
            (syn.destination, syn.source)
        );
        assert_eq!(reset.acknowledgment, syn.sequence.wrapping_add(1));
        // The box made it: its 64 less nothing, where the server's would have lost one.
        assert_eq!(reset.ttl, 64);
    };
    for spec in RESET {
        check_answered(spec, "Connection refused", answered);
    }
}

#[test]
fn an_icmp_error_for_a_syn_is_no_fallback() {
    check_answered(PROHIBITED, "os error", |_, other| panic!("{other:?}"));
}

/// RFC 1812 §5.2.7.1 and RFC 4443 §3.1: communication administratively prohibited.
#[test]
fn an_icmp_error_says_what_is_prohibited_and_quotes_the_syn() {
    if !lab::works() {
        return;
    }
    let lab = Ground::new("").lab;
    let _box = lab.place(PLACE, PROHIBITED).unwrap();
    for (to, header, kind) in [(V4, 20, [3, 13]), (V6, 40, [1, 1])] {
        let path = lab.directory().join("prohibited.pcap");
        let tap = Tap {
            filter: "tcp or icmp or (icmp6 and ip6[40] == 1)",
            ..Tap::tcp(PLACE, &["near"])
        };
        let recording = Recording::start(&lab, &tap, &path).unwrap();
        let words = ["connect", "mptcp", "read", to];
        let client = Application::start(&lab, Node::Client, &words).unwrap();
        client.finish().unwrap();
        recording.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let capture = pcap_parser::parse_pcap(&bytes).unwrap().1;
        let packets: Vec<_> = capture
            .blocks
            .iter()
            .map(|block| &block.data[14..])
            .collect();
        let [syn, error] = packets.as_slice() else {
            panic!("{to}: {packets:?}")
        };
        let (message, quote) = error[header..].split_at(8);
        assert_eq!(message[..2], kind, "{to}");
        assert_eq!(quote[header..], syn[header..], "{to}");
    }
}

/// For the list of all that is tried.
pub(super) const CASES: &[&[Case]] = &[DROPPED, LONG, BROKEN];
pub(super) const SPECS: &[&str] = &[RESET[0], RESET[1], PROHIBITED, FORGOTTEN];
