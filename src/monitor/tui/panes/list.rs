//! The list of groups and NICs, with its titles.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::super::columns::Column;
use super::super::format::Scale;
use super::super::layout::{Columns, RATE};
use super::super::rows::{self, RowKind, Sort};
use super::super::state::State;
use super::super::summary::Direction;
use super::super::theme::Token;
use super::cells::Slot;
use super::{amounts, group_row, nic_row};
use crate::monitor::model::view::{GroupView, SourceKind, View};

/// What all rows of a frame share.
pub(super) struct Context<'a> {
    pub(super) state: &'a State,
    pub(super) view: &'a View,
    pub(super) columns: Columns,
    pub(super) scale: Scale,
    /// Full length of a bar where a link's rate is unknown, in bytes per second.
    pub(super) auto_top: f64,
    /// Whether group names stand below a node's line.
    pub(super) under_node: bool,
    /// Whether all groups are of one node, so that names need not say which.
    pub(super) one_node: bool,
    /// Whether names need the job's.
    pub(super) several_jobs: bool,
}

impl Context<'_> {
    /// A group's job, where it takes that to tell groups apart.
    pub(super) fn job<'g>(&self, group: &'g GroupView) -> Option<&'g str> {
        group.job.as_deref().filter(|_| self.several_jobs)
    }

    /// Where a direction's columns begin.
    pub(super) fn x(&self, direction: Direction) -> u16 {
        let first = 1 + self.columns.name;
        match direction {
            Direction::Tx => first,
            Direction::Rx => first + self.columns.direction,
        }
    }
}

/// The slots of one direction on one line, from left to right.
pub(super) struct Slots {
    pub(super) bar: Slot,
    /// Between bar and rate.
    pub(super) flag: Slot,
    pub(super) rate: Slot,
    /// Between rate and per cent.
    pub(super) kernel_flag: Slot,
    pub(super) percent: Slot,
    pub(super) ops: Slot,
    pub(super) kernel: Slot,
    pub(super) peak: Slot,
    pub(super) total: Slot,
}

/// Divides a direction that begins at `x`.
pub(super) fn slots(columns: &Columns, x: u16, y: u16) -> Slots {
    let mut x = x + 1;
    let mut take = |width: u16| {
        let slot = Slot { x, y, width };
        x += width;
        slot
    };
    Slots {
        bar: take(columns.bar),
        flag: take(1),
        rate: take(RATE),
        kernel_flag: take(1),
        percent: take(columns.percent),
        ops: take(columns.ops),
        kernel: take(columns.kernel),
        peak: take(columns.peak),
        total: take(columns.total),
    }
}

/// The slots right of both directions on one line.
pub(super) fn extras(columns: &Columns, y: u16) -> impl Iterator<Item = (Column, Slot)> {
    let mut x = 1 + columns.name + 2 * columns.direction;
    columns.extras.iter().map(move |&(column, width)| {
        x += width;
        (column, Slot { x: x - width + 1, y, width: width - 1 })
    })
}

/// Draws the titles and the rows in sight.
pub(super) fn render(state: &State, view: &View, titles: Rect, area: Rect, buffer: &mut Buffer) {
    let under_node = state.sort() == Sort::Natural && rows::node_lines(view);
    let nics = || view.groups.iter().flat_map(|g| &g.nics);
    let nic_names = nics().map(|n| n.device.width() + 2);
    let several_jobs = rows::several_jobs(view);
    let one_node = rows::one_node(view);
    let group_names = view.groups.iter().map(|g| {
        let job = g.job.as_deref().filter(|_| several_jobs).map_or(0, |job| job.width() + 1);
        if under_node {
            (rows::short_name(g).width() + 2).max(g.node.width() + job)
        } else {
            rows::name(g, one_node).width() + 2 + job
        }
    });
    let longest = nic_names.chain(group_names).max().unwrap_or(0);
    let wanted: Vec<Column> =
        Column::ALL.into_iter().filter(|&c| state.columns.has(c) && c.has_data(view)).collect();
    let rates = nics().flat_map(|n| [n.tx.bytes_per_s, n.rx.bytes_per_s]).flatten();
    let context = Context {
        state,
        view,
        columns: Columns::of(area.width, u16::try_from(longest).unwrap_or(u16::MAX - 2), &wanted),
        scale: Scale::of(view, state.units),
        auto_top: rates.fold(0.0, f64::max),
        under_node,
        one_node,
        several_jobs,
    };
    render_titles(&context, titles, buffer);
    for (row, y) in state.rows.iter().enumerate().skip(state.top()).zip(area.top()..area.bottom()) {
        let (index, row) = row;
        let selected = index == state.selected();
        if selected {
            let slot = Slot { x: area.x, y, width: 1 };
            slot.left(state.glyphs.cursor(), state.theme.style(Token::Cursor), state.glyphs, buffer);
        }
        match &row.kind {
            RowKind::Node { groups } => group_row::node(&context, groups, selected, y, buffer),
            RowKind::Group { group, folded } => {
                group_row::render(&context, &view.groups[*group], *folded, selected, y, buffer);
            }
            RowKind::Nic { group, nic } => {
                nic_row::render(&context, &view.groups[*group], *nic, selected, y, buffer);
            }
            _ => {}
        }
    }
    more(state, area, buffer);
}

