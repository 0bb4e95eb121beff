//! What a person can ask for: one table of commands for the dispatch, the help, the status line and the configuration.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent};

use super::key::Key;
use super::keymap::Keymap;
use super::theme::Background;
use crate::monitor::model::view::View;
use crate::monitor::record::Status;
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
    /// How the recording is that is being made, if one is.
    Recording(Option<Status>),
    /// Where the recording stands that is shown.
    Replay(ReplayStatus),
    /// The window has this size.
    Resize(u16, u16),
    /// What to look at.
    Caption(String),
    /// A sentence for the status line, until the next key.
    Message(String),
    /// The terminal has said what its background is like.
    Background(Background),
    /// No data for this long, though it should have come.
    Silent(Duration),
}

/// One line of the table of commands.
pub(super) struct Binding {
    pub(super) command: Command,
    /// How the configuration calls it; never changes.
    pub(super) name: &'static str,
    /// Its keys unless the configuration says otherwise.
    pub(super) keys: &'static [Key],
    /// One or two words for the status line.
    pub(super) label: &'static str,
    /// The help's words.
    pub(super) help: &'static str,
}

/// Makes [`Command`] and [`BINDINGS`] from one list, so that no command can lack its line.
macro_rules! commands {
    ($($command:ident $name:literal [$($key:expr),*] $label:literal $help:literal;)*) => {
        /// What keys stand for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum Command {
            $(#[doc = $help] $command,)*
        }

        /// All commands, in the order of the help.
        pub(super) const BINDINGS: &[Binding] = &[$(Binding {
            command: Command::$command,
            name: $name,
            keys: &[$($key),*],
            label: $label,
            help: $help,
        },)*];
    };
}

commands! {
    Quit "quit" [Key::char('q')] "quit" "quit (ctrl-c always does)";
    Help "help" [Key::char('?'), Key::char('h'), Key::code(KeyCode::F(1))] "help" "this help";
    Pause "pause" [Key::char('p'), Key::char(' ')] "pause" "pause the screen; data are still collected";
    StepBack "step-back" [Key::char('[')] "earlier" "a sample back in time (pauses)";
    StepForth "step-forth" [Key::char(']')] "later" "a sample forth in time";
    MinuteBack "minute-back" [Key::char('{')] "minute back" "a minute back in time (pauses)";
    MinuteForth "minute-forth" [Key::char('}')] "minute forth" "a minute forth in time";

    NextTab "next-tab" [Key::code(KeyCode::Tab)] "next tab" "next tab";
    PreviousTab "previous-tab" [Key::shift(KeyCode::Tab)] "previous tab" "previous tab";
    Tab0 "tab-0" [Key::char('0')] "fleet" "fleet: every node's groups, the worst first (with --remote)";
    Tab1 "tab-1" [Key::char('1')] "NICs" "NICs";
    Tab2 "tab-2" [Key::char('2')] "groups" "groups: how evenly NICs share the load";
    Tab3 "tab-3" [Key::char('3')] "processes" "processes and their queue pairs";
    Tab4 "tab-4" [Key::char('4')] "events" "events: links, resets, NICs gone and back, imbalance";
    Tab5 "tab-5" [Key::char('5')] "GPUs" "GPUs and their NVLinks";

    Enter "enter" [Key::code(KeyCode::Enter)] "detail" "all about the selected row";
    Escape "escape" [Key::code(KeyCode::Esc)] "close" "close what is open, drop the filter (never quits)";
    Up "up" [Key::code(KeyCode::Up), Key::char('k')] "up" "a row up";
    Down "down" [Key::code(KeyCode::Down), Key::char('j')] "down" "a row down";
    PageUp "page-up" [Key::code(KeyCode::PageUp)] "page up" "a page up";
    PageDown "page-down" [Key::code(KeyCode::PageDown)] "page down" "a page down";
    Home "home" [Key::code(KeyCode::Home)] "first" "first row";
    End "end" [Key::code(KeyCode::End)] "last" "last row";
    FoldOne "fold" [Key::code(KeyCode::Left)] "fold" "collapse the selected group; while paused, back in time";
    UnfoldOne "unfold" [Key::code(KeyCode::Right)] "unfold" "expand the selected group; while paused, forth in time";
    Collapse "collapse" [Key::char('z')] "collapse" "collapse all groups to a line each, or expand all";

    Filter "filter" [Key::char('/')] "filter" "show only rows that contain a text: NIC, node, PE, job, user, …";
    Sort "sort" [Key::char('s'), Key::code(KeyCode::F(6))] "sort" "next order of the rows";
    Columns "columns" [Key::char('c')] "columns" "choose the columns";
    Units "units" [Key::char('u')] "units" "bits or bytes per second";
    Cumulative "cumulative" [Key::char('T')] "totals" "rates, bytes since the start here, bytes since the counter began";
    Average "average" [Key::char('a')] "average" "rates averaged over a window, on and off";
    Wider "wider" [Key::char('+'), Key::char('=')] "wider" "longer averaging window";
    Narrower "narrower" [Key::char('-')] "narrower" "shorter averaging window";
    AverageWindow "average-window" [Key::char('w')] "window" "type the averaging window, such as 10s";
    Faster "faster" [Key::char('<')] "faster" "shorter interval between samples";
    Slower "slower" [Key::char('>')] "slower" "longer interval between samples";
    Graph "graph" [Key::char('g')] "graph" "history graph: other look, off";
    Heat "heat" [Key::char('H')] "heat" "strips of bytes received in short windows, on and off";
    PeaksReset "peaks-reset" [Key::char('P')] "peaks" "forget the peaks";
    Notices "notices" [Key::char('n')] "notices" "list the notices";

    Record "record" [Key::char('r')] "record" "record to a file, start and stop";
    Theme "theme" [Key::char('t')] "theme" "next theme";
    SaveSettings "save-settings" [Key::char('W')] "save" "write what was changed here to the configuration file";
    Redraw "redraw" [Key::ctrl('l')] "redraw" "draw everything anew";
    Suspend "suspend" [Key::ctrl('z')] "suspend" "back to the shell (fg returns)";
    Erase "erase" [Key::code(KeyCode::Backspace)] "erase" "in the filter: delete the last character";
}

