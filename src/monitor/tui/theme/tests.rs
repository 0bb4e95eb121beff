//! What every theme has to keep.

use std::fmt::Write as _;

use insta::assert_snapshot;
use test_case::test_case;

use super::depth::rgb_of_index;
use super::*;
use crate::vision::{self, Sight};

/// Pairs that stand beside each other and mean different things.
const APART: &[(Token, Token)] = &[
    (Token::Good, Token::Warn),
    (Token::Good, Token::Bad),
    (Token::Warn, Token::Bad),
    (Token::Traffic, Token::Congestion),
    (Token::Traffic, Token::Loss),
    (Token::Traffic, Token::Error),
    (Token::Congestion, Token::Loss),
    (Token::Congestion, Token::Error),
    (Token::Loss, Token::Error),
    (Token::Text, Token::Muted),
    (Token::Text, Token::Strong),
    (Token::Text, Token::Warn),
    (Token::Text, Token::Bad),
    (Token::Text, Token::Selected),
    (Token::Text, Token::Cursor),
    (Token::Tab, Token::OpenTab),
    (Token::Tx, Token::Peak),
    (Token::Rx, Token::Peak),
    (Token::Tx, Token::Mean),
    (Token::Rx, Token::Mean),
];

const BACKGROUNDS: [Option<Background>; 3] = [None, Some(Background::Dark), Some(Background::Light)];
const DEPTHS: [Depth; 3] = [Depth::Sixteen, Depth::Indexed, Depth::True];

/// Every theme on every terminal, with colour.
fn all() -> impl Iterator<Item = Theme> {
    let names = ThemeName::ALL.into_iter();
    names.flat_map(|name| {
        BACKGROUNDS
            .into_iter()
            .flat_map(move |background| DEPTHS.map(|depth| Theme { name, depth: Some(depth), background }))
    })
}

#[test]
fn what_differs_in_meaning_differs_in_look_also_without_colour() {
    for theme in all() {
        for theme in [theme, Theme { depth: None, ..theme }] {
            for &(a, b) in APART {
                assert_ne!(theme.style(a), theme.style(b), "{a:?} and {b:?} in {theme:?}");
                assert_ne!(
                    theme.style(a).add_modifier,
                    theme.style(b).add_modifier,
                    "{a:?} and {b:?} differ by hue alone"
                );
            }
        }
        if theme.name != ThemeName::Mono {
            assert_ne!(theme.style(Token::Tx), theme.style(Token::Rx), "{theme:?}");
            for (a, b) in [(Token::Good, Token::Warn), (Token::Good, Token::Bad), (Token::Warn, Token::Bad)] {
                assert_ne!(theme.style(a).fg, theme.style(b).fg, "{a:?} and {b:?} in {theme:?}");
            }
        }
    }
}

#[test]
fn no_color_and_mono_leave_attributes_only() {
    let no_color = Theme::new(true, Some(OsStr::new("1")));
    for theme in all() {
        let plain = [
            no_color.named(theme.name).on(theme.background).with_depth(theme.depth),
            theme.with_depth(None),
            theme.named(ThemeName::Mono),
        ];
        for (token, plain) in Token::ALL.into_iter().flat_map(|token| plain.map(|theme| (token, theme))) {
            assert_eq!(plain.style(token).fg, None, "{token:?} in {plain:?}");
            assert_eq!(plain.style(token).add_modifier, theme.style(token).add_modifier);
        }
    }
    assert!(no_color.style(Token::Bad).add_modifier.contains(Modifier::BOLD));
    assert!(Theme::new(true, Some(OsStr::new(""))).style(Token::Bad).fg.is_some());
    assert!(Theme::new(false, None).style(Token::Bad).fg.is_none());
}

fn shown(theme: Theme, token: Token) -> Option<[u8; 3]> {
    match theme.style(token).fg? {
        Color::Rgb(red, green, blue) => Some([red, green, blue]),
        Color::Indexed(index) => Some(rgb_of_index(index)),
        _ => None,
    }
}

/// Terminals that are called dark or light are not all black or white.
fn grounds(background: Background) -> [[u8; 3]; 2] {
    match background {
        Background::Dark => [[0; 3], [0x1e; 3]],
        Background::Light => [[255; 3], [0xf5; 3]],
    }
}

