//! A NIC: facts, both directions, and every counter.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::super::super::actions::Command;
use super::super::super::format::{self, MISSING};
use super::super::super::kernel::{self, Check};
use super::super::super::rows::RowKey;
use super::super::super::state::State;
use super::super::super::summary::Direction;
use super::super::super::theme::Token;
use super::super::super::widgets::overlay;
use super::super::cells::{self, Slot};
use super::super::nic_row::mark_word;
use super::super::{graph, notices};
use super::facts::Facts;
use super::{WIDE, counters};
use crate::monitor::failover::FAILURES;
use crate::monitor::model::view::{Flow, NicView, SourceKind};
use crate::text::printable;

/// Where facts and counters stand inside the frame.
struct Places {
    /// Counters stand beside the facts.
    wide: bool,
    /// Facts, or facts and counters.
    text: Rect,
    counters: Rect,
    help: Rect,
}

impl Places {
    fn of(inside: Rect) -> Self {
        let help_lines = if inside.height >= 12 { 2 } else { u16::from(inside.height >= 8) };
        let upper = Rect { height: inside.height - help_lines, ..inside };
        let help = Rect { y: upper.bottom(), height: help_lines, ..inside };
        if inside.width < WIDE {
            return Self { wide: false, text: upper, counters: upper, help };
        }
        let left = inside.width * 2 / 5;
        let text = Rect { width: left, ..upper };
        Self {
            wide: true,
            text,
            counters: Rect { x: upper.x + left + 2, width: upper.width - left - 2, ..upper },
            help,
        }
    }

    /// How many lines one goes down before a counter is chosen: until the first is in sight.
    fn lead(&self, facts: usize) -> usize {
        if self.wide { 0 } else { (facts + 2).saturating_sub(usize::from(self.text.height)) }
    }
}

/// How far down one can go: to the last counter.
pub(super) fn end(state: &State, nic: &NicView, inside: Rect) -> usize {
    let places = Places::of(inside);
    let facts = facts(state, nic, usize::from(places.text.width)).len() + 1;
    places.lead(facts) + nic.counters.len().saturating_sub(1)
}

/// Draws everything inside the frame.
pub(super) fn render(
    state: &State,
    key: &RowKey,
    nic: &NicView,
    at: usize,
    inside: Rect,
    buffer: &mut Buffer,
) {
    let places = Places::of(inside);
    let mut lines = facts(state, nic, usize::from(places.text.width));
    lines.push(Line::default());
    let lead = places.lead(lines.len());
    let chosen = at.checked_sub(lead).map(|chosen| chosen.min(nic.counters.len().saturating_sub(1)));
    let (head, mut table) = counters::lines(state, nic, usize::from(places.counters.width), chosen);
    if table.is_empty() {
        table.push(Line::raw("none"));
    }
    if places.wide {
        let height = usize::from(places.counters.height).saturating_sub(1);
        let first = chosen.map_or(0, |chosen| (chosen + 1).saturating_sub(height));
        let Rect { x, y, width, .. } = places.counters;
        cells::line((x, y), &head, width, state.glyphs, buffer);
        let area = Rect { y: places.counters.y + 1, height: places.counters.height - 1, ..places.counters };
        overlay::plain_lines(area, first, &table, buffer, state.glyphs);
        more(state, inside, [first, height, table.len()], buffer);
        overlay::plain_lines(places.text, 0, &lines, buffer, state.glyphs);
        let used = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        let free = places.text.height.saturating_sub(used);
        if free >= 4 {
            let plot = Rect { y: places.text.y + used, height: free.min(12), ..places.text };
            graph::of_row(state, key, plot, buffer);
        }
    } else {
        let above = lines.len() + 1;
        lines.push(head);
        lines.extend(table);
        let height = usize::from(places.text.height);
        let last = chosen.map_or(0, |chosen| above + chosen + 1);
        let first = at.min(lead).max(last.saturating_sub(height));
        overlay::plain_lines(places.text, first, &lines, buffer, state.glyphs);
        more(state, inside, [first, height, lines.len()], buffer);
    }
    let how = || format!("{}: to the counters and what each tells", state.keymap.label(Command::Down));
    if let Some(help) = chosen.map_or_else(|| Some(how()), |chosen| counters::help(nic, chosen)) {
        let wrapped = notices::wrap(&help, usize::from(places.help.width));
        for (line, y) in wrapped.iter().zip(places.help.top()..places.help.bottom()) {
            let slot = Slot { x: places.help.x, y, width: places.help.width };
            slot.left(line, state.theme.style(Token::Muted), state.glyphs, buffer);
        }
    }
}

/// How much is out of sight.
fn more(state: &State, inside: Rect, [first, height, lines]: [usize; 3], buffer: &mut Buffer) {
    let below = lines.saturating_sub(first + height);
    overlay::hidden(inside, [first, below], buffer, state.glyphs, state.theme.style(Token::Muted));
}

