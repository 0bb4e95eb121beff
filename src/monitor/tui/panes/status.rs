//! The last line: the filter while it is typed, else the keys one needs most.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::actions::Command;
use super::super::format::Units;
use super::super::state::{Fold, Prompt, State};
use super::super::tabs::Tab;
use super::super::theme::Token;
use super::cells;
use crate::text::printable;

/// Draws the status line; keys that do not fit are left out from the right.
pub(super) fn render(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let mut spans: Vec<Span<'_>> = Vec::new();
    if let Some(prompt) = &state.prompt {
        let (title, text, hint) = match prompt {
            Prompt::Filter => (" filter: ", &state.filter, "Enter keeps it, Esc drops it"),
            Prompt::Window(text) if state.makes_sense() => (" average over: ", text, "such as 10s or 2m"),
            Prompt::Window(text) => (" average over: ", text, "a time from 100ms to 30m, such as 10s"),
        };
        spans.push(Span::styled(title, theme.style(Token::Tag)));
        spans.push(Span::raw(format!(" {}_", printable(text))));
        let hint_style = theme.style(if state.makes_sense() { Token::Muted } else { Token::Warn });
        spans.push(Span::styled(format!("   {hint}"), hint_style));
    } else if let Some(message) = &state.message {
        spans.push(Span::styled(format!(" {} ", printable(message)), theme.style(Token::Tag)));
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
        let label = |command: Command| command.binding().label.to_owned();
        let pause = if live {
            if state.paused { "resume" } else { "pause" }
        } else if playing {
            "stop"
        } else {
            "play"
        };
        let items = [
            (Command::Quit, label(Command::Quit)),
            (Command::Help, label(Command::Help)),
            (Command::Pause, pause.to_owned()),
            (Command::Sort, format!("sort: {}", state.sort().name())),
            (Command::Filter, label(Command::Filter)),
            (Command::Enter, label(Command::Enter)),
            (Command::Columns, label(Command::Columns)),
            (Command::Collapse, fold.to_owned()),
            (Command::Units, units.to_owned()),
            (
                Command::Average,
                if state.averages { "no average".to_owned() } else { label(Command::Average) },
            ),
            (Command::Cumulative, label(Command::Cumulative)),
            (Command::Graph, label(Command::Graph)),
            (Command::Heat, label(Command::Heat)),
            (Command::Faster, label(Command::Faster)),
            (Command::Slower, label(Command::Slower)),
        ];
        let of_list =
            [Command::Columns, Command::Collapse, Command::Cumulative, Command::Graph, Command::Heat];
        let items = items.into_iter().filter(|(c, _)| state.tab == Tab::Nics || !of_list.contains(c));
        for (command, what) in items {
            let Some(key) = state.keymap.first(command) else { continue };
            let width = key.chars().count() + what.chars().count() + 4;
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
    cells::line((area.x, area.y), &Line::from(spans), area.width, state.glyphs, buffer);
}
