//! Who gets which lines and columns: what goes first when the window is small.

use ratatui::layout::Rect;

use super::columns::Column;

/// Below this the screen is a message.
pub(super) const MIN_WIDTH: u16 = 40;
/// See [`MIN_WIDTH`].
pub(super) const MIN_HEIGHT: u16 = 8;
/// A graph smaller than this (title and lines) says nothing.
const MIN_GRAPH: u16 = 4;
/// A higher one says no more, and costs bytes with every sample.
const MAX_GRAPH: u16 = 13;
/// The list gets at least this before there is a graph.
const MIN_LIST: u16 = 7;

/// The areas of the screen; an area of height 0 is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Plan {
    pub(super) header: Rect,
    /// The tab bar; in a low window it takes the status line's place.
    pub(super) tabs: Rect,
    pub(super) caption: Rect,
    pub(super) titles: Rect,
    pub(super) list: Rect,
    pub(super) graph: Rect,
    pub(super) notices: Rect,
    pub(super) status: Rect,
}

/// What wants a place.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wants {
    /// Rows of the list with all groups expanded.
    pub(super) expanded: usize,
    /// Rows as they are, unless [`auto`](Self::auto) decides.
    pub(super) rows: usize,
    /// Rows with all groups collapsed.
    pub(super) collapsed: usize,
    /// Rows of the selected group, which unfolds by itself when the others are collapsed and it fits.
    pub(super) opened: usize,
    /// Collapse by oneself when the rows do not fit.
    pub(super) auto: bool,
    pub(super) graph: bool,
    pub(super) notices: bool,
    pub(super) caption_lines: u16,
}

/// Which groups show their NICs, for lack of room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// All.
    All,
    /// The selected one.
    Selected,
    /// None.
    None,
}

/// Divides a window. Returns the areas and what there is room for; `None` when the window is too small for anything.
pub(super) fn plan(width: u16, height: u16, wants: Wants) -> Option<(Plan, Room)> {
    if width < MIN_WIDTH || height < MIN_HEIGHT {
        return None;
    }
    let header = if height >= 12 { 2 } else { 1 };
    let caption = if height >= 12 { wants.caption_lines.min(2) } else { 0 };
    let tabs = u16::from(height >= 12);
    let notices = u16::from(wants.notices && height >= 10);
    let body = height - header - tabs - caption - 1 - notices - 1;
    let graph_room = if wants.graph && body >= MIN_LIST + MIN_GRAPH { MIN_GRAPH } else { 0 };
    let fits = |rows: usize| rows <= usize::from(body - graph_room);
    let (room, auto_rows) = if fits(wants.expanded) {
        (Room::All, wants.expanded)
    } else if fits(wants.collapsed + wants.opened) {
        (Room::Selected, wants.collapsed + wants.opened)
    } else {
        (Room::None, wants.collapsed)
    };
    let rows = if wants.auto { auto_rows } else { wants.rows };
    let graph = if graph_room == 0 || rows == 0 {
        0
    } else {
        // Whatever the list leaves, up to a height at which a graph stops saying more.
        let free = body.saturating_sub(u16::try_from(rows).unwrap_or(u16::MAX));
        free.clamp(MIN_GRAPH, MAX_GRAPH).min(body - MIN_LIST)
    };
    let mut y = 0;
    let mut take = |lines: u16| {
        let area = Rect::new(0, y, width, lines);
        y += lines;
        area
    };
    let plan = Plan {
        header: take(header),
        tabs: take(tabs),
        caption: take(caption),
        titles: take(1),
        list: take(body - graph),
        graph: take(graph),
        notices: take(notices),
        status: take(1),
    };
    let plan = if tabs == 0 { Plan { tabs: plan.status, ..plan } } else { plan };
    Some((plan, room))
}

/// Columns of the list. A direction is: space, bar, flag, rate, flag, per cent, operations, kernel's rate, peak, total.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) name: u16,
    /// Width of a direction, all of it.
    pub(super) direction: u16,
    pub(super) bar: u16,
    /// 0 when there is no room or it is not wanted; so with all below.
    pub(super) percent: u16,
    pub(super) ops: u16,
    pub(super) kernel: u16,
    pub(super) peak: u16,
    pub(super) total: u16,
    /// Columns right of both directions, with their widths.
    pub(super) extras: Vec<(Column, u16)>,
}

