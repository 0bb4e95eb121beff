//! The two sets of characters: Unicode, and ASCII for terminals that have no more.

use crate::balance::Verdict;

/// The kernel sees more than the transport's share.
pub(super) const MORE: &str = "+";
/// Packets are lost.
pub(super) const LOST: &str = "!";

/// Which characters the screen may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Glyphs {
    Unicode,
    Ascii,
}

impl Glyphs {
    /// ASCII when asked for or when the locale is not UTF-8.
    ///
    /// `lc_all`, `lc_ctype`, `lang` are the variables of that name: the first that is set and not empty rules.
    pub(super) fn detect(
        ascii: bool,
        lc_all: Option<&str>,
        lc_ctype: Option<&str>,
        lang: Option<&str>,
    ) -> Self {
        let locale =
            [lc_all, lc_ctype, lang].into_iter().flatten().find(|v| !v.is_empty()).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        if !ascii && (locale.contains("utf-8") || locale.contains("utf8")) {
            Self::Unicode
        } else {
            Self::Ascii
        }
    }

    fn pick<T>(self, unicode: T, ascii: T) -> T {
        match self {
            Self::Unicode => unicode,
            Self::Ascii => ascii,
        }
    }

    /// Severity without colour.
    pub(super) fn verdict(self, verdict: Verdict) -> &'static str {
        match verdict {
            Verdict::Balanced => self.pick("✓", "="),
            Verdict::Skewed => self.pick("▲", "!"),
            Verdict::SingleNic => self.pick("✗", "X"),
            Verdict::Idle => self.pick("·", "."),
            Verdict::Unknown => "?",
        }
    }

    /// A cell filled by `eighths` (1 to 8) from the left.
    pub(super) fn filled_left(self, eighths: usize) -> &'static str {
        const BLOCKS: [&str; 9] = [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];
        const ASCII: [&str; 9] = [" ", "-", "-", "-", "=", "=", "=", "#", "#"];
        self.pick(BLOCKS, ASCII)[eighths.min(8)]
    }

    /// A cell filled by `eighths` (1 to 8) from below.
    pub(super) fn filled_below(self, eighths: usize) -> &'static str {
        const BLOCKS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
        const ASCII: [&str; 9] = [" ", "_", "_", ".", "-", "=", "+", "*", "#"];
        self.pick(BLOCKS, ASCII)[eighths.min(8)]
    }

    /// The mark at the group's mean.
    pub(super) fn mean(self) -> &'static str {
        self.pick("│", "|")
    }

    /// An empty cell of a bar.
    pub(super) fn track(self) -> &'static str {
        self.pick("·", ".")
    }

    /// Something is broken.
    pub(super) fn bad(self) -> &'static str {
        self.pick("✗", "X")
    }

    /// The highest rate so far, in a bar.
    pub(super) fn peak(self) -> &'static str {
        self.pick("╎", ":")
    }

    /// Well above the mean of an uneven group.
    pub(super) fn over(self) -> &'static str {
        self.pick("▲", "^")
    }

    /// Well below it.
    pub(super) fn under(self) -> &'static str {
        self.pick("▼", "v")
    }

    /// The kernel does not see what the transport claims.
    pub(super) fn differs(self) -> &'static str {
        self.pick("≠", "#")
    }

    /// The network is congested.
    pub(super) fn congested(self) -> &'static str {
        self.pick("~", "*")
    }

    pub(super) fn cursor(self) -> &'static str {
        self.pick("▶", ">")
    }

    pub(super) fn folded(self, folded: bool) -> &'static str {
        if folded { self.pick("▸", "+") } else { self.pick("▾", "-") }
    }

    pub(super) fn rule(self) -> &'static str {
        self.pick("─", "-")
    }

    pub(super) fn ellipsis(self) -> &'static str {
        self.pick("…", "~")
    }

    /// Corners and edges of a box: top left, top right, bottom left, bottom right, horizontal, vertical.
    pub(super) fn frame(self) -> [&'static str; 6] {
        self.pick(["┌", "┐", "└", "┘", "─", "│"], ["+", "+", "+", "+", "-", "|"])
    }

    /// Text from the program, made ASCII where it must be. Text from outside that has no ASCII form shows `?`.
    pub(super) fn text(self, text: &str) -> String {
        match self {
            Self::Unicode => text.to_owned(),
            Self::Ascii => text
                .chars()
                .map(|c| match c {
                    '·' => '|',
                    '…' => '~',
                    '–' | '—' => '-',
                    c if c.is_ascii() => c,
                    _ => '?',
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case(false, None, None, Some("en_US.UTF-8"), Glyphs::Unicode; "utf8 locale")]
    #[test_case(true, None, None, Some("en_US.UTF-8"), Glyphs::Ascii; "asked for")]
    #[test_case(false, Some("C"), None, Some("en_US.UTF-8"), Glyphs::Ascii; "LC_ALL rules")]
    #[test_case(false, Some(""), None, Some("C.utf8"), Glyphs::Unicode; "empty is unset")]
    #[test_case(false, None, None, None, Glyphs::Ascii; "no locale")]
    fn detects(ascii: bool, all: Option<&str>, ctype: Option<&str>, lang: Option<&str>, glyphs: Glyphs) {
        assert_eq!(Glyphs::detect(ascii, all, ctype, lang), glyphs);
    }
}
