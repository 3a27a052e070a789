//! Documents and lines of schema `mptcp-tracebox/1`, described field by field in
//! `docs/json/mptcp-tracebox-1.md`. Fields are only ever added.

mod answer;
mod event;
mod flow;

use std::io::Write;
use std::net::SocketAddr;

use mptcp_cli::json::write_document;
use serde::Serialize;

use self::event::EventLine;
use self::flow::FlowView;
use crate::engine::Event;
use crate::evidence::Evidence;
use crate::report::word;
use crate::run::{Extent, Names, Run, Tier};
use crate::trace::{Interval, Place, Trace, Verdict};

/// Name of the schema.
pub const SCHEMA: &str = "mptcp-tracebox/1";

/// Writes the document of a run; of one that was read from a file, nothing tells how far it came.
///
/// # Errors
/// Those of `out`, as all functions have them.
pub fn write(
    out: &mut dyn Write,
    run: &Run,
    trace: &Trace,
    (evidence, extent): (&Evidence, Option<Extent>),
    names: &Names,
) -> serde_json::Result<()> {
    let document = Document::new(run, trace, (evidence, extent), names);
    write_document(out, SCHEMA, document)
}

/// Writes the document of a run as one line, the last of a stream of events.
///
/// # Errors
/// Those of `out`.
pub fn write_result(
    out: &mut dyn Write,
    run: &Run,
    trace: &Trace,
    (evidence, extent): (&Evidence, Option<Extent>),
    names: &Names,
) -> serde_json::Result<()> {
    let document = Document::new(run, trace, (evidence, extent), names);
    line(out, "result", document)
}

/// Writes an event as one line.
///
/// # Errors
/// Those of `out`.
pub fn write_event(
    out: &mut dyn Write,
    evidence: &Evidence,
    event: Event,
) -> serde_json::Result<()> {
    match event {
        Event::Answered(id) => line(out, "answered", EventLine::new(evidence, id)),
        Event::Silent(id) => line(out, "silent", EventLine::new(evidence, id)),
        Event::FlowDone(flow) => line(out, "flow_done", FlowDone { flow }),
    }
}

fn line<T: Serialize>(out: &mut dyn Write, event: &'static str, body: T) -> serde_json::Result<()> {
    #[derive(Serialize)]
    struct Line<T> {
        schema: &'static str,
        event: &'static str,
        #[serde(flatten)]
        body: T,
    }
    let line = Line {
        schema: SCHEMA,
        event,
        body,
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n").map_err(serde_json::Error::io)
}

#[derive(Serialize)]
struct FlowDone {
    flow: usize,
}

#[derive(Serialize)]
struct Document<'a> {
    host: &'a str,
    target: SocketAddr,
    started_at: Option<String>,
    tier: TierView,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel_mptcp: Option<KernelView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    foreign_resets: Option<u64>,
    verdict: VerdictView<'a>,
    flows: Vec<FlowView<'a>>,
    strays: u64,
    limits: Vec<LimitView>,
}

#[derive(Serialize)]
struct TierView {
    name: &'static str,
    meaning: &'static str,
}

#[derive(Serialize)]
struct KernelView {
    outcome: &'static str,
    meaning: &'static str,
}

#[derive(Serialize)]
struct VerdictView<'a> {
    code: &'static str,
    sentence: &'a str,
    blame: &'static str,
    confidence: &'static str,
    between: Option<IntervalView>,
    kernel_effect: &'a str,
}

/// What was dropped for a named limit.
#[derive(Serialize)]
struct LimitView {
    limit: &'static str,
    dropped: u64,
}

/// `until` is null for the target.
#[derive(Serialize)]
struct IntervalView {
    after: u8,
    until: Option<u8>,
}

impl<'a> Document<'a> {
    fn new(
        run: &'a Run,
        trace: &'a Trace,
        (evidence, extent): (&'a Evidence, Option<Extent>),
        names: &'a Names,
    ) -> Self {
        let flow = |flow| FlowView::new(flow, evidence, names);
        let limits = [("packets", evidence.missed())];
        let limits = limits.into_iter().filter(|(_, dropped)| *dropped > 0);
        Self {
            host: &run.host,
            target: trace.target,
            started_at: time(run.epoch_ns),
            tier: TierView::new(run.tier),
            kernel_mptcp: run.kernel_mptcp.map(|kernel| KernelView {
                outcome: kernel.name(),
                meaning: kernel.meaning(),
            }),
            ended: extent.map(|extent| extent.end.name()),
            foreign_resets: extent.map(|extent| extent.foreign_resets),
            verdict: VerdictView::new(&trace.verdict),
            flows: trace.flows.iter().map(flow).collect(),
            strays: evidence.strays(),
            limits: limits
                .map(|(limit, dropped)| LimitView { limit, dropped })
                .collect(),
        }
    }
}

impl TierView {
    fn new(tier: Tier) -> Self {
        Self {
            name: tier.name(),
            meaning: tier.meaning(),
        }
    }
}

impl<'a> VerdictView<'a> {
    fn new(verdict: &'a Verdict) -> Self {
        Self {
            code: verdict.code.name(),
            sentence: &verdict.sentence,
            blame: word::blame(verdict.blame),
            confidence: word::confidence(verdict.confidence),
            between: verdict.between.map(IntervalView::new),
            kernel_effect: &verdict.kernel_effect,
        }
    }
}

impl IntervalView {
    fn new(interval: Interval) -> Self {
        Self {
            after: interval.after,
            until: match interval.until {
                Place::Hop(ttl) => Some(ttl),
                Place::Target => None,
            },
        }
    }
}

/// RFC 3339, in UTC.
fn time(wall_ns: u64) -> Option<String> {
    let time = jiff::Timestamp::from_nanosecond(i128::from(wall_ns)).ok()?;
    Some(time.to_string())
}