impl Command {
    /// Its line of the table.
    pub(super) fn binding(self) -> &'static Binding {
        // The enum and the table are made from the same list.
        &BINDINGS[self as usize]
    }
}

/// What a key press means; `typing` while a filter is being entered.
pub(super) fn of_key(event: KeyEvent, keymap: &Keymap, typing: bool) -> Option<Action> {
    let key = Key::of(event)?;
    if key == Key::CTRL_C {
        return Some(Action::Command(Command::Quit));
    }
    if typing {
        if let Some(c) = key.typed() {
            return Some(Action::Type(c));
        }
        // The way out of a text is the same whatever else is bound to these keys.
        if key == Key::code(KeyCode::Enter) {
            return Some(Action::Command(Command::Enter));
        }
        if key == Key::code(KeyCode::Esc) {
            return Some(Action::Command(Command::Escape));
        }
    }
    keymap.command(key).map(Action::Command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossterm::event::KeyModifiers;
    use test_case::test_case;

    fn press(code: KeyCode, modifiers: KeyModifiers, typing: bool) -> Option<Command> {
        match of_key(KeyEvent::new(code, modifiers), &Keymap::default(), typing) {
            Some(Action::Command(command)) => Some(command),
            _ => None,
        }
    }

    #[test]
    fn every_command_finds_its_line_and_has_a_name_of_its_own() {
        for (i, binding) in BINDINGS.iter().enumerate() {
            assert_eq!(binding.command.binding().name, binding.name);
            assert!(BINDINGS[i + 1..].iter().all(|b| b.name != binding.name), "{}", binding.name);
            assert!(binding.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            assert!(!binding.label.is_empty() && !binding.help.is_empty());
        }
    }

    #[test_case(KeyCode::Char('q'), KeyModifiers::NONE, Some(Command::Quit); "q")]
    #[test_case(KeyCode::Char('c'), KeyModifiers::CONTROL, Some(Command::Quit); "ctrl c")]
    #[test_case(KeyCode::Char('C'), KeyModifiers::CONTROL, Some(Command::Quit); "ctrl c with caps lock")]
    #[test_case(KeyCode::Char('c'), KeyModifiers::NONE, Some(Command::Columns); "c")]
    #[test_case(KeyCode::Char('<'), KeyModifiers::SHIFT, Some(Command::Faster); "less than")]
    #[test_case(KeyCode::BackTab, KeyModifiers::SHIFT, Some(Command::PreviousTab); "shift tab")]
    #[test_case(KeyCode::Char('q'), KeyModifiers::ALT, None; "alt q")]
    #[test_case(KeyCode::Char('y'), KeyModifiers::NONE, None; "unbound")]
    fn keys(code: KeyCode, modifiers: KeyModifiers, command: Option<Command>) {
        assert_eq!(press(code, modifiers, false), command);
    }

    #[test]
    fn letters_go_into_the_filter_while_typing() {
        assert_eq!(press(KeyCode::Char('q'), KeyModifiers::NONE, true), None);
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL, true), Some(Command::Quit));
        assert_eq!(press(KeyCode::Esc, KeyModifiers::NONE, true), Some(Command::Escape));
        assert_eq!(press(KeyCode::Backspace, KeyModifiers::NONE, true), Some(Command::Erase));
        assert_eq!(press(KeyCode::Char('l'), KeyModifiers::CONTROL, true), Some(Command::Redraw));
    }
}
