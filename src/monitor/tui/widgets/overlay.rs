//! A framed box over the screen with lines that scroll.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::super::glyphs::Glyphs;

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
    buffer.set_stringn(area.x + 2, area.y, format!(" {title} "), usize::from(area.width - 4), style);
    Rect::new(area.x + 2, area.y + 1, area.width - 4, area.height - 2)
}

/// Draws as many `lines` as fit, from the `first` on; says how much is above and below. A `first` beyond the end
/// shows the last page. A line that is cut ends in an ellipsis: what is left of a number is another number.
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
    for (line, y) in lines.iter().skip(first).zip(area.top()..area.bottom()) {
        buffer.set_line(area.x, y, line, area.width);
        if line.width() > usize::from(area.width) && area.width > 0 {
            buffer[(area.right() - 1, y)].set_symbol(glyphs.ellipsis());
        }
    }
    let below = lines.len().saturating_sub(first + height);
    if first > 0 || below > 0 {
        let text = format!(" {first} above, {below} below ");
        let width = u16::try_from(text.len()).unwrap_or(0).min(area.width);
        buffer.set_stringn(area.right() - width, area.bottom(), text, usize::from(width), style);
    }
}

/// An area of at most this size in the middle of `outer`.
pub(in super::super) fn centred(outer: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(outer.width), height.min(outer.height));
    Rect::new(outer.x + (outer.width - width) / 2, outer.y + (outer.height - height) / 2, width, height)
}
