//! What happened between ticks, told once: from samples and derived rows alone, so that a replay tells the same.
//!
//! Each file below knows one cause. `docs/events.md` says when each kind of event begins and ends.

mod imbalance;
mod journal;
mod latch;
mod loss;
mod nics;
mod pes;
mod ports;
mod presence;
#[cfg(test)]
mod tests;
mod words;

pub(super) use self::presence::Renamed;
pub(super) use self::words::span;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use self::imbalance::Imbalances;
use self::journal::{Found, Journal};
use self::loss::Losses;
use self::nics::Nics;
use self::pes::Pes;
use self::ports::Ports;
use self::presence::Presence;
use super::view::{Event, GroupKind, GroupView, Mark, NicView};
use crate::monitor::sample::Sample;
use crate::monitor::thresholds::Thresholds;

/// Remembers what the next tick is compared with, and what was told.
#[derive(Debug, Default)]
pub(super) struct Events {
    presence: Presence,
    ports: Ports,
    losses: Losses,
    imbalances: Imbalances,
    nics: Nics,
    pes: Pes,
    journal: Journal,
}

/// What a sample's list of devices alone tells.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Who has another name now.
    pub(super) renamed: Vec<Renamed>,
    found: Vec<Found>,
}

impl Events {
    /// Takes the devices of a sample in. Rows are made after this, since a device keeps its row under a new name.
    pub(super) fn devices(&mut self, sample: &Sample) -> News {
        let mut found = Vec::new();
        let renamed = self.presence.update(sample, &mut found);
        News { renamed, found }
    }

    /// Takes a tick in, of which the devices were; returns the latest events. Makes a new list only when something
    /// happened.
    pub(super) fn update(
        &mut self,
        sample: &Sample,
        News { renamed, mut found }: News,
        groups: &[GroupView],
        kernel_rows: &[NicView],
        limits: &Thresholds,
    ) -> Arc<[Event]> {
        let now = sample.mono_ns;
        for renamed in renamed {
            self.ports.rename(&renamed.from, &renamed.to);
            self.losses.rename(&renamed.from, &renamed.to);
        }
        let devices = device_rows(sample, groups, kernel_rows);
        self.ports.update(now, &devices, limits, &mut found);
        let mut lossy: Vec<(String, &NicView)> = devices.iter().map(|row| (words::row(row), *row)).collect();
        lossy.extend(interface_rows(groups, kernel_rows, &devices));
        self.losses.update(now, &lossy, limits, &mut found);
        self.imbalances.update(now, groups, limits, &mut found);
        self.nics.update(now, &sample.pages, limits, &mut found);
        self.pes.update(&sample.pages, &mut found);
        self.journal.book(sample.realtime_ns, now, found);
        self.journal.events()
    }
}

/// What knows devices by name.
trait Rename {
    /// The device `from` is called `to` from now on.
    fn rename(&mut self, from: &str, to: &str);
}

/// Gives entries of a device (`mlx5_0`, `mlx5_0/2`) their new names.
fn renamed_key<T>(map: &mut BTreeMap<String, T>, from: &str, to: &str) {
    let of_port = format!("{from}/");
    let keys: Vec<String> =
        map.keys().filter(|key| *key == from || key.starts_with(&of_port)).cloned().collect();
    for key in keys {
        if let Some(value) = map.remove(&key) {
            map.insert(format!("{to}{}", key.strip_prefix(from).unwrap_or_default()), value);
        }
    }
}

/// The rows of the devices of a sample, each port once: those shown as such, and those a counter page covers.
fn device_rows<'a>(sample: &Sample, groups: &'a [GroupView], kernel_rows: &'a [NicView]) -> Vec<&'a NicView> {
    let shown = groups.iter().filter(|g| g.kind != GroupKind::Pe).flat_map(|g| &g.nics);
    let mut rows: HashMap<(&str, u8), &NicView> = HashMap::new();
    for row in shown.chain(kernel_rows).filter(|row| !row.marks.contains(&Mark::Gone)) {
        rows.entry((&row.device, row.port)).or_insert(row);
    }
    let mut ports: Vec<(&str, u8)> =
        sample.ports.iter().map(|p| (p.facts.device.as_str(), p.facts.port)).collect();
    ports.dedup();
    ports.into_iter().filter_map(|port| rows.get(&port).copied()).collect()
}

/// The network interfaces below the NICs of PEs that are no RDMA devices, with what they are called.
fn interface_rows<'a>(
    groups: &'a [GroupView],
    kernel_rows: &'a [NicView],
    devices: &[&NicView],
) -> Vec<(String, &'a NicView)> {
    let by_key: HashMap<&str, &NicView> = kernel_rows.iter().map(|row| (row.key.as_str(), row)).collect();
    let pes = groups.iter().filter(|g| g.kind == GroupKind::Pe);
    pes.flat_map(|group| group.nics.iter().map(move |nic| (group, nic)))
        .filter_map(|(group, nic)| {
            let row = by_key.get(nic.key.as_str()).copied()?;
            let is_device = devices.iter().any(|d| d.device == row.device && d.port == row.port);
            (!is_device).then(|| (format!("{} {}", group.name(), words::row(row)), row))
        })
        .collect()
}
