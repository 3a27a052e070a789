//! What the screen shows, as plain data.

use crate::evidence::{AnswerKind, Evidence, Sent};
use crate::probe::Probe;
use crate::run::{Names, Run};
use crate::trace::{Cell, End, Flow, Hop, Trace};

/// What is known of a run at a point in time.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The run.
    pub run: Run,
    /// What was found so far.
    pub trace: Trace,
    /// What was sent and received so far.
    pub evidence: Evidence,
    /// Names of the routers, as far as they are known.
    pub names: Names,
    /// Nothing more is to come.
    pub is_over: bool,
}

/// State of the screen.
#[derive(Debug, Clone)]
pub(super) struct App {
    pub(super) snapshot: Snapshot,
    pub(super) screen: Screen,
    /// Number of the flow that is shown.
    pub(super) flow: usize,
    /// Row of the cursor: the hops, and behind them the target.
    pub(super) row: usize,
    /// Column of the cursor.
    pub(super) column: usize,
    /// Lines of the detail pane that are above its first one.
    pub(super) scroll: usize,
    pub(super) is_colored: bool,
}

/// What the keys act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Screen {
    /// The table of hops.
    Grid,
    /// The pane below or beside it.
    Detail,
    /// The help; which of the others follows.
    Help {
        /// The detail pane does.
        to_detail: bool,
    },
}

/// What the user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Msg {
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    First,
    Last,
    NextPane,
    NextFlow,
    NextChange,
    Help,
    Back,
    Quit,
}

/// What is to be done outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// The screen is to be drawn again.
    Draw,
    /// The user has seen enough.
    Quit,
}

impl App {
    pub(super) fn new(snapshot: Snapshot, is_colored: bool) -> Self {
        Self {
            snapshot,
            screen: Screen::Grid,
            flow: 0,
            row: 0,
            column: 0,
            scroll: 0,
            is_colored,
        }
    }

    /// More is known.
    pub(super) fn show(&mut self, snapshot: Snapshot) -> Effect {
        // The cursor stays on the target if it is there, and else on its hop.
        let is_on_target = self.row > 0 && self.row + 1 == self.rows();
        self.snapshot = snapshot;
        if is_on_target {
            self.row = self.rows().saturating_sub(1);
        }
        self.clamp();
        Effect::Draw
    }

    pub(super) fn update(&mut self, msg: Msg) -> Effect {
        if let Screen::Help { to_detail } = self.screen
            && !matches!(msg, Msg::Up | Msg::Down | Msg::Quit)
        {
            self.close_help(to_detail);
            return Effect::Draw;
        }
        match (self.screen, msg) {
            (_, Msg::Quit) | (Screen::Grid, Msg::Back) => return Effect::Quit,
            (screen, Msg::Help) => {
                let to_detail = screen == Screen::Detail;
                self.screen = Screen::Help { to_detail };
                self.scroll = 0;
            }
            (Screen::Grid, Msg::NextPane) => self.screen = Screen::Detail,
            (Screen::Detail, Msg::NextPane | Msg::Back) => self.screen = Screen::Grid,
            (_, Msg::NextFlow) => {
                let flows = self.snapshot.trace.flows.len().max(1);
                self.flow = (self.flow + 1) % flows;
                self.scroll = 0;
            }
            (_, Msg::NextChange) => self.next_change(),
            (Screen::Grid, msg) => self.move_cursor(msg),
            (Screen::Detail | Screen::Help { .. }, msg) => self.move_pane(msg),
        }
        self.clamp();
        Effect::Draw
    }

    fn close_help(&mut self, to_detail: bool) {
        self.scroll = 0;
        self.screen = if to_detail {
            Screen::Detail
        } else {
            Screen::Grid
        };
    }

    fn move_cursor(&mut self, msg: Msg) {
        self.scroll = 0;
        match msg {
            Msg::Up => self.row = self.row.saturating_sub(1),
            Msg::Down => self.row += 1,
            Msg::Left => self.column = self.column.saturating_sub(1),
            Msg::Right => self.column += 1,
            Msg::PageUp => self.row = self.row.saturating_sub(PAGE),
            Msg::PageDown => self.row += PAGE,
            Msg::First => self.row = 0,
            Msg::Last => self.row = usize::MAX,
            _ => {}
        }
    }

