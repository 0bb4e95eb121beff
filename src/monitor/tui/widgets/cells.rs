//! Writing into cells: cut, padded, and with nothing in it that could move the cursor.

use ratatui::buffer::Buffer;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::super::glyphs::Glyphs;
use crate::text::printable;

/// A place to write on one line: from `x` on, at most `width` cells.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Slot {
    pub(in super::super) x: u16,
    pub(in super::super) y: u16,
    pub(in super::super) width: u16,
}

impl Slot {
    /// Writes from the left; what does not fit ends in an ellipsis.
    pub(in super::super) fn left(self, text: &str, style: Style, glyphs: Glyphs, buffer: &mut Buffer) {
        if self.width > 0 {
            let text = cut(text, self.width, glyphs);
            buffer.set_stringn(self.x, self.y, text, usize::from(self.width), own(style));
        }
    }

    /// Writes up to the right edge; what does not fit ends in an ellipsis.
    pub(in super::super) fn right(self, text: &str, style: Style, glyphs: Glyphs, buffer: &mut Buffer) {
        if self.width > 0 {
            let text = cut(text, self.width, glyphs);
            let used = u16::try_from(text.width()).unwrap_or(self.width).min(self.width);
            let x = self.x + self.width - used;
            buffer.set_stringn(x, self.y, text, usize::from(used), own(style));
        }
    }
}

/// Writes a line of `width` cells at most; one that is cut ends in an ellipsis: what is left of a number is another number.
pub(in super::super) fn line(
    (x, y): (u16, u16),
    line: &Line<'_>,
    width: u16,
    glyphs: Glyphs,
    buffer: &mut Buffer,
) {
    buffer.set_line(x, y, line, width);
    if line.width() > usize::from(width) && width > 0 {
        buffer[(x + width - 1, y)].set_symbol(glyphs.ellipsis());
    }
}

/// A style that is not faint for what it is written over: a rule, say.
fn own(style: Style) -> Style {
    style.remove_modifier(Modifier::DIM.difference(style.add_modifier))
}

/// Text from outside, safe to show and at most `width` cells wide.
pub(in super::super) fn cut(text: &str, width: u16, glyphs: Glyphs) -> String {
    let text = printable(text);
    let width = usize::from(width);
    if text.width() <= width {
        return text;
    }
    let mut kept = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(c);
    }
    kept + glyphs.ellipsis()
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("rdmap79s0", 9, "rdmap79s0"; "fits")]
    #[test_case("rdmap79s0", 5, "rdma…"; "cut")]
    #[test_case("\u{1b}[2Jx", 9, "\u{fffd}[2Jx"; "an escape sequence")]
    #[test_case("名前名前", 4, "名…"; "wide characters")]
    fn cuts(text: &str, width: u16, expected: &str) {
        assert_eq!(cut(text, width, Glyphs::Unicode), expected);
    }
}
