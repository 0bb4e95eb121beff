//! A framed box over the screen with lines that scroll.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::super::glyphs::Glyphs;
use super::cells::{self, Slot};

/// Draws a frame over `area`, wiping what was there, and returns the inside.
pub(in super::super) fn frame(
    area: Rect,
    title: &str,
    buffer: &mut Buffer,
    glyphs: Glyphs,
    style: Style,
) -> Rect {
    if area.width < 4 || area.height < 3 {
        return Rect::ZERO;
    }
    let [top_left, top_right, bottom_left, bottom_right, horizontal, vertical] = glyphs.frame();
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            let left = x == area.left();
            let right = x + 1 == area.right();
            let symbol = match (y == area.top(), y + 1 == area.bottom()) {
                (true, _) if left => top_left,
                (true, _) if right => top_right,
                (_, true) if left => bottom_left,
                (_, true) if right => bottom_right,
                (true, _) | (_, true) => horizontal,
                _ if left || right => vertical,
                _ => " ",
            };
            buffer[(x, y)].reset();
            buffer[(x, y)].set_symbol(symbol);
        }
    }
    let title = format!(" {} ", cells::cut(title, area.width.saturating_sub(6), glyphs));
    Slot { x: area.x + 2, y: area.y, width: area.width - 4 }.left(&title, style, glyphs, buffer);
    Rect::new(area.x + 2, area.y + 1, area.width - 4, area.height - 2)
}

/// Draws as many `lines` as fit, from the `first` on; says how much is above and below. A `first` beyond the end
/// shows the last page.
pub(in super::super) fn lines(
    area: Rect,
    first: usize,
    lines: &[Line<'_>],
    buffer: &mut Buffer,
    glyphs: Glyphs,
    style: Style,
) {
    let height = usize::from(area.height);
    let first = first.min(lines.len().saturating_sub(height));
    plain_lines(area, first, lines, buffer, glyphs);
    hidden(area, [first, lines.len().saturating_sub(first + height)], buffer, glyphs, style);
}

/// Draws as many `lines` as fit, from the `first` on.
pub(in super::super) fn plain_lines(
    area: Rect,
    first: usize,
    lines: &[Line<'_>],
    buffer: &mut Buffer,
    glyphs: Glyphs,
) {
    for (line, y) in lines.iter().skip(first).zip(area.top()..area.bottom()) {
        cells::line((area.x, y), line, area.width, glyphs, buffer);
    }
}

/// How many lines are out of sight, in the frame's lower edge, below `inside`.
pub(in super::super) fn hidden(
    inside: Rect,
    [above, below]: [usize; 2],
    buffer: &mut Buffer,
    glyphs: Glyphs,
    style: Style,
) {
    let text = match (above, below) {
        (0, 0) => return,
        (0, below) => format!(" {below} below "),
        (above, 0) => format!(" {above} above "),
        (above, below) => format!(" {above} above, {below} below "),
    };
    Slot { x: inside.x, y: inside.bottom(), width: inside.width }.right(&text, style, glyphs, buffer);
}

/// An area of at most this size in the middle of `outer`.
pub(in super::super) fn centred(outer: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(outer.width), height.min(outer.height));
    Rect::new(outer.x + (outer.width - width) / 2, outer.y + (outer.height - height) / 2, width, height)
}
