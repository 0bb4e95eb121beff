//! The history of one row: Tx and Rx side by side.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use unicode_width::UnicodeWidthStr as _;

use super::super::format;
use super::super::history::Point;
use super::super::rows::{self, RowKey, node_key, one_node, several_jobs, with_job};
use super::super::state::State;
use super::super::theme::Token;
use super::super::widgets::graph as widget;
use super::cells::{Slot, cut};
use crate::monitor::model::view::GroupView;

/// Below this share of the line rate a graph to the line rate would be a flat line.
const FLAT: f64 = 0.1;

/// The history of the selected group: of the group, too, when one of its NICs is selected.
pub(super) fn selected(state: &State, area: Rect, buffer: &mut Buffer) {
    let Some(row) = state.rows.get(state.selected()) else { return };
    let key = match &row.key {
        RowKey::Nic(group, _) => RowKey::Group(group.clone()),
        key => key.clone(),
    };
    let groups = state.shown.iter().flat_map(|v| &v.groups);
    let several = state.shown.as_ref().is_some_and(|view| several_jobs(view));
    let alone = state.shown.as_ref().is_some_and(|view| one_node(view));
    let named =
        |name: &str, job: Option<&str>| with_job(name, job.filter(|_| several), area.width / 4, state.glyphs);
    let (name, link) = match &key {
        RowKey::Node(job, node) => {
            let link = sum(groups.filter(|g| node_key(g) == key).map(group_link));
            (named(node, job.as_deref()), link)
        }
        key => state.group(key).map_or((String::new(), None), |group| {
            (named(&rows::name(group, alone), group.job.as_deref()), group_link(group))
        }),
    };
    render(state, &key, &name, link, area, buffer);
}

/// Line rate of a group in bytes per second, when that of all its NICs is known.
fn group_link(group: &GroupView) -> Option<f64> {
    sum(group.nics.iter().map(|nic| nic.link_bits_per_s.map(|bits| bits as f64 / 8.0)))
}

fn sum(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    values.sum()
}

/// Draws the history of `key` under `name`; `link` is its line rate in bytes per second.
pub(super) fn render(
    state: &State,
    key: &RowKey,
    name: &str,
    link: Option<f64>,
    area: Rect,
    buffer: &mut Buffer,
) {
    let Some(view) = &state.shown else { return };
    if area.height < 2 || area.width < 20 {
        return;
    }
    let half = (area.width - 1) / 2;
    let per_cell = state.look.points_per_cell().max(1);
    let columns = usize::from(half) * per_cell;
    // A cell of two points moves on when it is full, so that most samples change one column and not all.
    let half_full = state.history.ticks() % per_cell;
    let (points, times) = state.history.until(key, state.graph_end(), columns - half_full);
    let span = times.last().zip(times.first()).map_or(0, |(last, first)| last - first);
    // While paused at an older moment: how many points the graph has after it.
    let after = times.len() - times.partition_point(|&time| time <= view.mono_ns);
    let rule = state.glyphs.rule().repeat(usize::from(area.width));
    let muted = state.theme.style(Token::Muted);
    buffer.set_stringn(area.x, area.y, rule, usize::from(area.width), muted);
    let padding = || std::iter::repeat_n(None, half_full);
    let tx: Vec<Option<f32>> = points.iter().map(Point::tx).chain(padding()).collect();
    let rx: Vec<Option<f32>> = points.iter().map(Point::rx).chain(padding()).collect();
    for (values, token, x, way) in [(tx, Token::Tx, area.x, "Tx"), (rx, Token::Rx, area.x + half + 1, "Rx")] {
        let busiest = values.iter().flatten().copied().fold(0.0_f32, f32::max);
        let (top, what) = match link {
            Some(link) if busiest <= 0.0 || f64::from(busiest) >= link * FLAT => (link, "full"),
            _ => (f64::from(busiest), "auto"),
        };
        let style = state.theme.style(token);
        let at = values.len().checked_sub(half_full + after + 1);
        let last = at.and_then(|at| values[at]).map(f64::from);
        let scale = format!(
            "{what} {}, {}",
            format::rate(Some(top), state.units),
            format::duration(std::time::Duration::from_nanos(span))
        );
        // A name that is cut is still a name; a number that is cut is another number.
        let rate = format!("{way} {} ", format::rate(last, state.units));
        let room = half.saturating_sub(u16::try_from(rate.width()).unwrap_or(half)).saturating_sub(2);
        let title = match cut(name, room, state.glyphs) {
            name if name.is_empty() || room == 0 => format!(" {rate}"),
            name => format!(" {name} {rate}"),
        };
        let slot = Slot { x, y: area.y, width: half };
        let strong = style.add_modifier(Modifier::BOLD);
        slot.left(&title, strong, state.glyphs, buffer);
        let left = half.saturating_sub(u16::try_from(title.width()).unwrap_or(half));
        if usize::from(left) > scale.len() + 1 {
            slot.right(&format!(" {scale} "), muted, state.glyphs, buffer);
        }
        let body = Rect::new(x, area.y + 1, half, area.height - 1);
        widget::render(body, &values, top, state.look, style, buffer);
        let back = u16::try_from((half_full + after) / per_cell).unwrap_or(u16::MAX);
        if state.paused && back < half {
            let x = body.right() - 1 - back;
            for y in body.top()..body.bottom() {
                if buffer[(x, y)].symbol() == " " {
                    buffer[(x, y)].set_symbol(state.glyphs.mean());
                }
                buffer[(x, y)].set_style(state.theme.style(Token::Tag));
            }
        }
    }
}

/// The history of a NIC or group for its details.
pub(super) fn of_row(state: &State, key: &RowKey, area: Rect, buffer: &mut Buffer) {
    let link = match key {
        RowKey::Nic(..) => state.nic(key).and_then(|n| n.link_bits_per_s).map(|bits| bits as f64 / 8.0),
        _ => state.group(key).and_then(group_link),
    };
    render(state, key, "", link, area, buffer);
}
