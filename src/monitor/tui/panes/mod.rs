//! The panes of the screen: free functions from the state to cells.
//!
//! ```text
//!  railtop  gpu-7  2 nodes, 8 PEs, 32 NICs  policy round-robin  every 1 s   10:00Z  header: where and when
//!  Tx 1552.2 Mb/s ✓ balanced 1.01x   Rx 1551.9 Mb/s ✗ single NIC 4.00x, 8/8 PEs           the verdict
//!  Look at Rx: all of it lands on one NIC of each PE.                        caption (demo, two lines)
//!  PE, NIC  Tx of line rate   Mb/s %|m/m op|on  kernel Rx of line rate …     titles: of a NIC | of a group
//!  node0    ✓ balanced       776.7 1.01x 16/16         ✗ 4/4 PEs …           list: node,
//! ▶▾PE 0    ▂▂▂▂ ✓ balanced  194.5 1.01x   4/4   198.4 █··· ✗ single …         group: strip, verdict, sums,
//!   nic0    ███│···········   48.1   24%    92    49.1 ███│██████████▍▲ …      NIC: bar with the mean
//!  ▸PE 1    ▂▂▂▂ ✓ balanced  194.3 1.01x   4/4   198.2 ·█·· ✗ single …
//!  node0 PE 0 Tx 194 Mb/s ─ full 800 Mb/s, 29 s ─ node0 PE 0 Rx 192 Mb/s …   graph of the selected group
//!       ⣿⣿⣿⣿⣿⣶⣶⣶⣶⣶                                   ⣿⣿⣿⣿⣿⣶⣶⣶⣶⣶
//!  ! 2 notices (n lists them): mlx5_1: cannot read …                          notices
//!  q quit  ? help  p pause  s sort: natural  / filter  Enter detail           status
//! ```

mod amounts;
mod detail;
mod events;
mod fleet;
mod gpus;
mod graph;
mod group_row;
mod groups;
mod header;
mod heat;
mod help;
mod list;
mod nic_row;
mod nothing;
mod notices;
mod picker;
mod processes;
mod status;
mod tab_bar;
mod table;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::columns::Column;
use super::glyphs::Glyphs;
use super::layout::{MIN_HEIGHT, MIN_WIDTH, Plan};
use super::rows::RowKind;
use super::state::{Overlay, State};
use super::tabs::Tab;
use super::theme::Token;
use super::widgets::cells;

/// Draws the whole screen for the size the state knows.
pub(super) fn screen(state: &State) -> Buffer {
    let (width, height) = state.size();
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    let Some(plan) = state.plan else {
        too_small(state, area, &mut buffer);
        return buffer;
    };
    header::render(state, plan.header, &mut buffer);
    header::caption(state, plan.caption, &mut buffer);
    tab(state, plan, &mut buffer);
    notices::line(state, plan.notices, &mut buffer);
    // In a low window the tabs have the status line, unless something is being typed there.
    if plan.tabs != plan.status || state.prompt.is_some() {
        status::render(state, plan.status, &mut buffer);
    }
    if plan.tabs != plan.status || state.prompt.is_none() {
        tab_bar::render(state, plan.tabs, plan.tabs == plan.status, &mut buffer);
    }
    let body = body(state, plan);
    match &state.overlay {
        Some(Overlay::Help(first)) => help::render(state, *first, body, &mut buffer),
        Some(Overlay::Notices(first)) => notices::list(state, *first, body, &mut buffer),
        Some(Overlay::Columns(at)) => picker::render(state, *at, body, &mut buffer),
        Some(Overlay::Detail(key, first)) => detail::render(state, key, *first, body, &mut buffer),
        None => {}
    }
    if state.glyphs == Glyphs::Ascii {
        make_ascii(state.glyphs, &mut buffer);
    }
    buffer
}

/// Where overlays lie: on everything between the first lines and the last.
fn body(state: &State, plan: Plan) -> Rect {
    let (width, height) = state.size();
    Rect::new(0, plan.header.bottom(), width, height - plan.header.height - plan.status.height)
}

/// The tab that is open, or why there is nothing in it.
fn tab(state: &State, plan: Plan, buffer: &mut Buffer) {
    let Some(view) = &state.shown else { return };
    if let Some(reason) = nothing::reason(state, view) {
        return nothing::render(state, view, &reason, plan.list, buffer);
    }
    match state.tab {
        Tab::Nics => {
            list::render(state, view, plan.titles, plan.list, buffer);
            if state.heat {
                heat::selected(state, plan.graph, buffer);
            } else {
                graph::selected(state, plan.graph, buffer);
            }
        }
        Tab::Groups => {
            groups::render(state, view, plan.titles, plan.list, buffer);
            heat::selected(state, plan.graph, buffer);
        }
        Tab::Processes => {
            processes::render(state, view, plan.titles, plan.list, buffer);
            processes::lower(state, view, plan.graph, buffer);
        }
        Tab::Events => events::render(state, view, plan.titles, plan.list, buffer),
        Tab::Fleet => {
            fleet::render(state, view, plan.titles, plan.list, buffer);
            // A node without numbers has no history.
            if !matches!(state.rows.get(state.selected()).map(|row| &row.kind), Some(RowKind::Remote(_))) {
                graph::selected(state, plan.graph, buffer);
            }
        }
        Tab::Gpus => {
            gpus::render(state, view, plan.titles, plan.list, buffer);
            gpus::lower(state, view, plan.graph, buffer);
        }
    }
}

/// How far the open overlay's position goes at the size of the window.
pub(super) fn overlay_end(state: &State) -> usize {
    let Some(plan) = state.plan else { return 0 };
    match &state.overlay {
        Some(Overlay::Help(_)) => help::end(state, body(state, plan)),
        Some(Overlay::Notices(_)) => notices::end(state, body(state, plan)),
        Some(Overlay::Columns(_)) => Column::ALL.len() - 1,
        Some(Overlay::Detail(key, _)) => detail::end(state, key, body(state, plan)),
        None => 0,
    }
}

/// A message instead of a screen; with the verdict, which fits almost anywhere.
fn too_small(state: &State, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let mut lines = header::verdict_lines(state);
    let size = format!("{}x{} is too small, {MIN_WIDTH}x{MIN_HEIGHT} is enough", area.width, area.height);
    if area.height == 1 {
        lines = vec![size];
    } else {
        lines.truncate(usize::from(area.height) - 1);
        lines.push(size);
    }
    for (line, y) in lines.iter().zip(area.top()..area.bottom()) {
        let line = state.glyphs.text(line);
        buffer.set_stringn(0, y, line, usize::from(area.width), state.theme.style(Token::Text));
    }
}

/// The last gate before an ASCII terminal: names from outside may hold anything.
fn make_ascii(glyphs: Glyphs, buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if !cell.symbol().is_ascii() {
            let ascii = glyphs.text(cell.symbol());
            cell.set_symbol(ascii.get(..1).unwrap_or("?"));
        }
    }
}
