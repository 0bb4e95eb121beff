//! Who holds queue pairs, and what they move where a counter page tells.
//!
//! ```text
//!      PID user        QPs   Tx Gb/s  Rx Gb/s    RSS thr  NICs                  command
//! ▶  48211 alice       256     387.1    386.0  81 GB 212  32 NICs, 8 QPs each   python train.py --rank 0
//!    48300 root          4         -        -  12 MB   3  mlx5_0 4              ib_write_bw -d mlx5_0
//!  ── 2 processes, 260 QPs; the kernel has 32; 8 belong to processes that cannot be seen from here ──
//! ```
//!
//! Below it, the selected process NIC by NIC.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::super::format::{self, MISSING, Scale};
use super::super::rows::RowKind;
use super::super::state::State;
use super::super::summary::Direction;
use super::super::tab_rows::{queue_pairs, total};
use super::super::theme::Token;
use super::notices::wrap;
use super::table::{self, Cell, number, rest, text};
use crate::monitor::model::view::{ProcessView, ProcessesView, View};
use crate::monitor::natural;

/// Draws the table.
pub(super) fn render(state: &State, view: &View, titles: Rect, area: Rect, buffer: &mut Buffer) {
    let Some(all) = &view.processes else { return };
    let scale = Scale::of(view, state.units);
    let users = all.processes.iter().map(|process| user(process).width()).max().unwrap_or(0);
    let columns = [
        number("PID", 7, 0),
        text("user", u16::try_from(users).unwrap_or(12).clamp(4, 12), 2),
        number("QPs", 5, 0),
        number(&format!("Tx {}", scale.label), 7, 3),
        number(&format!("Rx {}", scale.label), 7, 3),
        number("memory", 8, 6),
        number("thr", 4, 7),
        text("NICs", 24, 4),
        rest("command", 8, 0),
    ];
    let cells = |index: usize| match state.rows[index].kind {
        RowKind::Process(process) => row(state, &scale, &all.processes[process]),
        _ => Vec::new(),
    };
    table::render(state, &columns, [titles, area], cells, buffer);
}

fn user(process: &ProcessView) -> String {
    let sample = &process.sample;
    sample.user.clone().or(sample.uid.map(|uid| uid.to_string())).unwrap_or_else(|| MISSING.to_owned())
}

fn row(state: &State, scale: &Scale, process: &ProcessView) -> Vec<Cell> {
    let theme = state.theme;
    let (plain, muted) = (theme.style(Token::Text), theme.style(Token::Muted));
    let sample = &process.sample;
    let rate = |direction, token| {
        let rate = total(process, direction).bytes_per_s;
        Cell::Text(scale.number(rate), theme.style(if rate.is_some() { token } else { Token::Muted }))
    };
    let number = |value: Option<String>| Cell::Text(value.unwrap_or_else(|| MISSING.to_owned()), plain);
    vec![
        Cell::Text(sample.pid.to_string(), theme.style(Token::Strong)),
        Cell::Text(user(process), plain),
        Cell::Text(queue_pairs(process).to_string(), theme.style(Token::Strong)),
        rate(Direction::Tx, Token::Tx),
        rate(Direction::Rx, Token::Rx),
        number(sample.resident_bytes.map(crate::units::format_size)),
        number(sample.threads.map(|threads| threads.to_string())),
        Cell::Text(nics(process), muted),
        Cell::Text(sample.command.clone(), plain),
    ]
}

/// On which NICs how many queue pairs are: `32 NICs, 8 QPs each`, `mlx5_0 4, mlx5_1 2`.
pub(super) fn nics(process: &ProcessView) -> String {
    let qps = &process.sample.qps;
    let mut counts = qps.values();
    let first = counts.next();
    if qps.len() > 2 {
        if let Some(each) = first.filter(|first| qps.values().all(|count| count == *first)) {
            return format!("{} NICs, {each} each", qps.len());
        }
        let (least, most) = (qps.values().min(), qps.values().max());
        return format!("{} NICs, {} to {}", qps.len(), least.unwrap_or(&0), most.unwrap_or(&0));
    }
    qps.iter().map(|(device, count)| format!("{device} {count}")).collect::<Vec<_>>().join(", ")
}

