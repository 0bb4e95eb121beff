//! The NICs of a group over time, a line each: who received when. Totals hide collisions, these lines do not.
//!
//! ```text
//!  node0 PE 0 Rx in 10 ms windows ── max/mean 4.00x in the middle, 4.00x at worst, 1.01x over all ──
//!  nic0  █···█···█···█···█···█···█···        one cell a window, the newest at the right; as high as its share
//!  nic1  ·█···█···█···█···█···█···█··        of line rate. Here all senders meet on one NIC at a time, and go
//!  nic2  ··█···█···█···█···█···█···█·        on to the next together: the sums are even all the same.
//!  nic3  ···█···█···█···█···█···█···█
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use unicode_width::UnicodeWidthStr;

use super::super::fair;
use super::super::format::{self, eighths};
use super::super::rows::{self, RowKey, RowKind, one_node};
use super::super::state::State;
use super::super::summary::Direction;
use super::super::theme::Token;
use super::cells::Slot;
use super::groups::auto_top;
use crate::balance::max_over_mean;
use crate::monitor::model::view::{GroupView, NicView};

/// Bytes per second of each NIC of a group, over a common row of times.
struct Strips {
    /// What a cell is, in words.
    what: String,
    /// Per NIC, oldest first; all of one length.
    rates: Vec<Vec<Option<f64>>>,
}

impl Strips {
    /// Of what is received short windows, where a counter page has any; else what the samples said.
    fn of(state: &State, group: &GroupView, direction: Direction, cells: usize) -> Self {
        let windows = (direction == Direction::Rx).then(|| windows(group, cells)).flatten();
        windows.unwrap_or_else(|| samples(state, group, direction, cells))
    }

    /// The median and the largest max/mean over the cells in which anything moved.
    fn unevenness(&self) -> Option<(f64, f64)> {
        let cells = self.rates.first().map_or(0, Vec::len);
        let at = |cell: usize| self.rates.iter().filter_map(|rates| rates[cell]).collect::<Vec<f64>>();
        let mut ratios: Vec<f64> = (0..cells).filter_map(|cell| max_over_mean(&at(cell))).collect();
        ratios.sort_by(f64::total_cmp);
        Some((*ratios.get(ratios.len() / 2)?, *ratios.last()?))
    }
}

fn windows(group: &GroupView, cells: usize) -> Option<Strips> {
    let first = group.nics.iter().find_map(|nic| nic.rx_windows.as_ref())?;
    let (length, end) = (first.window_ns.max(1), first.end_mono_ns);
    let rates = |nic: &NicView| {
        let windows = nic.rx_windows.as_ref().filter(|windows| windows.window_ns == length);
        let bytes = windows.map_or(&[][..], |windows| &windows.bytes);
        // NICs of one page end together; if not, the later ones are cut to the same end.
        let late = windows.map_or(0, |windows| windows.end_mono_ns.saturating_sub(end) / length);
        let kept = bytes.len().saturating_sub(usize::try_from(late).unwrap_or(usize::MAX));
        let mut row: Vec<Option<f64>> = bytes[..kept]
            .iter()
            .rev()
            .take(cells)
            .map(|bytes| bytes.map(|bytes| bytes as f64 * 1e9 / length as f64))
            .collect();
        row.resize(cells, None);
        row.reverse();
        row
    };
    let window = format::duration(std::time::Duration::from_nanos(length));
    Some(Strips { what: format!("Rx in {window} windows"), rates: group.nics.iter().map(rates).collect() })
}

fn samples(state: &State, group: &GroupView, direction: Direction, cells: usize) -> Strips {
    let at = state.shown.as_ref().map_or(u64::MAX, |view| view.mono_ns);
    let rates = |nic: &NicView| {
        let key = RowKey::Nic(group.key.clone(), nic.key.clone());
        let (points, _) = state.history.until(&key, at, cells);
        let mut row = vec![None; cells - points.len().min(cells)];
        row.extend(points.iter().map(|point| direction.of_point(point).map(f64::from)));
        row
    };
    Strips { what: format!("{} per sample", direction.name()), rates: group.nics.iter().map(rates).collect() }
}

/// Draws the group of the selected row, in its direction: without one, what it receives.
pub(super) fn selected(state: &State, area: Rect, buffer: &mut Buffer) {
    let Some(view) = &state.shown else { return };
    let Some(row) = state.rows.get(state.selected()) else { return };
    let (group, direction) = match &row.kind {
        RowKind::Group { group, .. } | RowKind::Nic { group, .. } => (*group, Direction::Rx),
        RowKind::Way { group, direction } => (*group, *direction),
        RowKind::Node { groups } => match groups.first() {
            Some(group) => (*group, Direction::Rx),
            None => return,
        },
        _ => return,
    };
    render(state, &view.groups[group], direction, area, buffer);
}

