//! Colours by meaning. The only place that knows a colour, and the only one that knows `NO_COLOR`.

use ratatui::style::{Color, Modifier, Style};

use crate::balance::Verdict;

/// What a piece of the screen means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Text,
    /// Secondary: units, facts, help.
    Muted,
    /// Names and headings.
    Strong,
    /// Sent.
    Tx,
    /// Received.
    Rx,
    /// The mark at the mean.
    Mean,
    Good,
    Warn,
    Bad,
    /// The selected row's name.
    Selected,
    /// Inverse tags: PAUSED, the status line's keys.
    Tag,
    Caption,
}

/// With colour or without; attributes remain either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Theme {
    color: bool,
}

impl Theme {
    /// No colour when told so, or when `NO_COLOR` is set and not empty (no-color.org).
    pub(super) fn new(color: bool, no_color: Option<&std::ffi::OsStr>) -> Self {
        Self { color: color && no_color.is_none_or(std::ffi::OsStr::is_empty) }
    }

    /// How a meaning looks. The 16 colours of the terminal, which people have made readable on their background;
    /// Tx cyan and Rx yellow stay apart for all common kinds of colour blindness.
    pub(super) fn style(self, token: Token) -> Style {
        let (color, modifier) = match token {
            Token::Text => (None, Modifier::empty()),
            Token::Muted => (None, Modifier::DIM),
            Token::Strong => (None, Modifier::BOLD),
            Token::Tx => (Some(Color::Cyan), Modifier::empty()),
            Token::Rx => (Some(Color::Yellow), Modifier::empty()),
            Token::Mean => (Some(Color::Reset), Modifier::BOLD),
            Token::Good => (Some(Color::Green), Modifier::empty()),
            Token::Warn => (Some(Color::Magenta), Modifier::BOLD),
            Token::Bad => (Some(Color::Red), Modifier::BOLD),
            Token::Selected | Token::Tag => (None, Modifier::BOLD.union(Modifier::REVERSED)),
            Token::Caption => (None, Modifier::BOLD.union(Modifier::ITALIC)),
        };
        let style = Style::default().add_modifier(modifier);
        match color {
            Some(color) if self.color => style.fg(color),
            _ => style,
        }
    }

    /// The look of a verdict.
    pub(super) fn verdict(self, verdict: Verdict) -> Style {
        self.style(match verdict {
            Verdict::Balanced => Token::Good,
            Verdict::Skewed | Verdict::Unknown => Token::Warn,
            Verdict::SingleNic => Token::Bad,
            Verdict::Idle => Token::Muted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn no_color_leaves_attributes_only() {
        let theme = Theme::new(true, Some(OsStr::new("1")));
        let style = theme.style(Token::Bad);
        assert_eq!(style.fg, None);
        assert!(style.add_modifier.contains(Modifier::BOLD));
        assert!(Theme::new(true, Some(OsStr::new(""))).style(Token::Bad).fg.is_some());
        assert!(Theme::new(false, None).style(Token::Bad).fg.is_none());
    }
}
