//! Anybody's text as a configuration file. See [`crate::fuzzing`].

use std::path::Path;

use super::ConfigError;
use super::file::File;

/// Reads a text with its key bindings and line rates. An error is for a terminal, and says where.
pub(crate) fn file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let path = Path::new("fuzzed.toml");
    let outcome = File::parse(path, text).and_then(|file| {
        file.keymap(path, text)?;
        file.line_rates(path, text)
    });
    if let Err(error) = outcome {
        assert_shown(&error);
    }
}

fn assert_shown(error: &ConfigError) {
    let text = error.to_string();
    assert!(text.contains("fuzzed.toml"), "where: {text}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "goes to terminals: {text:?}");
}
