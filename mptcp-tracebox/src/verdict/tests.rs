use std::time::Duration;

use mptcp_proto::time::Instant;
use mptcp_proto::wire::segment::Flags;

use super::judge;
use crate::evidence::{Evidence, Purpose, Role, SentId};
use crate::packet::tests::sample;
use crate::probe::{Phase, Probe};
use crate::trace::{Blame, CellState, Code, EndAnswer, EndOption, Interval, Trace};

const SOURCE: &str = "10.0.0.1:9";
const TARGET: &str = "10.0.0.2:80";
/// MSS and window scale.
const PLAIN: &[u8] = &[2, 4, 5, 0xb4, 1, 3, 3, 7];
const SERVER_CAPABLE: &[u8] = &[30, 12, 1, 1, 8, 7, 6, 5, 4, 3, 2, 1];
const UNKNOWN_TOKEN: &[u8] = &[30, 4, 0x80, 1];

/// What was sent and came back, told step by step.
#[derive(Default)]
struct Story {
    evidence: Evidence,
    at: Instant,
}

impl Story {
    fn ask(&mut self, probe: &Probe, role: Role, ttl: u8) -> SentId {
        self.at += Duration::from_millis(10);
        let number = u8::try_from(self.evidence.all().len()).unwrap();
        let mut packet = sample(SOURCE, TARGET);
        packet.ttl = ttl;
        packet.ip_id = 0x0100 + u16::from(number) * 32;
        packet.seq.0 = 1000 * u32::from(number + 1);
        if probe.phase() == Phase::Data {
            // Copies have one number.
            packet.seq.0 = 0x2000_0000;
        }
        packet.payload = Vec::new();
        packet.options = PLAIN.to_vec();
        packet.options.extend(match probe {
            Probe::CapableV1 => vec![30, 4, 1, 0x81],
            Probe::Join => vec![30, 12, 0x10, 1, 1, 2, 3, 4, 5, 6, 7, 8],
            _ => Vec::new(),
        });
        let purpose = Purpose {
            flow: 0,
            probe: probe.clone(),
            role,
            ttl,
            attempt: 0,
        };
        let bytes = packet.emit().unwrap();
        self.evidence.note_sent(self.at, purpose, bytes).unwrap()
    }

    fn end(&mut self, probe: &Probe) -> SentId {
        self.ask(probe, Role::End, 64)
    }

