//! All about one NIC or one group: facts, history, every counter with value and rate.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::format::{self, MISSING};
use super::super::kernel::{self, Check};
use super::super::rows::{self, RowKey};
use super::super::state::State;
use super::super::summary::Direction;
use super::super::theme::Token;
use super::super::widgets::overlay;
use super::nic_row::mark_word;
use super::{graph, notices};
use crate::monitor::model::view::{Flow, GroupView, NicView};
use crate::text::printable;

/// Width of the fact's names.
const LABEL: usize = 11;

/// Draws the details of `key` over `area`.
pub(super) fn render(state: &State, key: &RowKey, first: usize, area: Rect, buffer: &mut Buffer) {
    let style = state.theme.style(Token::Strong);
    let width = usize::from(area.width.saturating_sub(4));
    let (title, lines) = match (state.group(key), state.nic(key)) {
        (Some(group), Some(nic)) => {
            (format!("{} {}", rows::full_name(group), nic.device), of_nic(state, nic, width))
        }
        (Some(group), None) if matches!(key, RowKey::Group(_)) => {
            (rows::full_name(group), of_group(state, group, width))
        }
        _ => ("gone".to_owned(), vec![Line::raw("It is not there any more. Esc goes back to the list.")]),
    };
    let inside = overlay::frame(area, &printable(&title), buffer, state.glyphs, style);
    // What the text leaves; a counter matters more here than a picture.
    let free = inside.height.saturating_sub(u16::try_from(lines.len()).unwrap_or(u16::MAX));
    let graph_height = if free >= 4 { free.min(10) } else { 0 };
    let text = Rect { height: inside.height - graph_height, ..inside };
    let plot = Rect { y: text.bottom(), height: graph_height, ..inside };
    overlay::lines(text, first, &lines, buffer, state.theme.style(Token::Muted));
    graph::of_row(state, key, plot, buffer);
}

fn of_nic(state: &State, nic: &NicView, width: usize) -> Vec<Line<'static>> {
    let mut lines = Facts { state, width, lines: Vec::new() };
    let or = |text: &Option<String>| text.as_deref().map_or_else(|| MISSING.to_owned(), printable);
    lines.add("device", &format!("{} port {}, driver {}", nic.device, nic.port, nic.driver));
    let numa = nic.numa.map_or_else(|| MISSING.to_owned(), |node| node.to_string());
    lines.add("where", &format!("PCI {}, NUMA {numa}, interface {}", or(&nic.pci), or(&nic.netdev)));
    let link = nic.link_bits_per_s.map(|bits| bits as f64 / 8.0);
    let port = nic.state.as_ref().map_or_else(String::new, |word| format!(", link {word}"));
    lines.add("line rate", &format!("{}{port}", format::rate(link, state.units)));
    let dt = nic.dt.map_or_else(|| MISSING.to_owned(), format::duration);
    lines.add("source", &format!("{}, {dt} since the read before", kernel::source_name(nic.source)));
    if !nic.marks.is_empty() {
        let words: Vec<&str> = nic.marks.iter().map(|&m| mark_word(m)).collect();
        lines.add("state", &words.join(", "));
    }
    if let Some(reason) = &nic.reason {
        lines.add("reason", reason);
    }
    for (direction, flow) in [(Direction::Tx, &nic.tx), (Direction::Rx, &nic.rx)] {
        lines.add(direction.name(), &flow_text(state, flow, link));
        if let Some(kernel) = &nic.kernel {
            let (rate, check) = kernel::check(nic, direction);
            let says = match check {
                Check::Unknown => "",
                Check::Agrees => ", agrees",
                Check::Less => ", LESS than the transport claims",
                Check::More => ", more than the transport moved: other traffic, or retransmissions",
            };
            let source = kernel::source_name(kernel.source);
            lines.add("  kernel", &format!("{}{says} ({source})", format::rate(rate, state.units)));
        }
    }
    if let Some(bytes) = nic.in_flight_bytes {
        lines.add("in flight", &format!("{} B posted and not yet done", format::grouped(bytes)));
    }
    lines.gap();
    let name = nic.counters.iter().map(|c| c.name().chars().count()).max().unwrap_or(0).clamp(8, 40);
    lines.head(&format!("{:<name$} {:>26} {:>12}", "counter", "value", "per second"));
    for counter in &nic.counters {
        let per_s = counter.per_s.map_or_else(|| MISSING.to_owned(), per_second);
        let text = format!(
            "{:<name$} {:>26} {per_s:>12}",
            printable(counter.name()),
            format::grouped(counter.value)
        );
        lines.lines.push(Line::raw(text));
    }
    if nic.counters.is_empty() {
        lines.lines.push(Line::raw("none"));
    }
    lines.lines
}

