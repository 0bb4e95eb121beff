//! The first lines: where and when, and the verdict over everything.

use std::collections::BTreeSet;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::format::{self, Scale};
use super::super::state::State;
use super::super::summary::{Direction, Summary};
use super::super::theme::Token;
use super::cells::Slot;
use crate::balance::Verdict;
use crate::monitor::model::view::{GroupKind, View};
use crate::text::printable;

/// Two lines, or the second only where there is room for one.
pub(super) fn render(state: &State, area: Rect, buffer: &mut Buffer) {
    if area.height > 1 {
        buffer.set_line(area.x, area.y, &facts(state), area.width);
        tag(state, Rect { height: 1, ..area }, buffer);
    }
    let y = area.bottom() - 1;
    let Some(view) = &state.shown else { return };
    let mut spans = Vec::new();
    let mut directions = [Direction::Tx, Direction::Rx].map(|d| verdict(state, view, d, true));
    let width: usize = directions.iter().flatten().map(Span::width).sum();
    if width + 6 > usize::from(area.width) {
        directions = [Direction::Tx, Direction::Rx].map(|d| verdict(state, view, d, false));
    }
    for direction in directions {
        spans.push(Span::raw(if spans.is_empty() { " " } else { "   " }));
        spans.extend(direction);
    }
    buffer.set_line(area.x, y, &Line::from(spans), area.width);
    if area.height == 1 {
        tag(state, area, buffer);
    }
}

/// What to look at, for the demo.
pub(super) fn caption(state: &State, area: Rect, buffer: &mut Buffer) {
    for (line, y) in state.caption.lines().zip(area.top()..area.bottom()) {
        let slot = Slot { x: area.x + 1, y, width: area.width - 1 };
        slot.left(line, state.theme.style(Token::Caption), state.glyphs, buffer);
    }
}

/// The verdict of both directions as plain text, shortest form first to be cut.
pub(super) fn verdict_lines(state: &State) -> Vec<String> {
    let Some(view) = &state.shown else { return vec!["railtop: waiting for data".to_owned()] };
    [Direction::Tx, Direction::Rx]
        .map(|d| verdict(state, view, d, false).iter().map(|s| s.content.as_ref()).collect())
        .to_vec()
}

fn facts(state: &State) -> Line<'static> {
    let theme = state.theme;
    let mut spans = vec![Span::styled(" railtop", theme.style(Token::Strong))];
    let Some(view) = &state.shown else {
        spans.push(Span::raw("  waiting for data"));
        return Line::from(spans);
    };
    let nodes = view.groups.iter().map(|g| g.node.as_str()).collect::<BTreeSet<_>>().len();
    let nics: usize = view.groups.iter().map(|g| g.nics.len()).sum();
    let groups = view.groups.len();
    let mut text = format!("  {}", printable(&view.host));
    if groups > 0 {
        text.push_str("  ");
        text.push_str(&plural(nodes, "node"));
        if view.groups.iter().any(|g| g.kind != GroupKind::Node) {
            text.push_str(", ");
            text.push_str(&plural(groups, group_word(view)));
        }
        text.push_str(", ");
        text.push_str(&plural(nics, "NIC"));
    }
    if let Some(policy) = common_policy(view) {
        text.push_str("  policy ");
        text.push_str(&printable(policy));
    }
    spans.push(Span::raw(text));
    let when =
        format!("  every {}  {}", format::duration(state.interval), format::time_of_day(view.realtime_ns));
    spans.push(Span::styled(when, theme.style(Token::Muted)));
    Line::from(spans)
}

/// What must not be overlooked, at the right end of the first line.
fn tag(state: &State, line: Rect, buffer: &mut Buffer) {
    let text = if state.paused {
        let behind = state.behind().filter(|d| !d.is_zero());
        format!(" PAUSED{} ", behind.map_or_else(String::new, |d| format!(" {} ago", format::duration(d))))
    } else if let Some(silent) = state.silent {
        format!(" NO DATA for {} ", format::duration(silent))
    } else {
        return;
    };
    let slot = Slot { x: line.x, y: line.y, width: line.width };
    slot.right(&text, state.theme.style(Token::Tag), state.glyphs, buffer);
}

/// `Rx 1600 Mb/s ✗ single NIC 4.00x node0 PE 3 (8 of 8)`; the long form names the worst group.
fn verdict(state: &State, view: &View, direction: Direction, long: bool) -> Vec<Span<'static>> {
    let theme = state.theme;
    let summary = Summary::of(view.groups.iter(), direction);
    let scale = Scale::of(view, state.units);
    let token = if direction == Direction::Tx { Token::Tx } else { Token::Rx };
    let mut spans = vec![Span::styled(direction.name(), theme.style(token)), Span::raw(" ")];
    spans.push(Span::styled(scale.with_unit(summary.bytes_per_s), theme.style(Token::Strong)));
    let Some(verdict) = summary.verdict else {
        spans.push(Span::styled(" no rate yet", theme.style(Token::Muted)));
        return spans;
    };
    let text = format!(" {} {}", state.glyphs.verdict(verdict), verdict.word());
    spans.push(Span::styled(text, theme.verdict(verdict)));
    if let Some((ratio, name)) = summary.worst {
        let mut text = format!(" {}", format::ratio(Some(ratio)));
        let of = summary.busy;
        if verdict.is_imbalance() && of > 1 {
            if long {
                text.push_str(" at ");
                text.push_str(&printable(&name));
            }
            text.push_str(&if summary.uneven == of {
                format!(" (all {of})")
            } else {
                format!(" ({} of {of})", summary.uneven)
            });
        }
        spans.push(Span::raw(text));
        if verdict == Verdict::Balanced && long {
            let active = format!(" {}/{} NICs", summary.active_nics, summary.nics);
            spans.push(Span::styled(active, theme.style(Token::Muted)));
        }
    }
    spans
}

/// The policy that all groups share, if they do.
fn common_policy(view: &View) -> Option<&str> {
    let first = view.groups.first()?.policy.as_deref()?;
    view.groups.iter().all(|g| g.policy.as_deref() == Some(first)).then_some(first)
}

fn group_word(view: &View) -> &'static str {
    let all = |kind| view.groups.iter().all(|g| g.kind == kind);
    if all(GroupKind::Pe) {
        "PE"
    } else if all(GroupKind::Gpu) {
        "GPU"
    } else {
        "group"
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}