#[test_case(ThemeName::Dark, Background::Dark, 4.5)]
#[test_case(ThemeName::Light, Background::Light, 4.5)]
#[test_case(ThemeName::Auto, Background::Light, 4.5)]
#[test_case(ThemeName::ColourBlind, Background::Dark, 4.5)]
#[test_case(ThemeName::ColourBlind, Background::Light, 4.0)]
#[test_case(ThemeName::HighContrast, Background::Dark, 7.0)]
#[test_case(ThemeName::HighContrast, Background::Light, 7.0)]
fn colours_can_be_read_on_their_background(name: ThemeName, background: Background, least: f64) {
    for depth in [Depth::True, Depth::Indexed] {
        let theme = Theme { name, depth: Some(depth), background: Some(background) };
        let mut checked = 0;
        for token in Token::ALL {
            let Some(rgb) = shown(theme, token) else { continue };
            // The 256 come near a colour, and may come a little nearer to the background.
            let least = if depth == Depth::True { least } else { least * 0.75 };
            for ground in grounds(background) {
                let contrast = vision::contrast(rgb, ground);
                assert!(contrast >= least, "{token:?} in {theme:?} on {ground:?}: {contrast:.1}");
            }
            checked += 1;
        }
        assert!(checked >= 3, "{theme:?}");
    }
}

#[test_case(Background::Dark)]
#[test_case(Background::Light)]
fn the_colour_blind_see_good_from_bad_and_tx_from_rx(background: Background) {
    for depth in [Depth::True, Depth::Indexed] {
        let theme = Theme { name: ThemeName::ColourBlind, depth: Some(depth), background: Some(background) };
        for (a, b) in [(Token::Good, Token::Bad), (Token::Good, Token::Warn), (Token::Tx, Token::Rx)] {
            for sight in [Sight::Protanopia, Sight::Deuteranopia] {
                let [a_seen, b_seen] = [a, b].map(|token| vision::seen(shown(theme, token).unwrap(), sight));
                let distance = vision::distance(a_seen, b_seen);
                assert!(distance > 30.0, "{a:?} and {b:?} with {sight:?} in {theme:?}: {distance:.0}");
            }
        }
    }
}

#[test]
fn more_colours_than_sixteen_only_where_the_terminal_has_them() {
    for theme in all() {
        for token in Token::ALL {
            let color = theme.style(token).fg;
            let fits = match theme.depth {
                Some(Depth::Sixteen) => !matches!(color, Some(Color::Rgb(..) | Color::Indexed(_))),
                Some(Depth::Indexed) => !matches!(color, Some(Color::Rgb(..))),
                _ => true,
            };
            assert!(fits, "{color:?} of {token:?} in {theme:?}");
        }
    }
}

#[test_case("15;0", Some(Background::Dark))]
#[test_case("0;15", Some(Background::Light))]
#[test_case("0;default;15", Some(Background::Light))]
#[test_case("12;8", Some(Background::Dark))]
#[test_case("0;default", None)]
#[test_case("", None)]
fn reads_colorfgbg(value: &str, background: Option<Background>) {
    assert_eq!(Background::from_colorfgbg(Some(OsStr::new(value))), background);
}

#[test]
fn the_key_goes_through_all_themes() {
    let mut name = ThemeName::default();
    let mut seen = Vec::new();
    for _ in ThemeName::ALL {
        seen.push(name);
        name = name.next();
    }
    assert_eq!((seen.as_slice(), name), (&ThemeName::ALL[..], ThemeName::default()));
    for name in ThemeName::ALL {
        let value = clap::ValueEnum::to_possible_value(&name).unwrap();
        assert_eq!(value.get_name(), name.name(), "one name for flag and file");
    }
}

#[test]
fn looks_of_all_tokens() {
    let mut text = String::new();
    for name in ThemeName::ALL {
        for background in [Background::Dark, Background::Light] {
            for depth in [Depth::Sixteen, Depth::True] {
                let theme = Theme { name, depth: Some(depth), background: Some(background) };
                let _ = writeln!(text, "{} on {background:?}, {depth:?}", name.name());
                for token in Token::ALL {
                    let style = theme.style(token);
                    let color = style.fg.map_or_else(|| "-".to_owned(), |color| color.to_string());
                    let _ =
                        writeln!(text, "  {:<11} {color:<13} {:?}", format!("{token:?}"), style.add_modifier);
                }
            }
        }
    }
    assert_snapshot!(text);
}
