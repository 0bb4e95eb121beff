//! The tabs on a line: ` 1 NICs  2 Groups  3 Processes  4 Events ✗1 ▲2  5 GPUs`.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::actions::Command;
use super::super::state::State;
use super::super::tabs::Tab;
use super::super::theme::Token;
use super::cells;
use super::events::severity;

/// The key's command of a tab.
fn command(tab: Tab) -> Command {
    match tab {
        Tab::Nics => Command::Tab1,
        Tab::Groups => Command::Tab2,
        Tab::Processes => Command::Tab3,
        Tab::Events => Command::Tab4,
        Tab::Gpus => Command::Tab5,
        Tab::Fleet => Command::Tab0,
    }
}

/// Draws the bar in the longest form that fits: with full names and gaps, with short names, without keys. Where it has
/// the status line's place, it also says which key leads to all others, and that comes before the tabs' own keys.
pub(super) fn render(state: &State, area: Rect, instead_of_status: bool, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let hint = |commands: &[Command]| -> Vec<Span<'static>> {
        let known = commands.iter().filter_map(|&command| Some((state.keymap.first(command)?, command)));
        let spans = known.flat_map(|(key, command)| {
            let label = format!(" {}", command.binding().label);
            [Span::raw("  "), Span::styled(key, state.theme.style(Token::Strong)), Span::raw(label)]
        });
        spans.collect()
    };
    let (both, help) = (hint(&[Command::Help, Command::Quit]), hint(&[Command::Help]));
    let forms = [(false, true, "  "), (true, true, " "), (true, false, " ")];
    let hints = if instead_of_status { vec![both, help, Vec::new()] } else { vec![Vec::new()] };
    // The last form of all fits if any does.
    let all = hints.iter().flat_map(|hint| forms.iter().map(move |form| (form, hint)));
    let mut line = Line::default();
    for (&(short, keys, gap), hint) in all {
        line = bar(state, short, keys, gap);
        line.spans.extend(hint.iter().cloned());
        if line.width() <= usize::from(area.width) {
            break;
        }
    }
    cells::line((area.x, area.y), &line, area.width, state.glyphs, buffer);
}

fn bar(state: &State, short: bool, keys: bool, gap: &str) -> Line<'static> {
    let theme = state.theme;
    let mut spans = vec![Span::raw(if short { "" } else { " " })];
    for (i, &tab) in Tab::all(state.fleet).iter().enumerate() {
        if i > 0 {
            spans.push(Span::raw(gap.to_owned()));
        }
        let key = state.keymap.first(command(tab)).filter(|_| keys).map_or_else(String::new, |key| key + " ");
        let text = format!("{key}{}", tab.word(short));
        let style = if tab == state.tab { Token::OpenTab } else { Token::Tab };
        spans.push(Span::styled(text, theme.style(style)));
        if tab == Tab::Events {
            let news = state.news().filter(|&(_, count)| count > 0);
            // The worst say most; the others only where there is room.
            spans.extend(news.take(if short { 1 } else { usize::MAX }).map(|(of, count)| {
                let (glyph, token) = severity(of, state.glyphs);
                Span::styled(format!(" {glyph}{count}"), theme.style(token))
            }));
        }
    }
    Line::from(spans)
}
