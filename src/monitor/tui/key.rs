//! A key as people write it: `q`, `Q`, `space`, `ctrl-l`, `f6`, `shift-tab`, `pgdn`.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Keys that have a name rather than a character. The first name of a code is the one that is written.
const NAMED: &[(&str, KeyCode)] = &[
    ("space", KeyCode::Char(' ')),
    ("enter", KeyCode::Enter),
    ("return", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("escape", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("del", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("ins", KeyCode::Insert),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pgup", KeyCode::PageUp),
    ("pageup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
    ("pagedown", KeyCode::PageDown),
];

/// A key with its modifiers, in the one form that two equal keys have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a character and not one of the names.
    #[error(
        "{0:?} is no key; possible are one character (\"q\", \"Q\", \"/\"), f1 to f12, space, enter, esc, tab, \
         backspace, delete, insert, up, down, left, right, home, end, pgup, pgdn, and these behind ctrl-, alt- or shift-"
    )]
    Unknown(String),
    /// Terminals cannot tell this key from another one, or do not send it.
    #[error("{key:?} does not arrive as a key of its own from a terminal: {why}")]
    Unsendable {
        /// What was written.
        key: String,
        /// What to write instead.
        why: &'static str,
    },
}

impl Key {
    /// A character without modifiers.
    pub(super) const fn char(c: char) -> Self {
        Self::code(KeyCode::Char(c))
    }

    /// A key without modifiers.
    pub(super) const fn code(code: KeyCode) -> Self {
        Self { code, modifiers: KeyModifiers::NONE }
    }

    /// A lower-case letter with Ctrl.
    pub(super) const fn ctrl(c: char) -> Self {
        Self { code: KeyCode::Char(c), modifiers: KeyModifiers::CONTROL }
    }

    /// A key that is not a character, with Shift.
    pub(super) const fn shift(code: KeyCode) -> Self {
        Self { code, modifiers: KeyModifiers::SHIFT }
    }

    /// The key that quits whatever the configuration says.
    pub(super) const CTRL_C: Self = Self::ctrl('c');

    /// Brings what the terminal reports into the common form: a character holds its Shift already, and Shift-Tab is a
    /// key of its own there. `None` for keys with modifiers that cannot be bound.
    pub(super) fn of(event: KeyEvent) -> Option<Self> {
        let bindable = KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT;
        (event.modifiers.difference(bindable).is_empty()).then(|| Self::normal(event.code, event.modifiers))
    }

    fn normal(code: KeyCode, mut modifiers: KeyModifiers) -> Self {
        let code = match code {
            KeyCode::BackTab => {
                modifiers |= KeyModifiers::SHIFT;
                KeyCode::Tab
            }
            KeyCode::Char(c) => {
                modifiers -= KeyModifiers::SHIFT;
                // Ctrl-Q and Ctrl-q are the same byte.
                let control = modifiers.contains(KeyModifiers::CONTROL);
                KeyCode::Char(if control { c.to_ascii_lowercase() } else { c })
            }
            code => code,
        };
        Self { code, modifiers }
    }

    /// The character that it types, if it types one.
    pub(super) fn typed(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if self.modifiers.is_empty() => Some(c),
            _ => None,
        }
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let unknown = || KeyError::Unknown(crate::text::printable(text));
        let mut rest = text;
        let mut modifiers = KeyModifiers::NONE;
        // What follows the last prefix may itself be a minus: `ctrl--`.
        while let Some((prefix, key)) = rest.split_once('-').filter(|(_, key)| !key.is_empty()) {
            let modifier = match prefix.to_ascii_lowercase().as_str() {
                "ctrl" | "control" => KeyModifiers::CONTROL,
                "alt" => KeyModifiers::ALT,
                "shift" => KeyModifiers::SHIFT,
                _ => return Err(unknown()),
            };
            if modifiers.contains(modifier) {
                return Err(unknown());
            }
            modifiers |= modifier;
            rest = key;
        }
        let mut chars = rest.chars();
        let code = match (chars.next(), chars.next()) {
            (Some(c), None) if !c.is_control() && !c.is_whitespace() => {
                // What Shift makes of a sign depends on the keyboard; of a letter it does not.
                if !modifiers.contains(KeyModifiers::SHIFT) {
                    KeyCode::Char(c)
                } else if c.is_ascii_alphabetic() {
                    KeyCode::Char(c.to_ascii_uppercase())
                } else {
                    return Err(unsendable(text, "write the character that it types"));
                }
            }
            _ => named(&rest.to_ascii_lowercase()).ok_or_else(unknown)?,
        };
        if let KeyCode::Char(c) = code
            && modifiers.contains(KeyModifiers::CONTROL)
        {
            match c.to_ascii_lowercase() {
                'i' => return Err(unsendable(text, "it is the same as tab")),
                'm' => return Err(unsendable(text, "it is the same as enter")),
                ' ' | 'a'..='z' => {}
                _ => return Err(unsendable(text, "ctrl- goes with a letter or space")),
            }
        }
        Ok(Self::normal(code, modifiers))
    }
}