/// Width of a rate.
pub(super) const RATE: u16 = 6;
/// Space, flag, rate, flag (which is also the space before per cent).
const FIXED: u16 = 3 + RATE;
/// Bars are not cut below this for columns that are only nice to have.
const MIN_BAR: u16 = 10;

impl Columns {
    /// Divides a width of at least [`MIN_WIDTH`]. `longest` is the longest name; `wanted` are the columns that are
    /// chosen and have data, the first of which are kept longest.
    pub(super) fn of(width: u16, longest: u16, wanted: &[Column]) -> Self {
        let most = match width {
            ..60 => 9,
            60..80 => 11,
            80..100 => 13,
            100..140 => 22,
            _ => 34,
        };
        let name = (longest + 2).clamp(8, most);
        let has = |column| wanted.contains(&column);
        let direction = (width - 1 - name) / 2;
        let percent: u16 = if has(Column::Percent) && direction >= 22 { 5 } else { 0 };
        let ops = match direction {
            _ if !has(Column::Packets) => 0,
            ..31 => 0,
            31..34 => 5,
            _ => 6,
        };
        let mut columns =
            Self { name, direction, bar: 0, percent, ops, kernel: 0, peak: 0, total: 0, extras: Vec::new() };
        let mut free = direction.saturating_sub(FIXED + percent + ops);
        for (column, width) in [(Column::Kernel, 8), (Column::Peak, 7), (Column::Total, 8)] {
            // The kernel's figure has been there since before there was a choice, at a little more width.
            let least = if column == Column::Kernel { MIN_BAR + 10 } else { MIN_BAR + width };
            if has(column) && free >= least {
                free -= width;
                match column {
                    Column::Kernel => columns.kernel = width,
                    Column::Peak => columns.peak = width,
                    _ => columns.total = width,
                }
            }
        }
        let mut spare = free.saturating_sub(MIN_BAR + 2) * 2;
        for column in wanted {
            if let Some((_, width)) = column.extra().filter(|(_, width)| *width <= spare) {
                spare -= width;
                columns.extras.push((*column, width));
            }
        }
        let extras: u16 = columns.extras.iter().map(|(_, width)| width).sum();
        columns.direction = (width - 1 - name - extras) / 2;
        let fixed = FIXED + percent + ops + columns.kernel + columns.peak + columns.total;
        columns.bar = columns.direction - fixed;
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_given_out_once() {
        for height in MIN_HEIGHT..80 {
            for (graph, notices, caption_lines) in [(true, true, 2), (false, false, 0), (true, false, 1)] {
                let wants = Wants {
                    expanded: 42,
                    rows: 42,
                    collapsed: 10,
                    opened: 4,
                    auto: true,
                    graph,
                    notices,
                    caption_lines,
                };
                let (p, _) = plan(80, height, wants).unwrap();
                let tabs =
                    if p.tabs == p.status { Rect { height: 0, y: p.caption.y, ..p.tabs } } else { p.tabs };
                let areas = [p.header, tabs, p.caption, p.titles, p.list, p.graph, p.notices, p.status];
                assert_eq!(areas.iter().map(|a| a.height).sum::<u16>(), height);
                assert!(areas.windows(2).all(|w| w[0].bottom() == w[1].y));
                assert!(p.list.height >= 3, "{height}");
                assert!(p.graph.height == 0 || p.list.height >= MIN_LIST);
            }
        }
        assert!(plan(39, 50, Wants::default()).is_none() && plan(80, 7, Wants::default()).is_none());
    }

    #[test]
    fn columns_fill_the_width_and_leave_a_bar() {
        for width in MIN_WIDTH..250 {
            for longest in [0, 8, 40] {
                for wanted in
                    [&[][..], &Column::ALL[..2], &Column::ALL[..3], &Column::ALL[..], &Column::ALL[5..]]
                {
                    let c = Columns::of(width, longest, wanted);
                    let used = c.bar + FIXED + c.percent + c.ops + c.kernel + c.peak + c.total;
                    assert_eq!(used, c.direction, "{width}");
                    assert!(c.bar >= 6, "{width}: {c:?}");
                    let extras: u16 = c.extras.iter().map(|(_, width)| width).sum();
                    assert!(1 + c.name + 2 * c.direction + extras <= width);
                }
            }
        }
        assert_eq!(Columns::of(160, 20, &Column::ALL).extras.first().map(|e| e.0), Some(Column::Drops));
    }
}
