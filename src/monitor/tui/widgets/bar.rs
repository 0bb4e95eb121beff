//! A horizontal bar with a mark at the group's mean.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::super::format::eighths;
use super::super::glyphs::Glyphs;

/// One bar: `██████│██▌·····`, longer than the mean; `███···│········`, shorter.
pub(in super::super) struct Bar {
    /// Filled part, 0 to 1; more is cut.
    pub(in super::super) share: f64,
    /// Where the mean of the group lies, on the same scale.
    pub(in super::super) mean: Option<f64>,
    /// The highest rate so far, on the same scale.
    pub(in super::super) peak: Option<f64>,
    pub(in super::super) fill: Style,
    pub(in super::super) track: Style,
    pub(in super::super) mark: Style,
    pub(in super::super) peak_mark: Style,
}

impl Bar {
    /// Draws into the first line of `area`.
    pub(in super::super) fn render(&self, area: Rect, buffer: &mut Buffer, glyphs: Glyphs) {
        let filled = eighths(self.share, area.width);
        let mean = self.mean.filter(|mean| *mean > 0.0).map(|mean| {
            // The cell that holds the mean's last eighth, so that an even group's mark sits in its bars' ends.
            (eighths(mean, area.width).max(1) - 1) / 8
        });
        let peak =
            self.peak.filter(|peak| *peak > 0.0).map(|peak| (eighths(peak, area.width).max(1) - 1) / 8);
        for (i, x) in (area.left()..area.right()).enumerate() {
            let part = filled.saturating_sub(i * 8).min(8);
            let (symbol, style) = if mean == Some(i) {
                // Within the filled part its shape says enough; one more look on the line costs bytes.
                (glyphs.mean(), if part > 0 { self.fill } else { self.mark })
            } else if part > 0 {
                (glyphs.filled_left(part), self.fill)
            } else if peak == Some(i) {
                (glyphs.peak(), self.peak_mark)
            } else {
                (glyphs.track(), self.track)
            };
            buffer[(x, area.y)].set_symbol(symbol).set_style(style);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case(1.0, None, "████████"; "full")]
    #[test_case(9.0, None, "████████"; "over full")]
    #[test_case(0.0, None, "········"; "zero is an empty track")]
    #[test_case(0.0001, None, "▏·······"; "a little is not nothing")]
    #[test_case(0.75, Some(0.5), "███│██··"; "above the mean")]
    #[test_case(0.25, Some(0.75), "██···│··"; "below the mean")]
    #[test_case(0.5, Some(0.5), "███│····"; "at the mean")]
    #[test_case(f64::NAN, Some(f64::NAN), "········"; "no number")]
    fn draws(share: f64, mean: Option<f64>, expected: &str) {
        let area = Rect::new(0, 0, 8, 1);
        let mut buffer = Buffer::empty(area);
        let style = Style::default();
        Bar { share, mean, peak: None, fill: style, track: style, mark: style, peak_mark: style }.render(
            area,
            &mut buffer,
            Glyphs::Unicode,
        );
        assert_eq!(buffer, Buffer::with_lines([expected]));
    }
}
