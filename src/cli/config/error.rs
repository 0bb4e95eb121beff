//! What is wrong with a configuration file, and where.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::text::{nearest, printable};

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file itself.
    #[error("cannot use the configuration file {}: {reason}", printable(&.path.to_string_lossy()))]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Something in it.
    #[error("{}:{line}:{column}: {message}", printable(&.path.to_string_lossy()))]
    Content {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
}

impl ConfigError {
    /// An error of the file as a whole.
    pub(super) fn file(path: &Path, reason: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), reason: reason.into() }
    }

    /// An error at a place of `text`, given in bytes.
    pub(super) fn at(
        path: &Path,
        text: &str,
        span: Option<&Range<usize>>,
        message: impl Into<String>,
    ) -> Self {
        let (line, column) = position(text, span.map_or(0, |span| span.start));
        Self::Content { path: path.to_owned(), line, column, message: message.into() }
    }

    /// What the TOML parser or serde found.
    pub(super) fn toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let message = unknown_key(error.message()).unwrap_or_else(|| printable(error.message()));
        Self::at(path, text, error.span().as_ref(), message)
    }
}

/// Line and column of a byte, both from 1, the column in characters.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let mut end = byte.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    (line, column)
}

/// serde's words for an unknown key, ``unknown field `x`, expected one of `a`, `b` ``, with the key most like it.
fn unknown_key(message: &str) -> Option<String> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, known) = rest.split_once("`, ")?;
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    let hint = match nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("known are {}", known.join(", ")),
    };
    Some(format!("unknown key {:?}; {hint}", printable(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let text = "a = 1\nüb = 2\n";
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, text.find('b').unwrap()), (2, 2));
        assert_eq!(position(text, 7), (2, 1), "within a character");
        assert_eq!(position(text, 1000), (3, 1));
    }

    #[test]
    fn unknown_keys_are_said_with_their_neighbour_or_all() {
        let known = "unknown field `unist`, expected one of `interval`, `units`";
        assert_eq!(unknown_key(known).unwrap(), "unknown key \"unist\"; did you mean units?");
        let far = "unknown field `\u{1b}x`, expected one of `interval`, `units`";
        assert_eq!(unknown_key(far).unwrap(), "unknown key \"\u{fffd}x\"; known are interval, units");
        assert_eq!(unknown_key("invalid type"), None);
    }
}
