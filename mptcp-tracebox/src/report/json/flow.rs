//! The path of a flow, in JSON.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::IntervalView;
use super::answer::{ChangeView, ErrorView, FieldView, nanos};
use crate::evidence::{AnswerKind, Evidence};
use crate::probe::Probe;
use crate::report::word;
use crate::run::Names;
use crate::trace::{
    Acked, Cell, End, EndAnswer, EndOption, Flow, Hop, Located, Refusal, Refused, Router, Talk,
};

/// A flow.
#[derive(Serialize)]
pub(super) struct FlowView<'a> {
    source: SocketAddr,
    probes: Vec<String>,
    distance: Option<u8>,
    is_balanced: bool,
    hops: Vec<HopView<'a>>,
    changes: Vec<LocatedView>,
    ends: Vec<EndView>,
    talk: Option<TalkView>,
    refused: Option<RefusedView>,
    unseen_lost: Option<IntervalView>,
    other: Option<OtherView>,
    hidden: Option<HiddenView>,
}

/// What the connection of the established phase showed.
#[derive(Serialize)]
struct TalkView {
    attempt: u8,
    is_mptcp: bool,
    acked: &'static str,
    failed: bool,
    was_reset: bool,
    reset_reason: Option<u8>,
    reset_between: Option<IntervalView>,
    acked_between: Option<IntervalView>,
    passes_holes: Option<bool>,
}

/// What is refused of what a connection says.
#[derive(Serialize)]
struct RefusedView {
    probe: String,
    by: &'static str,
    from: Option<IpAddr>,
    error: Option<ErrorView>,
    between: IntervalView,
}

/// What another port showed.
#[derive(Serialize)]
struct OtherView {
    nearer: Option<IntervalView>,
    stateful: Option<IntervalView>,
}

/// Hops that do not show.
#[derive(Serialize)]
struct HiddenView {
    between: IntervalView,
    hops: u8,
}

#[derive(Serialize)]
struct HopView<'a> {
    ttl: u8,
    routers: Vec<RouterView<'a>>,
    cells: Vec<CellView>,
}

#[derive(Serialize)]
struct RouterView<'a> {
    address: IpAddr,
    name: Option<&'a str>,
    answers: u32,
    rtt_ns: u64,
    quoted_tcp_bytes: usize,
    quotes_all: bool,
    mpls: Vec<LabelView>,
    said: ErrorView,
}

#[derive(Serialize)]
struct LabelView {
    label: u32,
    traffic_class: u8,
    ttl: u8,
}

#[derive(Serialize)]
struct CellView {
    probe: String,
    state: &'static str,
    sent: u32,
    answered: u32,
    packet: Option<usize>,
    sent_hex: Option<String>,
    quote_hex: Option<String>,
    fields: Vec<FieldStateView>,
}

#[derive(Serialize)]
struct FieldStateView {
    #[serde(flatten)]
    field: FieldView,
    state: &'static str,
}

#[derive(Serialize)]
struct LocatedView {
    #[serde(flatten)]
    change: ChangeView,
    between: IntervalView,
    probes: Vec<String>,
    witnesses: u32,
}

#[derive(Serialize)]
struct EndView {
    probe: String,
    sent: u32,
    answered: u32,
    answer: &'static str,
    option: Option<&'static str>,
    version: Option<u8>,
    erased_bytes: Option<usize>,
    window: Option<u16>,
    reset_reason: Option<u8>,
    from: Option<IpAddr>,
    error: Option<ErrorView>,
    ttl: Option<u8>,
    rtt_ns: Option<u64>,
    text: String,
}

impl<'a> FlowView<'a> {
    pub(super) fn new(flow: &'a Flow, evidence: &Evidence, names: &'a Names) -> Self {
        let hop = |hop| HopView::new(flow, hop, evidence, names);
        Self {
            source: flow.source,
            probes: flow.probes.iter().map(Probe::to_string).collect(),
            distance: flow.distance,
            is_balanced: flow.is_balanced,
            hops: flow.hops.iter().map(hop).collect(),
            changes: flow.changes.iter().map(LocatedView::new).collect(),
            ends: flow.ends.iter().map(EndView::new).collect(),
            talk: flow.talk.map(TalkView::new),
            refused: flow.refused.as_ref().map(RefusedView::new),
            unseen_lost: flow.unseen_lost.map(IntervalView::new),
            other: flow.other.map(|other| OtherView {
                nearer: other.nearer.map(IntervalView::new),
                stateful: other.stateful.map(IntervalView::new),
            }),
            hidden: flow.hidden.map(|hidden| HiddenView {
                between: IntervalView::new(hidden.between),
                hops: hidden.hops,
            }),
        }
    }
}

