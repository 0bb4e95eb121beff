//! The colours of each theme. A token without one looks like the terminal's text.

use ratatui::style::Color;

use super::{Background, ThemeName, Token};

/// A colour of a palette.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tint {
    /// One of the terminal's 16, whatever that looks like.
    Own(Color),
    /// This very colour, and which of the 16 stands in for it.
    Rgb([u8; 3], Color),
}

const fn rgb(hex: u32, sixteen: Color) -> Tint {
    let [_, red, green, blue] = hex.to_be_bytes();
    Tint::Rgb([red, green, blue], sixteen)
}

/// Five colours make a theme; what else has a meaning shares one of them.
struct Palette {
    tx: Tint,
    rx: Tint,
    good: Tint,
    warn: Tint,
    bad: Tint,
    /// Congestion: less than a warning, more than nothing.
    info: Tint,
}

/// The terminal's own colours, which people have made readable on their background. Tx cyan and Rx yellow stay apart
/// for all common kinds of colour blindness.
const DEFAULT: Palette = Palette {
    tx: Tint::Own(Color::Cyan),
    rx: Tint::Own(Color::Yellow),
    good: Tint::Own(Color::Green),
    warn: Tint::Own(Color::Magenta),
    bad: Tint::Own(Color::Red),
    info: Tint::Own(Color::Blue),
};

/// Of the same 16, those that are dark: cyan, yellow and green are lost on white. Where there are no more than these, what
/// is good is the text's colour; it has a word and a sign as well.
const DEFAULT_ON_LIGHT: Palette = Palette {
    tx: Tint::Own(Color::Blue),
    rx: rgb(0x00_9A_52_00, Color::Red),
    good: rgb(0x00_1B_75_2F, Color::Reset),
    warn: Tint::Own(Color::Magenta),
    bad: Tint::Own(Color::Red),
    info: rgb(0x00_00_68_7A, Color::Blue),
};

const DARK: Palette = Palette {
    tx: rgb(0x00_7D_CF_FF, Color::Cyan),
    rx: rgb(0x00_E8_C0_6A, Color::Yellow),
    good: rgb(0x00_8F_D1_7A, Color::Green),
    warn: rgb(0x00_D9_A0_F0, Color::Magenta),
    bad: rgb(0x00_FF_7A_7A, Color::Red),
    info: rgb(0x00_8A_A8_FF, Color::Blue),
};

const LIGHT: Palette = Palette {
    tx: rgb(0x00_00_58_A8, Color::Blue),
    rx: rgb(0x00_9A_52_00, Color::Red),
    good: rgb(0x00_1B_75_2F, Color::Reset),
    warn: rgb(0x00_8A_1F_8A, Color::Magenta),
    bad: rgb(0x00_B8_10_1F, Color::Red),
    info: rgb(0x00_00_68_7A, Color::Blue),
};

/// Okabe and Ito's set for colour universal design (jfly.uni-koeln.de/color): sky blue, orange, yellow, vermillion.
const COLOUR_BLIND_ON_DARK: Palette = Palette {
    tx: rgb(0x00_56_B4_E9, Color::LightBlue),
    rx: rgb(0x00_E6_9F_00, Color::Yellow),
    good: rgb(0x00_56_B4_E9, Color::LightBlue),
    warn: rgb(0x00_F0_E4_42, Color::LightYellow),
    bad: rgb(0x00_E0_6A_10, Color::LightRed),
    info: rgb(0x00_CC_79_A7, Color::LightMagenta),
};

/// The same set's blue and vermillion; orange and yellow are darkened until they can be read on white.
const COLOUR_BLIND_ON_LIGHT: Palette = Palette {
    tx: rgb(0x00_00_72_B2, Color::Blue),
    rx: rgb(0x00_B3_57_00, Color::Red),
    good: rgb(0x00_00_72_B2, Color::Blue),
    warn: rgb(0x00_8A_6A_00, Color::Magenta),
    bad: rgb(0x00_B8_48_00, Color::Red),
    info: rgb(0x00_9A_3F_70, Color::Magenta),
};

const HIGH_CONTRAST_ON_DARK: Palette = Palette {
    tx: rgb(0x00_5F_FF_FF, Color::LightCyan),
    rx: rgb(0x00_FF_FF_5F, Color::LightYellow),
    good: rgb(0x00_5F_FF_5F, Color::LightGreen),
    warn: rgb(0x00_FF_AF_FF, Color::LightMagenta),
    bad: rgb(0x00_FF_87_87, Color::LightRed),
    info: rgb(0x00_AF_D7_FF, Color::LightBlue),
};

const HIGH_CONTRAST_ON_LIGHT: Palette = Palette {
    tx: rgb(0x00_00_3A_8C, Color::Blue),
    rx: rgb(0x00_6B_2E_00, Color::Red),
    good: rgb(0x00_00_4D_1A, Color::Reset),
    warn: rgb(0x00_66_00_66, Color::Magenta),
    bad: rgb(0x00_8B_00_0F, Color::Red),
    info: rgb(0x00_00_44_55, Color::Blue),
};

/// The colour of a meaning; `None` for the text's own.
pub(super) fn tint(theme: ThemeName, background: Background, token: Token) -> Option<Tint> {
    let palette = match (theme, background) {
        (ThemeName::Mono, _) => return None,
        (ThemeName::Default, _) | (ThemeName::Auto, Background::Dark) => DEFAULT,
        (ThemeName::Auto, Background::Light) => DEFAULT_ON_LIGHT,
        (ThemeName::Dark, _) => DARK,
        (ThemeName::Light, _) => LIGHT,
        (ThemeName::ColourBlind, Background::Dark) => COLOUR_BLIND_ON_DARK,
        (ThemeName::ColourBlind, Background::Light) => COLOUR_BLIND_ON_LIGHT,
        (ThemeName::HighContrast, Background::Dark) => HIGH_CONTRAST_ON_DARK,
        (ThemeName::HighContrast, Background::Light) => HIGH_CONTRAST_ON_LIGHT,
    };
    match token {
        Token::Tx => Some(palette.tx),
        Token::Rx => Some(palette.rx),
        // The marks lie over bars of any colour.
        Token::Mean | Token::Peak => Some(Tint::Own(Color::Reset)),
        Token::Good | Token::Traffic => Some(palette.good),
        Token::Warn | Token::Loss => Some(palette.warn),
        Token::Bad | Token::Error => Some(palette.bad),
        Token::Info | Token::Congestion => Some(palette.info),
        Token::Text
        | Token::Muted
        | Token::Strong
        | Token::Tab
        | Token::OpenTab
        | Token::Selected
        | Token::Cursor
        | Token::Tag
        | Token::Caption => None,
    }
}