/// The summary in a line, and what of it has no room there: the reason, in lines of its own.
fn titled(all: &ProcessesView, width: usize) -> (String, Vec<String>) {
    let whole = summary(all);
    match &all.reason {
        Some(reason) if whole.width() > width => {
            let short = summary(&ProcessesView { reason: None, processes: all.processes.clone(), ..*all });
            (short, wrap(reason, width))
        }
        _ => (whole, Vec::new()),
    }
}

/// What is known in all, in a sentence: also of queue pairs that belong to nobody on the list.
pub(super) fn summary(all: &ProcessesView) -> String {
    let qps = all.processes.iter().fold(0_u32, |sum, process| sum.saturating_add(queue_pairs(process)));
    let mut text = format!("{}, {}", crate::text::plural(all.processes.len(), "process"), count(qps));
    if all.kernel_qps > 0 {
        let _ = write!(text, "; the kernel itself has {}", count(all.kernel_qps));
    }
    if all.hidden_qps > 0 {
        let _ = write!(text, "; {} of processes that cannot be seen from here", count(all.hidden_qps));
    }
    if let Some(reason) = &all.reason {
        text += "; ";
        text += reason;
    }
    text
}

fn count(qps: u32) -> String {
    if qps == 1 { "1 queue pair".to_owned() } else { format!("{qps} queue pairs") }
}

/// Draws the selected process NIC by NIC, below a line with what is known in all.
pub(super) fn lower(state: &State, view: &View, area: Rect, buffer: &mut Buffer) {
    let Some(all) = &view.processes else { return };
    let lines = match state.rows.get(state.selected()).map(|row| &row.kind) {
        Some(RowKind::Process(index)) => per_nic(&all.processes[*index], &Scale::of(view, state.units)),
        _ => Vec::new(),
    };
    let (title, more) = titled(all, usize::from(area.width).saturating_sub(4));
    if more.is_empty() {
        table::packed(state, &title, &lines, area, buffer);
        return;
    }
    table::packed(state, &title, &more, area, buffer);
    let taken = u16::try_from(more.len()).unwrap_or(u16::MAX).saturating_add(1).min(area.height);
    let list = Rect { y: area.y + taken, height: area.height - taken, ..area };
    table::columns(state, &lines, list, buffer);
}

/// A line per NIC: queue pairs, rates, bytes.
pub(super) fn per_nic(process: &ProcessView, scale: &Scale) -> Vec<String> {
    let mut devices: Vec<&str> = process.sample.qps.keys().map(String::as_str).collect();
    devices.extend(process.traffic.iter().map(|nic| nic.device.as_str()));
    devices.sort_by(|a, b| natural::compare(a, b));
    devices.dedup();
    let name = devices.iter().map(|device| device.width()).max().unwrap_or(0).min(16);
    let line = |device: &&str| {
        let traffic = process.traffic.iter().find(|nic| nic.device == **device);
        let qps = process.sample.qps.get(*device).map_or_else(|| MISSING.to_owned(), u32::to_string);
        let rate = |bytes_per_s: Option<f64>| scale.number(bytes_per_s);
        let bytes = |bytes: Option<u64>| bytes.map_or_else(|| MISSING.to_owned(), format::bytes);
        format!(
            "{device:<name$} {qps:>5} QPs  Tx {:>7} {:>8}  Rx {:>7} {:>8}",
            rate(traffic.and_then(|nic| nic.tx.bytes_per_s)),
            bytes(traffic.and_then(|nic| nic.tx.bytes)),
            rate(traffic.and_then(|nic| nic.rx.bytes_per_s)),
            bytes(traffic.and_then(|nic| nic.rx.bytes)),
        )
    };
    devices.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_does_not_fit_has_lines_of_its_own_and_is_whole() {
        let reason = "some queue pairs belong to processes of another PID namespace (hostPID)";
        let hidden = ProcessesView {
            processes: Vec::new(),
            kernel_qps: 0,
            hidden_qps: 3,
            reason: Some(reason.to_owned()),
        };
        assert_eq!(titled(&hidden, 200), (summary(&hidden), Vec::new()));
        let (title, lines) = titled(&hidden, 40);
        assert!(title.ends_with("cannot be seen from here") && lines.iter().all(|line| line.width() <= 40));
        assert_eq!(lines.join(" "), reason);
    }
}
