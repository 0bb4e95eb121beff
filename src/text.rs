//! Text to be shown: words with their numbers, and what comes from outside, made safe.

use std::fmt::Display;
use std::path::Path;

/// The longest text from outside that is ever shown, in characters.
pub const MAX_SHOWN: usize = 256;

/// `1 NIC`, `4 NICs`, `2 processes`.
#[must_use]
pub fn plural<T: Copy + Display + PartialEq + From<u8>>(count: T, word: &str) -> String {
    match (count == T::from(1), word.ends_with('s')) {
        (true, _) => format!("1 {word}"),
        (false, true) => format!("{count} {word}es"),
        (false, false) => format!("{count} {word}s"),
    }
}

/// Replaces control characters (escape sequences, line breaks, bidirectional overrides) and cuts at
/// [`MAX_SHOWN`] characters, so that a name from sysfs, a counter page or the environment cannot
/// move the cursor or forge lines.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().take(MAX_SHOWN).map(|c| if is_unsafe(c) { '\u{fffd}' } else { c }).collect()
}

/// The same without cutting, for text that is as long as it has to be and was bounded when it was read.
#[must_use]
pub fn without_controls(text: &str) -> String {
    text.chars().map(|c| if is_unsafe(c) { '\u{fffd}' } else { c }).collect()
}

/// The same for a message that has lines and tabs of its own.
#[must_use]
pub fn message(text: &str) -> String {
    text.chars().map(|c| if is_unsafe(c) && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c }).collect()
}

/// A path in a sentence: whole, and without what a terminal would obey or take for another line.
#[must_use]
pub fn shown_path(path: &Path) -> String {
    without_controls(&path.to_string_lossy())
}

/// C0, C1, DEL, line separators, and the characters that reorder text.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// The one of `known` that a mistyped `word` was most likely meant to be: at most a third of it is wrong.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // What nobody types by mistake is not compared: the effort is the product of the lengths.
    if word.chars().count() > 64 {
        return None;
    }
    let distance = |candidate: &str| strsim::damerau_levenshtein(word, candidate);
    let best = known.into_iter().min_by_key(|candidate| distance(candidate))?;
    (distance(best) <= (best.len() / 3).max(1)).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_plain_text() {
        assert_eq!(printable("rdmap79s0 größe"), "rdmap79s0 größe");
    }

    #[test]
    fn control_characters_do_not_pass() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{202e}d"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
        assert_eq!(printable("a\u{61c}b\u{200f}c"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(message("a:\n\tb\u{1b}[2J\rc\u{9b}"), "a:\n\tb\u{fffd}[2J\u{fffd}c\u{fffd}");
        assert_eq!(shown_path(Path::new("d\u{1b}[31m/a\nb")), "d\u{fffd}[31m/a\u{fffd}b");
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(printable(&"x".repeat(10_000)).len(), MAX_SHOWN);
        assert_eq!(without_controls(&"\n".repeat(1000)).chars().count(), 1000);
    }

    #[test]
    fn a_mistyped_word_finds_its_neighbour() {
        let known = ["interval", "units", "theme"];
        assert_eq!(nearest("intervall", known), Some("interval"));
        assert_eq!(nearest("unist", known), Some("units"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), known), None);
        assert_eq!(nearest("", []), None);
    }
}
