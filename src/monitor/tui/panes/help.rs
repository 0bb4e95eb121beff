//! The help: every key from the one table, and how to read the screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::actions::BINDINGS;
use super::super::glyphs::MORE;
use super::super::replay;
use super::super::state::State;
use super::super::theme::Token;
use super::super::widgets::overlay;
use crate::balance::Verdict;

/// How far down one can go.
pub(super) fn end(state: &State, area: Rect) -> usize {
    lines(state).len().saturating_sub(usize::from(area.height.saturating_sub(2)))
}

fn lines(state: &State) -> Vec<Line<'static>> {
    let (theme, glyphs) = (state.theme, state.glyphs);
    let mut lines: Vec<Line<'static>> = Vec::new();
    let of_replay = |command| state.replay.as_ref().and_then(|_| replay::help(command));
    for binding in BINDINGS.iter().filter(|b| !state.keymap.keys(b.command).is_empty()) {
        let keys = state.keymap.label(binding.command);
        lines.push(Line::from(vec![
            Span::styled(format!("{keys:<14}"), theme.style(Token::Strong)),
            Span::raw(of_replay(binding.command).unwrap_or(binding.help)),
        ]));
    }
    lines.push(Line::default());
    let limit = state.max_over_mean();
    let balanced = format!("balanced: the busiest NIC carries at most {limit} x the mean");
    let over = format!("beside a rate: over the mean by more than {limit} x");
    let legend = [
        (glyphs.verdict(Verdict::Balanced), &*balanced),
        (glyphs.verdict(Verdict::Skewed), "skewed: more than that"),
        (glyphs.verdict(Verdict::SingleNic), "single NIC: one carries it all, the others nothing"),
        (glyphs.verdict(Verdict::Idle), "idle: nothing moves"),
        (
            glyphs.verdict(Verdict::Unknown),
            "unknown: some NICs cannot be read, and the others do not decide it",
        ),
        (glyphs.mean(), "in a bar: the mean of the group's NICs"),
        (glyphs.over(), &*over),
        (glyphs.under(), "beside a rate: under it by as much"),
        (glyphs.differs(), "the kernel saw less (by over 5 % + 16 MB) than was claimed"),
        (MORE, "the kernel sees more: other traffic, or retransmissions"),
        ("-", "not known (0 is a number)"),
    ];
    for (glyph, meaning) in legend {
        lines.push(Line::from(vec![
            Span::styled(format!("{glyph:<14}"), theme.style(Token::Strong)),
            Span::raw(meaning.to_owned()),
        ]));
    }
    let columns = [
        ("%|m/m", "a NIC's share of line rate; a group's max/mean: 1x is even, 4x one NIC of 4"),
        ("op|on #|on", "a NIC's operations (or packets) a second; a group's active NICs of all"),
    ];
    for (title, meaning) in columns {
        lines.push(Line::from(vec![
            Span::styled(format!("{title:<11}"), theme.style(Token::Strong)),
            Span::raw(meaning),
        ]));
    }
    lines
}

/// Draws the help over `area`.
pub(super) fn render(state: &State, first: usize, area: Rect, buffer: &mut Buffer) {
    let (theme, glyphs) = (state.theme, state.glyphs);
    let lines = lines(state);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = overlay::centred(area, 86, height);
    let inside = overlay::frame(area, "Keys and signs", buffer, glyphs, theme.style(Token::Strong));
    overlay::lines(inside, first, &lines, buffer, glyphs, theme.style(Token::Muted));
}
