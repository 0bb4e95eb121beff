//! All about one row: a NIC, a group, a process, a GPU, an event.
//!
//! ```text
//! ┌─ GPU 53:00.0 rdmap79s0 ────────────────────────────────────────────────────┐
//! │ device      rdmap79s0 port 1, driver efa, firmware 0.0.0.1                 │  facts
//! │ line rate   200 Gb/s (overridden: not what the kernel says), link ACTIVE   │
//! │ Tx          96.8 Gb/s (48% of line rate), …                                │
//! │                                                                            │
//! │   counter                            value  per second  what it tells      │  counters: faults that
//! │▶▲ retrans_pkts                      12 345       120.0  loss, rising       │  rise come first
//! │   tx_bytes               1 234 567 890 123  12 100 000  traffic            │
//! │ Packets sent again after a time-out.                                       │  help of the counter
//! └────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! In a wide window counters stand right of the facts.

mod counters;
mod facts;
mod group;
mod nic;
mod others;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::super::rows::{self, RowKey};
use super::super::state::State;
use super::super::summary::Direction;
use super::super::theme::Token;
use super::super::widgets::overlay;
use super::{graph, heat};
use crate::monitor::model::view::{GroupView, NicView};
use crate::text::printable;

/// From this inner width on counters stand right of the facts.
const WIDE: u16 = 110;

/// What the key stands for, with its title.
enum Subject<'s> {
    Nic(&'s GroupView, &'s NicView),
    Group(&'s GroupView),
    Lines(String, Vec<Line<'static>>),
}

fn subject<'s>(state: &'s State, key: &RowKey, width: usize) -> Subject<'s> {
    if let (Some(group), Some(nic)) = (state.group(key), state.nic(key)) {
        return Subject::Nic(group, nic);
    }
    if let (Some(group), RowKey::Group(_)) = (state.group(key), key) {
        return Subject::Group(group);
    }
    let gone =
        || ("gone".to_owned(), vec![Line::raw("It is not there any more. Esc goes back to the list.")]);
    let (title, lines) = others::lines(state, key, width).unwrap_or_else(gone);
    Subject::Lines(title, lines)
}

/// Draws the details of `key` over `area`; `at` is how far the person has gone down.
pub(super) fn render(state: &State, key: &RowKey, at: usize, area: Rect, buffer: &mut Buffer) {
    let style = state.theme.style(Token::Strong);
    let muted = state.theme.style(Token::Muted);
    let width = area.width.saturating_sub(4);
    match subject(state, key, usize::from(width)) {
        Subject::Nic(group, nic) => {
            let title = format!("{} {}", rows::full_name(group), nic.device);
            let inside = overlay::frame(area, &printable(&title), buffer, state.glyphs, style);
            self::nic::render(state, key, nic, at, inside, buffer);
        }
        Subject::Group(group) => {
            let title = printable(&rows::full_name(group));
            let inside = overlay::frame(area, &title, buffer, state.glyphs, style);
            let lines = self::group::lines(state, group, usize::from(width));
            let [text, lower] = split(inside, lines.len(), group.nics.len());
            overlay::lines(text, at, &lines, buffer, state.glyphs, muted);
            // The graph where there is room for both.
            let strips = u16::try_from(group.nics.len() + 1).unwrap_or(u16::MAX);
            if lower.height >= strips.saturating_add(4) {
                let plot = Rect { y: lower.y + strips, height: lower.height - strips, ..lower };
                heat::render(state, group, Direction::Rx, Rect { height: strips, ..lower }, buffer);
                graph::of_row(state, key, plot, buffer);
            } else {
                heat::render(state, group, Direction::Rx, lower, buffer);
            }
        }
        Subject::Lines(title, lines) => {
            let inside = overlay::frame(area, &printable(&title), buffer, state.glyphs, style);
            overlay::lines(inside, at, &lines, buffer, state.glyphs, muted);
        }
    }
}

/// Divides the inside between text and what is drawn below it, which begins to make sense at three lines.
fn split(inside: Rect, lines: usize, nics: usize) -> [Rect; 2] {
    let free = inside.height.saturating_sub(u16::try_from(lines).unwrap_or(u16::MAX));
    let most = u16::try_from(nics + 11).unwrap_or(u16::MAX);
    let lower = if free >= 3 { free.min(most) } else { 0 };
    let text = Rect { height: inside.height - lower, ..inside };
    [text, Rect { y: text.bottom(), height: lower, ..inside }]
}

/// How far down one can go.
pub(super) fn end(state: &State, key: &RowKey, area: Rect) -> usize {
    let inside =
        Rect::new(area.x + 2, area.y + 1, area.width.saturating_sub(4), area.height.saturating_sub(2));
    let height = usize::from(inside.height);
    match subject(state, key, usize::from(inside.width)) {
        Subject::Nic(_, nic) => self::nic::end(state, nic, inside),
        Subject::Group(group) => {
            let lines = self::group::lines(state, group, usize::from(inside.width)).len();
            let [text, _] = split(inside, lines, group.nics.len());
            lines.saturating_sub(usize::from(text.height))
        }
        Subject::Lines(_, lines) => lines.len().saturating_sub(height),
    }
}
