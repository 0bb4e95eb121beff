//! The first lines: where and when, and the verdict over everything.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

use super::super::format::{self, Scale};
use super::super::replay;
use super::super::rows::{is_dead, word};
use super::super::state::State;
use super::super::summary::{Direction, Summary};
use super::super::theme::Token;
use super::cells::{self, Slot};
use super::group_row::out;
use crate::balance::Verdict;
use crate::monitor::model::view::{GroupKind, View};
use crate::text::{plural, printable};

/// Two lines, or the second only where there is room for one.
pub(super) fn render(state: &State, area: Rect, buffer: &mut Buffer) {
    let first = Rect { height: 1, ..area };
    let tag = tag(state);
    if area.height > 1 {
        let mut facts = facts(state);
        let tagged = u16::try_from(tag.width()).unwrap_or(u16::MAX);
        let width = area.width.saturating_sub(tagged);
        let view = state.shown.as_ref().filter(|_| state.replay.is_none());
        let long = view.map_or_else(String::new, |view| format::time_of_day(view.realtime_ns));
        let short = long.split(' ').next_back().unwrap_or_default();
        let fits = |facts: &Line<'_>, time: &str| facts.width() + 2 + time.len() < usize::from(width);
        if state.paused && view.is_some() && !fits(&facts, short) {
            // Which moment that is says more than how long it is between two.
            facts.spans.pop();
        }
        cells::line((area.x, area.y), &facts, width, state.glyphs, buffer);
        if let Some(time) = [long.as_str(), short].into_iter().find(|time| fits(&facts, time)) {
            let slot = Slot { x: area.x, y: area.y, width };
            slot.right(&format!("{time} "), state.theme.style(Token::Muted), state.glyphs, buffer);
        }
    }
    if let Some(view) = &state.shown {
        let line = verdicts(state, view, usize::from(area.width));
        cells::line((area.x, area.bottom() - 1), &line, area.width, state.glyphs, buffer);
    }
    let slot = Slot { x: first.x, y: first.y, width: first.width };
    slot.right(&tag, state.theme.style(Token::Tag), state.glyphs, buffer);
}

/// Both directions' verdicts in the longest form that fits.
fn verdicts(state: &State, view: &View, width: usize) -> Line<'static> {
    let mut line = Line::default();
    for form in [Form::Long, Form::Short, Form::Total, Form::Terse, Form::Least] {
        let [tx, rx] = [Direction::Tx, Direction::Rx].map(|d| verdict(state, view, d, form));
        let (lead, gap) = if form.is_terse() { ("", "  ") } else { (" ", "   ") };
        let mut spans = vec![Span::raw(lead)];
        spans.extend(tx);
        spans.push(Span::raw(gap));
        spans.extend(rx);
        line = Line::from(spans);
        if line.width() <= width {
            break;
        }
    }
    line
}

/// How much a verdict says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// With the worst group's name, or the active NICs.
    Long,
    /// With the rate and how many groups are concerned.
    Short,
    /// With the rate.
    Total,
    /// The verdict, max/mean and how many NICs are slow.
    Terse,
    /// The verdict, or that a NIC is slow, and max/mean: both directions fit into 40 columns.
    Least,
}

impl Form {
    fn is_terse(self) -> bool {
        matches!(self, Self::Terse | Self::Least)
    }
}

/// What to look at, for the demo.
pub(super) fn caption(state: &State, area: Rect, buffer: &mut Buffer) {
    for (line, y) in state.caption.lines().zip(area.top()..area.bottom()) {
        let slot = Slot { x: area.x + 1, y, width: area.width - 1 };
        slot.left(line, state.theme.style(Token::Caption), state.glyphs, buffer);
    }
}

/// The verdict of both directions as plain text, shortest form first to be cut.
pub(super) fn verdict_lines(state: &State) -> Vec<String> {
    let Some(view) = &state.shown else { return vec!["railtop: waiting for data".to_owned()] };
    [Direction::Tx, Direction::Rx]
        .map(|d| verdict(state, view, d, Form::Terse).iter().map(|s| s.content.as_ref()).collect())
        .to_vec()
}

fn facts(state: &State) -> Line<'static> {
    let theme = state.theme;
    let mut spans = vec![Span::styled(" railtop", theme.style(Token::Strong))];
    let Some(view) = &state.shown else {
        spans.push(Span::raw("  waiting for data"));
        return Line::from(spans);
    };
    if let Some(nodes) = &view.fleet {
        let troubled = nodes.iter().filter(|node| node.is_trouble()).count();
        spans.push(Span::raw(format!("  {}", plural(nodes.len(), "node"))));
        if troubled > 0 {
            spans.push(Span::styled(format!(", {troubled} without numbers"), theme.style(Token::Bad)));
        }
        let nics: usize = view.groups.iter().map(|group| group.nics.len()).sum();
        spans.push(Span::raw(format!(", {}, {}", plural(view.groups.len(), "group"), plural(nics, "NIC"))));
        let every = format!("  every {}", format::duration(view.interval));
        spans.push(Span::styled(every, theme.style(Token::Muted)));
        return Line::from(spans);
    }
    let living = || view.groups.iter().filter(|g| !is_dead(g));
    let nodes = living().map(|g| g.node.as_str()).collect::<BTreeSet<_>>().len();
    let nics: usize = living().map(|g| g.nics.len()).sum();
    let out: usize = living().map(out).sum();
    let groups = living().count();
    let dead = view.groups.len() - groups;
    let mut text = format!("  {}", printable(&view.host));
    if !view.groups.is_empty() {
        text.push_str("  ");
        text.push_str(&plural(nodes, "node"));
        if view.groups.iter().any(|g| g.kind != GroupKind::Node) {
            text.push_str(", ");
            text.push_str(&plural(groups, group_word(view)));
        }
        text.push_str(", ");
        text.push_str(&plural(nics, "NIC"));
        if out > 0 {
            let _ = write!(text, " ({out} down)");
        }
        if dead > 0 {
            let _ = write!(text, ", {dead} dead");
        }
    }
    if let Some(policy) = common_policy(view) {
        text.push_str("  policy ");
        text.push_str(&printable(policy));
    }
    spans.push(Span::raw(text));
    spans.push(Span::styled(
        if state.averages {
            let window = format::duration(state.window);
            let so_far = state.averaged_over().filter(|&over| over + view.interval / 2 < state.window);
            let so_far =
                so_far.map_or_else(String::new, |over| format!(" ({} so far)", format::duration(over)));
            format!("  every {}, average of {window}{so_far}", format::duration(view.interval))
        } else {
            format!("  every {}", format::duration(view.interval))
        },
        theme.style(Token::Muted),
    ));
    Line::from(spans)
}