    /// A router quotes so many bytes of TCP, with this TTL left, in an error of this type and code.
    fn error(&mut self, id: SentId, hop: u8, tcp: usize, (kind, code, left): (u8, u8, u8)) {
        let mut quote = self.evidence.sent(id).unwrap().bytes.clone();
        quote.truncate(20 + tcp);
        quote[8] = left;
        let len = u8::try_from(28 + quote.len()).unwrap();
        let mut packet = vec![0x45, 0, 0, len, 0, 0, 0, 0, 60, 1, 0, 0];
        packet.extend([10, 0, 9, hop, 10, 0, 0, 1]);
        let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
        message.extend(quote);
        let any = std::net::IpAddr::from([0; 4]);
        let sum = crate::quote::checksum(any, any, &message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        packet.extend(message);
        self.receive(&packet, Some(id));
    }

    fn expire(&mut self, probe: &Probe, hop: u8, tcp: usize) {
        let id = self.ask(probe, Role::Ladder, hop);
        self.error(id, hop, tcp, (11, 0, 1));
    }

    fn answer(&mut self, id: SentId, flags: u8, options: &[u8]) {
        let sent = self.evidence.sent(id).unwrap().bytes.clone();
        let seq = u32::from_be_bytes(*sent[24..].first_chunk().unwrap());
        let mut packet = sample(TARGET, SOURCE);
        packet.ttl = 60;
        packet.flags = Flags(flags);
        packet.ack.0 = seq + 1;
        // Each connection has its own; the same one would be that of an earlier connection.
        packet.seq.0 = seq + 0x4000_0000;
        packet.payload = Vec::new();
        packet.options = options.to_vec();
        self.receive(&packet.emit().unwrap(), Some(id));
    }

    #[track_caller]
    fn receive(&mut self, packet: &[u8], expected: Option<SentId>) {
        self.at += Duration::from_millis(10);
        assert_eq!(self.evidence.note_received(self.at, packet), expected);
    }

    fn syn_ack(&mut self, probe: &Probe, options: &[u8]) {
        let id = self.end(probe);
        self.answer(id, 0x12, options);
    }

    fn judge(&self) -> Trace {
        judge(&self.evidence, TARGET.parse().unwrap())
    }

    fn option(&self) -> EndOption {
        let trace = self.judge();
        let mut ends = trace.flows[0].ends.iter();
        let end = ends.find(|end| end.probe == Probe::CapableV1).unwrap();
        match end.answer {
            EndAnswer::SynAck { option, .. } => option,
            ref other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_short_packet_that_is_quoted_whole_says_nothing_of_where_quotes_are_cut() {
    // A plain SYN has 28 bytes here, one with MP_JOIN 40.
    let (syn, join) = (Probe::Syn, Probe::Join);
    let found = |quotes: &[(&Probe, usize)]| {
        let mut story = Story::default();
        for (probe, bytes) in quotes {
            story.expire(probe, 1, *bytes);
        }
        let hop = &story.judge().flows[0].hops[0];
        (hop.routers[0].quoted, hop.routers[0].quotes_all)
    };
    assert_eq!(found(&[(&syn, 28), (&join, 40)]), (40, true));
    assert_eq!(found(&[(&syn, 28), (&join, 36)]), (36, false));
    assert_eq!(found(&[(&join, 36), (&syn, 28)]), (36, false));
    assert_eq!(found(&[(&join, 36), (&syn, 20)]), (20, false));
}

#[test]
fn a_syn_ack_tells_what_became_of_the_option() {
    let nops = [PLAIN, &[1; 12]].concat();
    let copy = [PLAIN, &[30, 4, 1, 0x81]].concat();
    for (options, expected) in [
        ([PLAIN, SERVER_CAPABLE].concat(), EndOption::Capable(1)),
        (copy, EndOption::Mirrored),
        (nops.clone(), EndOption::Erased(12)),
        ([PLAIN, &[1; 4]].concat(), EndOption::Erased(4)),
        ([PLAIN, &[1, 1, 1, 0]].concat(), EndOption::Erased(4)),
        (PLAIN.to_vec(), EndOption::Absent),
    ] {
        let mut story = Story::default();
        story.syn_ack(&Probe::Syn, PLAIN);
        story.syn_ack(&Probe::CapableV1, &options);
        assert_eq!(story.option(), expected, "{options:?}");
    }
    // Where plain SYN/ACKs have as many fillers, another option was erased.
    let mut story = Story::default();
    story.syn_ack(&Probe::Syn, &nops);
    story.syn_ack(&Probe::CapableV1, &nops);
    assert_eq!(story.option(), EndOption::Absent);
}

#[test]
fn a_bare_ack_after_a_probe_is_no_silence() {
    let mut story = Story::default();
    let control = story.end(&Probe::Syn);
    story.answer(control, 0x12, PLAIN);
    story.end(&Probe::Join);
    let answer = |story: &Story| story.judge().flows[0].ends[1].answer.clone();
    assert_eq!(answer(&story), EndAnswer::Silent);
    story.answer(control, 0x10, &[]);
    assert_eq!(answer(&story), EndAnswer::Ack);
}

#[test]
fn a_cell_is_the_same_only_where_the_option_is_quoted() {
    let mut story = Story::default();
    story.syn_ack(&Probe::Syn, PLAIN);
    story.expire(&Probe::CapableV1, 1, 60);
    story.expire(&Probe::CapableV1, 2, 28);
    story.ask(&Probe::CapableV1, Role::Ladder, 3);
    let trace = story.judge();
    let states: Vec<CellState> = trace.flows[0]
        .hops
        .iter()
        .map(|hop| hop.cells[0].state)
        .collect();
    let expected = [CellState::Same, CellState::NotQuoted, CellState::Silent];
    assert_eq!(states, expected);
    assert_eq!(trace.flows[0].hops[1].routers[0].quoted, 28);
}

#[test]
fn who_refuses_a_packet_is_no_sign_of_several_ways_and_its_ttl_no_change() {
    let mut story = Story::default();
    story.syn_ack(&Probe::Syn, PLAIN);
    for hop in 1..=2 {
        story.expire(&Probe::Syn, hop, 60);
    }
    let id = story.ask(&Probe::CapableV1, Role::Ladder, 2);
    story.error(id, 1, 60, (3, 13, 7));
    let id = story.end(&Probe::CapableV1);
    story.error(id, 1, 60, (3, 13, 63));
    let trace = story.judge();
    assert!(!trace.flows[0].is_balanced);
    assert_eq!(trace.flows[0].changes, []);
    assert_eq!(trace.verdict.code, Code::PathRejects);
    let mut story = Story::default();
    story.syn_ack(&Probe::Syn, PLAIN);
    for router in [1, 2] {
        let id = story.ask(&Probe::Syn, Role::Ladder, 1);
        story.error(id, router, 60, (11, 0, 1));
    }
    assert!(story.judge().flows[0].is_balanced);
}

#[test]
fn what_comes_farther_than_another_packet_shows_that_ways_part() {
    // A SYN reaches the target where another one with a larger TTL runs out.
    for reached in [1, 2, 3] {
        let mut story = Story::default();
        story.syn_ack(&Probe::Syn, PLAIN);
        story.expire(&Probe::Syn, 2, 60);
        let id = story.ask(&Probe::Syn, Role::Ladder, reached);
        story.answer(id, 0x12, PLAIN);
        assert_eq!(
            story.judge().flows[0].is_balanced,
            reached <= 2,
            "{reached}"
        );
    }
    // A SYN is refused with so much left of its TTL that others have come farther.
    for left in [61, 62, 63, 64] {
        let mut story = Story::default();
        story.syn_ack(&Probe::Syn, PLAIN);
        for hop in 1..=2 {
            story.expire(&Probe::CapableV1, hop, 60);
        }
        let id = story.end(&Probe::CapableV1);
        story.error(id, 9, 60, (3, 13, left));
        let trace = story.judge();
        assert_eq!(trace.flows[0].is_balanced, left == 64, "{left}");
        let after = if left == 64 { 0 } else { 2 };
        assert_eq!(trace.verdict.between.unwrap().after, after, "{left}");
    }
}

#[test]
fn hops_that_were_not_asked_are_not_called_clean() {
    for is_reached in [true, false] {
        let mut story = Story::default();
        story.syn_ack(&Probe::Syn, PLAIN);
        story.expire(&Probe::Syn, 1, 60);
        if is_reached {
            let id = story.ask(&Probe::Syn, Role::Ladder, 2);
            story.answer(id, 0x12, PLAIN);
        }
        let sentence = story.judge().verdict.sentence;
        assert_eq!(
            sentence.contains("as far as hop 1"),
            !is_reached,
            "{sentence}"
        );
    }
}

#[test]
fn a_host_that_is_off_is_not_the_fault_of_the_path() {
    for (code, blame) in [(1, Blame::Unknown), (0, Blame::Path), (13, Blame::Path)] {
        let mut story = Story::default();
        let id = story.end(&Probe::Syn);
        story.error(id, 2, 60, (3, code, 60));
        let verdict = story.judge().verdict;
        assert_eq!((verdict.code, verdict.blame), (Code::Unreachable, blame));
    }
}

#[test]
fn an_option_that_nobody_quoted_may_be_lost_anywhere() {
    let mut story = Story::default();
    story.syn_ack(&Probe::Syn, PLAIN);
    story.expire(&Probe::CapableV1, 1, 60);
    story.expire(&Probe::CapableV1, 2, 8);
    story.syn_ack(&Probe::CapableV1, PLAIN);
    let verdict = story.judge().verdict;
    assert_eq!(
        (verdict.code, verdict.blame),
        (Code::ServerNoMptcp, Blame::Server)
    );
    assert!(
        verdict.sentence.contains("arrive at hop 1"),
        "{}",
        verdict.sentence
    );
    let join = story.end(&Probe::Join);
    story.answer(join, 0x14, UNKNOWN_TOKEN);
    let verdict = story.judge().verdict;
    assert_eq!(
        (verdict.code, verdict.blame),
        (Code::PathStripsCapable, Blame::Path)
    );
    assert_eq!(verdict.between, Some(Interval::WHOLE_PATH));
}

#[test]
fn silence_is_an_accusation_only_after_three_tries() {
    let mut story = Story::default();
    story.syn_ack(&Probe::Syn, PLAIN);
    for expected in [Code::Undecided, Code::Undecided, Code::PathDropsCapable] {
        story.end(&Probe::CapableV1);
        assert_eq!(story.judge().verdict.code, expected);
        story.syn_ack(&Probe::Syn, PLAIN);
    }
}

#[test]
fn who_refuses_an_option_of_a_connection_is_told_and_where() {
    let mut story = Story::default();
    story.syn_ack(&Probe::Syn, PLAIN);
    story.syn_ack(&Probe::CapableV1, SERVER_CAPABLE);
    for hop in 1..=3 {
        story.expire(&Probe::Syn, hop, 40);
    }
    for (ttl, error) in [(1, (11, 0, 1)), (2, (11, 0, 1)), (3, (3, 13, 1))] {
        let id = story.ask(&Probe::AddAddr, Role::Ladder, ttl);
        // The router at the second hop has the filter.
        story.error(id, ttl.min(2), 28, error);
    }
    let verdict = story.judge().verdict;
    assert_eq!(
        verdict.code,
        Code::PathRejectsOption,
        "{}",
        verdict.sentence
    );
    let between = verdict.between.map(|between| between.to_string());
    assert_eq!(between.as_deref(), Some("between hop 2 and hop 3"));
}

#[test]
fn a_reset_within_a_connection_is_the_path_only_if_two_come_from_nearer_than_the_target() {
    for (ttls, resets, expected) in [
        ([62, 62], 2, Code::PathRejectsOption),
        ([62, 62], 1, Code::MptcpOk),
        ([60, 60], 2, Code::MptcpOk),
    ] {
        let mut story = Story::default();
        story.syn_ack(&Probe::Syn, PLAIN);
        story.syn_ack(&Probe::CapableV1, SERVER_CAPABLE);
        for hop in 1..=3 {
            story.expire(&Probe::Syn, hop, 40);
        }
        story.expire(&Probe::AddAddr, 1, 28);
        story.expire(&Probe::AddAddr, 2, 28);
        for ttl in ttls.into_iter().take(resets) {
            story.at += Duration::from_millis(400);
            let id = story.ask(&Probe::AddAddr, Role::Ladder, 3);
            let mut reset = sample(TARGET, SOURCE);
            reset.ttl = ttl;
            reset.flags = Flags(0x04);
            reset.seq = sample(SOURCE, TARGET).ack;
            reset.payload = Vec::new();
            reset.options = Vec::new();
            story.receive(&reset.emit().unwrap(), Some(id));
        }
        let verdict = story.judge().verdict;
        assert_eq!(verdict.code, expected, "{}", verdict.sentence);
    }
}