fn of_group(state: &State, group: &GroupView, width: usize) -> Vec<Line<'static>> {
    let mut lines = Facts { state, width, lines: Vec::new() };
    let facts = [
        ("job", group.job.clone()),
        ("process", group.pid.map(|pid| pid.to_string())),
        ("GPU", group.gpu.clone()),
        ("policy", group.policy.clone()),
        ("Rx bytes by", group.rx_source.clone()),
    ];
    lines.add("node", &group.node);
    for (label, text) in facts {
        if let Some(text) = text {
            lines.add(label, &text);
        }
    }
    if !group.marks.is_empty() {
        let words: Vec<&str> = group.marks.iter().map(|&m| mark_word(m)).collect();
        lines.add("state", &words.join(", "));
    }
    for direction in [Direction::Tx, Direction::Rx] {
        let flow = direction.of(group);
        let spread = flow.spread;
        let text = format!(
            "{}, {} {}, max/mean {}, {} of {} NICs active",
            format::rate(flow.bytes_per_s, state.units),
            state.glyphs.verdict(spread.verdict),
            spread.verdict.word(),
            format::ratio(spread.max_over_mean),
            spread.active_nics,
            spread.nics
        );
        lines.add(direction.name(), &text);
    }
    lines.gap();
    let name = group.nics.iter().map(|n| n.device.chars().count()).max().unwrap_or(0).clamp(4, 16);
    lines.head(&format!("{:<name$} {:>17} {:>10} {:>17} {:>10}", "NIC", "Tx bytes", "Tx", "Rx bytes", "Rx"));
    for nic in &group.nics {
        let bytes = |flow: &Flow| flow.bytes.map_or_else(|| MISSING.to_owned(), format::grouped);
        let text = format!(
            "{:<name$} {:>17} {:>10} {:>17} {:>10}",
            printable(&nic.device),
            bytes(&nic.tx),
            format::rate(nic.tx.bytes_per_s, state.units),
            bytes(&nic.rx),
            format::rate(nic.rx.bytes_per_s, state.units),
        );
        lines.lines.push(Line::raw(text));
    }
    lines.lines
}

fn flow_text(state: &State, flow: &Flow, link: Option<f64>) -> String {
    let share = flow.bytes_per_s.zip(link).map(|(rate, link)| rate / link);
    let count = |value: Option<u64>| value.map_or_else(|| MISSING.to_owned(), format::grouped);
    format!(
        "{} ({} of line rate), {} op/s; {} B and {} operations in all",
        format::rate(flow.bytes_per_s, state.units),
        format::percent(share),
        format::compact(flow.ops_per_s),
        count(flow.bytes),
        count(flow.ops)
    )
}

/// A counter's rate: whole numbers where they are large.
fn per_second(rate: f64) -> String {
    if rate.abs() >= 100.0 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, sign taken off"
        )]
        let digits = format::grouped(rate.abs().round() as u64);
        if rate < 0.0 { format!("-{digits}") } else { digits }
    } else {
        format!("{rate:.1}")
    }
}

/// Lines of `name  text`, wrapped under the text.
struct Facts<'a> {
    state: &'a State,
    width: usize,
    lines: Vec<Line<'static>>,
}

impl Facts<'_> {
    fn add(&mut self, label: &str, text: &str) {
        let style = self.state.theme.style(Token::Muted);
        let wrapped = notices::wrap(&printable(text), self.width.saturating_sub(LABEL + 1).max(10));
        for (i, line) in wrapped.into_iter().enumerate() {
            let label = if i == 0 { label } else { "" };
            self.lines
                .push(Line::from(vec![Span::styled(format!("{label:<LABEL$} "), style), Span::raw(line)]));
        }
    }

    fn gap(&mut self) {
        self.lines.push(Line::default());
    }

    fn head(&mut self, text: &str) {
        self.lines.push(Line::from(Span::styled(text.to_owned(), self.state.theme.style(Token::Strong))));
    }
}
