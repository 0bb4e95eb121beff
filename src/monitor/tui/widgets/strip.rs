//! A group's NICs in a cell each: who carries how much of its line rate, without a row of its own.

use ratatui::buffer::Buffer;
use ratatui::style::Style;

use super::super::format::eighths;
use super::super::glyphs::Glyphs;

/// Draws shares, each with its look, as columns (1 = full) and returns how many cells were used.
///
/// With more of them than `width`, neighbours share a cell, which shows the largest of them: a hot NIC is never
/// averaged away. A NIC without a rate is a `?`, one without traffic an empty track.
pub(in super::super) fn render(
    (x, y): (u16, u16),
    width: u16,
    shares: &[Option<(f64, Style)>],
    buffer: &mut Buffer,
    glyphs: Glyphs,
) -> u16 {
    let per_cell = shares.len().div_ceil(usize::from(width.max(1))).max(1);
    let mut used = 0;
    for chunk in shares.chunks(per_cell) {
        let largest = chunk.iter().flatten().copied().max_by(|a, b| a.0.total_cmp(&b.0));
        let (symbol, style) = match largest {
            None => ("?", Style::default()),
            Some((share, style)) if share > 0.0 => (glyphs.filled_below(eighths(share, 1)), style),
            Some((_, style)) => (glyphs.track(), style),
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

    #[test_case(&[Some(1.0), Some(1.0), Some(1.0), Some(1.0)], "████    "; "even at line rate")]
    #[test_case(&[Some(0.25), Some(0.25), Some(0.25), Some(0.25)], "▂▂▂▂    "; "even at a quarter of it")]
    #[test_case(&[Some(0.0), Some(0.0), Some(1.1), Some(0.0)], "··█·    "; "one of four")]
    #[test_case(&[Some(1.0), None, Some(0.25)], "█?▂     "; "a missing rate")]
    #[test_case(&[Some(0.0), Some(0.0)], "··      "; "idle")]
    #[test_case(&[], "        "; "none")]
    fn draws(shares: &[Option<f64>], expected: &str) {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 1));
        let shares: Vec<_> = shares.iter().map(|share| share.map(|s| (s, Style::default()))).collect();
        render((0, 0), 8, &shares, &mut buffer, Glyphs::Unicode);
        assert_eq!(buffer, Buffer::with_lines([expected]));
    }

    #[test]
    fn the_hot_one_of_many_is_seen() {
        let mut values = vec![Some((0.0, Style::default())); 32];
        values[17] = Some((1.0, Style::default()));
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 1));
        assert_eq!(render((0, 0), 8, &values, &mut buffer, Glyphs::Ascii), 8);
        assert_eq!(buffer, Buffer::with_lines(["....#..."]));
    }
}