fn unsendable(key: &str, why: &'static str) -> KeyError {
    KeyError::Unsendable { key: crate::text::printable(key), why }
}

fn named(name: &str) -> Option<KeyCode> {
    if let Some((_, code)) = NAMED.iter().find(|(known, _)| *known == name) {
        return Some(*code);
    }
    let number: u8 = name.strip_prefix('f').filter(|digits| !digits.starts_with(['0', '+']))?.parse().ok()?;
    (1..=12).contains(&number).then_some(KeyCode::F(number))
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (modifier, prefix) in
            [(KeyModifiers::CONTROL, "ctrl-"), (KeyModifiers::ALT, "alt-"), (KeyModifiers::SHIFT, "shift-")]
        {
            if self.modifiers.contains(modifier) {
                f.write_str(prefix)?;
            }
        }
        match (NAMED.iter().find(|(_, code)| *code == self.code), self.code) {
            (Some((name, _)), _) => f.write_str(name),
            (None, KeyCode::Char(c)) => write!(f, "{c}"),
            (None, KeyCode::F(number)) => write!(f, "f{number}"),
            // No such key can be made.
            (None, code) => write!(f, "{code:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use test_case::test_case;

    #[test_case("q", KeyCode::Char('q'), KeyModifiers::NONE)]
    #[test_case("Q", KeyCode::Char('Q'), KeyModifiers::SHIFT; "as a terminal may report it")]
    #[test_case("shift-q", KeyCode::Char('Q'), KeyModifiers::NONE)]
    #[test_case("?", KeyCode::Char('?'), KeyModifiers::NONE)]
    #[test_case("-", KeyCode::Char('-'), KeyModifiers::NONE; "minus")]
    #[test_case("alt--", KeyCode::Char('-'), KeyModifiers::ALT; "minus with alt")]
    #[test_case("Ctrl-C", KeyCode::Char('c'), KeyModifiers::CONTROL)]
    #[test_case("f6", KeyCode::F(6), KeyModifiers::NONE)]
    #[test_case("F12", KeyCode::F(12), KeyModifiers::NONE)]
    #[test_case("f", KeyCode::Char('f'), KeyModifiers::NONE; "the letter f")]
    #[test_case("shift-tab", KeyCode::BackTab, KeyModifiers::SHIFT)]
    #[test_case("space", KeyCode::Char(' '), KeyModifiers::NONE)]
    #[test_case("PgDn", KeyCode::PageDown, KeyModifiers::NONE)]
    #[test_case("pagedown", KeyCode::PageDown, KeyModifiers::NONE; "long name")]
    #[test_case("ctrl-shift-left", KeyCode::Left, KeyModifiers::CONTROL.union(KeyModifiers::SHIFT))]
    #[test_case("é", KeyCode::Char('é'), KeyModifiers::NONE; "not ascii")]
    fn reads(text: &str, code: KeyCode, modifiers: KeyModifiers) {
        let key: Key = text.parse().unwrap();
        assert_eq!(Some(key), Key::of(KeyEvent::new(code, modifiers)));
        assert_eq!(key.to_string().parse(), Ok(key), "what is written can be read");
    }

    #[test_case("", "is no key")]
    #[test_case(" ", "space"; "a blank is written as a name")]
    #[test_case("f0", "f1 to f12")]
    #[test_case("f13", "f1 to f12")]
    #[test_case("qq", "one character")]
    #[test_case("ctl-q", "ctrl-")]
    #[test_case("ctrl-", "is no key")]
    #[test_case("ctrl-ctrl-q", "is no key")]
    #[test_case("ctrl-i", "same as tab")]
    #[test_case("ctrl-M", "same as enter")]
    #[test_case("ctrl-1", "a letter or space")]
    #[test_case("shift-1", "write the character")]
    #[test_case("\u{1b}", "is no key"; "a control character")]
    fn refuses(text: &str, hint: &str) {
        let error = text.parse::<Key>().unwrap_err().to_string();
        assert!(error.contains(hint), "{error}");
        assert!(!error.contains('\u{1b}'));
    }

    #[test]
    fn keys_with_other_modifiers_are_nobodys() {
        assert_eq!(Key::of(KeyEvent::new(KeyCode::Char('q'), KeyModifiers::SUPER)), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_or_an_error(text in "\\PC{0,12}|(ctrl-|alt-|shift-){0,3}[a-zA-Z0-9-]{0,6}") {
            if let Ok(key) = text.parse::<Key>() {
                prop_assert_eq!(key.to_string().parse(), Ok(key));
            }
        }
    }
}
