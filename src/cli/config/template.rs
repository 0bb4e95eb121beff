//! The printed default: every setting with its default, commented out, and all commands with their keys.

use std::fmt::Write as _;

use crate::monitor::tui::Keymap;

/// All but the keys, which come from the table of commands. A setting is a line that begins with `#` and a letter or a
/// bracket; a comment has a blank behind its `#`.
const TEMPLATE: &str = include_str!("default.toml");

/// What `railtop --print-config` prints.
#[must_use]
pub fn template() -> String {
    let mut text = TEMPLATE.to_owned();
    for (name, keys, help) in Keymap::default().entries() {
        let keys: Vec<String> = keys.iter().map(|key| toml::Value::from(key.as_str()).to_string()).collect();
        let _ = writeln!(text, "# {help}\n#{name} = [{}]", keys.join(", "));
    }
    text
}

/// The template with every setting in effect.
#[cfg(test)]
pub(super) fn uncommented() -> String {
    template()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => rest,
            _ => line,
        })
        .fold(String::new(), |text, line| text + line + "\n")
}