fn render_titles(context: &Context<'_>, area: Rect, buffer: &mut Buffer) {
    let state = context.state;
    let (muted, glyphs) = (state.theme.style(Token::Muted), state.glyphs);
    let name = Slot { x: area.x + 1, y: area.y, width: context.columns.name };
    name.left(super::header::names(context.view), muted, glyphs, buffer);
    let (share, count) = right_titles(context);
    let known = || context.view.groups.iter().flat_map(|g| &g.nics).map(|n| n.link_bits_per_s.is_some());
    for (direction, token) in [(Direction::Tx, Token::Tx), (Direction::Rx, Token::Rx)] {
        let slots = slots(&context.columns, context.x(direction), area.y);
        let style = state.theme.style(token).add_modifier(ratatui::style::Modifier::BOLD);
        slots.bar.left(direction.name(), style, glyphs, buffer);
        let auto = || context.scale.with_unit(Some(context.auto_top));
        let (scale, short) = match (known().all(|k| k), known().any(|k| k)) {
            (true, _) => ("of line rate".to_owned(), ""),
            (false, true) => (format!("of line rate or {}", auto()), "or auto"),
            (false, false) => (format!("auto: full is {}", auto()), "auto"),
        };
        let rest = Slot { x: slots.bar.x + 3, width: slots.bar.width.saturating_sub(3), ..slots.bar };
        if usize::from(rest.width) >= scale.len() {
            rest.left(&scale, muted, glyphs, buffer);
        } else {
            rest.left(short, muted, glyphs, buffer);
        }
        slots.rate.right(amounts::title(state, &context.scale), muted, glyphs, buffer);
        slots.percent.right(share, muted, glyphs, buffer);
        slots.ops.right(count, muted, glyphs, buffer);
        slots.kernel.right("kernel", muted, glyphs, buffer);
        slots.peak.right("peak", muted, glyphs, buffer);
        slots.total.right("bytes", muted, glyphs, buffer);
    }
    for (column, slot) in extras(&context.columns, area.y) {
        let title = column.extra().map_or("", |(title, _)| title);
        if column.is_number() {
            slot.right(title, muted, glyphs, buffer);
        } else {
            slot.left(title, muted, glyphs, buffer);
        }
    }
}

/// The titles of the columns that mean one thing on a NIC's row and another on a group's: share of line rate and
/// max/mean, operations (or packets) per second and NICs that are on. With groups alone, theirs.
fn right_titles(context: &Context<'_>) -> (&'static str, &'static str) {
    let sources = || context.view.groups.iter().flat_map(|g| &g.nics).map(|n| n.source);
    let pages = sources().filter(|&s| s == SourceKind::Page).count();
    if !context.state.rows.iter().any(|row| matches!(row.kind, RowKind::Nic { .. })) {
        return ("m/m", "on");
    }
    let short = context.columns.ops < 6;
    let count = match (pages, sources().count()) {
        _ if short => "#|on",
        (0, _) if !context.state.columns.has(Column::Packets) => "on",
        (0, _) => "pk|on",
        (pages, all) if pages == all => "op|on",
        _ => "#|on",
    };
    ("%|m/m", count)
}

/// How many rows are out of sight, on the list's last line at the left edge of the titles.
pub(super) fn more(state: &State, area: Rect, buffer: &mut Buffer) {
    let height = usize::from(area.height);
    let below = state.rows.len().saturating_sub(state.top() + height);
    let muted = state.theme.style(Token::Muted);
    let (up, down) = match state.glyphs {
        super::super::glyphs::Glyphs::Unicode => ("↑", "↓"),
        // A `v` right before a name would be read as its first letter, and `^` is a warning.
        super::super::glyphs::Glyphs::Ascii => ("/", "\\"),
    };
    // In the cursor's column, on rows that the cursor is not on: costs no line and hides no number.
    let mut mark = |y: u16, index: usize, symbol: &str| {
        if index != state.selected() {
            Slot { x: area.x, y, width: 1 }.left(symbol, muted, state.glyphs, buffer);
        }
    };
    if state.top() > 0 {
        mark(area.top(), state.top(), up);
    }
    if below > 0 {
        mark(area.bottom() - 1, state.top() + height - 1, down);
    }
}
