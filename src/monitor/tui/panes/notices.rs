//! What is wrong: a line with the count, and the list.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::super::actions::Command;
use super::super::state::State;
use super::super::theme::Token;
use super::super::widgets::overlay;
use super::cells::Slot;
use crate::text::printable;

/// One line above the status line.
pub(super) fn line(state: &State, area: Rect, buffer: &mut Buffer) {
    let Some(view) = state.shown.as_ref().filter(|_| area.height > 0) else { return };
    let Some(first) = view.notices.first() else { return };
    let key = state.keymap.label(Command::Notices);
    let text = match view.notices.len() {
        1 => format!("! 1 notice ({key}): {}: {}", first.subject, first.text),
        count => format!("! {count} notices ({key} lists them): {}: {}", first.subject, first.text),
    };
    let slot = Slot { x: area.x + 1, y: area.y, width: area.width - 1 };
    slot.left(&text, state.theme.style(Token::Warn), state.glyphs, buffer);
}

/// How far down one can go.
pub(super) fn end(state: &State, area: Rect) -> usize {
    lines(state, area).len().saturating_sub(usize::from(area.height.saturating_sub(2)))
}

fn lines(state: &State, area: Rect) -> Vec<Line<'static>> {
    let theme = state.theme;
    let width = usize::from(area.width.saturating_sub(6));
    let mut lines: Vec<Line<'static>> = Vec::new();
    for notice in state.shown.iter().flat_map(|view| &view.notices) {
        lines.push(Line::from(Span::styled(printable(&notice.subject), theme.style(Token::Strong))));
        lines.extend(wrap(&printable(&notice.text), width).into_iter().map(|l| Line::raw(format!("  {l}"))));
    }
    if lines.is_empty() {
        lines.push(Line::raw("Nothing is wrong."));
    }
    lines
}

/// All of them, wrapped.
pub(super) fn list(state: &State, first: usize, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let lines = lines(state, area);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = overlay::centred(area, area.width, height);
    let inside = overlay::frame(area, "Notices", buffer, state.glyphs, theme.style(Token::Strong));
    overlay::lines(inside, first, &lines, buffer, state.glyphs, theme.style(Token::Muted));
}

/// Breaks text at spaces into lines of at most `width` cells; a longer word gets a line of its own.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words(text) {
        let word = word.as_str();
        if let Some(line) = lines.last_mut() {
            if line.is_empty() {
                line.push_str(word);
                continue;
            }
            if line.width() + 1 + word.width() <= width {
                line.push(' ');
                line.push_str(word);
                continue;
            }
        }
        lines.push(word.to_owned());
    }
    lines
}

/// What stays together: words, and the digits of a number that is written in groups of three.
fn words(text: &str) -> Vec<String> {
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let mut words: Vec<String> = Vec::new();
    for part in text.split_whitespace() {
        match words.last_mut() {
            Some(last)
                if part.len() == 3
                    && digits(part)
                    && last.rsplit(' ').next().is_some_and(|end| end.len() <= 3 && digits(end)) =>
            {
                last.push(' ');
                last.push_str(part);
            }
            _ => words.push(part.to_owned()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_numbers_whole() {
        assert_eq!(wrap("in all 7 050 047 operations", 10), ["in all", "7 050 047", "operations"]);
        assert_eq!(wrap("port 1: 12 000 B", 8), ["port 1:", "12 000 B"]);
    }

    #[test]
    fn wraps_at_spaces() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("", 7), [""]);
        assert_eq!(wrap("a extraordinarily b", 7), ["a", "extraordinarily", "b"]);
    }
}
