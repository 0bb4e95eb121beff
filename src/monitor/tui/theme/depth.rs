//! How many colours a terminal has, by what it says of itself, and the nearest of them to a colour wanted.

use ratatui::style::Color;

/// How many colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::monitor::tui) enum Depth {
    /// The 16 that every person sets to their liking.
    Sixteen,
    /// xterm's 6x6x6 cube and its greys.
    Indexed,
    /// 24 bits.
    True,
}

impl Depth {
    /// From `TERM` and `COLORTERM`; `None` for a terminal without colours (`vt220`, `xterm-mono`).
    ///
    /// `screen` passes `COLORTERM` on from the terminal it runs in, but not the colours.
    pub(in crate::monitor::tui) fn detect(term: Option<&str>, colorterm: Option<&str>) -> Option<Self> {
        let term = term.unwrap_or_default();
        if term.starts_with("vt1")
            || term.starts_with("vt2")
            || term.ends_with("-m")
            || term.ends_with("-mono")
        {
            return None;
        }
        let screen = term == "screen" || term.starts_with("screen.");
        Some(match colorterm {
            Some("truecolor" | "24bit") if !screen && term != "linux" => Self::True,
            _ if term.ends_with("-direct") => Self::True,
            _ if term.contains("256color") => Self::Indexed,
            _ => Self::Sixteen,
        })
    }

    /// The colour to send for `rgb`; `sixteen` where there is nothing near it.
    pub(super) fn color(self, rgb: [u8; 3], sixteen: Color) -> Color {
        match self {
            Self::Sixteen => sixteen,
            Self::Indexed => Color::Indexed(nearest_index(rgb)),
            Self::True => Color::Rgb(rgb[0], rgb[1], rgb[2]),
        }
    }
}

/// The levels of xterm's cube (256colres.pl of xterm).
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// What colour an index from 16 on stands for.
pub(super) fn rgb_of_index(index: u8) -> [u8; 3] {
    if index >= 232 {
        return [8 + 10 * (index - 232); 3];
    }
    let cube = usize::from(index.saturating_sub(16));
    [LEVELS[cube / 36], LEVELS[cube / 6 % 6], LEVELS[cube % 6]]
}

/// The index from 16 to 255 whose colour is nearest. The first 16 are anybody's.
fn nearest_index(rgb: [u8; 3]) -> u8 {
    let distance = |index: &u8| -> u32 {
        rgb_of_index(*index).iter().zip(rgb).map(|(&a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
    };
    (16..=255).min_by_key(distance).unwrap_or(16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("xterm-256color", "truecolor", Some(Depth::True))]
    #[test_case("xterm-256color", "", Some(Depth::Indexed))]
    #[test_case("tmux-256color", "24bit", Some(Depth::True))]
    #[test_case("screen", "truecolor", Some(Depth::Sixteen); "screen does not pass colours on")]
    #[test_case("screen.xterm-256color", "truecolor", Some(Depth::Indexed); "screen with 256")]
    #[test_case("xterm", "", Some(Depth::Sixteen))]
    #[test_case("linux", "truecolor", Some(Depth::Sixteen))]
    #[test_case("xterm-direct", "", Some(Depth::True))]
    #[test_case("vt220", "", None)]
    #[test_case("xterm-mono", "", None; "mono")]
    #[test_case("", "", Some(Depth::Sixteen); "nothing known")]
    fn detects(term: &str, colorterm: &str, depth: Option<Depth>) {
        assert_eq!(Depth::detect(Some(term), Some(colorterm)), depth);
    }

    #[test]
    fn colours_of_the_cube_are_found_exactly() {
        for index in 16..=255 {
            assert_eq!(rgb_of_index(nearest_index(rgb_of_index(index))), rgb_of_index(index));
        }
        assert_eq!(nearest_index([0xE6, 0x9F, 0x00]), 178);
    }
}