impl TalkView {
    fn new(talk: Talk) -> Self {
        Self {
            attempt: talk.attempt,
            is_mptcp: talk.is_mptcp,
            acked: match talk.acked {
                Acked::Never => "never",
                Acked::ByTcp => "by_tcp",
                Acked::ByMptcp => "by_mptcp",
            },
            failed: talk.failed,
            was_reset: talk.was_reset,
            reset_reason: talk.reset_reason,
            reset_between: talk.reset_between.map(IntervalView::new),
            acked_between: talk.acked_between.map(IntervalView::new),
            passes_holes: talk.passes_holes,
        }
    }
}

impl RefusedView {
    fn new(refused: &Refused) -> Self {
        let (by, from, error) = match refused.by {
            Refusal::Reset => ("reset", None, None),
            Refusal::Error { from, kind } => {
                ("error", Some(from), Some(ErrorView::new(kind, from)))
            }
        };
        Self {
            probe: refused.probe.to_string(),
            by,
            from,
            error,
            between: IntervalView::new(refused.between),
        }
    }
}

impl<'a> HopView<'a> {
    fn new(flow: &Flow, hop: &'a Hop, evidence: &Evidence, names: &'a Names) -> Self {
        let cells = flow.probes.iter().zip(&hop.cells);
        Self {
            ttl: hop.ttl,
            routers: hop
                .routers
                .iter()
                .map(|router| RouterView::new(router, names))
                .collect(),
            cells: cells
                .map(|(probe, cell)| CellView::new(probe, cell, evidence))
                .collect(),
        }
    }
}

impl<'a> RouterView<'a> {
    fn new(router: &Router, names: &'a Names) -> Self {
        let labels = router.labels.iter().map(|label| LabelView {
            label: label.label,
            traffic_class: label.traffic_class,
            ttl: label.ttl,
        });
        Self {
            address: router.address,
            name: names.get(&router.address).map(String::as_str),
            answers: router.answers,
            rtt_ns: nanos(router.rtt),
            quoted_tcp_bytes: router.quoted,
            quotes_all: router.quotes_all,
            mpls: labels.collect(),
            said: ErrorView::new(router.said, router.address),
        }
    }
}

impl CellView {
    fn new(probe: &Probe, cell: &Cell, evidence: &Evidence) -> Self {
        let sent = cell.shown.and_then(|id| evidence.sent(id));
        let quote = sent.and_then(|sent| {
            sent.answers
                .iter()
                .rev()
                .find_map(|answer| match &answer.kind {
                    AnswerKind::Error {
                        quote, comparison, ..
                    } if Some(comparison) == cell.comparison.as_ref() => Some(quote),
                    _ => None,
                })
        });
        let states = cell.comparison.iter().flat_map(|found| &found.states);
        let fields = states.map(|&(field, state)| FieldStateView {
            field: FieldView::new(field),
            state: word::state(state),
        });
        Self {
            probe: probe.to_string(),
            state: word::cell(cell.state),
            sent: cell.sent,
            answered: cell.answered,
            packet: cell.shown.map(|id| id.0),
            sent_hex: sent.map(|sent| word::digits(&sent.bytes)),
            quote_hex: quote.map(|quote| word::digits(quote)),
            fields: fields.collect(),
        }
    }
}

impl LocatedView {
    fn new(located: &Located) -> Self {
        Self {
            change: ChangeView::new(&located.change),
            between: IntervalView::new(located.between),
            probes: located.probes.iter().map(Probe::to_string).collect(),
            witnesses: located.witnesses,
        }
    }
}

impl EndView {
    fn new(end: &End) -> Self {
        let mut view = Self {
            probe: end.probe.to_string(),
            sent: end.sent,
            answered: end.answered,
            answer: "silent",
            option: None,
            version: None,
            erased_bytes: None,
            window: None,
            reset_reason: None,
            from: None,
            error: None,
            ttl: end.ttl,
            rtt_ns: end.rtt.map(nanos),
            text: word::answer(&end.answer),
        };
        match &end.answer {
            EndAnswer::Silent => {}
            EndAnswer::SynAck { option, window } => {
                view.answer = "syn_ack";
                view.window = Some(*window);
                view.set_option(*option);
            }
            EndAnswer::Reset { reason } => {
                view.answer = "reset";
                view.reset_reason = *reason;
            }
            EndAnswer::Ack => view.answer = "ack",
            EndAnswer::Error { from, kind } => {
                view.answer = "error";
                view.from = Some(*from);
                view.error = Some(ErrorView::new(*kind, *from));
            }
        }
        view
    }

    fn set_option(&mut self, option: EndOption) {
        self.option = Some(match option {
            EndOption::Capable(version) => {
                self.version = Some(version);
                "capable"
            }
            EndOption::Join => "join",
            EndOption::Mirrored => "mirrored",
            EndOption::Erased(len) => {
                self.erased_bytes = Some(len);
                "erased"
            }
            EndOption::Absent => "absent",
        });
    }
}
