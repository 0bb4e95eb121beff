//! One NIC on a line: per direction a bar with the group's mean, rate, share of line rate, operations.

use ratatui::buffer::Buffer;

use super::super::format;
use super::super::glyphs::MORE;
use super::super::kernel::{self, Check};
use super::super::summary::Direction;
use super::super::theme::Token;
use super::super::widgets::bar::Bar;
use super::cells::Slot;
use super::list::{Context, slots};
use crate::balance::DEFAULT_MAX_OVER_MEAN;
use crate::monitor::model::view::{Flow, GroupView, Mark, NicView};

/// What a mark says on the row.
pub(super) fn mark_word(mark: Mark) -> &'static str {
    match mark {
        Mark::Reset => "counter reset",
        Mark::Stale => "stale",
        Mark::Dead => "dead",
        Mark::Stalled => "stalled",
        Mark::Torn => "numbers of different moments",
        Mark::New => "new",
        Mark::Gone => "gone",
    }
}

/// How urgent a mark is.
pub(super) fn mark_token(mark: Mark) -> Token {
    match mark {
        Mark::Dead | Mark::Gone => Token::Bad,
        Mark::Stale | Mark::Stalled => Token::Warn,
        Mark::Reset | Mark::New | Mark::Torn => Token::Muted,
    }
}

/// What is to be said about a NIC instead of a bar, and how urgent it is: its link first, which explains the rest.
fn words(nic: &NicView) -> Option<(String, Token)> {
    let link = nic.not_active().map(|state| (format!("link {state}"), Token::Warn));
    // Torn numbers are still good for a bar; the details say that they are.
    let marks = nic
        .marks
        .iter()
        .filter(|&&mark| mark != Mark::Torn)
        .map(|&mark| (mark_word(mark).to_owned(), mark_token(mark)));
    let all: Vec<(String, Token)> = link.into_iter().chain(marks).collect();
    let token = all.first()?.1;
    Some((all.into_iter().map(|(word, _)| word).collect::<Vec<_>>().join(", "), token))
}

/// Draws a NIC's line.
pub(super) fn render(
    context: &Context<'_>,
    group: &GroupView,
    index: usize,
    selected: bool,
    y: u16,
    buffer: &mut Buffer,
) {
    let state = context.state;
    let nic = &group.nics[index];
    let indent = if context.columns.name >= 11 { 2 } else { 1 };
    let name = Slot { x: 1 + indent, y, width: context.columns.name - indent };
    let token = if selected { Token::Selected } else { Token::Text };
    name.left(&nic.device, state.theme.style(token), state.glyphs, buffer);
    for direction in [Direction::Tx, Direction::Rx] {
        render_direction(context, group, nic, direction, y, buffer);
    }
}

fn render_direction(
    context: &Context<'_>,
    group: &GroupView,
    nic: &NicView,
    direction: Direction,
    y: u16,
    buffer: &mut Buffer,
) {
    let (theme, glyphs) = (context.state.theme, context.state.glyphs);
    let (flow, token): (&Flow, Token) = match direction {
        Direction::Tx => (&nic.tx, Token::Tx),
        Direction::Rx => (&nic.rx, Token::Rx),
    };
    let cells = slots(context.columns, context.x(direction), y);
    let muted = theme.style(Token::Muted);
    let link = nic.link_bits_per_s.map(|bits| bits as f64 / 8.0);
    let whole = link.unwrap_or(context.auto_top);
    let mean = mean(group, direction);
    let against = Against::of(flow, mean, direction.of(group).spread.verdict.is_imbalance());
    // Over the limit the bar takes the colour of a warning; the flag beside the number says it without colour.
    let fill = if against == Against::Over { theme.style(Token::Warn) } else { theme.style(token) };
    if let (Some((words, token)), Direction::Tx) = (words(nic), direction) {
        cells.bar.left(&words, theme.style(token), glyphs, buffer);
    } else if let (Some(rate), true) = (flow.bytes_per_s, whole > 0.0) {
        let area = ratatui::layout::Rect::new(cells.bar.x, y, cells.bar.width, 1);
        let bar = Bar {
            share: rate / whole,
            mean: mean.map(|m| m / whole),
            fill,
            track: muted,
            mark: theme.style(Token::Mean),
        };
        bar.render(area, buffer, glyphs);
    }
    match against {
        Against::Over => cells.flag.left(glyphs.over(), theme.style(Token::Warn), glyphs, buffer),
        Against::Under => cells.flag.left(glyphs.under(), muted, glyphs, buffer),
        Against::Within => {}
    }
    let number = theme.style(if flow.bytes_per_s.is_some() { Token::Text } else { Token::Muted });
    cells.rate.right(&context.scale.number(flow.bytes_per_s), number, glyphs, buffer);
    let share = match (flow.bytes_per_s, link) {
        // Without a line rate the bar's full length is the busiest NIC's rate: say so, on the row.
        (Some(_), None) => "auto".to_owned(),
        (rate, link) => format::percent(rate.zip(link).map(|(rate, link)| rate / link)),
    };
    cells.percent.right(&share, muted, glyphs, buffer);
    cells.ops.right(&format::compact(flow.ops_per_s), muted, glyphs, buffer);
    let (kernel, check) = kernel::check(nic, direction);
    let style = match check {
        Check::Less => {
            cells.kernel_flag.left(glyphs.differs(), theme.style(Token::Bad), glyphs, buffer);
            theme.style(Token::Bad)
        }
        Check::More => {
            cells.kernel_flag.left(MORE, theme.style(Token::Warn), glyphs, buffer);
            theme.style(Token::Warn)
        }
        Check::Agrees | Check::Unknown => muted,
    };
    if nic.kernel.is_some() {
        cells.kernel.right(&context.scale.number(kernel), style, glyphs, buffer);
    }
}

/// The mean over the group's NICs whose rate is known; `None` for a single NIC, which has nobody to be compared with.
pub(super) fn mean(group: &GroupView, direction: Direction) -> Option<f64> {
    let rates = group.nics.iter().filter_map(|nic| match direction {
        Direction::Tx => nic.tx.bytes_per_s,
        Direction::Rx => nic.rx.bytes_per_s,
    });
    let (sum, count) = rates.fold((0.0, 0_u32), |(sum, count), rate| (sum + rate, count + 1));
    (count > 1).then(|| sum / f64::from(count))
}

/// A NIC against the mean of a group that is uneven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Against {
    Over,
    Within,
    Under,
}

impl Against {
    fn of(flow: &Flow, mean: Option<f64>, uneven: bool) -> Self {
        match (flow.bytes_per_s, mean) {
            (Some(rate), Some(mean)) if uneven && rate > mean * DEFAULT_MAX_OVER_MEAN => Self::Over,
            (Some(rate), Some(mean)) if uneven && rate < mean / DEFAULT_MAX_OVER_MEAN => Self::Under,
            _ => Self::Within,
        }
    }
}
