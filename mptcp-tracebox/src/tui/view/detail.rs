//! What was sent against what is quoted, side by side.

use mptcp_cli::escape::escape;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};

use super::grid;
use super::look::{CURSOR, FAINT, HEADING, Look};
use crate::report::sides::{Mark, Side, compare};
use crate::report::word;
use crate::trace::{Cell, End, Hop};
use crate::tui::app::{App, Focus, Screen};

/// Draws the pane.
pub(super) fn view(app: &App, frame: &mut Frame<'_>, area: Rect, look: Look) {
    let width = usize::from(area.width).saturating_sub(2);
    let (title, lines) = match app.focus() {
        None => (String::new(), Vec::new()),
        Some(Focus::Hop(hop, probe, cell)) => {
            let state = cell.map_or("", |cell| grid::word(cell.state));
            let title = format!("hop {}, {probe}: {state}", hop.ttl);
            (title, of_hop(app, hop, cell, width, look))
        }
        Some(Focus::Target(probe, end)) => (format!("target, {probe}"), of_end(end)),
    };
    let is_chosen = app.screen == Screen::Detail;
    let style = if is_chosen { HEADING } else { FAINT };
    let hint = if is_chosen { " <" } else { "" };
    let block = Block::new()
        .borders(Borders::TOP | Borders::LEFT)
        .border_style(style)
        .title(Span::styled(format!(" {title}{hint} "), HEADING));
    let inner = usize::from(block.inner(area).height);
    let most = lines.len().saturating_sub(inner);
    let scroll = u16::try_from(app.scroll.min(most)).unwrap_or(u16::MAX);
    let text = Paragraph::new(lines).block(block).scroll((scroll, 0));
    frame.render_widget(text, area);
}

fn of_end(end: Option<&End>) -> Vec<Line<'static>> {
    let Some(end) = end else {
        return vec![Line::styled("not asked", FAINT)];
    };
    let mut lines = vec![
        Line::raw(word::answer(&end.answer)),
        Line::raw(format!("{} sent, {} answered", end.sent, end.answered)),
    ];
    if let Some(rtt) = end.rtt {
        lines.push(Line::raw(format!("after {}", word::duration(rtt))));
    }
    if let Some(ttl) = end.ttl {
        lines.push(Line::raw(format!("arrived with TTL {ttl}")));
    }
    lines
}

fn of_hop(
    app: &App,
    hop: &Hop,
    cell: Option<&Cell>,
    width: usize,
    look: Look,
) -> Vec<Line<'static>> {
    let Some(cell) = cell else {
        return vec![Line::styled("not asked", FAINT)];
    };
    let mut lines = Vec::new();
    for change in cell.comparison.iter().flat_map(|found| &found.changes) {
        let text = format!("! {}", word::change(change));
        let wrapped = mptcp_cli::paragraph::wrap(&text, Some(width), 2);
        let wrapped: Vec<&str> = wrapped.lines().collect();
        lines.extend(
            wrapped
                .into_iter()
                .map(|line| Line::styled(line.to_owned(), look.error())),
        );
    }
    let counts = format!("{} sent, {} answered", cell.sent, cell.answered);
    lines.push(Line::styled(counts, FAINT));
    for router in &hop.routers {
        let name = app.snapshot.names.get(&router.address);
        let name = name.map_or(String::new(), |name| format!(" {}", escape(name)));
        let quotes = if router.quotes_all {
            String::new()
        } else {
            format!(", quotes {} bytes of TCP", router.quoted)
        };
        let text = format!("{}{name}{quotes}", router.address);
        lines.push(Line::styled(text, FAINT));
    }
    let quote = app.quote(cell);
    if let Some(sides) = quote.and_then(|(sent, quote)| compare(&sent.bytes, quote)) {
        let columns = Columns::new(width);
        lines.push(columns.head());
        for side in &sides {
            lines.extend(columns.side(side, look));
        }
    }
    lines
}

/// A sign, the name, and two columns of bytes.
struct Columns {
    name: usize,
    /// Bytes in a line.
    bytes: usize,
}

impl Columns {
    fn new(width: usize) -> Self {
        let name = if width >= 50 { NAME } else { NARROW_NAME };
        let room = width.saturating_sub(2 + name + 3);
        Self {
            name,
            bytes: (room / 6).clamp(2, 16),
        }
    }

    fn head(&self) -> Line<'static> {
        let name = self.name + 2;
        let bytes = self.bytes * 3;
        let text = format!("{:<name$} {:<bytes$} {}", "", "sent", "quoted");
        Line::styled(text, HEADING)
    }

    /// As many lines as the longer one needs.
    fn side(&self, side: &Side, look: Look) -> Vec<Line<'static>> {
        let len = side.sent.len().max(side.seen.len()).max(1);
        let style = match side.mark {
            Mark::Same => Style::new(),
            Mark::Different => look.error(),
            Mark::Expected | Mark::NotQuoted => FAINT,
        };
        let starts = (0..len).step_by(self.bytes);
        starts
            .map(|start| {
                let name = if start == 0 { side.name.as_str() } else { "" };
                let name: String = name.chars().take(self.name).collect();
                let head = format!("{} {name:<w$} ", side.mark.sign(), w = self.name);
                let mut spans = vec![Span::styled(head, style)];
                self.bytes_of(&mut spans, side, start, true, look);
                spans.push(Span::raw(" "));
                self.bytes_of(&mut spans, side, start, false, look);
                Line::from(spans)
            })
            .collect()
    }

    /// Bytes of one side; those that are not on the other side are reversed.
    fn bytes_of(
        &self,
        spans: &mut Vec<Span<'static>>,
        side: &Side,
        start: usize,
        is_sent: bool,
        look: Look,
    ) {
        let (ours, theirs) = if is_sent {
            (&side.sent, &side.seen)
        } else {
            (&side.seen, &side.sent)
        };
        for at in start..start + self.bytes {
            let Some(byte) = ours.get(at) else {
                let text = if at == 0 { "-  " } else { "   " };
                spans.push(Span::styled(text, FAINT));
                continue;
            };
            let is_other = theirs.get(at) != Some(byte);
            let is_marked = is_other && side.mark == Mark::Different;
            let style = if is_marked {
                look.error().patch(CURSOR)
            } else {
                Style::new()
            };
            spans.push(Span::styled(format!("{byte:02x}"), style));
            spans.push(Span::raw(" "));
        }
    }
}

const NAME: usize = 17;
const NARROW_NAME: usize = 10;