/// What is known about the NIC besides its counters.
fn facts(state: &State, nic: &NicView, width: usize) -> Vec<Line<'static>> {
    let mut lines = Facts::new(state, width);
    let or = |text: &Option<String>| text.as_deref().map_or_else(|| MISSING.to_owned(), printable);
    let firmware = nic.fw_ver.as_ref().map_or_else(String::new, |version| format!(", firmware {version}"));
    lines.add("device", &format!("{} port {}, driver {}{firmware}", nic.device, nic.port, nic.driver));
    let numa = nic.numa.map_or_else(|| MISSING.to_owned(), |node| node.to_string());
    lines.add("where", &format!("PCI {}, NUMA {numa}, interface {}", or(&nic.pci), or(&nic.netdev)));
    if !nic.gpus.is_empty() {
        lines.add("GPU", &format!("nearest: {}", nic.gpus.join(", ")));
    }
    let link = nic.link_bits_per_s.map(|bits| bits as f64 / 8.0);
    let overridden =
        if nic.link_overridden { " (overridden: set here, not what the kernel says)" } else { "" };
    lines.add("line rate", &format!("{}{overridden}", format::rate(link, state.units)));
    link_state(nic, &mut lines);
    let dt = nic.dt.map_or_else(|| MISSING.to_owned(), format::duration);
    lines.add("source", &format!("{}, {dt} since the read before", kernel::source_name(nic.source)));
    if !nic.marks.is_empty() {
        let words: Vec<&str> = nic.marks.iter().map(|&m| mark_word(m)).collect();
        lines.add_as("state", &words.join(", "), Token::Warn);
    }
    failover(nic, &mut lines);
    if let Some(reason) = &nic.reason {
        lines.add_as("missing", reason, Token::Warn);
    }
    for (direction, flow) in [(Direction::Tx, &nic.tx), (Direction::Rx, &nic.rx)] {
        lines.add(direction.name(), &flow_text(state, nic, flow, link));
        kernel_says(state, nic, direction, &mut lines);
    }
    if let Some(bytes) = nic.in_flight_bytes {
        lines.add("in flight", &format!("{} B posted and not yet done", format::grouped(bytes)));
    }
    lines.lines
}

/// Whether the transport uses it, loud when it does not. Without a word where it never failed.
fn failover(nic: &NicView, lines: &mut Facts<'_>) {
    let value = |name| nic.counters.iter().find(|c| c.name() == name).map_or(0, |c| c.value);
    let Some(down) = nic.is_down() else { return };
    let failures = value(FAILURES);
    let times = match failures {
        1 => "once".to_owned(),
        n => format!("{} times", format::grouped(n)),
    };
    if down {
        let text = format!(
            "down: it has failed ({times} so far), its PE does without it and tries it from time to time"
        );
        lines.add_as("transport", &text, Token::Bad);
    } else if failures > 0 {
        lines.add_as("transport", &format!("used; it has failed {times}"), Token::Warn);
    }
}

/// The port's state, loud when it is not up.
fn link_state(nic: &NicView, lines: &mut Facts<'_>) {
    let named = |name: &str, text: &Option<String>| text.as_ref().map(|text| format!("{name}{text}"));
    let known = [
        named("", &nic.state),
        named("physical ", &nic.phys_state),
        named("", &nic.link_layer.as_ref().map(|layer| format!("{layer} link layer"))),
    ];
    let text = known.into_iter().flatten().collect::<Vec<_>>().join(", ");
    if !text.is_empty() {
        lines.add_as("link", &text, if nic.not_active().is_some() { Token::Bad } else { Token::Text });
    }
}

fn kernel_says(state: &State, nic: &NicView, direction: Direction, lines: &mut Facts<'_>) {
    let Some(kernel) = &nic.kernel else { return };
    let (rate, check) = kernel::check(nic, direction);
    let (says, token) = match check {
        Check::Unknown => ("", Token::Text),
        Check::Agrees => (", agrees", Token::Text),
        Check::Less => (", LESS than the transport claims", Token::Bad),
        Check::More => (", more than the transport moved: other traffic, or retransmissions", Token::Warn),
    };
    let source = kernel::source_name(kernel.source);
    lines.add_as("  kernel", &format!("{}{says} ({source})", format::rate(rate, state.units)), token);
}

/// A counter page counts operations; devices and interfaces count packets.
fn flow_text(state: &State, nic: &NicView, flow: &Flow, link: Option<f64>) -> String {
    let (short, long) =
        if nic.source == SourceKind::Page { ("op/s", "operations") } else { ("pk/s", "packets") };
    let share = flow.bytes_per_s.zip(link).map(|(rate, link)| rate / link);
    let count = |value: Option<u64>| value.map_or_else(|| MISSING.to_owned(), format::grouped);
    format!(
        "{} ({} of line rate), {} {short}; {} B and {} {long} in all",
        format::rate(flow.bytes_per_s, state.units),
        format::percent(share),
        format::compact(flow.ops_per_s),
        count(flow.bytes),
        count(flow.ops)
    )
}
