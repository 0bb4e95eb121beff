//! From two screens to the bytes that turn one into the other: as few as possible, since a screen is often far away.
//!
//! ratatui's back end for crossterm spends some 25 bytes on each group of changed cells (absolute moves, long colour
//! codes, resets); this spends about 10, which is what 32 moving NICs below 4 kB a second take.

use std::io::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr as _;

/// How cells look from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

impl Look {
    const PLAIN: Self = Self { fg: Color::Reset, bg: Color::Reset, modifier: Modifier::empty() };

    fn of(cell: &Cell) -> Self {
        Self { fg: cell.fg, bg: cell.bg, modifier: cell.modifier }
    }
}

/// Writes what turns `shown` into `next`; both have the same area. Begins and ends with the terminal's plain look.
pub(super) fn changes(shown: &Buffer, next: &Buffer) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut look = Look::PLAIN;
    // Where the cursor is; nowhere known at first.
    let mut at: Option<(u16, u16)> = None;
    for (x, y, cell) in shown.diff(next) {
        if at != Some((x, y)) {
            go(&mut bytes, at, (x, y), next, look);
        }
        if !shows_as_wanted(cell, look) {
            set(&mut bytes, &mut look, Look::of(cell));
        }
        bytes.extend_from_slice(cell.symbol().as_bytes());
        let after = x + u16::try_from(cell.symbol().width()).unwrap_or(1);
        // At the right edge terminals differ in where the cursor is.
        at = (after < next.area.width).then_some((after, y));
    }
    set(&mut bytes, &mut look, Look::PLAIN);
    bytes
}

/// Whether a cell that is written in this look can be told from one in its own: nobody sees the colour of a blank's text.
fn shows_as_wanted(cell: &Cell, look: Look) -> bool {
    let own = Look::of(cell);
    let drawn = Modifier::REVERSED | Modifier::UNDERLINED | Modifier::CROSSED_OUT;
    own == look
        || cell.symbol() == " " && own.bg == look.bg && !(own.modifier | look.modifier).intersects(drawn)
}

/// Moves the cursor. A gap of unchanged cells is written again where that takes no more bytes and no other style.
fn go(bytes: &mut Vec<u8>, from: Option<(u16, u16)>, (x, y): (u16, u16), next: &Buffer, look: Look) {
    match from {
        Some((at, line)) if line == y && at < x => {
            let between = || (at..x).map(|x| &next[(x, y)]);
            let alike = |cell: &Cell| shows_as_wanted(cell, look) && cell.symbol().width() == 1;
            let jump = along(at, x);
            if between().map(|cell| cell.symbol().len()).sum::<usize>() <= jump.len() && between().all(alike)
            {
                between().for_each(|cell| bytes.extend_from_slice(cell.symbol().as_bytes()));
            } else {
                bytes.extend_from_slice(jump.as_bytes());
            }
        }
        // A line feed alone keeps the column: a raw terminal adds no carriage return.
        Some((at, line)) if line + 1 == y => {
            bytes.push(b'\n');
            bytes.extend_from_slice(along(at, x).as_bytes());
        }
        // Writing into a Vec does not fail.
        _ => drop(write!(bytes, "\x1b[{};{}H", y + 1, x + 1)),
    }
}

/// What moves the cursor along its line, as short as it can be said: by how far, or to which column.
fn along(from: u16, to: u16) -> String {
    let by = match (to.abs_diff(from), to > from) {
        (0, _) => return String::new(),
        (1, true) => "\x1b[C".to_owned(),
        (1, false) => "\x08".to_owned(),
        (by, true) => format!("\x1b[{by}C"),
        (by, false) => format!("\x1b[{by}D"),
    };
    let absolute = if to == 0 { "\r".to_owned() } else { format!("\x1b[{}G", to + 1) };
    if absolute.len() < by.len() { absolute } else { by }
}

/// Changes the look in one sequence, the shorter of two: what is to be added, or all of it.
fn set(bytes: &mut Vec<u8>, now: &mut Look, wanted: Look) {
    if *now == wanted {
        return;
    }
    // Nothing is zero, which makes everything plain.
    let anew = added(Look::PLAIN, wanted).map_or_else(String::new, |codes| format!(";{codes}"));
    let codes = added(*now, wanted).filter(|codes| codes.len() <= anew.len()).unwrap_or(anew);
    // Writing into a Vec does not fail.
    let _ = write!(bytes, "\x1b[{codes}m");
    *now = wanted;
}

/// The codes that turn one look into another; `None` when there are none, or when something has to go.
fn added(now: Look, wanted: Look) -> Option<String> {
    let fresh = wanted.modifier.difference(now.modifier);
    let mut codes: Vec<String> =
        MODIFIERS.iter().filter(|(m, _)| fresh.contains(*m)).map(|(_, code)| (*code).to_owned()).collect();
    codes.extend((now.fg != wanted.fg).then(|| color(wanted.fg, 30)));
    codes.extend((now.bg != wanted.bg).then(|| color(wanted.bg, 40)));
    (wanted.modifier.contains(now.modifier) && !codes.is_empty()).then(|| codes.join(";"))
}

