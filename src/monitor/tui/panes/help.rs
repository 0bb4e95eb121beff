//! The help: every key from the one table, and how to read the screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

use super::super::actions::BINDINGS;
use super::super::glyphs::{LOST, MORE};
use super::super::replay;
use super::super::state::State;
use super::super::theme::Token;
use super::super::widgets::{cells, overlay};
use super::notices;
use crate::balance::Verdict;

/// How wide the help is at most.
const WIDTH: u16 = 86;

/// Inside of the frame that the help has in `area`, in cells.
fn inside_width(area: Rect) -> usize {
    usize::from(area.width.min(WIDTH).saturating_sub(4))
}

/// How far down one can go.
pub(super) fn end(state: &State, area: Rect) -> usize {
    lines(state, inside_width(area)).len().saturating_sub(usize::from(area.height.saturating_sub(2)))
}

/// What each key does and each sign means, wrapped into `width` cells.
fn lines(state: &State, width: usize) -> Vec<Line<'static>> {
    let glyphs = state.glyphs;
    let of_replay = |command| state.replay.as_ref().and_then(|_| replay::help(command));
    let keys = BINDINGS.iter().filter(|b| !state.keymap.keys(b.command).is_empty()).map(|binding| {
        let help = of_replay(binding.command).unwrap_or(binding.help);
        (state.keymap.label(binding.command), help.to_owned())
    });
    let limit = state.max_over_mean();
    let signs = [
        (
            glyphs.verdict(Verdict::Balanced),
            format!("balanced: the busiest NIC carries at most {limit} x the mean"),
        ),
        (glyphs.verdict(Verdict::Skewed), "skewed: more than that".into()),
        (glyphs.verdict(Verdict::SingleNic), "single NIC: one carries it all, the others nothing".into()),
        (glyphs.verdict(Verdict::Idle), "idle: nothing moves".into()),
        (
            glyphs.verdict(Verdict::Unknown),
            "unknown: some NICs cannot be read, and the others do not decide it".into(),
        ),
        (glyphs.mean(), "in a bar: the mean of the group's NICs".into()),
        (glyphs.peak(), "in a bar: the highest rate so far".into()),
        (
            glyphs.over(),
            format!("beside a rate: more than its share by over {limit} x, of what those carry that can"),
        ),
        (
            glyphs.under(),
            "beside a rate: less than its share by as much, or far slower than the others".into(),
        ),
        (glyphs.differs(), "the kernel saw less (by over 5 % + 16 MB) than was claimed".into()),
        (MORE, "the kernel sees more: other traffic, or retransmissions".into()),
        (LOST, "behind a name: packets are lost or sent again".into()),
        (glyphs.congested(), "behind a name: the network is congested".into()),
        ("-", "not known (0 is a number)".into()),
        ("%|m/m", "a NIC's share of line rate; a group's max/mean: 1x is even, 4x one NIC of 4".into()),
        ("op|on #|on", "a NIC's operations (or packets) a second; a group's active NICs of all".to_owned()),
    ];
    let signs = signs.map(|(sign, meaning)| (sign.to_owned(), meaning));
    // In a narrow window the meaning gets what the longest of the keys can spare.
    let label = if width < 50 { 10 } else { 14 };
    let mut lines: Vec<Line<'static>> = Vec::new();
    let mut add = |(key, meaning): (String, String)| {
        let first = cells::cut(&key, label, glyphs);
        for (index, text) in
            notices::wrap(&meaning, width.saturating_sub(usize::from(label))).iter().enumerate()
        {
            let key = if index == 0 { first.as_str() } else { "" };
            lines.push(Line::from(vec![
                Span::styled(padded(key, label), state.theme.style(Token::Strong)),
                Span::raw(text.clone()),
            ]));
        }
    };
    keys.for_each(&mut add);
    add((String::new(), String::new()));
    signs.into_iter().for_each(&mut add);
    lines
}

/// Filled up with blanks to `width` cells.
fn padded(text: &str, width: u16) -> String {
    let blanks = usize::from(width).saturating_sub(text.width());
    format!("{text}{}", " ".repeat(blanks))
}

/// Draws the help over `area`.
pub(super) fn render(state: &State, first: usize, area: Rect, buffer: &mut Buffer) {
    let (theme, glyphs) = (state.theme, state.glyphs);
    let lines = lines(state, inside_width(area));
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = overlay::centred(area, WIDTH, height);
    let inside = overlay::frame(area, "Keys and signs", buffer, glyphs, theme.style(Token::Strong));
    overlay::lines(inside, first, &lines, buffer, glyphs, theme.style(Token::Muted));
}
