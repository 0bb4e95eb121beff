//! Devices that come, go, return and change their names.
//!
//! The list of a sample says who is there. What the kernel says between two ticks is only needed for what that list
//! cannot show: a name that changed, and a device that went and returned meanwhile. Either may come first, and the
//! same thing is told once.

use std::collections::BTreeMap;

use super::journal::Found;
use super::words::span;
use crate::monitor::model::view::{EventKind, Severity};
use crate::monitor::sample::{DeviceChange, PortFacts, Sample};

/// Most devices that are remembered after they have gone.
const MEMORY: usize = 1024;
/// For so many ticks a change of name that the list does not show yet is waited for.
const PATIENCE: u8 = 10;

/// What is known of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Device {
    /// What stays when its name changes: (PCI address, network interface, driver).
    place: (Option<String>, Option<String>, Option<String>),
    /// Since when it has been there, or gone.
    since_ns: u64,
    present: bool,
}

/// All devices that were ever there.
#[derive(Debug, Default)]
pub(super) struct Presence {
    started: bool,
    devices: BTreeMap<String, Device>,
    /// Changes of names that are not seen in the list yet, with the ticks they wait for it.
    renames: Vec<(String, String, u8)>,
}

/// A device with another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::monitor::model) struct Renamed {
    pub(in crate::monitor::model) from: String,
    pub(in crate::monitor::model) to: String,
    /// Nobody told of it: the list alone gave it away.
    pub(in crate::monitor::model) guessed: bool,
}

impl Presence {
    /// Takes a sample in; also returns who has another name now, so that what is known of it goes along.
    pub(super) fn update(&mut self, sample: &Sample, found: &mut Vec<Found>) -> Vec<Renamed> {
        let now: BTreeMap<&str, &PortFacts> =
            sample.ports.iter().map(|p| (p.facts.device.as_str(), p.facts.as_ref())).collect();
        let mut renamed = Vec::new();
        if self.started {
            self.queue_renames(sample);
            renamed = self.apply_renames(&now, sample.mono_ns, found);
            self.bounced(sample, &now, found);
        }
        for (name, facts) in &now {
            self.seen(name, facts, sample.mono_ns, found);
        }
        for (name, device) in &mut self.devices {
            if device.present && !now.contains_key(name.as_str()) {
                let text = format!(
                    "{name} is gone after {}: the kernel does not list it any more.",
                    span(sample.mono_ns.saturating_sub(device.since_ns))
                );
                found.push(tell(EventKind::Gone, Severity::Bad, name, text));
                device.present = false;
                device.since_ns = sample.mono_ns;
            }
        }
        if self.devices.len() > MEMORY {
            self.devices.retain(|_, device| device.present);
        }
        self.started = true;
        renamed
    }

    /// A device of the list.
    fn seen(&mut self, name: &str, facts: &PortFacts, now_ns: u64, found: &mut Vec<Found>) {
        let place = place(facts);
        let Some(device) = self.devices.get_mut(name) else {
            if self.started {
                let text = match &facts.driver {
                    Some(driver) => format!("{name} (driver {driver}) was not there before."),
                    None => format!("{name} was not there before."),
                };
                found.push(tell(EventKind::Added, Severity::Info, name, text));
            }
            self.devices.insert(name.to_owned(), Device { place, since_ns: now_ns, present: true });
            return;
        };
        if !device.present {
            let away = span(now_ns.saturating_sub(device.since_ns));
            let text = format!("{name} is back after {away}; its rates begin anew.");
            found.push(tell(EventKind::Back, Severity::Info, name, text));
            (device.present, device.since_ns) = (true, now_ns);
        }
        // A device that cannot be read says less than it once did.
        if place != Default::default() {
            device.place = place;
        }
    }

    fn queue_renames(&mut self, sample: &Sample) {
        for change in &sample.changes {
            if let DeviceChange::Renamed { from, to } = change
                && self.renames.len() < MEMORY
            {
                self.renames.push((from.clone(), to.clone(), PATIENCE));
            }
        }
    }

    /// The kernel's word, and what the list itself gives away: one device missing and another new in the same place.
    fn apply_renames(
        &mut self,
        now: &BTreeMap<&str, &PortFacts>,
        now_ns: u64,
        found: &mut Vec<Found>,
    ) -> Vec<Renamed> {
        let mut pairs = Vec::new();
        self.renames.retain_mut(|(from, to, patience)| {
            *patience -= 1;
            let shown = now.contains_key(to.as_str()) && !now.contains_key(from.as_str());
            if shown {
                pairs.push((std::mem::take(from), std::mem::take(to), false));
            }
            !shown && *patience > 0
        });
        for (&name, facts) in now.iter().filter(|(name, _)| !self.devices.contains_key(**name)) {
            let place = place(facts);
            let mut missing = self.devices.iter().filter(|(old, device)| {
                device.present && device.place == place && !now.contains_key(old.as_str())
            });
            let known = place.0.is_some() || place.1.is_some();
            if let (Some((old, _)), None, true) = (missing.next(), missing.next(), known) {
                pairs.push((old.clone(), name.to_owned(), true));
            }
        }
        let done =
            |(from, to, guessed)| self.rename(from, to, now_ns, found).map(|r| Renamed { guessed, ..r });
        pairs.into_iter().filter_map(done).collect()
    }

    /// Gives a device its new name, unless that was done before.
    fn rename(&mut self, from: String, to: String, now_ns: u64, found: &mut Vec<Found>) -> Option<Renamed> {
        let is_present = |name: &String| self.devices.get(name).is_some_and(|device| device.present);
        // One that was told to have gone is gone; the other name is another device then.
        if from == to || !is_present(&from) || is_present(&to) {
            return None;
        }
        let device = self.devices.remove(&from)?;
        let text = format!("{from} is called {to} now.");
        found.push(tell(EventKind::Renamed, Severity::Info, &to, text));
        self.devices.insert(to.clone(), Device { present: true, since_ns: now_ns, ..device });
        Some(Renamed { from, to, guessed: false })
    }

    /// Devices that went and returned since the last tick.
    fn bounced(&self, sample: &Sample, now: &BTreeMap<&str, &PortFacts>, found: &mut Vec<Found>) {
        let mut removed: Vec<&str> = Vec::new();
        for change in &sample.changes {
            match change {
                DeviceChange::Removed(name) => removed.push(name),
                DeviceChange::Added(name) => {
                    let was_there = self.devices.get(name).is_some_and(|device| device.present);
                    let returned = removed.iter().position(|&r| r == name).map(|i| removed.swap_remove(i));
                    if returned.is_some() && was_there && now.contains_key(name.as_str()) {
                        let text = format!("{name} went away and came back between two looks.");
                        found.push(tell(EventKind::Gone, Severity::Bad, name, text));
                        let text = format!("{name} is back; its counters may begin anew.");
                        found.push(tell(EventKind::Back, Severity::Info, name, text));
                    }
                }
                DeviceChange::Renamed { .. } => {}
            }
        }
    }
}

fn place(facts: &PortFacts) -> (Option<String>, Option<String>, Option<String>) {
    (facts.pci.clone(), facts.netdev.clone(), facts.driver.clone())
}

fn tell(kind: EventKind, severity: Severity, name: &str, text: String) -> Found {
    Found { kind, severity, subject: name.to_owned(), text }
}
