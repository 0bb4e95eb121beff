//! Which key means what: the table's keys, changed by the configuration.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::actions::{BINDINGS, Command};
use super::key::{Key, KeyError};

/// Keys by command and commands by key. The default is the table in `actions.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap {
    keys: HashMap<Command, Vec<Key>>,
}

/// Why keys cannot be bound as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// There is no command of this name.
    #[error("there is no command {name:?}; {}", possible(nearest.as_deref()))]
    UnknownCommand {
        /// What was given.
        name: String,
        /// The command whose name is most like it.
        nearest: Option<String>,
    },
    /// A text that is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Ctrl-C is the way out, also of a configuration that binds everything else wrongly.
    #[error("ctrl-c always quits; {0} needs another key")]
    CtrlC(&'static str),
    /// One key for two commands.
    #[error(
        "the key {key} is bound to {first} and to {second}; give one of them other keys, or none: {second} = []"
    )]
    Conflict {
        /// The key.
        key: String,
        /// A command.
        first: &'static str,
        /// The other one.
        second: &'static str,
    },
}

fn possible(nearest: Option<&str>) -> String {
    match nearest {
        Some(name) => format!("did you mean {name}? `railtop --print-keys` lists all"),
        None => "`railtop --print-keys` lists all".to_owned(),
    }
}

impl Default for Keymap {
    fn default() -> Self {
        Self { keys: BINDINGS.iter().map(|b| (b.command, b.keys.to_vec())).collect() }
    }
}

impl Keymap {
    /// Gives the command called `name` these keys instead of those it has; none is possible. Conflicts with other
    /// commands are looked for by [`check`](Self::check), since what follows may resolve them.
    ///
    /// # Errors
    /// When there is no such command or no such key, or Ctrl-C shall do anything but quit.
    pub fn bind<'a>(&mut self, name: &str, keys: impl IntoIterator<Item = &'a str>) -> Result<(), BindError> {
        let binding = BINDINGS.iter().find(|b| b.name == name).ok_or_else(|| BindError::UnknownCommand {
            name: crate::text::printable(name),
            nearest: crate::text::nearest(name, Self::names()).map(str::to_owned),
        })?;
        let mut bound = Vec::new();
        for text in keys {
            let key: Key = text.parse()?;
            if key == Key::CTRL_C {
                if binding.command != Command::Quit {
                    return Err(BindError::CtrlC(binding.name));
                }
            } else if !bound.contains(&key) {
                bound.push(key);
            }
        }
        self.keys.insert(binding.command, bound);
        Ok(())
    }

    /// Looks for keys that are bound twice.
    ///
    /// # Errors
    /// With the first such key and its commands, in the order of the help.
    pub fn check(&self) -> Result<(), BindError> {
        let mut seen: HashMap<Key, &'static str> = HashMap::new();
        for binding in BINDINGS {
            for &key in self.keys(binding.command) {
                if let Some(first) = seen.insert(key, binding.name) {
                    let second = binding.name;
                    return Err(BindError::Conflict { key: key.to_string(), first, second });
                }
            }
        }
        Ok(())
    }

    /// The names of all commands, in the order of the help.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BINDINGS.iter().map(|b| b.name)
    }

    /// Name, keys and meaning of each command, in the order of the help.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, Vec<String>, &'static str)> {
        BINDINGS.iter().map(|binding| {
            let keys = self.keys(binding.command).iter().map(Key::to_string).collect();
            (binding.name, keys, binding.help)
        })
    }

    /// Command, keys and meaning, a line each (`--print-keys`).
    #[must_use]
    pub fn listing(&self) -> String {
        let keys: Vec<String> = BINDINGS.iter().map(|b| self.label(b.command)).collect();
        let widest = keys.iter().map(|k| k.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for (binding, keys) in BINDINGS.iter().zip(keys) {
            let _ = writeln!(text, "{:<14}  {keys:<widest$}  {}", binding.name, binding.help);
        }
        text
    }

    /// The command that a key stands for.
    pub(super) fn command(&self, key: Key) -> Option<Command> {
        self.keys.iter().find(|(_, keys)| keys.contains(&key)).map(|(command, _)| *command)
    }

    /// A command's keys; none when the configuration took them away.
    pub(super) fn keys(&self, command: Command) -> &[Key] {
        self.keys.get(&command).map_or(&[], Vec::as_slice)
    }

    /// A command's keys as text: `? h f1`; `-` without any.
    pub(super) fn label(&self, command: Command) -> String {
        let keys: Vec<String> = self.keys(command).iter().map(Key::to_string).collect();
        if keys.is_empty() { "-".to_owned() } else { keys.join(" ") }
    }

    /// The first of a command's keys, for a status line.
    pub(super) fn first(&self, command: Command) -> Option<String> {
        self.keys(command).first().map(Key::to_string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_itself_binds_no_key_twice() {
        assert_eq!(Keymap::default().check(), Ok(()));
    }

    #[test]
    fn keys_are_replaced_and_taken_away() {
        let mut map = Keymap::default();
        map.bind("quit", ["x", "ctrl-c", "x"]).unwrap();
        map.bind("pause", []).unwrap();
        assert_eq!(map.check(), Ok(()));
        assert_eq!(map.command(Key::char('x')), Some(Command::Quit));
        assert_eq!(map.command(Key::char('q')), None);
        assert_eq!(map.command(Key::char(' ')), None);
        assert_eq!((map.label(Command::Quit).as_str(), map.label(Command::Pause).as_str()), ("x", "-"));
    }

    #[test]
    fn a_key_for_two_commands_names_both() {
        let mut map = Keymap::default();
        map.bind("collapse", ["c"]).unwrap();
        let error = map.check().unwrap_err().to_string();
        assert!(error.contains("key c is bound to collapse and to columns"), "{error}");
        map.bind("columns", ["C"]).unwrap();
        assert_eq!(map.check(), Ok(()));
    }

    #[test]
    fn mistakes_are_named() {
        let mut map = Keymap::default();
        let error = map.bind("colums", ["x"]).unwrap_err().to_string();
        assert!(error.contains("did you mean columns?"), "{error}");
        let error = map.bind("columns", ["ctrl-c"]).unwrap_err().to_string();
        assert!(error.contains("ctrl-c always quits; columns needs another key"), "{error}");
        assert!(map.bind("columns", ["cc"]).is_err());
        assert_eq!(map, Keymap::default(), "a mistake changes nothing");
    }

    #[test]
    fn the_listing_has_a_line_for_every_command() {
        let text = Keymap::default().listing();
        assert_eq!(text.lines().count(), BINDINGS.len());
        assert!(text.lines().any(|line| line.starts_with("quit ") && line.contains(" q ")), "{text}");
    }
}
