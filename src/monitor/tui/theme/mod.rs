//! Colours by meaning. The only place that knows a colour, and the only one that knows `NO_COLOR`.
//!
//! Severity is never hue alone: its glyph comes from `glyphs.rs`, its attribute from here, and both stay without
//! colour.

mod depth;
mod palette;

use std::ffi::OsStr;

use ratatui::style::{Color, Modifier, Style};

use self::palette::Tint;
use crate::balance::Verdict;
use crate::monitor::counter::Class;

pub(super) use depth::Depth;

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
    /// The mark at the highest value so far.
    Peak,
    /// As it should be.
    Good,
    /// Worth knowing, neither good nor bad.
    Info,
    Warn,
    Bad,
    /// A counter of work done, when it rises.
    Traffic,
    /// A counter of congestion, when it rises.
    Congestion,
    /// A counter of loss, when it rises.
    Loss,
    /// A counter of errors, when it rises.
    Error,
    /// A tab that is not open.
    Tab,
    /// The open tab.
    OpenTab,
    /// The selected row's name.
    Selected,
    /// The mark before the selected row, and the cursor of a text.
    Cursor,
    /// Inverse tags: PAUSED, the status line's keys.
    Tag,
    Caption,
}

impl Token {
    /// All tokens, for tests and for whoever shows a theme.
    #[cfg(test)]
    pub(super) const ALL: [Self; 21] = [
        Self::Text,
        Self::Muted,
        Self::Strong,
        Self::Tx,
        Self::Rx,
        Self::Mean,
        Self::Peak,
        Self::Good,
        Self::Info,
        Self::Warn,
        Self::Bad,
        Self::Traffic,
        Self::Congestion,
        Self::Loss,
        Self::Error,
        Self::Tab,
        Self::OpenTab,
        Self::Selected,
        Self::Cursor,
        Self::Tag,
        Self::Caption,
    ];

    /// The look of a counter that rises.
    pub(super) fn of_class(class: Class) -> Self {
        match class {
            Class::Traffic => Self::Traffic,
            Class::Congestion => Self::Congestion,
            Class::Loss => Self::Loss,
            Class::Error => Self::Error,
            Class::Neutral => Self::Text,
        }
    }

    /// What remains without colour, and stays with it.
    fn modifier(self) -> Modifier {
        match self {
            Self::Text | Self::Tx | Self::Rx | Self::Good | Self::Info | Self::Traffic => Modifier::empty(),
            Self::Muted | Self::Tab => Modifier::DIM,
            Self::Strong | Self::Mean | Self::Peak | Self::Warn | Self::Congestion | Self::Cursor => {
                Modifier::BOLD
            }
            Self::Loss => Modifier::UNDERLINED,
            Self::Bad | Self::Error => Modifier::BOLD.union(Modifier::UNDERLINED),
            Self::Selected | Self::Tag | Self::OpenTab => Modifier::BOLD.union(Modifier::REVERSED),
            Self::Caption => Modifier::BOLD.union(Modifier::ITALIC),
        }
    }
}

/// `--theme` and `theme =`: which colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ThemeName {
    /// `dark` or `light` 16 colours, whichever suits the terminal's background
    #[default]
    Auto,
    /// The terminal's own 16 colours, chosen for a dark background
    Default,
    /// Soft colours on dark, where the terminal has more than 16
    Dark,
    /// Colours that can be read on white
    Light,
    /// Blue and orange instead of green and red (Okabe and Ito)
    ColourBlind,
    /// Only colours that stand out clearly
    HighContrast,
    /// No colour: bold, dim, underlined, inverse
    Mono,
}

impl ThemeName {
    /// All, in the order of the key that goes through them.
    pub const ALL: [Self; 7] = [
        Self::Auto,
        Self::Default,
        Self::Dark,
        Self::Light,
        Self::ColourBlind,
        Self::HighContrast,
        Self::Mono,
    ];

    /// The name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Default => "default",
            Self::Dark => "dark",
            Self::Light => "light",
            Self::ColourBlind => "colour-blind",
            Self::HighContrast => "high-contrast",
            Self::Mono => "mono",
        }
    }

    /// The next of [`ALL`](Self::ALL).
    #[must_use]
    pub fn next(self) -> Self {
        Self::ALL[(self as usize + 1) % Self::ALL.len()]
    }
}

/// What the terminal's own background is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Background {
    Dark,
    Light,
}

impl Background {
    /// The hint that rxvt, Konsole and others leave in `COLORFGBG`: `15;0` or `0;default;15`, the last being one of the
    /// 16 colours. 7 and 9 to 15 are light.
    pub(super) fn from_colorfgbg(value: Option<&OsStr>) -> Option<Self> {
        let last: u8 = value?.to_str()?.rsplit(';').next()?.parse().ok()?;
        match last {
            7 | 9..=15 => Some(Self::Light),
            0..=6 | 8 => Some(Self::Dark),
            _ => None,
        }
    }
}

/// A theme on a terminal: which colours, how many of them there are, and on which background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Theme {
    name: ThemeName,
    /// `None` without colour; attributes remain.
    depth: Option<Depth>,
    /// `None` as long as it is not known, which counts as dark.
    background: Option<Background>,
}

impl Theme {
    /// The terminal's 16 colours. None of them when told so, or when `NO_COLOR` is set and not empty (no-color.org).
    pub(super) fn new(color: bool, no_color: Option<&OsStr>) -> Self {
        let color = color && no_color.is_none_or(OsStr::is_empty);
        Self { name: ThemeName::Auto, depth: color.then_some(Depth::Sixteen), background: None }
    }

    /// The same under another name.
    pub(super) fn named(self, name: ThemeName) -> Self {
        Self { name, ..self }
    }

    /// The same on a terminal with so many colours; without colour it stays.
    pub(super) fn with_depth(self, depth: Option<Depth>) -> Self {
        Self { depth: self.depth.and(depth), ..self }
    }

    /// The same on this background.
    pub(super) fn on(self, background: Option<Background>) -> Self {
        Self { background, ..self }
    }

    /// Whether there are colours at all, whatever the theme.
    pub(super) fn has_color(self) -> bool {
        self.depth.is_some()
    }

    /// Its name.
    pub(super) fn name(self) -> ThemeName {
        self.name
    }

    /// Its name as the status line says it: with what it has chosen, and why it may look like the last one.
    pub(super) fn title(self) -> String {
        let name = self.name.name();
        match (self.depth, self.name, self.background) {
            (_, ThemeName::Mono, _) => name.to_owned(),
            (None, ..) => format!("{name}, without colour"),
            (_, ThemeName::Auto, Some(Background::Light)) => format!("{name}: light"),
            (_, ThemeName::Auto, Some(Background::Dark)) => format!("{name}: dark"),
            _ => name.to_owned(),
        }
    }

    /// How a meaning looks. Everything that is drawn takes its colour from here.
    pub(super) fn style(self, token: Token) -> Style {
        let style = Style::default().add_modifier(token.modifier());
        match self.color(token) {
            Some(color) => style.fg(color),
            None => style,
        }
    }

    fn color(self, token: Token) -> Option<Color> {
        let depth = self.depth?;
        let tint = palette::tint(self.name, self.background.unwrap_or(Background::Dark), token)?;
        Some(match tint {
            Tint::Own(color) => color,
            Tint::Rgb(rgb, sixteen) => depth.color(rgb, sixteen),
        })
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
mod tests;
