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
    // Writing into a Vec does not fail.
    let _ = match from {
        Some((at, line)) if line == y && at < x => {
            let between = || (at..x).map(|x| &next[(x, y)]);
            let alike = |cell: &Cell| shows_as_wanted(cell, look) && cell.symbol().width() == 1;
            let jump = if x - at == 1 { 3 } else { "\x1b[C".len() + (x - at).to_string().len() };
            if between().map(|cell| cell.symbol().len()).sum::<usize>() <= jump && between().all(alike) {
                between().for_each(|cell| bytes.extend_from_slice(cell.symbol().as_bytes()));
                return;
            }
            if x - at == 1 { write!(bytes, "\x1b[C") } else { write!(bytes, "\x1b[{}C", x - at) }
        }
        // A line feed alone keeps the column: a raw terminal adds no carriage return.
        Some((at, line)) if line + 1 == y && at == x => writeln!(bytes),
        Some((at, line)) if line + 1 == y && at < x => write!(bytes, "\n\x1b[{}C", x - at),
        Some((at, line)) if line + 1 == y => write!(bytes, "\n\x1b[{}D", at - x),
        _ => write!(bytes, "\x1b[{};{}H", y + 1, x + 1),
    };
}

/// Changes the look in one sequence.
fn set(bytes: &mut Vec<u8>, now: &mut Look, wanted: Look) {
    if *now == wanted {
        return;
    }
    let mut codes: Vec<String> = Vec::new();
    if wanted == Look::PLAIN {
        codes.push(String::new());
    } else {
        // What is to go, goes with everything else.
        if !wanted.modifier.contains(now.modifier) {
            codes.push("0".to_owned());
            *now = Look::PLAIN;
        }
        let added = wanted.modifier.difference(now.modifier);
        codes
            .extend(MODIFIERS.iter().filter(|(m, _)| added.contains(*m)).map(|(_, code)| (*code).to_owned()));
        if now.fg != wanted.fg {
            codes.push(color(wanted.fg, 30));
        }
        if now.bg != wanted.bg {
            codes.push(color(wanted.bg, 40));
        }
    }
    let _ = write!(bytes, "\x1b[{}m", codes.join(";"));
    *now = wanted;
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
