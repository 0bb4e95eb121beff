//! Which columns the list has: a box with a tick per column.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::actions::Command;
use super::super::columns::Column;
use super::super::state::State;
use super::super::theme::Token;
use super::super::widgets::overlay;

/// Draws the box over `area`, the cursor on the column at `at`.
pub(super) fn render(state: &State, at: usize, area: Rect, buffer: &mut Buffer) {
    let (theme, glyphs) = (state.theme, state.glyphs);
    let line = |(index, column): (usize, Column)| {
        let tick = if state.columns.has(column) { "[x]" } else { "[ ]" };
        let data = state.shown.as_ref().is_none_or(|view| column.has_data(view));
        let help = if data { column.help().to_owned() } else { format!("{} (no NIC has it)", column.help()) };
        let (cursor, style) =
            if index == at { (glyphs.cursor(), Token::Selected) } else { (" ", Token::Strong) };
        Line::from(vec![
            Span::raw(format!("{cursor}{tick} ")),
            Span::styled(format!("{:<11}", column.name()), theme.style(style)),
            Span::styled(format!(" {help}"), theme.style(if data { Token::Text } else { Token::Muted })),
        ])
    };
    let lines: Vec<Line<'_>> = Column::ALL.into_iter().enumerate().map(line).collect();
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = overlay::centred(area, 104, height);
    let title = format!("Columns: {} chooses, as far as there is room", state.keymap.label(Command::Pause));
    let inside = overlay::frame(area, &title, buffer, glyphs, theme.style(Token::Strong));
    let first = (at + 1).saturating_sub(usize::from(inside.height));
    overlay::lines(inside, first, &lines, buffer, glyphs, theme.style(Token::Muted));
}
