//! Every node's groups, the worst first, a line each; a node without numbers is a line as well.
//!
//! ```text
//!  node    group        NICs  Tx Gb/s   m/m  Rx Gb/s   m/m  Tx NICs   Rx NICs   what
//! ▶gpu-17  lost             -       -     -        -     -                      ✗ connection refused, since 12 s
//!  gpu-03  GPU 53:00.0   1/4     97.1  4.00x    96.2 1.01x  █···      ▂▂▂▂      ✗ Tx single NIC: rdmap79s0
//!  gpu-04  GPU 53:00.0   4/4    388.0  1.01x   386.1 1.00x  ▂▂▂▂      ▂▂▂▂      ✓ balanced
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use super::super::format::{self, MISSING, Scale};
use super::super::rows::RowKind;
use super::super::state::State;
use super::super::summary::Direction;
use super::super::theme::Token;
use super::groups::{auto_top, shares};
use super::table::{self, Cell, Column, number, rest, text};
use crate::monitor::model::remote::{self, Rank, RemoteState, RemoteView, is_busy};
use crate::monitor::model::view::{GroupView, View};
use crate::text::printable;

/// Draws the table.
pub(super) fn render(state: &State, view: &View, titles: Rect, area: Rect, buffer: &mut Buffer) {
    let Some(nodes) = &view.fleet else { return };
    let scale = Scale::of(view, state.units);
    let most = (area.width / 5).max(8);
    let width = |longest: usize, least: u16| u16::try_from(longest).unwrap_or(most).clamp(least, most);
    let names = width(nodes.iter().map(|node| node.name.width()).max().unwrap_or(0), 4);
    let of_groups = nodes.iter().flat_map(|node| {
        let groups = view.groups.get(node.groups.clone()).unwrap_or_default();
        let trouble = if node.groups.is_empty() { node.state.word().width() } else { 0 };
        groups.iter().map(|group| remote::group_name(node, group).width()).chain([trouble])
    });
    let groups = width(of_groups.max().unwrap_or(0), 5);
    let nics = view.groups.iter().map(|group| group.nics.len()).max().unwrap_or(0);
    let strip = u16::try_from(nics).unwrap_or(16).clamp(7, 16);
    let auto_top = auto_top(view);
    let columns: [Column; 10] = [
        text("node", names, 0),
        text("group", groups, 0),
        number("NICs", 5, 2),
        number(&format!("Tx {}", scale.label), 7, 0),
        number("m/m", 5, 1),
        number(&format!("Rx {}", scale.label), 7, 0),
        number("m/m", 5, 1),
        text("Tx NICs", strip, 5),
        text("Rx NICs", strip, 4),
        rest("what", 18, 0),
    ];
    let cells = |index: usize| match state.rows[index].kind {
        RowKind::Remote(node) => nodes.get(node).map_or_else(Vec::new, |node| without_numbers(state, node)),
        RowKind::Group { group, .. } => {
            let node = nodes.iter().find(|node| node.groups.contains(&group));
            let group = &view.groups[group];
            node.map_or_else(Vec::new, |node| of_group(state, &scale, auto_top, node, group))
        }
        _ => Vec::new(),
    };
    table::render(state, &columns, [titles, area], cells, buffer);
}

/// A node that has no group to show.
fn without_numbers(state: &State, node: &RemoteView) -> Vec<Cell> {
    let theme = state.theme;
    let (glyph, token) = match node.state {
        RemoteState::Asked => ("", Token::Muted),
        RemoteState::Live | RemoteState::Old | RemoteState::Lost | RemoteState::Never => {
            (state.glyphs.bad(), Token::Bad)
        }
    };
    let reason = match (&node.reason, node.state.is_trouble()) {
        (Some(reason), true) => format!("{glyph} {}{}", printable(reason), node.since()),
        (Some(reason), false) => format!("{glyph} {}", printable(reason)),
        (None, _) => glyph.to_owned(),
    };
    let muted = theme.style(Token::Muted);
    let absent = || Cell::Text(MISSING.to_owned(), muted);
    let word = if node.state == RemoteState::Live { "no NIC" } else { node.state.word() };
    let mut cells = vec![
        Cell::Text(printable(&node.name), theme.style(Token::Strong)),
        Cell::Text(word.to_owned(), theme.style(token)),
    ];
    cells.extend((0..5).map(|_| absent()));
    cells.extend([Cell::Strip(Vec::new()), Cell::Strip(Vec::new()), Cell::Text(reason, theme.style(token))]);
    cells
}

fn of_group(state: &State, scale: &Scale, auto_top: f64, node: &RemoteView, group: &GroupView) -> Vec<Cell> {
    let (theme, glyphs) = (state.theme, state.glyphs);
    let plain = theme.style(Token::Text);
    let active = remote::active_nics(group).map_or_else(|| MISSING.to_owned(), |active| active.to_string());
    let (rank, _) = remote::badness(group);
    let (glyph, token) = match rank {
        Rank::Unknown | Rank::Broken => (glyphs.bad(), Token::Bad),
        Rank::Uneven => {
            let verdict = remote::worst_ratio(group).map(|(_, verdict)| verdict).filter(|v| v.is_imbalance());
            let bad = verdict == Some(crate::balance::Verdict::SingleNic);
            let slow = verdict.is_none();
            (
                if bad {
                    glyphs.bad()
                } else if slow {
                    glyphs.under()
                } else {
                    glyphs.over()
                },
                if bad { Token::Bad } else { Token::Warn },
            )
        }
        Rank::Losing => (super::super::glyphs::LOST, Token::Loss),
        Rank::Busy => (glyphs.verdict(crate::balance::Verdict::Balanced), Token::Good),
        Rank::Quiet => (glyphs.verdict(crate::balance::Verdict::Idle), Token::Muted),
    };
    let mut what = format!("{glyph} {}", printable(&remote::words(group)));
    // One answer that was none does not take the numbers away, but they are older than they look.
    if let Some(reason) = &node.reason {
        what = format!("{what} (last answer: {})", printable(reason));
    }
    let mut cells = vec![
        Cell::Text(printable(&node.name), theme.style(Token::Strong)),
        Cell::Text(printable(&remote::group_name(node, group)), plain),
        Cell::Text(format!("{active}/{}", group.nics.len()), plain),
    ];
    for way in Direction::BOTH {
        let flow = way.of(group);
        let ratio = flow.bytes_per_s.and(flow.spread.max_over_mean).filter(|_| is_busy(flow));
        let style: Style = if is_busy(flow) && flow.spread.verdict.is_imbalance() {
            theme.verdict(flow.spread.verdict)
        } else {
            plain
        };
        cells.push(Cell::Text(scale.number(flow.bytes_per_s), theme.style(way.token())));
        cells.push(Cell::Text(format::judged_ratio(ratio, state.limit()), style));
    }
    for way in Direction::BOTH {
        cells.push(Cell::Strip(shares(group, way, auto_top, theme.style(way.token()))));
    }
    cells.push(Cell::Text(what, theme.style(token)));
    cells
}
