//! Drops, retransmits and timeouts: when they begin to be more than an accident, and when they have ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::journal::Found;
use super::latch::{Latch, Level, Turn};
use super::words::{list, rate, span};
use super::{Rename, renamed_key};
use crate::monitor::counter::{Health, PerHealth};
use crate::monitor::model::view::{EventKind, Mark, NicView, Severity};
use crate::monitor::thresholds::Thresholds;

/// What counts as loss. Congestion marks are the network doing its work.
const LOSSES: [Health; 3] = [Health::Drops, Health::Retransmits, Health::Timeouts];

/// One row's.
#[derive(Debug, Default)]
struct Row {
    latch: Latch,
    /// The totals before the first loss of this time, and the last ones seen.
    before: PerHealth<Option<u64>>,
    last: PerHealth<Option<u64>>,
}

/// All rows', by subject.
#[derive(Debug, Default)]
pub(super) struct Losses {
    rows: BTreeMap<String, Row>,
}

impl Rename for Losses {
    fn rename(&mut self, from: &str, to: &str) {
        renamed_key(&mut self.rows, from, to);
    }
}

impl Losses {
    /// Takes rows in, each with what it is called.
    pub(super) fn update(
        &mut self,
        now_ns: u64,
        rows: &[(String, &NicView)],
        limits: &Thresholds,
        found: &mut Vec<Found>,
    ) {
        for (subject, row) in rows {
            let known = self.rows.entry(subject.clone()).or_default();
            found.extend(known.update(now_ns, subject, row, limits));
        }
        let there: BTreeSet<&str> = rows.iter().map(|(subject, _)| subject.as_str()).collect();
        self.rows.retain(|subject, row| {
            if there.contains(subject.as_str()) {
                return true;
            }
            if let Some(Turn::Off(lasted)) =
                row.latch.update(now_ns, Some(Level::Off), limits.loss_hold, limits.loss_quiet)
            {
                let text = format!("{subject} is not there any more; it was losing for {}.", span(lasted));
                found.push(tell(EventKind::LossEnds, Severity::Info, subject, text));
            }
            row.latch.is_on()
        });
    }
}

impl Row {
    fn update(&mut self, now_ns: u64, subject: &str, row: &NicView, limits: &Thresholds) -> Option<Found> {
        let known = !row.marks.iter().any(|m| matches!(m, Mark::Stale | Mark::Gone));
        let rates: Vec<(Health, f64)> = LOSSES
            .into_iter()
            .filter_map(|loss| Some((loss, row.health[loss].per_s.filter(|_| known)?)))
            .collect();
        let worst = rates.iter().map(|&(_, per_s)| per_s).reduce(f64::max);
        let level = worst.map(|per_s| if per_s > limits.loss_per_s { Level::On } else { Level::Off });
        let burst = worst.is_some_and(|per_s| per_s >= limits.loss_burst_per_s && per_s > 0.0);
        let hold = if burst { Duration::ZERO } else { limits.loss_hold };
        if level == Some(Level::Off) && !self.latch.is_on() {
            self.before = totals(row);
        }
        let turn = self.latch.update(now_ns, level, hold, limits.loss_quiet);
        let previous = std::mem::replace(&mut self.last, totals(row));
        match turn? {
            Turn::On(for_ns) => {
                // Seen first while it was losing: counted from the tick before at best.
                if LOSSES.iter().all(|&loss| self.before[loss].is_none()) {
                    self.before = previous;
                }
                let losing: Vec<String> = rates
                    .iter()
                    .filter(|&&(_, per_s)| per_s > limits.loss_per_s)
                    .map(|&(loss, per_s)| format!("{} {}", rate(per_s), loss.name()))
                    .collect();
                let since = if for_ns == 0 { String::new() } else { format!(" for {} now", span(for_ns)) };
                let text = format!("{subject} loses: {}{since}.", list(&losing));
                Some(tell(EventKind::LossBegins, Severity::Warning, subject, text))
            }
            Turn::Off(lasted) => {
                let lost: Vec<String> = LOSSES
                    .into_iter()
                    .filter_map(|loss| {
                        let count = self.last[loss]?.checked_sub(self.before[loss]?)?;
                        (count > 0).then(|| format!("{count} {}", loss.name()))
                    })
                    .collect();
                self.before = self.last;
                let lost = if lost.is_empty() { String::new() } else { format!(": {}", list(&lost)) };
                let text = format!(
                    "{subject} has lost nothing for {}; before it did for {}{lost}.",
                    span(u64::try_from(limits.loss_quiet.as_nanos()).unwrap_or(u64::MAX)),
                    span(lasted)
                );
                Some(tell(EventKind::LossEnds, Severity::Info, subject, text))
            }
        }
    }
}

fn totals(row: &NicView) -> PerHealth<Option<u64>> {
    let mut all = PerHealth::default();
    for loss in LOSSES {
        all[loss] = row.health[loss].total;
    }
    all
}

fn tell(kind: EventKind, severity: Severity, subject: &str, text: String) -> Found {
    Found { kind, severity, subject: subject.to_owned(), text }
}
