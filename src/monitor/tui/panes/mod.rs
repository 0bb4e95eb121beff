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

mod cells;
mod detail;
mod graph;
mod group_row;
mod header;
mod help;
mod list;
mod nic_row;
mod notices;
mod status;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::glyphs::Glyphs;
use super::layout::{MIN_HEIGHT, MIN_WIDTH};
use super::state::{Overlay, State};
use super::theme::Token;

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
    list::render(state, plan.titles, plan.list, &mut buffer);
    graph::selected(state, plan.graph, &mut buffer);
    notices::line(state, plan.notices, &mut buffer);
    status::render(state, plan.status, &mut buffer);
    let body = Rect::new(0, plan.header.bottom(), width, height - plan.header.height - plan.status.height);
    match &state.overlay {
        Some(Overlay::Help(first)) => help::render(state, *first, body, &mut buffer),
        Some(Overlay::Notices(first)) => notices::list(state, *first, body, &mut buffer),
        Some(Overlay::Detail(key, first)) => detail::render(state, key, *first, body, &mut buffer),
        None => {}
    }
    if state.glyphs == Glyphs::Ascii {
        make_ascii(state.glyphs, &mut buffer);
    }
    buffer
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
