//! Which columns the list has: a box with a tick per column.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::actions::Command;
use super::super::columns::Column;
use super::super::state::State;
use super::super::theme::Token;
use super::super::widgets::cells::Slot;
use super::super::widgets::overlay;
use super::notices;

/// Draws the box over `area`, the cursor on the column at `at`.
pub(super) fn render(state: &State, at: usize, area: Rect, buffer: &mut Buffer) {
    let (theme, glyphs) = (state.theme, state.glyphs);
    let has_data = |column: Column| state.shown.as_ref().is_none_or(|view| column.has_data(view));
    let help = |column: Column| {
        let missing = if has_data(column) { "" } else { " (no NIC has it)" };
        format!("{}{missing}", column.help())
    };
    let line = |(index, column): (usize, Column)| {
        let tick = if state.columns.has(column) { "[x]" } else { "[ ]" };
        let (data, help) = (has_data(column), help(column));
        let (cursor, style) =
            if index == at { (glyphs.cursor(), Token::Selected) } else { (" ", Token::Strong) };
        Line::from(vec![
            Span::raw(format!("{cursor}{tick} ")),
            Span::styled(format!("{:<11}", column.name()), theme.style(style)),
            Span::styled(format!(" {help}"), theme.style(if data { Token::Text } else { Token::Muted })),
        ])
    };
    let lines: Vec<Line<'_>> = Column::ALL.into_iter().enumerate().map(line).collect();
    let chosen = Column::ALL[at.min(Column::ALL.len() - 1)];
    let longest = lines.iter().map(Line::width).max().unwrap_or(0);
    // Where some are cut, what the chosen one shows stands below in full.
    let width = usize::from(area.width.saturating_sub(4));
    let explained = |column: Column| notices::wrap(&help(column), width);
    let below = if longest > width {
        Column::ALL.map(|column| explained(column).len()).into_iter().max()
    } else {
        None
    };
    let below = u16::try_from(below.unwrap_or(0)).unwrap_or(0);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2 + below);
    let area = overlay::centred(area, 104, height);
    let title = format!("Columns: {} chooses, as far as there is room", state.keymap.label(Command::Pause));
    let inside = overlay::frame(area, &title, buffer, glyphs, theme.style(Token::Strong));
    let list = Rect { height: inside.height.saturating_sub(below), ..inside };
    let first = (at + 1).saturating_sub(usize::from(list.height));
    overlay::plain_lines(list, first, &lines, buffer, glyphs);
    let hidden = [first, lines.len().saturating_sub(first + usize::from(list.height))];
    overlay::hidden(inside, hidden, buffer, glyphs, theme.style(Token::Muted));
    if below > 0 {
        for (text, y) in explained(chosen).iter().zip(list.bottom()..inside.bottom()) {
            let slot = Slot { x: inside.x, y, width: inside.width };
            slot.left(text, theme.style(Token::Muted), glyphs, buffer);
        }
    }
}
