//! What happens to a port that is there: its link, its counters, its answers.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::journal::Found;
use super::latch::{Latch, Level, Turn};
use super::words::{list, row as name_of, span};
use super::{Rename, renamed_key};
use crate::monitor::model::view::{CounterView, EventKind, Mark, NicView, Severity};
use crate::monitor::thresholds::Thresholds;
use crate::units::format_size;
use std::time::Duration;

/// What was last known of a port.
#[derive(Debug, Default)]
struct Port {
    link: Option<Link>,
    /// Bytes sent and received at the last good read.
    bytes: (Option<u64>, Option<u64>),
    /// Whether each counter of those that stop stood at its maximum when it was read last.
    stopped: BTreeMap<Cow<'static, str>, bool>,
}

#[derive(Debug, Clone)]
struct Link {
    state: String,
    physical: Option<String>,
    since_ns: u64,
}

/// All ports by name, and the silence of devices.
#[derive(Debug, Default)]
pub(super) struct Ports {
    ports: BTreeMap<String, Port>,
    silent: BTreeMap<String, Latch>,
}

impl Rename for Ports {
    fn rename(&mut self, from: &str, to: &str) {
        renamed_key(&mut self.ports, from, to);
        renamed_key(&mut self.silent, from, to);
    }
}

impl Ports {
    /// Takes the rows of a tick in: of devices that are there, each port once.
    pub(super) fn update(
        &mut self,
        now_ns: u64,
        rows: &[&NicView],
        limits: &Thresholds,
        found: &mut Vec<Found>,
    ) {
        let mut reset: BTreeSet<&str> = BTreeSet::new();
        for &row in rows {
            let stale = row.marks.contains(&Mark::Stale);
            if stale {
                continue;
            }
            let port = self.ports.entry(name_of(row)).or_default();
            port.link(now_ns, row, found);
            // A driver that begins again resets all ports of its device: that is one event.
            if row.marks.contains(&Mark::Reset) && reset.insert(&row.device) {
                found.push(port.reset(row));
            }
            port.saturated(row, found);
            port.bytes = (row.tx.bytes, row.rx.bytes);
        }
        self.silence(now_ns, rows, limits.silent_after, found);
        let there: BTreeSet<String> = rows.iter().map(|row| name_of(row)).collect();
        // What is gone is remembered, so that its link is compared with what it was; but not without bound.
        if self.ports.len() > 2 * there.len() + 1024 {
            self.ports.retain(|name, _| there.contains(name));
        }
    }

    /// Devices that do not answer.
    fn silence(&mut self, now_ns: u64, rows: &[&NicView], after: Duration, found: &mut Vec<Found>) {
        let mut devices: BTreeMap<&str, Option<&NicView>> = BTreeMap::new();
        for row in rows {
            let stale = row.marks.contains(&Mark::Stale).then_some(*row);
            let device = devices.entry(&row.device).or_default();
            *device = device.or(stale);
        }
        for (&device, stale) in &devices {
            let level = if stale.is_some() { Level::On } else { Level::Off };
            let latch = self.silent.entry(device.to_owned()).or_default();
            let (kind, severity, text) = match latch.update(now_ns, Some(level), after, Duration::ZERO) {
                Some(Turn::On(held)) => {
                    let why = stale.and_then(|row| row.reason.as_deref()).unwrap_or("no reason is known");
                    let text = format!("{device} has given no numbers for {}: {why}.", span(held));
                    (EventKind::Silent, Severity::Bad, text)
                }
                Some(Turn::Off(held)) => {
                    let text = format!("{device} answers again; it gave no numbers for {}.", span(held));
                    (EventKind::Answers, Severity::Info, text)
                }
                None => continue,
            };
            found.push(Found { kind, severity, subject: device.to_owned(), text });
        }
        // One that went away while it was silent answers, or not, when it is back.
        let room = self.silent.len() < devices.len() + 1024;
        self.silent.retain(|device, latch| devices.contains_key(device.as_str()) || (room && latch.is_on()));
    }
}

impl Port {
    fn link(&mut self, now_ns: u64, row: &NicView, found: &mut Vec<Found>) {
        let Some(state) = &row.state else { return };
        let physical = row.phys_state.clone();
        let now = Link { state: state.clone(), physical, since_ns: now_ns };
        let Some(before) = self.link.replace(now) else { return };
        let was_up = before.state == "ACTIVE";
        let is_up = state == "ACTIVE";
        if was_up == is_up {
            // On its way up a port goes through several states; what counts is how long it has not been up.
            if let Some(link) = &mut self.link {
                link.since_ns = before.since_ns;
            }
            return;
        }
        let name = name_of(row);
        let lasted = span(now_ns.saturating_sub(before.since_ns));
        let physical = match (&before.physical, &row.phys_state) {
            (Some(then), Some(now)) if then != now => format!(" (physical state {now}, before {then})"),
            (_, Some(now)) => format!(" (physical state {now})"),
            _ => String::new(),
        };
        let (kind, severity, text) = if is_up {
            let text = format!(
                "The port of {name} is ACTIVE after {lasted} in which it was not, last {}{physical}.",
                before.state
            );
            (EventKind::LinkUp, Severity::Info, text)
        } else {
            let text = format!(
                "The port of {name} went from ACTIVE to {state}{physical} after {lasted}; it moves nothing until it \
                 is ACTIVE again."
            );
            (EventKind::LinkDown, Severity::Bad, text)
        };
        found.push(Found { kind, severity, subject: name, text });
    }

    fn reset(&self, row: &NicView) -> Found {
        let fell = |word: &str, then: Option<u64>, now: Option<u64>| {
            let (then, now) = (then?, now?);
            (now < then)
                .then(|| format!("{word} bytes fell from {} to {}", format_size(then), format_size(now)))
        };
        let fallen: Vec<String> =
            [fell("sent", self.bytes.0, row.tx.bytes), fell("received", self.bytes.1, row.rx.bytes)]
                .into_iter()
                .flatten()
                .collect();
        let fallen = if fallen.is_empty() { String::new() } else { format!(": {}", list(&fallen)) };
        Found {
            kind: EventKind::Reset,
            severity: Severity::Warning,
            subject: row.device.clone(),
            text: format!(
                "The counters of {} began again{fallen}. There is no rate for this interval.",
                row.device
            ),
        }
    }

    /// Counters that have reached their maximum since the last tick, those of a port together.
    fn saturated(&mut self, row: &NicView, found: &mut Vec<Found>) {
        let mut new: Vec<String> = Vec::new();
        // A counter that is not read at this tick stays what it was; one that is read for the first time, as when the
        // detail pane is opened, may have stopped years ago.
        for counter in row.counters.iter().filter(|counter| counter.desc.kind.maximum().is_some()) {
            let before = match self.stopped.get_mut(counter.name()) {
                Some(stopped) => Some(std::mem::replace(stopped, counter.saturated)),
                None => self.stopped.insert(counter.desc.name.clone(), counter.saturated),
            };
            if counter.saturated && before == Some(false) {
                new.push(label(counter));
            }
        }
        if new.is_empty() {
            return;
        }
        let name = name_of(row);
        let (stand, count) =
            if new.len() == 1 { ("stands at its", "counts") } else { ("stand at their", "count") };
        let text = format!(
            "{} of {name} {stand} maximum and {count} no more until somebody clears it (`perfquery -R`).",
            list(&new)
        );
        found.push(Found { kind: EventKind::Saturated, severity: Severity::Warning, subject: name, text });
    }
}

fn label(counter: &CounterView) -> String {
    format!("{} ({})", counter.name(), counter.value)
}
