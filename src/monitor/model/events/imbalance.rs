//! Groups whose NICs do not share the load.
//!
//! Hysteresis in value and in time: a group must be beyond the limit for a while to be skewed, and clearly within it
//! for a while to be balanced again; so one that flaps between ticks is not told at all. What hardly moves is left out
//! by the same rules as in `railtop check`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::journal::Found;
use super::latch::{Latch, Level, Turn};
use super::words::{list, row as name_of, span};
use crate::balance::{Direction, Verdict};
use crate::monitor::check::LEFT_OUT_BELOW;
use crate::monitor::model::view::{EventKind, GroupFlow, GroupKind, GroupView, Severity};
use crate::monitor::thresholds::Thresholds;
use crate::units::format_byte_rate;

/// The part of the limit's excess over 1 below which a group is balanced again: with a limit of 1.25, below 1.20.
const CLEARLY: f64 = 0.8;

/// Groups that are compared with each other to tell load from chatter.
type Scope<'a> = (GroupKind, Option<&'a str>);

/// All groups' directions, by key.
#[derive(Debug, Default)]
pub(super) struct Imbalances {
    groups: BTreeMap<(String, Direction), Latch>,
}

impl Imbalances {
    /// Takes the groups of a tick in.
    pub(super) fn update(
        &mut self,
        now_ns: u64,
        groups: &[GroupView],
        limits: &Thresholds,
        found: &mut Vec<Found>,
    ) {
        let busiest = busiest(groups);
        let hold = limits.imbalance_hold;
        let mut there = BTreeSet::new();
        for group in groups {
            let least = busiest.get(&scope(group)).copied().unwrap_or(0.0) * LEFT_OUT_BELOW;
            for direction in Direction::BOTH {
                let flow = flow(group, direction);
                let level = level(flow, limits, least.max(limits.busy_bytes_per_s));
                let key = (group.key.clone(), direction);
                let latch = self.groups.entry(key.clone()).or_default();
                match latch.update(now_ns, level, hold, hold) {
                    Some(Turn::On(for_ns)) => found.push(begins(group, direction, for_ns, limits)),
                    Some(Turn::Off(lasted)) => found.push(ends(group, direction, lasted)),
                    None => {}
                }
                there.insert(key);
            }
        }
        self.groups.retain(|key, latch| {
            if there.contains(key) {
                return true;
            }
            if let Some(Turn::Off(lasted)) = latch.update(now_ns, Some(Level::Off), hold, hold) {
                let text = format!(
                    "{} is not there any more; its NICs did not share what it {} for {}.",
                    key.0,
                    key.1.verb(),
                    span(lasted)
                );
                let (kind, severity) = (EventKind::ImbalanceEnds, Severity::Info);
                found.push(Found { kind, severity, subject: key.0.clone(), text });
            }
            latch.is_on()
        });
    }
}

/// What the busiest group of each scope moves per second in its busier direction.
fn busiest(groups: &[GroupView]) -> HashMap<Scope<'_>, f64> {
    let mut busiest = HashMap::new();
    for group in groups {
        let moved = [&group.tx, &group.rx].into_iter().filter_map(|f| f.bytes_per_s).fold(0.0, f64::max);
        let most = busiest.entry(scope(group)).or_insert(0.0);
        *most = f64::max(*most, moved);
    }
    busiest
}

fn scope(group: &GroupView) -> Scope<'_> {
    (group.kind, group.job.as_deref())
}

fn flow(group: &GroupView, direction: Direction) -> &GroupFlow {
    match direction {
        Direction::Tx => &group.tx,
        Direction::Rx => &group.rx,
    }
}

fn level(flow: &GroupFlow, limits: &Thresholds, least: f64) -> Option<Level> {
    // What is not known may be anything; the verdict is what must be so even then.
    let moved = flow.bytes_per_s?;
    if moved < least && flow.unread == 0 {
        return Some(Level::Off);
    }
    match flow.spread.verdict {
        Verdict::Unknown => None,
        Verdict::Idle => Some(Level::Off),
        Verdict::Skewed | Verdict::SingleNic if moved < least => None,
        Verdict::Skewed | Verdict::SingleNic => Some(Level::On),
        Verdict::Balanced => {
            let clearly = 1.0 + (limits.max_over_mean - 1.0) * CLEARLY;
            let balanced = flow.spread.max_over_mean.is_none_or(|ratio| ratio <= clearly);
            Some(if balanced { Level::Off } else { Level::Between })
        }
    }
}

fn begins(group: &GroupView, direction: Direction, for_ns: u64, limits: &Thresholds) -> Found {
    let flow = flow(group, direction);
    let rate_of = |nic: &crate::monitor::model::view::NicView| match direction {
        Direction::Tx => nic.tx.bytes_per_s,
        Direction::Rx => nic.rx.bytes_per_s,
    };
    let busiest = group
        .nics
        .iter()
        .filter_map(|nic| Some((name_of(nic), rate_of(nic)?)))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let busiest = busiest.map_or_else(String::new, |(nic, rate)| {
        format!("; busiest is {nic} with {}", format_byte_rate(rate))
    });
    let slow = flow.distribution.and_then(|d| d.slow).and_then(|i| group.nics.get(i));
    let slow = slow.map_or_else(String::new, |nic| {
        let rate = rate_of(nic).map_or_else(String::new, |rate| format!(" with {}", format_byte_rate(rate)));
        format!("; {} is slow{rate}", name_of(nic))
    });
    let down: Vec<String> = group.nics.iter().filter(|nic| nic.is_out()).map(name_of).collect();
    let down = match down.len() {
        0 => String::new(),
        1 => format!("; {} is down", list(&down)),
        _ => format!("; {} are down", list(&down)),
    };
    let ratio = flow.spread.max_over_mean.unwrap_or_default();
    let all = flow.bytes_per_s.unwrap_or_default();
    let who = group.name();
    let text = format!(
        "The {} NICs of {who} have not shared what it {} for {}: max/mean {ratio:.2} (limit {}), {} of them active, {} \
         in all{busiest}{slow}{down}.",
        flow.spread.nics,
        direction.verb(),
        span(for_ns),
        limits.max_over_mean,
        flow.spread.active_nics,
        format_byte_rate(all),
    );
    Found { kind: EventKind::ImbalanceBegins, severity: Severity::Warning, subject: who, text }
}

fn ends(group: &GroupView, direction: Direction, lasted: u64) -> Found {
    let who = group.name();
    let now = match flow(group, direction).spread.max_over_mean {
        Some(ratio) => format!("max/mean {ratio:.2} now"),
        None => "nothing moves now".to_owned(),
    };
    let text =
        format!("The NICs of {who} did not share what it {} for {}; {now}.", direction.verb(), span(lasted));
    Found { kind: EventKind::ImbalanceEnds, severity: Severity::Info, subject: who, text }
}