/// Draws a group: a title, then a line per NIC as far as there is room.
pub(super) fn render(
    state: &State,
    group: &GroupView,
    direction: Direction,
    area: Rect,
    buffer: &mut Buffer,
) {
    if area.height < 2 || area.width < 20 {
        return;
    }
    let (theme, glyphs) = (state.theme, state.glyphs);
    let longest = group.nics.iter().map(|nic| nic.device.width()).max().unwrap_or(0);
    let name = u16::try_from(longest).unwrap_or(16).min(16).min(area.width / 3);
    let cells = usize::from(area.width - name - 2);
    let strips = Strips::of(state, group, direction, cells);
    title(state, group, direction, &strips, area, buffer);
    let auto = state.shown.as_ref().map_or(0.0, |view| auto_top(view));
    let plain = theme.style(direction.token());
    let fair: Vec<bool> = (0..group.nics.len()).map(|nic| !fair::is_weak(group, direction, nic)).collect();
    for (((nic, rates), &is_fair), y) in
        group.nics.iter().zip(&strips.rates).zip(&fair).zip(area.top() + 1..area.bottom())
    {
        let label = Slot { x: area.x + 1, y, width: name };
        label.left(&nic.device, theme.style(Token::Text), glyphs, buffer);
        let full = nic.link_bits_per_s.map_or(auto, |bits| bits as f64 / 8.0);
        for ((cell, rate), x) in rates.iter().enumerate().zip(area.x + name + 2..area.right()) {
            let Some(rate) = rate else { continue };
            let (symbol, style): (&str, Style) = if *rate > 0.0 {
                let over = !is_fair || is_over(&strips.rates, &fair, cell, *rate, state.max_over_mean());
                (
                    glyphs.filled_below(eighths(rate / full, 1)),
                    if over { theme.style(Token::Warn) } else { plain },
                )
            } else {
                (glyphs.track(), theme.style(Token::Muted))
            };
            buffer[(x, y)].set_symbol(symbol).set_style(style);
        }
    }
}

/// Whether one NIC of several carries more than its share at this moment: of what those carry that can.
fn is_over(rates: &[Vec<Option<f64>>], fair: &[bool], cell: usize, rate: f64, limit: f64) -> bool {
    let known: Vec<f64> =
        rates.iter().zip(fair).filter(|&(_, &fair)| fair).filter_map(|(rates, _)| rates[cell]).collect();
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    known.len() > 1 && rate > mean * limit
}

fn title(
    state: &State,
    group: &GroupView,
    direction: Direction,
    strips: &Strips,
    area: Rect,
    buffer: &mut Buffer,
) {
    let (theme, glyphs) = (state.theme, state.glyphs);
    let rule = glyphs.rule().repeat(usize::from(area.width));
    buffer.set_stringn(area.x, area.y, rule, usize::from(area.width), theme.style(Token::Muted));
    let shown = usize::from(area.height) - 1;
    let hidden = group.nics.len().saturating_sub(shown);
    let more = if hidden > 0 { format!(" ({hidden} more)") } else { String::new() };
    let alone = state.shown.as_ref().is_some_and(|view| one_node(view));
    let name = format!(" {} {}{more} ", rows::name(group, alone), strips.what);
    let slot = Slot { x: area.x, y: area.y, width: area.width };
    let strong = theme.style(direction.token()).add_modifier(Modifier::BOLD);
    slot.left(&name, strong, glyphs, buffer);
    let Some((median, worst)) = strips.unevenness() else { return };
    let over_all = format::ratio(direction.of(group).spread.max_over_mean);
    let forms = [
        format!(
            " max/mean {} at the median, {} at worst; {over_all} over the sample ",
            format::ratio(Some(median)),
            format::ratio(Some(worst))
        ),
        format!(" max/mean {}, {over_all} over the sample ", format::ratio(Some(median))),
        format!(" median {} ", format::ratio(Some(median))),
    ];
    let left = usize::from(area.width).saturating_sub(name.width() + 1);
    if let Some(text) = forms.into_iter().find(|form| form.width() <= left) {
        let style = if median > state.max_over_mean() { Token::Warn } else { Token::Muted };
        slot.right(&text, theme.style(style), glyphs, buffer);
    }
}
