//! What a person can ask for, and by which key: one table for the dispatch, the help and the status line.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::monitor::model::view::View;
use crate::monitor::replay::ReplayStatus;

/// What changes the state of the screen.
#[derive(Debug, Clone)]
pub(super) enum Action {
    /// A key's meaning.
    Command(Command),
    /// A key typed into the filter.
    Type(char),
    /// New data.
    View(Arc<View>),
    /// A jump in time: these views, oldest first, are the history of the one that comes next.
    Past(Vec<Arc<View>>),
    /// Where the recording stands that is shown.
    Replay(ReplayStatus),
    /// The window has this size.
    Resize(u16, u16),
    /// What to look at.
    Caption(String),
    /// No data for this long, though it should have come.
    Silent(Duration),
}

/// What keys stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Quit,
    /// Stops the job; the shell's `fg` continues it.
    Suspend,
    /// Draws everything again.
    Redraw,
    Help,
    Notices,
    Filter,
    /// Deletes the last character of the filter.
    Erase,
    /// Closes what is open; never the program.
    Escape,
    /// Details of the selected row; in the filter: done.
    Enter,
    Sort,
    Pause,
    Units,
    Graph,
    Fold,
    FoldOne,
    UnfoldOne,
    Slower,
    Faster,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
}

/// One line of the key table.
pub(super) struct Binding {
    /// The keys, without modifiers.
    pub(super) keys: &'static [KeyCode],
    /// The keys as the help shows them.
    pub(super) label: &'static str,
    /// What they do.
    pub(super) command: Command,
    /// The help's words; an empty text shares the line above.
    pub(super) help: &'static str,
}

const fn key(keys: &'static [KeyCode], label: &'static str, command: Command, help: &'static str) -> Binding {
    Binding { keys, label, command, help }
}

/// All keys, in the order of the help.
pub(super) const BINDINGS: &[Binding] = &[
    key(&[KeyCode::Char('q')], "q  Ctrl-C", Command::Quit, "quit"),
    key(&[KeyCode::Char('?'), KeyCode::Char('h'), KeyCode::F(1)], "?  h", Command::Help, "this help"),
    key(
        &[KeyCode::Char('p'), KeyCode::Char(' ')],
        "p  space",
        Command::Pause,
        "pause the screen; data are still collected",
    ),
    key(&[KeyCode::Enter], "Enter", Command::Enter, "all about the selected NIC or group"),
    key(&[KeyCode::Char('c')], "c", Command::Fold, "collapse all groups to a line each, or expand all"),
    key(&[KeyCode::Left], "left right", Command::FoldOne, "collapse, expand the selected group"),
    key(&[KeyCode::Right], "", Command::UnfoldOne, ""),
    key(
        &[KeyCode::Char('s'), KeyCode::F(6)],
        "s",
        Command::Sort,
        "sort: natural, Tx, Rx, imbalance (worst first)",
    ),
    key(
        &[KeyCode::Char('/')],
        "/",
        Command::Filter,
        "show only what contains a text: NIC, node, PE, job, policy",
    ),
    key(&[KeyCode::Char('u')], "u", Command::Units, "bits or bytes per second"),
    key(&[KeyCode::Char('g')], "g", Command::Graph, "history graph: other look, off"),
    key(&[KeyCode::Char('n')], "n", Command::Notices, "list the notices"),
    key(&[KeyCode::Char('+'), KeyCode::Char('=')], "+  -", Command::Slower, "longer, shorter interval"),
    key(&[KeyCode::Char('-')], "", Command::Faster, ""),
    key(&[KeyCode::Up, KeyCode::Char('k')], "up down j k", Command::Up, "move"),
    key(&[KeyCode::Down, KeyCode::Char('j')], "", Command::Down, ""),
    key(&[KeyCode::PageUp], "PgUp PgDn", Command::PageUp, "move by a page"),
    key(&[KeyCode::PageDown], "", Command::PageDown, ""),
    key(&[KeyCode::Home], "Home End", Command::Home, "first, last row"),
    key(&[KeyCode::End], "", Command::End, ""),
    key(&[], "Ctrl-Z Ctrl-L", Command::Suspend, "back to the shell (fg returns); draw anew"),
    key(&[KeyCode::Esc], "Esc", Command::Escape, "close what is open, drop the filter (never quits)"),
];

/// What a key press means; `typing` while a filter is being entered.
pub(super) fn of_key(event: KeyEvent, typing: bool) -> Option<Action> {
    if event.modifiers.contains(KeyModifiers::CONTROL) {
        return match event.code {
            KeyCode::Char('c') => Some(Action::Command(Command::Quit)),
            KeyCode::Char('l') => Some(Action::Command(Command::Redraw)),
            KeyCode::Char('z') => Some(Action::Command(Command::Suspend)),
            _ => None,
        };
    }
    if event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META) {
        return None;
    }
    if typing {
        match event.code {
            KeyCode::Char(c) => return Some(Action::Type(c)),
            KeyCode::Backspace => return Some(Action::Command(Command::Erase)),
            _ => {}
        }
    }
    BINDINGS.iter().find(|b| b.keys.contains(&event.code)).map(|b| Action::Command(b.command))
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    fn press(code: KeyCode, modifiers: KeyModifiers, typing: bool) -> Option<Command> {
        match of_key(KeyEvent::new(code, modifiers), typing) {
            Some(Action::Command(command)) => Some(command),
            _ => None,
        }
    }

    #[test]
    fn no_key_has_two_meanings() {
        let keys: Vec<_> = BINDINGS.iter().flat_map(|b| b.keys).collect();
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[i + 1..].contains(key), "{key:?} is bound twice");
        }
    }

    #[test_case(KeyCode::Char('q'), KeyModifiers::NONE, Some(Command::Quit); "q")]
    #[test_case(KeyCode::Char('c'), KeyModifiers::CONTROL, Some(Command::Quit); "ctrl c")]
    #[test_case(KeyCode::Char('c'), KeyModifiers::NONE, Some(Command::Fold); "c")]
    #[test_case(KeyCode::Char('q'), KeyModifiers::ALT, None; "alt q")]
    #[test_case(KeyCode::Char('x'), KeyModifiers::NONE, None; "unbound")]
    fn keys(code: KeyCode, modifiers: KeyModifiers, command: Option<Command>) {
        assert_eq!(press(code, modifiers, false), command);
    }

    #[test]
    fn letters_go_into_the_filter_while_typing() {
        assert_eq!(press(KeyCode::Char('q'), KeyModifiers::NONE, true), None);
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL, true), Some(Command::Quit));
        assert_eq!(press(KeyCode::Esc, KeyModifiers::NONE, true), Some(Command::Escape));
    }
}
