//! One NIC on a line: per direction a bar with the group's mean, rate, share of line rate, operations.

use ratatui::buffer::Buffer;

use super::super::columns::Column;
use super::super::fair::{self, Against};
use super::super::format;
use super::super::glyphs::{Glyphs, LOST, MORE};
use super::super::kernel::{self, Check};
use super::super::rows::RowKey;
use super::super::summary::Direction;
use super::super::theme::Token;
use super::super::widgets::bar::Bar;
use super::amounts;
use super::cells::Slot;
use super::list::{Context, extras, slots};
use crate::monitor::counter::Health;
use crate::monitor::model::view::{GroupView, Mark, NicView, SourceKind};

/// What a mark says on the row.
pub(super) fn mark_word(mark: Mark) -> &'static str {
    match mark {
        Mark::Reset => "counter reset",
        Mark::Stale => "stale",
        Mark::Dead => "dead",
        Mark::Stalled => "stalled",
        Mark::Torn => "numbers of different moments",
        Mark::New => "new",
        Mark::Unsure => "slow read",
        Mark::Gone => "gone",
        Mark::Down => "NIC down",
    }
}

/// How urgent a mark is.
pub(super) fn mark_token(mark: Mark) -> Token {
    match mark {
        Mark::Dead | Mark::Gone | Mark::Down => Token::Bad,
        Mark::Stale | Mark::Stalled => Token::Warn,
        Mark::Reset | Mark::New | Mark::Unsure | Mark::Torn => Token::Muted,
    }
}

/// What is to be said about a NIC instead of a bar, and how urgent it is: its link first, which explains the rest.
pub(super) fn words(nic: &NicView, glyphs: Glyphs) -> Option<(String, Token)> {
    let link = nic.not_active().map(|state| (format!("link {state}"), Token::Warn));
    // Torn numbers are still good for a bar, and so are rates where only those of other counters are missing; the details
    // say that they are.
    let has_rate = nic.tx.bytes_per_s.or(nic.rx.bytes_per_s).is_some();
    let matters = |mark: Mark| mark != Mark::Torn && !(mark == Mark::Unsure && has_rate);
    let marks = nic.marks.iter().filter(|&&mark| matters(mark)).map(|&mark| match mark {
        Mark::Down => (format!("{} {}", glyphs.bad(), mark_word(mark)), mark_token(mark)),
        _ => (mark_word(mark).to_owned(), mark_token(mark)),
    });
    let all: Vec<(String, Token)> = link.into_iter().chain(marks).collect();
    // A NIC that its PE does without is the worst that a link can explain.
    let down = nic.marks.contains(&Mark::Down).then_some(Token::Bad);
    let token = down.or(all.first().map(|(_, token)| *token))?;
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
    trouble(context, std::slice::from_ref(nic), Slot { x: name.x + name.width, y, width: 1 }, buffer);
    for (column, slot) in extras(&context.columns, y) {
        extra(context, nic, column, slot, buffer);
    }
    for direction in [Direction::Tx, Direction::Rx] {
        render_direction(context, (group, index), direction, y, buffer);
    }
}

