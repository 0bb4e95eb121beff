//! A group's or a node's line: the NICs as a strip, the verdict, total, max/mean, active NICs.

use ratatui::buffer::Buffer;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use super::super::fair::Against;
use super::super::format;
use super::super::glyphs::MORE;
use super::super::kernel::{self, Check};
use super::super::rows::{self, RowKey};
use super::super::summary::{Direction, Summary};
use super::super::theme::Token;
use super::super::widgets::strip;
use super::amounts;
use super::cells::Slot;
use super::list::{Context, extras, slots};
use super::nic_row::{health_token, mark_token, mark_word, trouble};
use crate::balance::Verdict;
use crate::monitor::model::view::{GroupFlow, GroupView, Mark};

/// Draws a group's line.
pub(super) fn render(
    context: &Context<'_>,
    group: &GroupView,
    folded: bool,
    selected: bool,
    y: u16,
    buffer: &mut Buffer,
) {
    let state = context.state;
    let (theme, glyphs) = (state.theme, state.glyphs);
    let marker = Slot { x: 1, y, width: 1 };
    marker.left(glyphs.folded(folded), theme.style(Token::Muted), glyphs, buffer);
    let name = Slot { x: 2, y, width: context.columns.name - 1 };
    let text = if context.under_node {
        rows::short_name(group)
    } else {
        let own = rows::name(group, context.one_node);
        rows::with_job(&own, context.job(group), name.width, glyphs)
    };
    let token = if selected { Token::Selected } else { Token::Strong };
    name.left(&text, theme.style(token), glyphs, buffer);
    let urgent = urgent(group);
    let sign = Slot { x: name.x + name.width, y, width: 1 };
    if folded && out(group) > 0 {
        // As loud as the NIC's own row.
        let failed = group.nics.iter().any(|nic| nic.marks.contains(&Mark::Down));
        let token = if failed { Token::Bad } else { Token::Warn };
        sign.left(glyphs.bad(), theme.style(token), glyphs, buffer);
    } else if folded {
        trouble(context, &group.nics, sign, buffer);
    }
    health(context, group, y, buffer);
    for (direction, token) in [(Direction::Tx, Token::Tx), (Direction::Rx, Token::Rx)] {
        let flow = direction.of(group);
        let slots = slots(&context.columns, context.x(direction), y);
        let verdict = flow.spread.verdict;
        let style = |index| match Against::of(group, direction, index, context.view.max_over_mean) {
            Against::Over | Against::Weak => theme.style(Token::Warn),
            Against::Within | Against::Under => theme.style(token),
        };
        let shares: Vec<Option<(f64, Style)>> = group
            .nics
            .iter()
            .enumerate()
            .map(|(index, nic)| {
                let rate = direction.flow(nic).bytes_per_s?;
                let share = rate / nic.link_bits_per_s.map_or(context.auto_top, |bits| bits as f64 / 8.0);
                Some((share, style(index)))
            })
            .collect();
        let strip_width = strip_width(slots.bar.width, shares.len());
        let used = strip::render((slots.bar.x, y), strip_width, &shares, buffer, glyphs);
        let rest = Slot { x: slots.bar.x + used, width: slots.bar.width - used, ..slots.bar };
        let (word, style) = match (urgent, flow.bytes_per_s) {
            (Some(mark), _) => (mark_word(mark).to_owned(), theme.style(mark_token(mark))),
            (None, None) => ("no rate yet".to_owned(), theme.style(Token::Muted)),
            (None, Some(_)) if verdict == Verdict::Unknown => {
                (unknown(flow.unread, rest.width), theme.verdict(verdict))
            }
            (None, Some(_)) if is_slow(flow) && !verdict.is_imbalance() => {
                let forms = ["slow NIC", "slow", ""];
                let forms = forms.map(|word| format!("{} {word}", glyphs.under()).trim_end().to_owned());
                let fits = forms.into_iter().find(|form| form.width() < usize::from(rest.width).max(3));
                (fits.unwrap_or_default(), theme.style(Token::Warn))
            }
            (None, Some(_)) => (words(verdict, glyphs.verdict(verdict), rest.width), theme.verdict(verdict)),
        };
        let (word, style) = match out(group) {
            0 => (word, style),
            _ if urgent.is_some() => (word, style),
            down => {
                let style = if verdict.is_imbalance() { style } else { theme.style(Token::Warn) };
                (with_down(word, glyphs.verdict(verdict), down, rest.width), style)
            }
        };
        let bytes = || amounts::of_groups(state, context.view, std::iter::once(group), direction);
        let amount = amounts::text(state, &context.scale, flow.bytes_per_s, bytes);
        // A group has no flag: unless the number reaches up to it, its place makes room for a blank behind the strip.
        let spare = if amount.width() < usize::from(slots.rate.width) { slots.flag.width } else { 0 };
        let room = rest.width + spare;
        let gap = u16::from(room > u16::try_from(word.width()).unwrap_or(0));
        Slot { x: rest.x + gap, width: room - gap, ..rest }.left(&word, style, glyphs, buffer);
        let strong = theme.style(Token::Strong);
        slots.rate.right(&amount, strong, glyphs, buffer);
        let peak = state.history.peak(&RowKey::Group(group.key.clone()));
        let peak = peak.and_then(|peak| direction.of_point(&peak)).map(f64::from);
        slots.peak.right(&context.scale.number(peak), theme.style(Token::Muted), glyphs, buffer);
        let ratio = flow.bytes_per_s.and(flow.spread.max_over_mean);
        let style = if verdict.is_imbalance() { theme.verdict(verdict) } else { theme.style(Token::Text) };
        slots.percent.right(&format::judged_ratio(ratio, context.view.max_over_mean), style, glyphs, buffer);
        if flow.bytes_per_s.is_some() {
            active(slots.ops, flow.spread.active_nics, flow.spread.nics, context, buffer);
        }
        // Also where there is no room for the kernel's column: a disagreement of one NIC shows on its group.
        let checks = || group.nics.iter().map(|nic| kernel::check(nic, direction));
        if checks().any(|(_, check)| check == Check::Less) {
            slots.kernel_flag.left(glyphs.differs(), theme.style(Token::Bad), glyphs, buffer);
        } else if checks().any(|(_, check)| check == Check::More) {
            slots.kernel_flag.left(MORE, theme.style(Token::Warn), glyphs, buffer);
        }
        let kernel: Option<f64> = checks().map(|(rate, _)| rate).sum();
        if group.nics.iter().any(|nic| nic.kernel.is_some()) {
            slots.kernel.right(&context.scale.number(kernel), theme.style(Token::Muted), glyphs, buffer);
        }
    }
}

