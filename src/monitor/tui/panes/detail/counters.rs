//! A NIC's counters: what is going wrong first, each with what it tells.

use ratatui::text::{Line, Span};

use super::super::super::format::{self, MISSING};
use super::super::super::glyphs::Glyphs;
use super::super::super::state::State;
use super::super::super::theme::Token;
use crate::monitor::counter::{Class, Kind};
use crate::monitor::model::view::{CounterView, NicView};
use crate::text::printable;

/// The counters in the order they are shown: faults that rise, the worst class first; then the others as they came.
pub(super) fn in_order(nic: &NicView) -> Vec<&CounterView> {
    let mut counters: Vec<&CounterView> = nic.counters.iter().collect();
    counters.sort_by_key(|counter| if rises(counter) { urgency(counter.desc.class) } else { CALM });
    counters
}

/// After all faults.
const CALM: u8 = 3;

fn urgency(class: Class) -> u8 {
    match class {
        Class::Error => 0,
        Class::Loss => 1,
        Class::Congestion => 2,
        Class::Traffic | Class::Neutral => CALM,
    }
}

/// Whether it is one that should not rise, and does.
fn rises(counter: &CounterView) -> bool {
    urgency(counter.desc.class) < CALM && counter.per_s.is_some_and(|rate| rate > 0.0)
}

/// Sign, word and look of a class; the sign and the look only where the counter rises.
fn look(class: Class, rising: bool, glyphs: Glyphs) -> (&'static str, &'static str, Token) {
    let (sign, word) = match class {
        Class::Error => (glyphs.bad(), "error"),
        Class::Loss => (glyphs.over(), "loss"),
        Class::Congestion => (glyphs.congested(), "congestion"),
        Class::Traffic => (" ", "traffic"),
        Class::Neutral => (" ", ""),
    };
    if rising { (sign, word, Token::of_class(class)) } else { (" ", word, Token::Text) }
}

/// The title of the table and a line per counter. `selected` is one of them.
pub(super) fn lines(
    state: &State,
    nic: &NicView,
    width: usize,
    selected: Option<usize>,
) -> (Line<'static>, Vec<Line<'static>>) {
    let counters = in_order(nic);
    let longest = counters.iter().map(|counter| counter.name().chars().count()).max().unwrap_or(0);
    // The value keeps its 15 digits wherever there is room; names give way first, then the words at the end.
    let name = longest.clamp(7, 40).min(width.saturating_sub(2 + 1 + 14 + 1 + 10).max(12));
    let per_s: usize = if width >= 2 + name + 1 + 19 + 1 + 14 + 2 + 18 { 14 } else { 10 };
    let value = width.saturating_sub(2 + name + 1 + 1 + per_s + 2 + 18).clamp(14, 26);
    let strong = state.theme.style(Token::Strong);
    let head = format!("  {:<name$} {:>value$} {:>per_s$}  {}", "counter", "value", "per s", "what it tells");
    let head = Line::from(Span::styled(head.chars().take(width).collect::<String>(), strong));
    let line = |(index, counter): (usize, &&CounterView)| {
        let chosen = selected == Some(index);
        line(state, counter, [name, value, per_s], chosen)
    };
    (head, counters.iter().enumerate().map(line).collect())
}

fn line(
    state: &State,
    counter: &CounterView,
    [name, value, width]: [usize; 3],
    chosen: bool,
) -> Line<'static> {
    let (theme, glyphs) = (state.theme, state.glyphs);
    let rising = rises(counter);
    let (sign, word, token) = look(counter.desc.class, rising, glyphs);
    let cursor = if chosen { glyphs.cursor() } else { " " };
    let per_s = shown_per_s(counter, width);
    let mut told: Vec<&str> = Vec::new();
    told.extend(Some(word).filter(|word| !word.is_empty()));
    told.extend(rising.then_some("rising"));
    match counter.desc.kind {
        Kind::Gauge => told.push("gauge"),
        Kind::Setting => told.push("setting"),
        _ if counter.saturated => told.push("at its maximum: counts no more"),
        _ => {}
    }
    let shown = super::super::cells::cut(counter.name(), u16::try_from(name).unwrap_or(40), glyphs);
    let shown_style = if chosen { theme.style(Token::Selected) } else { theme.style(token) };
    let style = theme.style(if counter.saturated { Token::Warn } else { token });
    let told_style = if rising || counter.saturated { style } else { theme.style(Token::Muted) };
    Line::from(vec![
        Span::styled(cursor, theme.style(Token::Strong)),
        Span::styled(sign.to_owned(), theme.style(token)),
        Span::styled(pad(&shown, name), shown_style),
        Span::styled(format!(" {:>value$} {per_s:>width$}", format::grouped(counter.value)), style),
        Span::styled(format!("  {}", told.join(", ")), told_style),
    ])
}

/// Blanks up to a width in cells.
fn pad(text: &str, width: usize) -> String {
    use unicode_width::UnicodeWidthStr as _;
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// What is known about the counter at a position, in a sentence.
pub(super) fn help(nic: &NicView, index: usize) -> Option<String> {
    let counters = in_order(nic);
    let counter = counters.get(index)?;
    let help =
        if counter.desc.help.is_empty() { "nothing more is known about it" } else { &counter.desc.help };
    Some(format!("{}: {}", printable(counter.name()), printable(help)))
}

/// A large number in at most seven characters, with three digits that count at least: `11.55G`.
fn short(mut value: f64) -> String {
    let mut suffix = "";
    for larger in ["k", "M", "G", "T", "P", "E"] {
        if value < 999.995 {
            break;
        }
        (value, suffix) = (value / 1000.0, larger);
    }
    format!("{value:.2}{suffix}")
}

/// What stands in the column of rates, in `width` cells: nothing for what is no counter.
pub(super) fn shown_per_s(counter: &CounterView, width: usize) -> String {
    match counter.desc.kind {
        Kind::Gauge | Kind::Setting => String::new(),
        _ => counter.per_s.map_or_else(|| MISSING.to_owned(), |rate| per_second(rate, width)),
    }
}

/// A counter's rate: whole numbers where they are large, short where they do not fit.
fn per_second(rate: f64, width: usize) -> String {
    if rate.abs() >= 100.0 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, sign taken off"
        )]
        let digits = rate.abs().round() as u64;
        let digits = format::grouped(digits);
        let digits = if digits.len() < width { digits } else { short(rate.abs()) };
        if rate < 0.0 { format!("-{digits}") } else { digits }
    } else {
        format!("{rate:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case(0.0, "0.0")]
    #[test_case(99.94, "99.9")]
    #[test_case(1_410_009.0, "1 410 009")]
    #[test_case(11_550_000_000.0, "11.55G"; "more digits than there is room for")]
    #[test_case(-999_996_000_000.0, "-1.00T"; "a gauge that falls")]
    fn rates_of_counters(rate: f64, expected: &str) {
        assert_eq!(per_second(rate, 10), expected);
    }
}
