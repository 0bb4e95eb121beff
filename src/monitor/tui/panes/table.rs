//! A table for the tabs that are one: columns that give way when the window is narrow, rows that scroll.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr as _;

use super::super::state::State;
use super::super::theme::Token;
use super::super::widgets::{bar::Bar, strip};
use super::cells::Slot;

/// One column.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) title: String,
    /// Cells, without the space before it. Of a column that grows: the least.
    pub(super) width: u16,
    /// Takes what the others leave.
    pub(super) grows: bool,
    /// Numbers stand at the right.
    pub(super) right: bool,
    /// Goes when there is no room: the highest first, 0 never.
    pub(super) rank: u8,
}

/// A column of texts.
pub(super) fn text(title: &str, width: u16, rank: u8) -> Column {
    Column { title: title.to_owned(), width, grows: false, right: false, rank }
}

/// A column of numbers.
pub(super) fn number(title: &str, width: u16, rank: u8) -> Column {
    Column { title: title.to_owned(), width, grows: false, right: true, rank }
}

/// A column of texts that takes what the others leave.
pub(super) fn rest(title: &str, width: u16, rank: u8) -> Column {
    Column { title: title.to_owned(), width, grows: true, right: false, rank }
}

/// What stands in a column of a row.
#[derive(Debug, Clone)]
pub(super) enum Cell {
    Text(String, Style),
    /// A bar as long as this share of the column.
    Bar(f64, Style),
    /// A NIC a cell.
    Strip(Vec<Option<(f64, Style)>>),
}

/// Which columns there is room for, with their places; `x` is that of the first.
pub(super) fn places(columns: &[Column], x: u16, width: u16) -> Vec<Option<(u16, u16)>> {
    let mut kept: Vec<bool> = columns.iter().map(|column| column.width > 0).collect();
    let used = |kept: &[bool]| -> u16 {
        columns.iter().zip(kept).filter(|(_, kept)| **kept).map(|(column, _)| column.width + 1).sum()
    };
    while used(&kept) > width {
        let last =
            columns.iter().enumerate().filter(|(i, c)| kept[*i] && c.rank > 0).max_by_key(|(_, c)| c.rank);
        let Some((index, _)) = last else { break };
        kept[index] = false;
    }
    let growing = columns.iter().zip(&kept).filter(|(column, kept)| column.grows && **kept).count();
    let spare = width.saturating_sub(used(&kept));
    let each = spare / u16::try_from(growing).unwrap_or(1).max(1);
    let end = x + width;
    let mut at = x;
    let place = |(column, kept): (&Column, bool)| {
        if !kept || at + 1 >= end {
            return None;
        }
        let begin = at + 1;
        let width = (column.width + if column.grows { each } else { 0 }).min(end - begin);
        at = begin + width;
        Some((begin, width))
    };
    columns.iter().zip(kept).map(place).collect()
}

/// Draws titles and the rows in sight; `cells` makes those of the row at a position.
pub(super) fn render(
    state: &State,
    columns: &[Column],
    [titles, area]: [Rect; 2],
    cells: impl Fn(usize) -> Vec<Cell>,
    buffer: &mut Buffer,
) {
    let (theme, glyphs) = (state.theme, state.glyphs);
    let places = places(columns, area.x, area.width);
    for (column, place) in columns.iter().zip(&places) {
        let Some((x, width)) = *place else { continue };
        let slot = Slot { x, y: titles.y, width };
        let style = theme.style(Token::Muted);
        if column.right {
            slot.right(&column.title, style, glyphs, buffer);
        } else {
            slot.left(&column.title, style, glyphs, buffer);
        }
    }
    for (index, y) in (state.top()..state.rows.len()).zip(area.top()..area.bottom()) {
        let selected = index == state.selected();
        if selected {
            let slot = Slot { x: area.x, y, width: 1 };
            slot.left(glyphs.cursor(), theme.style(Token::Cursor), glyphs, buffer);
        }
        for (i, (cell, (column, place))) in cells(index).iter().zip(columns.iter().zip(&places)).enumerate() {
            let Some((x, width)) = *place else { continue };
            let slot = Slot { x, y, width };
            match cell {
                Cell::Text(text, style) => {
                    let style = if selected && i == 0 { theme.style(Token::Selected) } else { *style };
                    if column.right {
                        slot.right(text, style, glyphs, buffer);
                    } else {
                        slot.left(text, style, glyphs, buffer);
                    }
                }
                Cell::Bar(share, fill) => {
                    let (track, mark) = (theme.style(Token::Muted), Style::default());
                    let bar = Bar {
                        share: *share,
                        mean: None,
                        peak: None,
                        fill: *fill,
                        track,
                        mark,
                        peak_mark: mark,
                    };
                    bar.render(Rect::new(x, y, width, 1), buffer, glyphs);
                }
                Cell::Strip(shares) => drop(strip::render((x, y), width, shares, buffer, glyphs)),
            }
        }
    }
    super::list::more(state, area, buffer);
}

/// Draws a title over a rule, and lines below it in as many columns as there is room for.
pub(super) fn packed(state: &State, title: &str, lines: &[String], area: Rect, buffer: &mut Buffer) {
    if area.height < 2 {
        return;
    }
    let (theme, glyphs) = (state.theme, state.glyphs);
    let rule = glyphs.rule().repeat(usize::from(area.width));
    buffer.set_stringn(area.x, area.y, rule, usize::from(area.width), theme.style(Token::Muted));
    let slot = Slot { x: area.x + 1, y: area.y, width: area.width.saturating_sub(2) };
    slot.left(&format!(" {title} "), theme.style(Token::Strong), glyphs, buffer);
    let below = Rect { y: area.y + 1, height: area.height - 1, ..area };
    columns(state, lines, below, buffer);
}

/// Draws lines in as many columns as there is room for.
pub(super) fn columns(state: &State, lines: &[String], area: Rect, buffer: &mut Buffer) {
    let (theme, glyphs) = (state.theme, state.glyphs);
    let longest = lines.iter().map(|line| line.width()).max().unwrap_or(1);
    let width = u16::try_from(longest).unwrap_or(area.width).saturating_add(3).min(area.width).max(1);
    let rows = usize::from(area.height);
    if rows == 0 {
        return;
    }
    let columns = usize::from(area.width / width).max(1);
    for (i, line) in lines.iter().take(rows * columns).enumerate() {
        let (column, down) = (u16::try_from(i / rows).unwrap_or(0), u16::try_from(i % rows).unwrap_or(0));
        let slot = Slot { x: area.x + 1 + column * width, y: area.y + down, width: width - 1 };
        slot.left(line, theme.style(Token::Text), glyphs, buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_give_way_by_rank_and_the_rest_grows() {
        let columns = [text("a", 8, 0), number("b", 6, 2), number("c", 6, 1), rest("d", 5, 0)];
        assert_eq!(places(&columns, 0, 40), [Some((1, 8)), Some((10, 6)), Some((17, 6)), Some((24, 16))]);
        assert_eq!(places(&columns, 0, 25), [Some((1, 8)), None, Some((10, 6)), Some((17, 8))]);
        assert_eq!(places(&columns, 0, 16), [Some((1, 8)), None, None, Some((10, 6))]);
        assert_eq!(places(&columns, 0, 5), [Some((1, 4)), None, None, None]);
    }
}
