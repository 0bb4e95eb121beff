//! How evenly the NICs of each group share the load, a line per direction.
//!
//! ```text
//!  GPU                 NICs  verdict        Gb/s    min median    max    m/m Jain  slow NIC
//! ▶GPU 53:00.0  Tx     ████  ✓ balanced    387.1   96.5   96.8   97.1  1.00x 1.00
//!               Rx     ████  ✓ balanced    386.0   95.9   96.4   97.3  1.01x 1.00
//!  GPU 64:00.0  Tx     ███▂  ▲ skewed      318.0   27.2   96.9   97.0  1.22x 0.90  ▼ rdmap99s0
//! ```
//!
//! Below it, the selected group's NICs over time: see `heat`.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use super::super::format::{self, Scale};
use super::super::glyphs::Glyphs;
use super::super::rows::{self, RowKind, one_node, several_jobs, with_job};
use super::super::state::State;
use super::super::summary::Direction;
use super::super::theme::Token;
use super::group_row::{is_slow, urgent, words};
use super::nic_row::{mark_token, mark_word};
use super::table::{self, Cell, Column, number, rest, text};
use crate::balance::Verdict;
use crate::monitor::model::view::{GroupView, NicView, View};

/// Draws the table.
pub(super) fn render(state: &State, view: &View, titles: Rect, area: Rect, buffer: &mut Buffer) {
    let scale = Scale::of(view, state.units);
    let several = several_jobs(view);
    let one_node = one_node(view);
    let name = |group: &GroupView| {
        let name = rows::name(group, one_node);
        with_job(&name, group.job.as_deref().filter(|_| several), (area.width / 4).max(9), state.glyphs)
    };
    let longest = view.groups.iter().map(|group| name(group).width()).max().unwrap_or(0);
    let most = (area.width / 4).max(9);
    let nics = view.groups.iter().map(|group| group.nics.len()).max().unwrap_or(0);
    let auto_top = auto_top(view);
    let weak_nics = view.groups.iter().flat_map(|group| {
        [Direction::Tx, Direction::Rx]
            .map(|way| weak(group, way, state.glyphs).map_or(0, |text| text.width()))
    });
    let longest_weak = weak_nics.max().unwrap_or(0);
    let columns: [Column; 11] = [
        text(title(view), u16::try_from(longest).unwrap_or(most).clamp(5, most), 0),
        text("", 2, 0),
        text("NICs", u16::try_from(nics).unwrap_or(16).clamp(4, 16), 6),
        text("verdict", VERDICT, 0),
        number(scale.label, 7, 1),
        number("min", 6, 4),
        number("median", 6, 5),
        number("max", 6, 3),
        number("m/m", 5, 2),
        number("Jain", 4, 8),
        // Who is slow is what one came for; the index is in the group's detail as well.
        rest("slow, down", u16::try_from(longest_weak).unwrap_or(14).clamp(10, 14), 7),
    ];
    let cells = |index: usize| {
        let RowKind::Way { group, direction } = state.rows[index].kind else { return Vec::new() };
        let group = &view.groups[group];
        row(state, &scale, auto_top, group, &name(group), direction)
    };
    table::render(state, &columns, [titles, area], cells, buffer);
}

/// Width of a verdict: `no rate yet`.
const VERDICT: u16 = 11;

/// The NIC that is far behind the others of its group, or those that are down.
fn weak(group: &GroupView, direction: Direction, glyphs: Glyphs) -> Option<String> {
    let slow = direction.of(group).distribution.and_then(|of| of.slow).and_then(|slow| group.nics.get(slow));
    let slow = slow.map(|nic| format!("{} {}", glyphs.under(), nic.device));
    let mut down = group.nics.iter().filter(|nic| nic.is_out());
    let first = down.next().map(|nic| match down.count() {
        0 => format!("{} {}", glyphs.bad(), nic.device),
        more => format!("{} {} +{more}", glyphs.bad(), nic.device),
    });
    let all: Vec<String> = [slow, first].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// What the names are.
fn title(view: &View) -> &'static str {
    match super::header::group_word(view) {
        "NUMA node" => "NUMA",
        word => word,
    }
}

/// Full length where a link's rate is unknown: the busiest NIC's rate.
pub(super) fn auto_top(view: &View) -> f64 {
    let nics = view.groups.iter().flat_map(|group| &group.nics);
    nics.flat_map(|nic| [nic.tx.bytes_per_s, nic.rx.bytes_per_s]).flatten().fold(0.0, f64::max)
}

fn row(
    state: &State,
    scale: &Scale,
    auto_top: f64,
    group: &GroupView,
    name: &str,
    direction: Direction,
) -> Vec<Cell> {
    let (theme, glyphs) = (state.theme, state.glyphs);
    let flow = direction.of(group);
    let verdict = flow.spread.verdict;
    let (token, name_token) = match direction {
        Direction::Tx => (Token::Tx, Token::Strong),
        Direction::Rx => (Token::Rx, Token::Muted),
    };
    let plain = theme.style(Token::Text);
    let judged = if verdict.is_imbalance() { theme.verdict(verdict) } else { plain };
    let distribution = flow.distribution;
    let (said, style) = match (urgent(group), flow.bytes_per_s) {
        (Some(mark), _) => (mark_word(mark).to_owned(), theme.style(mark_token(mark))),
        (None, None) => ("no rate yet".to_owned(), theme.style(Token::Muted)),
        (None, Some(_)) if verdict == Verdict::Unknown => {
            (format!("? {} unread", flow.unread), theme.verdict(verdict))
        }
        (None, Some(_)) if is_slow(flow) && !verdict.is_imbalance() => {
            (format!("{} slow NIC", glyphs.under()), theme.style(Token::Warn))
        }
        (None, Some(_)) => (words(verdict, glyphs.verdict(verdict), VERDICT), theme.verdict(verdict)),
    };
    let of = |value: Option<f64>| Cell::Text(scale.number(value), plain);
    let weak = weak(group, direction, glyphs).unwrap_or_default();
    let jain =
        distribution.and_then(|d| d.jain).map_or(format::MISSING.to_owned(), |jain| format!("{jain:.2}"));
    let shares = shares(group, direction, auto_top, theme.style(token));
    vec![
        Cell::Text(name.to_owned(), theme.style(name_token)),
        Cell::Text(direction.name().to_owned(), theme.style(token)),
        Cell::Strip(shares),
        Cell::Text(said, style),
        Cell::Text(scale.number(flow.bytes_per_s), theme.style(Token::Strong)),
        of(distribution.map(|d| d.min)),
        of(distribution.map(|d| d.median)),
        of(distribution.map(|d| d.max)),
        Cell::Text(
            format::judged_ratio(flow.bytes_per_s.and(flow.spread.max_over_mean), state.limit()),
            judged,
        ),
        Cell::Text(jain, plain),
        Cell::Text(weak, theme.style(Token::Warn)),
    ]
}

/// Each NIC's share of its line rate.
pub(super) fn shares(
    group: &GroupView,
    direction: Direction,
    auto_top: f64,
    style: Style,
) -> Vec<Option<(f64, Style)>> {
    let share = |nic: &NicView| {
        let link = nic.link_bits_per_s.map_or(auto_top, |bits| bits as f64 / 8.0);
        direction.flow(nic).bytes_per_s.map(|rate| (rate / link, style))
    };
    group.nics.iter().map(share).collect()
}
