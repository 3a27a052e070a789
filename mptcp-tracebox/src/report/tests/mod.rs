//! Snapshots of the reports over runs made by hand.

mod craft;
pub(crate) mod drive;
mod json_documents;
pub(crate) mod sample;

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;

use mptcp_proto::time::Instant;

use self::sample::Sample;
use super::text::{Live, Look};
use super::{dot, json, sides, text};
use crate::engine::Event;
use crate::evidence::{Evidence, Purpose, SentId};
use crate::plan::Plan;
use crate::record::{Recorder, reanalyze};
use crate::run::Names;
use crate::verdict::judge;

/// What `write` writes, without colour.
fn plain(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> String {
    anstream::adapter::strip_str(&colored(write)).to_string()
}

fn colored(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn report(sample: &Sample, width: Option<usize>) -> String {
    let names = sample::names();
    let look = Look {
        names: &names,
        width,
    };
    plain(|out| text::write(out, &sample.run, &sample.trace(), look))
}

#[track_caller]
fn check_widths(text: &str, width: usize) {
    for line in text.lines() {
        assert!(line.chars().count() <= width, "wider than {width}: {line}");
    }
}

#[test]
fn a_clean_path_has_a_line_for_each_hop_and_one_verdict() {
    let text = report(&sample::clean(), Some(80));
    check_widths(&text, 80);
    insta::assert_snapshot!(text);
}

#[test]
fn a_path_that_strips_says_what_and_where() {
    let text = report(&sample::stripped(), Some(80));
    check_widths(&text, 80);
    insta::assert_snapshot!(text);
}

#[test]
fn silence_is_said_as_such() {
    insta::assert_snapshot!(report(&sample::silent(), Some(80)));
}

#[test]
fn text_of_the_network_cannot_command_the_terminal() {
    let sample = sample::stripped();
    let names = sample::names();
    let look = Look {
        names: &names,
        width: None,
    };
    let text = colored(|out| text::write(out, &sample.run, &sample.trace(), look));
    assert!(text.contains("evil\\x1b[2J\\nname"), "{text}");
}

/// The text of a run whose packets come one by one, and how long it was after each.
fn live(sample: &Sample) -> (String, Vec<usize>) {
    let mut plan = Plan::new(sample.source, sample.run.target);
    plan.probes = sample.trace().flows[0].probes.clone();
    let (mut out, names) = (Vec::new(), sample::names());
    let mut live = Live::begin(&mut out, &sample.run, &plan, Some(80)).unwrap();
    let mut evidence = Evidence::default();
    let mut lengths = Vec::new();
    for (at, purpose, bytes) in &sample.packets {
        let event = if let Some(purpose) = purpose {
            let id = evidence.note_sent(*at, purpose.clone(), bytes.clone());
            let id = id.unwrap();
            let is_silent = sample.evidence.sent(id).unwrap().answers.is_empty();
            is_silent.then_some(Event::Silent(id))
        } else {
            evidence.note_received(*at, bytes).map(Event::Answered)
        };
        if let Some(event) = event {
            live.handle_event(&mut out, &evidence, event, &names)
                .unwrap();
        }
        lengths.push(out.len());
    }
    let done = Event::FlowDone(0);
    live.handle_event(&mut out, &evidence, done, &names)
        .unwrap();
    live.finish(&mut out, &sample.trace(), &names).unwrap();
    let text = String::from_utf8(out).unwrap();
    let text = anstream::adapter::strip_str(&text).to_string();
    (text, lengths)
}

#[test]
fn a_live_run_ends_with_the_same_text_as_one_that_is_over() {
    for sample in [sample::clean(), sample::silent()] {
        assert_eq!(live(&sample).0, report(&sample, Some(80)));
    }
}

/// Writes what happens as it happens, to the screen and to a file.
struct Watcher {
    live: Live,
    recorder: Recorder<Vec<u8>>,
    screen: Vec<u8>,
    lengths: Vec<usize>,
    lines: Vec<u8>,
}

impl drive::Watch for Watcher {
    fn sent(&mut self, at: Instant, purpose: &Purpose, bytes: &[u8]) {
        self.recorder.sent(at, purpose, bytes).unwrap();
    }

    fn received(&mut self, at: Instant, bytes: &[u8], evidence: &Evidence, id: Option<SentId>) {
        self.recorder.received(at, bytes, evidence, id).unwrap();
    }

    fn event(&mut self, evidence: &Evidence, event: Event) {
        json::write_event(&mut self.lines, evidence, event).unwrap();
        self.live
            .handle_event(&mut self.screen, evidence, event, &Names::new())
            .unwrap();
        self.lengths.push(self.screen.len());
    }
}

#[test]
fn a_run_of_the_engine_is_seen_live_and_judged_again_from_its_file() {
    for flows in 1..=3 {
        check_run_of_engine(flows);
    }
}

fn check_run_of_engine(flows: u16) {
    let sample = Sample::new("10.0.0.2:40000", "192.0.2.7:443");
    let mut plan = Plan::new(sample.source, sample.run.target);
    let source = |flow| SocketAddr::new(sample.source.ip(), sample.source.port() + flow);
    plan.sources = (0..flows).map(source).collect();
    plan.probes = sample::probes();
    let mut screen = Vec::new();
    let mut watcher = Watcher {
        live: Live::begin(&mut screen, &sample.run, &plan, Some(80)).unwrap(),
        recorder: Recorder::begin(Vec::new(), &sample.run).unwrap(),
        screen,
        lengths: Vec::new(),
        lines: Vec::new(),
    };
    let engine = drive::drive(&sample, plan, &sample::stripping(), &mut watcher);
    let trace = judge(engine.evidence(), sample.run.target);
    assert_eq!(trace.verdict.code.name(), "path_strips_syn");
    assert_eq!(trace.flows.len(), usize::from(flows));

    let file = watcher.recorder.into_inner().unwrap();
    let (recorded, again) = reanalyze(file.as_slice()).unwrap();
    assert_eq!(again, trace);
    assert_eq!(recorded.run, sample.run);

    let lines = String::from_utf8(watcher.lines).unwrap();
    assert!(lines.lines().count() > 20);
    for line in lines.lines() {
        let line = serde_json::from_str(line).unwrap();
        assert_eq!(json_documents::errors(&line), None);
    }

    let mut steps = watcher.lengths.clone();
    steps.dedup();
    // The first hop is not kept back until the last one is known.
    assert!(steps.len() >= 3, "{steps:?}");
    let (mut screen, names) = (watcher.screen, Names::new());
    watcher.live.finish(&mut screen, &trace, &names).unwrap();
    let look = Look {
        names: &names,
        width: Some(80),
    };
    let whole = colored(|out| text::write(out, &sample.run, &trace, look));
    assert_eq!(String::from_utf8(screen).unwrap(), whole);
}

#[test]
fn each_hop_is_written_when_it_is_known() {
    let (text, lengths) = live(&sample::stripped());
    assert!(lengths.is_sorted());
    let mut steps = lengths.clone();
    steps.dedup();
    // The head, and four hops.
    assert_eq!(steps.len(), 5, "{text}");
}

#[test]
fn the_graph_has_each_router_once_and_the_change_on_its_links() {
    let names = sample::names();
    let graph = plain(|out| dot::write(out, &sample::stripped().trace(), &names));
    insta::assert_snapshot!(graph);
}

#[test]
fn names_cannot_leave_their_string_in_a_graph() {
    let mut names = Names::new();
    names.insert(
        "10.0.1.1".parse().unwrap(),
        "\"]; evil [label=\"\\".to_owned(),
    );
    let graph = plain(|out| dot::write(out, &sample::stripped().trace(), &names));
    assert!(
        graph.contains(r#"label="10.0.1.1\n\"]; evil [label=\"\\""#),
        "{graph}"
    );
}

#[test]
fn two_packets_side_by_side_show_what_differs() {
    let sample = sample::stripped();
    let quotes = sample.evidence.all().iter().filter_map(|sent| {
        let answer = sent.answers.first()?;
        match &answer.kind {
            crate::evidence::AnswerKind::Error { quote, .. } => Some((sent, quote)),
            crate::evidence::AnswerKind::Segment(_) => None,
        }
    });
    let mut text = String::new();
    let wanted = quotes.filter(|(sent, _)| {
        sent.purpose.probe == crate::probe::Probe::CapableV1 && sent.purpose.ttl > 1
    });
    for (sent, quote) in wanted {
        for side in sides::compare(&sent.bytes, quote).unwrap() {
            let [ours, theirs] = [&side.sent, &side.seen].map(|bytes| super::word::digits(bytes));
            let sign = side.mark.sign();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{sign} {:<17} {ours:<40} {theirs}", side.name);
        }
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}