    /// Up and down scroll; left and right look at the next probe.
    fn move_pane(&mut self, msg: Msg) {
        match msg {
            Msg::Up => self.scroll = self.scroll.saturating_sub(1),
            Msg::Down => self.scroll += 1,
            Msg::PageUp => self.scroll = self.scroll.saturating_sub(PAGE),
            Msg::PageDown => self.scroll += PAGE,
            Msg::First => self.scroll = 0,
            Msg::Left => self.column = self.column.saturating_sub(1),
            Msg::Right => self.column += 1,
            _ => {}
        }
        self.scroll = self.scroll.min(MAX_SCROLL);
    }

    /// To the next cell that is changed, row by row.
    fn next_change(&mut self) {
        use crate::trace::CellState::Changed;
        let columns = self.columns().max(1);
        let Some(flow) = self.shown_flow() else {
            return;
        };
        let cells = flow.hops.iter().flat_map(|hop| &hop.cells);
        let changed: Vec<usize> = cells
            .enumerate()
            .filter(|(_, cell)| cell.state == Changed)
            .map(|(at, _)| at)
            .collect();
        let here = self.row * columns + self.column;
        let next = changed.iter().find(|at| **at > here).or(changed.first());
        if let Some(at) = next {
            (self.row, self.column) = (at / columns, at % columns);
            self.scroll = 0;
        }
    }

    fn clamp(&mut self) {
        let flows = self.snapshot.trace.flows.len();
        self.flow = self.flow.min(flows.saturating_sub(1));
        self.row = self.row.min(self.rows().saturating_sub(1));
        self.column = self.column.min(self.columns().saturating_sub(1));
    }

    /// The flow that is shown; none as long as nothing was sent.
    pub(super) fn shown_flow(&self) -> Option<&Flow> {
        self.snapshot.trace.flows.get(self.flow)
    }

    /// The hops, and the target.
    fn rows(&self) -> usize {
        self.shown_flow().map_or(0, |flow| flow.hops.len() + 1)
    }

    /// Probes that were sent with small TTLs, and those that were sent to the target only.
    pub(super) fn probes(&self) -> Vec<Probe> {
        let Some(flow) = self.shown_flow() else {
            return Vec::new();
        };
        let mut probes = flow.probes.clone();
        for end in &flow.ends {
            if !probes.contains(&end.probe) {
                probes.push(end.probe.clone());
            }
        }
        probes
    }

    fn columns(&self) -> usize {
        self.probes().len()
    }

    /// Where the cursor is.
    pub(super) fn focus(&self) -> Option<Focus<'_>> {
        let flow = self.shown_flow()?;
        let probe = self.probes().into_iter().nth(self.column)?;
        let Some(hop) = flow.hops.get(self.row) else {
            let end = flow.ends.iter().find(|end| end.probe == probe);
            return Some(Focus::Target(probe, end));
        };
        Some(Focus::Hop(hop, probe, hop.cells.get(self.column)))
    }

    /// The packet of a cell, and what is quoted of it.
    pub(super) fn quote(&self, cell: &Cell) -> Option<(&Sent, &[u8])> {
        let sent = self.snapshot.evidence.sent(cell.shown?)?;
        let mut quotes = sent.answers.iter().filter_map(|answer| match &answer.kind {
            AnswerKind::Error {
                quote, comparison, ..
            } => Some((quote.as_slice(), comparison)),
            AnswerKind::Segment(_) => None,
        });
        let quote =
            quotes.rfind(|(_, comparison)| Some(*comparison) == cell.comparison.as_ref())?;
        Some((sent, quote.0))
    }
}

/// What the cursor is on.
#[derive(Debug, Clone)]
pub(super) enum Focus<'a> {
    /// A hop, and a probe there.
    Hop(&'a Hop, Probe, Option<&'a Cell>),
    /// The target, and what it said.
    Target(Probe, Option<&'a End>),
}

/// Lines of a page.
const PAGE: usize = 10;
/// The detail pane never has more lines.
pub(super) const MAX_SCROLL: usize = 4096;