fn render_direction(
    context: &Context<'_>,
    (group, index): (&GroupView, usize),
    direction: Direction,
    y: u16,
    buffer: &mut Buffer,
) {
    let nic = &group.nics[index];
    let (theme, glyphs) = (context.state.theme, context.state.glyphs);
    let flow = direction.flow(nic);
    let cells = slots(&context.columns, context.x(direction), y);
    let muted = theme.style(Token::Muted);
    let link = nic.link_bits_per_s.map(|bits| bits as f64 / 8.0);
    let whole = link.unwrap_or(context.auto_top);
    let mean = fair::mean(group, direction);
    let against = Against::of(group, direction, index, context.view.max_over_mean);
    let key = RowKey::Nic(group.key.clone(), nic.key.clone());
    let peak = context.state.history.peak(&key).and_then(|peak| direction.of_point(&peak)).map(f64::from);
    // Over the limit the bar takes the colour of a warning; the flag beside the number says it without colour.
    let fill =
        if against == Against::Over { theme.style(Token::Warn) } else { theme.style(direction.token()) };
    if let (Some((words, token)), Direction::Tx) = (words(nic, glyphs), direction) {
        cells.bar.left(&words, theme.style(token), glyphs, buffer);
    } else if let (Some(rate), true) = (flow.bytes_per_s, whole > 0.0) {
        let area = ratatui::layout::Rect::new(cells.bar.x, y, cells.bar.width, 1);
        let bar = Bar {
            share: rate / whole,
            mean: mean.map(|m| m / whole),
            peak: peak.map(|peak| peak / whole),
            fill,
            track: muted,
            mark: theme.style(Token::Mean),
            peak_mark: theme.style(Token::Peak),
        };
        bar.render(area, buffer, glyphs);
    }
    match against {
        Against::Over => cells.flag.left(glyphs.over(), theme.style(Token::Warn), glyphs, buffer),
        Against::Under => cells.flag.left(glyphs.under(), muted, glyphs, buffer),
        // What is wrong with one that is out stands in its bar's place.
        Against::Weak if !nic.is_out() => {
            cells.flag.left(glyphs.under(), theme.style(Token::Warn), glyphs, buffer);
        }
        Against::Within | Against::Weak => {}
    }
    let number = theme.style(if flow.bytes_per_s.is_some() { Token::Text } else { Token::Muted });
    let bytes = || amounts::of_nic(context.state, context.view, group, nic, direction);
    let amount = amounts::text(context.state, &context.scale, flow.bytes_per_s, bytes);
    cells.rate.right(&amount, number, glyphs, buffer);
    cells.peak.right(&context.scale.number(peak), muted, glyphs, buffer);
    cells.total.right(&amounts::total(flow.bytes), muted, glyphs, buffer);
    let share = match (flow.bytes_per_s, link) {
        // Without a line rate the bar's full length is the busiest NIC's rate: say so, on the row.
        (Some(_), None) => "auto".to_owned(),
        (rate, link) => format::percent(rate.zip(link).map(|(rate, link)| rate / link)),
    };
    // As the rate: a change of look within a row costs more bytes than the digits.
    cells.percent.right(&share, number, glyphs, buffer);
    // Packets that nobody asked for are not read, which is not the same as missing.
    if nic.source == SourceKind::Page || context.state.columns.has(Column::Packets) {
        cells.ops.right(&format::compact(flow.ops_per_s), number, glyphs, buffer);
    }
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

/// How urgent it is that a health quantity rises.
pub(super) fn health_token(quantity: Health) -> Token {
    match quantity {
        Health::Drops | Health::Timeouts => Token::Bad,
        Health::Retransmits | Health::Congestion => Token::Warn,
    }
}

/// A sign behind the name when something is lost or the network is congested: also where no column says how much.
pub(super) fn trouble(context: &Context<'_>, nics: &[NicView], slot: Slot, buffer: &mut Buffer) {
    let rises =
        |quantity: &Health| nics.iter().any(|nic| nic.health[*quantity].per_s.is_some_and(|rate| rate > 0.0));
    let lost = [Health::Drops, Health::Timeouts, Health::Retransmits].iter().find(|quantity| rises(quantity));
    let (theme, glyphs) = (context.state.theme, context.state.glyphs);
    if let Some(quantity) = lost {
        slot.left(LOST, theme.style(health_token(*quantity)), glyphs, buffer);
    } else if rises(&Health::Congestion) {
        slot.left(glyphs.congested(), theme.style(Token::Warn), glyphs, buffer);
    }
}

/// A column right of both directions.
fn extra(context: &Context<'_>, nic: &NicView, column: Column, slot: Slot, buffer: &mut Buffer) {
    let (theme, glyphs) = (context.state.theme, context.state.glyphs);
    let or = |text: Option<&str>| text.unwrap_or(format::MISSING).to_owned();
    let short = |pci: &str| pci.strip_prefix("0000:").unwrap_or(pci).to_owned();
    let (text, token) = match column {
        Column::State => {
            (or(nic.state.as_deref()), if nic.not_active().is_some() { Token::Bad } else { Token::Muted })
        }
        Column::Numa => (nic.numa.map_or_else(|| or(None), |node| node.to_string()), Token::Muted),
        Column::Gpu => (nic.gpus.first().map_or_else(|| or(None), |gpu| short(gpu)), Token::Muted),
        Column::Netdev => (or(nic.netdev.as_deref()), Token::Muted),
        Column::Driver => (nic.driver.clone(), Token::Muted),
        Column::Pci => (or(nic.pci.as_deref()), Token::Muted),
        _ => match column.health() {
            Some(quantity) => {
                let rate = nic.health[quantity].per_s;
                let rises = rate.is_some_and(|rate| rate > 0.0);
                (format::compact(rate), if rises { health_token(quantity) } else { Token::Muted })
            }
            None => return,
        },
    };
    if column.is_number() {
        slot.right(&text, theme.style(token), glyphs, buffer);
    } else {
        slot.left(&text, theme.style(token), glyphs, buffer);
    }
}