/// ECMA-48's codes for what a cell can be.
const MODIFIERS: [(Modifier, &str); 8] = [
    (Modifier::BOLD, "1"),
    (Modifier::DIM, "2"),
    (Modifier::ITALIC, "3"),
    (Modifier::UNDERLINED, "4"),
    (Modifier::SLOW_BLINK, "5"),
    (Modifier::REVERSED, "7"),
    (Modifier::HIDDEN, "8"),
    (Modifier::CROSSED_OUT, "9"),
];

/// A colour's code; `base` is 30 for the text and 40 for what is behind it.
fn color(color: Color, base: u16) -> String {
    let bright = base + 60;
    match color {
        Color::Reset => (base + 9).to_string(),
        Color::Black => base.to_string(),
        Color::Red => (base + 1).to_string(),
        Color::Green => (base + 2).to_string(),
        Color::Yellow => (base + 3).to_string(),
        Color::Blue => (base + 4).to_string(),
        Color::Magenta => (base + 5).to_string(),
        Color::Cyan => (base + 6).to_string(),
        Color::Gray => (base + 7).to_string(),
        Color::DarkGray => bright.to_string(),
        Color::LightRed => (bright + 1).to_string(),
        Color::LightGreen => (bright + 2).to_string(),
        Color::LightYellow => (bright + 3).to_string(),
        Color::LightBlue => (bright + 4).to_string(),
        Color::LightMagenta => (bright + 5).to_string(),
        Color::LightCyan => (bright + 6).to_string(),
        Color::White => (bright + 7).to_string(),
        Color::Indexed(index) => format!("{};5;{index}", base + 8),
        Color::Rgb(r, g, b) => format!("{};2;{r};{g};{b}", base + 8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ratatui::layout::Rect;
    use std::num::NonZeroU16;

    const AREA: Rect = Rect { x: 0, y: 0, width: 20, height: 5 };

    fn buffer(cells: &[(u8, u8, u8)]) -> Buffer {
        let mut buffer = Buffer::empty(AREA);
        let symbols = [" ", "a", "7", "█", "⣿", "名", "│"];
        let colors = [Color::Reset, Color::Cyan, Color::LightRed, Color::Indexed(200), Color::Rgb(1, 2, 3)];
        // Places of two cells each: a wide character, or the same narrow one twice.
        for (i, &(symbol, color, modifier)) in cells.iter().enumerate() {
            let (x, y) = (u16::try_from(i % 10 * 2).unwrap(), u16::try_from(i / 10).unwrap());
            let symbol = symbols[usize::from(symbol) % symbols.len()];
            let style =
                ratatui::style::Style::default().fg(colors[usize::from(color) % colors.len()]).add_modifier(
                    [Modifier::empty(), Modifier::BOLD, Modifier::REVERSED][usize::from(modifier) % 3],
                );
            buffer.set_stringn(x, y, symbol.repeat(2), 2, style);
        }
        buffer
    }

    proptest! {
        /// A terminal that is sent the changes from frame to frame shows the last frame.
        #[test]
        fn a_terminal_shows_what_the_buffer_holds(
            frames in prop::collection::vec(prop::collection::vec((0..7_u8, 0..5_u8, 0..3_u8), 50), 1..4)
        ) {
            let size = |n| NonZeroU16::new(n).unwrap();
            let mut terminal = vt100::Parser::new(size(5), size(20), 0);
            let mut shown = Buffer::empty(AREA);
            for cells in &frames {
                let next = buffer(cells);
                terminal.process(&changes(&shown, &next));
                shown = next;
            }
            for y in 0..5 {
                let mut x = 0;
                while x < 20 {
                    let expected = &shown[(x, y)];
                    let got = terminal.screen().cell(y, x).unwrap();
                    let text = if got.has_contents() { got.contents() } else { " " };
                    prop_assert_eq!(text, expected.symbol(), "{} {}", x, y);
                    prop_assert_eq!(got.inverse(), expected.modifier.contains(Modifier::REVERSED));
                    x += u16::try_from(expected.symbol().width()).unwrap();
                    if text == " " && !got.inverse() {
                        continue;
                    }
                    prop_assert_eq!(got.bold(), expected.modifier.contains(Modifier::BOLD));
                    let color = match expected.fg {
                        Color::Cyan => vt100::Color::Idx(6),
                        Color::LightRed => vt100::Color::Idx(9),
                        Color::Indexed(i) => vt100::Color::Idx(i),
                        Color::Rgb(r, g, b) => vt100::Color::Rgb(r, g, b),
                        _ => vt100::Color::Default,
                    };
                    prop_assert_eq!(got.fgcolor(), color);
                }
            }
        }
    }

    #[test]
    fn nothing_changed_is_nothing_written() {
        let buffer = buffer(&[(1, 1, 1); 50]);
        assert_eq!(changes(&buffer, &buffer), b"");
    }
}
