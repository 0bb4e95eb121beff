//! A group's NICs in a cell each: who carries how much of the busiest, without a row of its own.

use ratatui::buffer::Buffer;
use ratatui::style::Style;

use super::super::format::eighths;
use super::super::glyphs::Glyphs;

/// Draws `values` as columns relative to the largest and returns how many cells were used.
///
/// With more values than `width`, neighbours share a cell, which shows the largest of them: a hot NIC is never
/// averaged away. A NIC without a rate is a `?`, one without traffic an empty track.
pub(in super::super) fn render(
    (x, y): (u16, u16),
    width: u16,
    values: &[Option<f64>],
    buffer: &mut Buffer,
    glyphs: Glyphs,
    style: impl Fn(f64) -> Style,
) -> u16 {
    let per_cell = values.len().div_ceil(usize::from(width.max(1))).max(1);
    let top = values.iter().flatten().copied().fold(0.0, f64::max);
    let mut used = 0;
    for chunk in values.chunks(per_cell) {
        let value = chunk.iter().flatten().copied().reduce(f64::max);
        let (symbol, style) = match value {
            None => ("?", Style::default()),
            Some(v) if v <= 0.0 || top <= 0.0 => (glyphs.track(), style(0.0)),
            Some(v) => (glyphs.filled_below(eighths(v / top, 1)), style(v)),
        };
        buffer[(x + used, y)].set_symbol(symbol).set_style(style);
        used += 1;
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use test_case::test_case;

    #[test_case(&[Some(1.0), Some(1.0), Some(1.0), Some(1.0)], "████    "; "even")]
    #[test_case(&[Some(0.0), Some(0.0), Some(5.0), Some(0.0)], "··█·    "; "one of four")]
    #[test_case(&[Some(4.0), None, Some(1.0)], "█?▂     "; "a missing rate")]
    #[test_case(&[Some(0.0), Some(0.0)], "··      "; "idle")]
    #[test_case(&[], "        "; "none")]
    fn draws(values: &[Option<f64>], expected: &str) {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 1));
        render((0, 0), 8, values, &mut buffer, Glyphs::Unicode, |_| Style::default());
        assert_eq!(buffer, Buffer::with_lines([expected]));
    }

    #[test]
    fn the_hot_one_of_many_is_seen() {
        let mut values = vec![Some(0.0); 32];
        values[17] = Some(1.0);
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 1));
        assert_eq!(render((0, 0), 8, &values, &mut buffer, Glyphs::Ascii, |_| Style::default()), 8);
        assert_eq!(buffer, Buffer::with_lines(["....#..."]));
    }
}
