//! A group: what ties it together, how it is spread, and a line per NIC.

use std::fmt::Write as _;

use ratatui::text::Line;

use super::super::super::format::{self, MISSING};
use super::super::super::state::State;
use super::super::super::summary::Direction;
use super::super::super::theme::Token;
use super::super::nic_row::{mark_token, mark_word, words};
use super::counters::shown_per_s;
use super::facts::Facts;
use crate::monitor::model::remote::RemoteView;
use crate::monitor::model::view::{Flow, GroupFlow, GroupView};

/// All of it.
pub(super) fn lines(state: &State, group: &GroupView, width: usize) -> Vec<Line<'static>> {
    let mut lines = Facts::new(state, width);
    let facts = [
        ("job", group.job.clone()),
        ("process", group.pid.map(|pid| pid.to_string())),
        ("GPU", group.gpu.clone()),
        ("policy", group.policy.clone()),
        ("Rx bytes by", group.rx_source.clone()),
    ];
    lines.add("node", &group.node);
    let nodes = state.shown.iter().filter_map(|view| Some((view, view.fleet.as_ref()?)));
    for (view, nodes) in nodes {
        let is_here = |node: &&RemoteView| {
            view.groups.get(node.groups.clone()).is_some_and(|all| all.iter().any(|g| g.key == group.key))
        };
        if let Some(node) = nodes.iter().find(is_here) {
            let took = node
                .took
                .map_or_else(String::new, |took| format!(", answered within {}", format::duration(took)));
            lines.add("asked at", &format!("{}{took}", node.place));
        }
    }
    for (label, text) in facts {
        if let Some(text) = text {
            lines.add(label, &text);
        }
    }
    for &mark in &group.marks {
        lines.add_as("state", mark_word(mark), mark_token(mark));
    }
    if let Some(text) = rings(group) {
        lines.add("GPU rings", &text);
    }
    for direction in [Direction::Tx, Direction::Rx] {
        spread(state, group, direction.of(group), direction.name(), &mut lines);
    }
    lines.gap();
    let name = group.nics.iter().map(|n| n.device.chars().count()).max().unwrap_or(0).clamp(4, 16);
    lines.head(&format!("{:<name$} {:>17} {:>10} {:>17} {:>10}", "NIC", "Tx bytes", "Tx", "Rx bytes", "Rx"));
    for nic in &group.nics {
        let bytes = |flow: &Flow| flow.bytes.map_or_else(|| MISSING.to_owned(), format::grouped);
        let said = words(nic, state.glyphs).map_or_else(String::new, |(words, _)| format!("  {words}"));
        lines.plain(&format!(
            "{:<name$} {:>17} {:>10} {:>17} {:>10}{said}",
            nic.device,
            bytes(&nic.tx),
            format::rate(nic.tx.bytes_per_s, state.units),
            bytes(&nic.rx),
            format::rate(nic.rx.bytes_per_s, state.units),
        ));
    }
    if !group.counters.is_empty() {
        lines.gap();
        let name = group.counters.iter().map(|c| c.name().chars().count()).max().unwrap_or(0).clamp(7, 24);
        lines.head(&format!("{:<name$} {:>19} {:>10}  {}", "counter", "value", "per s", "what it tells"));
        for counter in &group.counters {
            let per_s = shown_per_s(counter, 10);
            lines.plain(&format!(
                "{:<name$} {:>19} {per_s:>10}  {}",
                counter.name(),
                format::grouped(counter.value),
                counter.desc.help
            ));
        }
    }
    lines.lines
}

/// How the rings do that the PE's GPU posts into; `None` without any.
fn rings(group: &GroupView) -> Option<String> {
    let of = |name: &str| group.counters.iter().find(|counter| counter.name() == name);
    let size = of("gpu_ring_size").map(|size| size.value).filter(|&size| size > 0)?;
    let used = of("gpu_ring_used")?.value;
    let posts = of("gpu_posts")?;
    let mut text = format!("{} posts/s", shown_per_s(posts, 10));
    // Of the same time; who posts nothing spends nothing on it.
    if let (Some(ns), Some(posts)) =
        (of("gpu_post_ns").and_then(|ns| ns.per_s), posts.per_s.filter(|&p| p > 0.0))
    {
        let _ = write!(text, ", {:.0} ns of the proxy's turns for each", ns / posts);
    }
    let _ = write!(text, ", {} of {} descriptors wait", format::grouped(used), format::grouped(size));
    if let Some(stalls) = of("gpu_stalls") {
        let _ = write!(text, ", full {} times in all", format::grouped(stalls.value));
    }
    Some(text)
}

/// One direction in words.
fn spread(state: &State, group: &GroupView, flow: &GroupFlow, name: &str, lines: &mut Facts<'_>) {
    let spread = flow.spread;
    let mut text = format!(
        "{}, {} {}, max/mean {}, {} of {} NICs active",
        format::rate(flow.bytes_per_s, state.units),
        state.glyphs.verdict(spread.verdict),
        spread.verdict.word(),
        format::judged_ratio(spread.max_over_mean, state.limit()),
        spread.active_nics,
        spread.nics
    );
    if let Some(d) = flow.distribution {
        let rate = |value| format::rate(Some(value), state.units);
        let _ = write!(text, "; a NIC {} to {}, median {}", rate(d.min), rate(d.max), rate(d.median));
        if let Some(jain) = d.jain {
            let _ = write!(text, ", Jain's index {jain:.3}");
        }
        if let Some(slow) = d.slow.and_then(|slow| group.nics.get(slow)) {
            let _ = write!(text, "; {} is slow", slow.device);
        }
    }
    lines.add_as(name, &text, if spread.verdict.is_imbalance() { Token::Warn } else { Token::Text });
}
