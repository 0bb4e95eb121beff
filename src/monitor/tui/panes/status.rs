//! The last line: the filter while it is typed, else the keys one needs most.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::format::Units;
use super::super::state::{Fold, State};
use super::super::theme::Token;
use crate::text::printable;

/// Draws the status line; keys that do not fit are left out from the right.
pub(super) fn render(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let mut spans: Vec<Span<'_>> = Vec::new();
    if state.typing {
        spans.push(Span::styled(" filter: ", theme.style(Token::Tag)));
        spans.push(Span::raw(format!(" {}_", printable(&state.filter))));
        spans.push(Span::styled("   Enter keeps it, Esc drops it", theme.style(Token::Muted)));
    } else {
        let units = match state.units {
            Units::Bits => "bits",
            Units::Bytes => "bytes",
        };
        let mut used = 0;
        if !state.filter.is_empty() {
            let text = format!(" only {:?}, Esc: all ", printable(&state.filter));
            used += text.chars().count();
            spans.push(Span::styled(text, theme.style(Token::Tag)));
        }
        let fold = match state.next_fold() {
            Fold::Auto => "fold by itself",
            Fold::All => "collapse",
            Fold::None => "expand",
        };
        let live = state.replay.is_none();
        let playing = state.replay.as_ref().is_some_and(|replay| replay.playing);
        let items = [
            ("q", "quit".to_owned()),
            ("?", "help".to_owned()),
            (
                "p",
                if live {
                    if state.paused { "resume" } else { "pause" }
                } else if playing {
                    "stop"
                } else {
                    "play"
                }
                .to_owned(),
            ),
            ("s", format!("sort: {}", state.sort.name())),
            ("/", "filter".to_owned()),
            ("Enter", "detail".to_owned()),
            ("c", fold.to_owned()),
            ("u", units.to_owned()),
            ("g", "graph".to_owned()),
            ("+-", if live { "interval" } else { "speed" }.to_owned()),
        ];
        for (key, what) in items {
            let width = key.len() + what.chars().count() + 4;
            if used + width > usize::from(area.width) {
                break;
            }
            used += width;
            spans.push(Span::raw(" "));
            spans.push(Span::styled(key, theme.style(Token::Strong)));
            spans.push(Span::raw(" "));
            spans.push(Span::styled(what, theme.style(Token::Muted)));
            spans.push(Span::raw(" "));
        }
    }
    buffer.set_line(area.x, area.y, &Line::from(spans), area.width);
}
