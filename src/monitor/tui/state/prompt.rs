//! What is typed on the status line: the filter, which works while it is typed, and the averaging window.

use std::time::Duration;

use super::super::preferences::AVERAGE_WINDOWS;
use super::State;
use crate::units::parse_duration;

/// The longest text that can be typed, in characters.
const LONGEST: usize = 64;
/// What is being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Prompt {
    /// The filter itself.
    Filter,
    /// A length of the averaging window, such as `10s`.
    Window(String),
}

impl State {
    pub(super) fn ask(&mut self, prompt: Prompt) {
        self.overlay = None;
        self.prompt = Some(prompt);
    }

    fn typed(&mut self) -> Option<&mut String> {
        match self.prompt.as_mut()? {
            Prompt::Filter => Some(&mut self.filter),
            Prompt::Window(text) => Some(text),
        }
    }

    pub(super) fn type_into_prompt(&mut self, c: char) {
        if let Some(text) = self.typed().filter(|text| !c.is_control() && text.chars().count() < LONGEST) {
            text.push(c);
        }
    }

    pub(super) fn erase(&mut self) {
        if let Some(text) = self.typed() {
            text.pop();
        }
    }

    /// Takes what was typed; a window that makes no sense stays to be mended.
    pub(super) fn answer(&mut self) {
        if let Some(Prompt::Window(text)) = &self.prompt {
            match window(text) {
                Some(window) => (self.window, self.averages) = (window, true),
                None if text.is_empty() => {}
                None => return,
            }
        }
        self.prompt = None;
    }

    /// Whether what is typed can be taken.
    pub(in super::super) fn makes_sense(&self) -> bool {
        match &self.prompt {
            Some(Prompt::Window(text)) => text.is_empty() || window(text).is_some(),
            _ => true,
        }
    }
}

fn window(text: &str) -> Option<Duration> {
    parse_duration(text).ok().filter(|window| AVERAGE_WINDOWS.contains(window))
}