/// The sums of a group's health quantities.
fn health(context: &Context<'_>, group: &GroupView, y: u16, buffer: &mut Buffer) {
    let state = context.state;
    for (column, slot) in extras(&context.columns, y) {
        let Some(quantity) = column.health() else { continue };
        let known: Option<f64> = group
            .nics
            .iter()
            .filter_map(|nic| nic.health[quantity].per_s)
            .fold(None, |sum, rate| Some(sum.unwrap_or(0.0) + rate));
        let rises = known.is_some_and(|rate| rate > 0.0);
        let token = if rises { health_token(quantity) } else { Token::Muted };
        slot.right(&format::compact(known), state.theme.style(token), state.glyphs, buffer);
    }
}

/// How many NICs are down, beside the verdict (or its glyph, where there is no room for both): that is why the others
/// carry more.
fn with_down(word: String, glyph: &str, down: usize, width: u16) -> String {
    let forms = [format!("{word}, {down} down"), format!("{glyph} {down} down")];
    let fits = forms.into_iter().find(|form| down > 0 && form.width() < usize::from(width));
    fits.unwrap_or(word)
}

/// How many of a group's NICs are down, or have a port that is.
pub(super) fn out(group: &GroupView) -> usize {
    group.nics.iter().filter(|nic| nic.is_out()).count()
}

/// Whether one NIC is far behind the others, which a group of many can hide from max/mean.
pub(super) fn is_slow(flow: &GroupFlow) -> bool {
    flow.distribution.is_some_and(|distribution| distribution.slow.is_some())
}

