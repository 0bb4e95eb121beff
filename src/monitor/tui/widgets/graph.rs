//! A filled history graph in Braille dots, blocks or ASCII. The newest point is at the right edge.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::format::eighths;
use super::super::glyphs::Glyphs;

/// What a graph is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Look {
    /// Two points a cell, four steps of height.
    Braille,
    /// A point a cell, eight steps of height.
    Block,
    /// A point a cell, in characters every terminal has.
    Ascii,
    Off,
}

impl Look {
    /// What to begin with.
    pub(in super::super) fn first(glyphs: Glyphs) -> Self {
        match glyphs {
            Glyphs::Unicode => Self::Braille,
            Glyphs::Ascii => Self::Ascii,
        }
    }

    /// The next one at the press of a key.
    pub(in super::super) fn next(self, glyphs: Glyphs) -> Self {
        match (self, glyphs) {
            (Self::Braille, _) => Self::Block,
            (Self::Block | Self::Ascii, _) => Self::Off,
            (Self::Off, glyphs) => Self::first(glyphs),
        }
    }

    /// Points in a cell's width.
    pub(in super::super) fn points_per_cell(self) -> usize {
        if self == Self::Braille { 2 } else { 1 }
    }
}

/// Draws `points` (the newest last) on a scale from 0 to `top`. A gap stays empty; zero leaves a trace at the
/// bottom, so that "nothing moved" and "nothing known" look different.
pub(in super::super) fn render(
    area: Rect,
    points: &[Option<f32>],
    top: f64,
    look: Look,
    style: Style,
    buffer: &mut Buffer,
) {
    let per_cell = look.points_per_cell();
    let width = usize::from(area.width) * per_cell;
    let shown = &points[points.len().saturating_sub(width)..];
    let lead = width - shown.len();
    let at = |i: usize| i.checked_sub(lead).and_then(|i| shown[i]).map(|v| share(v, top));
    for (column, x) in (area.left()..area.right()).enumerate() {
        for y in area.top()..area.bottom() {
            let from_below = usize::from(area.bottom() - 1 - y);
            let symbol = match look {
                Look::Braille => {
                    braille(at(column * 2), at(column * 2 + 1), from_below, area.height).to_string()
                }
                Look::Block => cell(at(column), from_below, area.height, Glyphs::Unicode).to_owned(),
                Look::Ascii => cell(at(column), from_below, area.height, Glyphs::Ascii).to_owned(),
                Look::Off => continue,
            };
            buffer[(x, y)].set_symbol(&symbol).set_style(style);
        }
    }
}

fn share(value: f32, top: f64) -> f64 {
    if top > 0.0 { (f64::from(value) / top).clamp(0.0, 1.0) } else { 0.0 }
}

fn cell(share: Option<f64>, from_below: usize, height: u16, glyphs: Glyphs) -> &'static str {
    let filled = share.map_or(0, |s| eighths(s, height).max(1));
    glyphs.filled_below(filled.saturating_sub(from_below * 8).min(8))
}

/// The Braille cell for two points side by side; dots fill from below.
fn braille(left: Option<f64>, right: Option<f64>, from_below: usize, height: u16) -> char {
    // Dots of the left and the right column from the bottom up (Unicode's Braille block: U+2800 plus the bits).
    const LEFT: [u32; 4] = [0x40, 0x04, 0x02, 0x01];
    const RIGHT: [u32; 4] = [0x80, 0x20, 0x10, 0x08];
    let mut bits = 0;
    for (share, column) in [(left, LEFT), (right, RIGHT)] {
        let dots = share.map_or(0, |s| eighths(s, height).div_ceil(2).max(1));
        for (i, bit) in column.iter().enumerate() {
            if dots > from_below * 4 + i {
                bits |= bit;
            }
        }
    }
    if bits == 0 { ' ' } else { char::from_u32(0x2800 + bits).unwrap_or(' ') }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case(Look::Block, ["  ▄█", " ▁██"]; "blocks: gap, zero, three quarters, full")]
    #[test_case(Look::Ascii, ["  -#", " _##"]; "ascii")]
    #[test_case(Look::Braille, ["  ⢰ ", "⢀⣸  "]; "two points a cell")]
    fn draws(look: Look, lines: [&str; 2]) {
        let area = Rect::new(0, 0, 4, 2);
        let mut buffer = Buffer::empty(area);
        let mut points = vec![None, Some(0.0), Some(0.75), Some(1.0)];
        if look == Look::Braille {
            points.extend([None; 4]);
        }
        render(area, &points, 1.0, look, Style::default(), &mut buffer);
        if look == Look::Braille {
            assert_eq!(buffer[(0, 1)].symbol(), "⢀");
            assert_eq!(buffer[(1, 1)].symbol(), "⣿");
            assert_eq!(buffer[(1, 0)].symbol(), "⣼");
            assert_eq!(buffer[(3, 1)].symbol(), " ");
        } else {
            assert_eq!(buffer, Buffer::with_lines(lines));
        }
    }
}