/// What must not be overlooked, at the right end of the first line.
///
/// A recording goes on, or ends with an error, also while the screen stands still, so it is said then too.
fn tag(state: &State) -> String {
    let recording = state.recording.as_ref().map(|recording| match &recording.error {
        Some(why) => format!(" RECORDING ENDED: {} ", printable(why)),
        None => format!(" REC {} ", crate::units::format_size(recording.bytes)),
    });
    let moment = if let Some(replay) = &state.replay {
        replay::cursor(replay)
    } else if state.paused {
        let behind = state.behind().filter(|d| !d.is_zero());
        format!(" PAUSED{} ", behind.map_or_else(String::new, |d| format!(" {} ago", format::duration(d))))
    } else if let Some(silent) = state.silent {
        format!(" NO DATA for {} ", format::duration(silent))
    } else {
        String::new()
    };
    // What does not fit is cut at its end, and that of a long reason is missed least.
    moment + &recording.unwrap_or_default()
}

/// `Rx 1600 Mb/s ✗ single NIC 4.00x, worst at node0 PE 3, in 8 of 8 PEs`, or less of it.
fn verdict(state: &State, view: &View, direction: Direction, form: Form) -> Vec<Span<'static>> {
    let theme = state.theme;
    let least = if view.fleet.is_some() { crate::balance::BUSY_BYTES_PER_S } else { 0.0 };
    let summary = Summary::above(least, view.groups.iter(), direction);
    let mut spans = vec![Span::styled(direction.name(), theme.style(direction.token()))];
    if !form.is_terse() {
        let total = Scale::of(view, state.units).with_unit(summary.bytes_per_s);
        spans.push(Span::styled(format!(" {total}"), theme.style(Token::Strong)));
    }
    let Some(verdict) = summary.verdict else {
        spans.push(Span::styled(" no rate yet", theme.style(Token::Muted)));
        return spans;
    };
    let slow = summary.slow > 0 && !verdict.is_imbalance();
    if form == Form::Least && slow {
        spans.push(Span::styled(format!(" {} slow", state.glyphs.under()), theme.style(Token::Warn)));
    } else {
        let word = if form.is_terse() { verdict.word().trim_end_matches(" NIC") } else { verdict.word() };
        let text = format!(" {} {word}", state.glyphs.verdict(verdict));
        spans.push(Span::styled(text, theme.verdict(verdict)));
    }
    if verdict == Verdict::Unknown && !form.is_terse() {
        spans.push(Span::styled(
            format!(", {} unread", plural(summary.unread, "NIC")),
            theme.style(Token::Warn),
        ));
    }
    let Some((ratio, name)) = summary.worst else { return spans };
    spans.push(Span::raw(format!(" {}", format::judged_ratio(Some(ratio), view.max_over_mean))));
    if slow && form != Form::Least {
        let text = format!(" {} {} slow", state.glyphs.under(), plural(summary.slow, "NIC"));
        spans.push(Span::styled(text, theme.style(Token::Warn)));
    }
    if verdict.is_imbalance() && summary.busy > 1 && matches!(form, Form::Long | Form::Short) {
        if form == Form::Long && summary.uneven < summary.busy {
            spans.push(Span::raw(format!(" at {}", printable(&name))));
        }
        let (uneven, busy) = (summary.uneven, summary.busy);
        spans.push(Span::raw(format!(", {uneven}/{busy} {}s", group_word(view))));
    }
    if verdict == Verdict::Balanced && form == Form::Long {
        let active = format!(" {}/{} NICs", summary.active_nics, summary.nics);
        spans.push(Span::styled(active, theme.style(Token::Muted)));
    }
    spans
}

/// What the names in the list are.
pub(super) fn names(view: &View) -> &'static str {
    match group_word(view) {
        "PE" => "PE, NIC",
        "GPU" => "GPU, NIC",
        _ => "NIC",
    }
}

/// The policy that all groups share, if they do.
fn common_policy(view: &View) -> Option<&str> {
    let first = view.groups.first()?.policy.as_deref()?;
    view.groups.iter().all(|g| g.policy.as_deref() == Some(first)).then_some(first)
}

pub(super) fn group_word(view: &View) -> &'static str {
    let mut kinds = view.groups.iter().map(|g| g.kind);
    let first = kinds.next().filter(|&first| kinds.all(|kind| kind == first));
    first.map_or("group", word)
}
