//! Writing into cells: cut, padded, and with nothing in it that could move the cursor.

use ratatui::buffer::Buffer;
use ratatui::style::{Modifier, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::super::glyphs::Glyphs;
use crate::text::printable;

/// A place to write on one line: from `x` on, at most `width` cells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) x: u16,
    pub(super) y: u16,
    pub(super) width: u16,
}

impl Slot {
    /// Writes from the left; what does not fit ends in an ellipsis.
    pub(super) fn left(self, text: &str, style: Style, glyphs: Glyphs, buffer: &mut Buffer) {
        if self.width > 0 {
            let text = cut(text, self.width, glyphs);
            buffer.set_stringn(self.x, self.y, text, usize::from(self.width), own(style));
        }
    }

    /// Writes up to the right edge; what does not fit ends in an ellipsis.
    pub(super) fn right(self, text: &str, style: Style, glyphs: Glyphs, buffer: &mut Buffer) {
        if self.width > 0 {
            let text = cut(text, self.width, glyphs);
            let used = u16::try_from(text.width()).unwrap_or(self.width).min(self.width);
            let x = self.x + self.width - used;
            buffer.set_stringn(x, self.y, text, usize::from(used), own(style));
        }
    }
}

/// A style that is not faint for what it is written over: a rule, say.
fn own(style: Style) -> Style {
    style.remove_modifier(Modifier::DIM.difference(style.add_modifier))
}

/// Text from outside, safe to show and at most `width` cells wide.
pub(super) fn cut(text: &str, width: u16, glyphs: Glyphs) -> String {
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
