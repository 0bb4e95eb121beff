//! What happened, the newest last.
//!
//! ```text
//!  time      what                subject
//!  10:00:12  · NIC back          mlx5_1        is there again after 12 s
//! ▶10:00:31  ▲ imbalance         node0 PE 3    Rx max/mean 4.00x: nic0 carries it all
//!  10:00:40  ✗ link down         rdmap79s0     port 1: ACTIVE -> DOWN
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::super::format;
use super::super::glyphs::Glyphs;
use super::super::rows::RowKind;
use super::super::state::State;
use super::super::theme::Token;
use super::table::{self, Cell, rest, text};
use crate::monitor::model::view::{Event, EventKind, Severity, View};

/// How a severity looks, with and without colour.
pub(super) fn severity(severity: Severity, glyphs: Glyphs) -> (&'static str, Token) {
    match severity {
        Severity::Info => (glyphs.track(), Token::Info),
        Severity::Warning => (glyphs.over(), Token::Warn),
        Severity::Bad => (glyphs.bad(), Token::Bad),
    }
}

/// The kind in a word or two.
pub(super) fn word(kind: EventKind) -> &'static str {
    match kind {
        EventKind::LinkDown => "link down",
        EventKind::LinkUp => "link up",
        EventKind::Reset => "counters reset",
        EventKind::Added => "new device",
        EventKind::Gone => "device gone",
        EventKind::Back => "device back",
        EventKind::Renamed => "renamed",
        EventKind::Silent => "no answer",
        EventKind::Answers => "answers again",
        EventKind::LossBegins => "loss",
        EventKind::LossEnds => "loss over",
        EventKind::Saturated => "saturated",
        EventKind::ImbalanceBegins => "imbalance",
        EventKind::ImbalanceEnds => "even again",
        EventKind::NicFailed => "NIC failed",
        EventKind::NicUsedAgain => "NIC used",
        EventKind::PeDied => "PE died",
    }
}

/// Draws the table.
pub(super) fn render(state: &State, view: &View, titles: Rect, area: Rect, buffer: &mut Buffer) {
    let subjects = view.events.iter().map(|event| event.subject.width()).max().unwrap_or(0);
    let most = (area.width / 5).max(8);
    let columns = [
        text("time", 8, 1),
        text("", 1, 0),
        text("what", 14, 2),
        text("subject", u16::try_from(subjects).unwrap_or(most).clamp(7, most), 0),
        rest("", 10, 0),
    ];
    let cells = |index: usize| match state.rows[index].kind {
        RowKind::Event(event) => row(state, &view.events[event]),
        _ => Vec::new(),
    };
    table::render(state, &columns, [titles, area], cells, buffer);
}

fn row(state: &State, event: &Event) -> Vec<Cell> {
    let theme = state.theme;
    let (glyph, token) = severity(event.severity, state.glyphs);
    let said = if event.severity == Severity::Info { Token::Text } else { token };
    vec![
        Cell::Text(format::clock(event.realtime_ns), theme.style(Token::Muted)),
        Cell::Text(glyph.to_owned(), theme.style(token)),
        Cell::Text(word(event.kind).to_owned(), theme.style(said)),
        Cell::Text(event.subject.clone(), theme.style(Token::Strong)),
        Cell::Text(event.text.clone(), theme.style(Token::Text)),
    ]
}