/// The mark that explains a group's numbers, or that there are none.
pub(super) fn urgent(group: &GroupView) -> Option<Mark> {
    group.marks.iter().copied().find(|mark| matches!(mark, Mark::Dead | Mark::Stalled | Mark::Stale))
}

/// Active NICs out of all, where that fits with a space before it.
fn active(slot: Slot, active: usize, nics: usize, context: &Context<'_>, buffer: &mut Buffer) {
    let text = format!("{active}/{nics}");
    if text.len() < usize::from(slot.width) {
        let style = context.state.theme.style(Token::Text);
        slot.right(&text, style, context.state.glyphs, buffer);
    }
}

/// Draws a node's line: the sum of its groups and the worst verdict among them.
pub(super) fn node(context: &Context<'_>, groups: &[usize], selected: bool, y: u16, buffer: &mut Buffer) {
    let state = context.state;
    let (theme, glyphs) = (state.theme, state.glyphs);
    let members = || groups.iter().map(|&index| &context.view.groups[index]);
    let width = context.columns.name;
    let name = members().next().map(|g| rows::with_job(&g.node, context.job(g), width, glyphs));
    let token = if selected { Token::Selected } else { Token::Strong };
    Slot { x: 1, y, width }.left(&name.unwrap_or_default(), theme.style(token), glyphs, buffer);
    for direction in [Direction::Tx, Direction::Rx] {
        let summary = Summary::of(members(), direction);
        let slots = slots(&context.columns, context.x(direction), y);
        let words = match summary.verdict {
            None => "no rate yet".to_owned(),
            Some(verdict) if verdict.is_imbalance() => {
                let (glyph, uneven, busy) = (glyphs.verdict(verdict), summary.uneven, summary.busy);
                let what = members().next().map_or("group", |group| rows::word(group.kind));
                let forms = [
                    format!("{glyph} {uneven} of {busy} {what}s uneven"),
                    format!("{glyph} {uneven}/{busy} {what}s"),
                ];
                let fits = forms.into_iter().find(|form| form.width() <= usize::from(slots.bar.width));
                fits.unwrap_or_else(|| format!("{glyph} {uneven}/{busy}"))
            }
            Some(Verdict::Unknown) => unknown(summary.unread, slots.bar.width),
            Some(verdict) => words(verdict, glyphs.verdict(verdict), slots.bar.width),
        };
        let style = summary.verdict.map_or(theme.style(Token::Muted), |v| theme.verdict(v));
        slots.bar.left(&words, style, glyphs, buffer);
        let bytes = || amounts::of_groups(state, context.view, members(), direction);
        let amount = amounts::text(state, &context.scale, summary.bytes_per_s, bytes);
        slots.rate.right(&amount, theme.style(Token::Strong), glyphs, buffer);
        let worst = summary.worst.map(|(ratio, _)| ratio);
        slots.percent.right(
            &format::judged_ratio(worst, context.view.max_over_mean),
            theme.style(Token::Text),
            glyphs,
            buffer,
        );
        if summary.busy > 0 {
            active(slots.ops, summary.active_nics, summary.nics, context, buffer);
        }
    }
}

/// A cell per NIC where that leaves room for a short verdict; else what is left, with at least four.
fn strip_width(bar: u16, nics: usize) -> u16 {
    let all = u16::try_from(nics).unwrap_or(u16::MAX);
    all.min(bar.saturating_sub(10).max(4)).min(bar)
}

/// The verdict's glyph and as much of its word as there is room for.
pub(super) fn words(verdict: Verdict, glyph: &str, width: u16) -> String {
    let width = usize::from(width);
    let short = match verdict {
        Verdict::SingleNic => "single",
        other => other.word(),
    };
    let word = verdict.word();
    if width >= word.len() + 3 {
        format!("{glyph} {word}")
    } else if width >= short.len() + 2 {
        format!("{glyph} {short}")
    } else if width > short.len() {
        format!("{glyph}{short}")
    } else {
        glyph.to_owned()
    }
}

/// How many NICs could not be read, for which the verdict is open, in as many words as there is room for.
fn unknown(unread: usize, width: u16) -> String {
    let long = format!("? unknown, {unread} unread");
    if long.len() <= usize::from(width) { long } else { format!("? {unread} unread") }
}
