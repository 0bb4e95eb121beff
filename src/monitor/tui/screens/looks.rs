//! How every cell of a screen looks, in a form that can be read in a diff: below each line a second one, with a letter for
//! each cell that does not look like plain text.
//!
//! ```text
//! |Tx ▲ skewed 1.29x  Rx ▲ skewed 1.29x
//! :tt wwwwwwww        rr wwwwwwww
//! ```
//!
//! A letter stands for what the look means, so that every cell has to have the look of some meaning of the theme.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::super::theme::{Theme, Token};

/// Characters and looks of a screen in colour. The letters it uses are added to `legend`.
pub(super) fn with_looks(buffer: &Buffer, theme: Theme, legend: &mut BTreeMap<char, String>) -> String {
    let mut dump = String::new();
    for line in buffer.content.chunks(usize::from(buffer.area.width.max(1))) {
        let text: String = line.iter().map(Cell::symbol).collect();
        let _infallible = writeln!(dump, "|{}", text.trim_end());
        let looks: String = line.iter().map(|cell| letter(cell, theme, legend)).collect();
        if !looks.trim_end().is_empty() {
            let _infallible = writeln!(dump, ":{}", looks.trim_end());
        }
    }
    dump
}

/// What the letters mean, a line each.
pub(super) fn explain(legend: &BTreeMap<char, String>) -> String {
    legend.iter().fold(String::new(), |mut text, (letter, meaning)| {
        let _infallible = writeln!(text, "{letter} {meaning}");
        text
    })
}

/// Colour and attributes.
type Look = (Color, Modifier);

/// The first that looks like a cell is its letter: some meanings share a look. A capital is the same in bold.
const LETTERS: [(char, Token); 13] = [
    (' ', Token::Text),
    ('.', Token::Muted),
    ('*', Token::Strong),
    ('#', Token::Selected),
    ('/', Token::Caption),
    ('t', Token::Tx),
    ('r', Token::Rx),
    ('g', Token::Good),
    ('w', Token::Warn),
    ('b', Token::Bad),
    ('c', Token::Congestion),
    ('l', Token::Loss),
    ('i', Token::Info),
];

fn letter(cell: &Cell, theme: Theme, legend: &mut BTreeMap<char, String>) -> char {
    assert_eq!(cell.bg, Color::Reset, "no theme has a background");
    let wanted: Look = (cell.fg, cell.modifier);
    let of = |token| {
        let style = theme.style(token);
        (style.fg.unwrap_or(Color::Reset), style.add_modifier)
    };
    let plain = LETTERS.iter().find(|(_, token)| of(*token) == wanted);
    let bold = || {
        let bold = |(color, modifier): Look| (color, modifier.union(Modifier::BOLD));
        LETTERS.iter().find(|(letter, token)| letter.is_ascii_lowercase() && bold(of(*token)) == wanted)
    };
    let (letter, meaning) = match (plain, bold()) {
        (Some((letter, token)), _) => (*letter, format!("{token:?}")),
        (None, Some((letter, token))) => (letter.to_ascii_uppercase(), format!("{token:?}, bold")),
        (None, None) => panic!("{:?} looks like nothing that has a meaning: {wanted:?}", cell.symbol()),
    };
    if letter != ' ' {
        legend.entry(letter).or_insert_with(|| format!("{meaning} ({:?} {:?})", wanted.0, wanted.1));
    }
    letter
}
