//! One port: its counter files, read in an order that keeps the traffic counters close to their timestamp.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::file::{CounterFile, ReadError};
use super::root::Root;
use super::table::{self, Dir, DriverTable, Place};
use crate::monitor::clock;
use crate::monitor::counter::{Desc, Kind};
use crate::monitor::model::view::SourceKind;
use crate::monitor::sample::{Missing, PortFacts, PortSample, RawCounter, Reading, Traffic};

/// Names longer than this are no counters.
const MAX_NAME: usize = 64;

/// Where a counter lies.
type Key = (Dir, Arc<str>);

/// Reads one port.
#[derive(Debug)]
pub(super) struct PortReader {
    dir: PathBuf,
    facts: Arc<PortFacts>,
    files: BTreeMap<Key, CounterFile>,
    /// Directories that could not be listed, with the reason.
    absent: Vec<(Dir, String)>,
    incarnation: u64,
}

impl PortReader {
    pub(super) fn new(dir: PathBuf, facts: Arc<PortFacts>) -> Self {
        Self { dir, facts, files: BTreeMap::new(), absent: Vec::new(), incarnation: 0 }
    }

    pub(super) fn port(&self) -> u8 {
        self.facts.port
    }

    /// Takes new facts and the current list of files; files that are still there stay open.
    pub(super) fn look(&mut self, root: &Root, facts: Arc<PortFacts>) {
        self.facts = facts;
        self.absent.clear();
        let mut before = std::mem::take(&mut self.files);
        for dir in Dir::ALL {
            let path = self.dir.join(dir.name());
            let names = match root.list(&path) {
                Ok(names) => names,
                Err(e) => {
                    self.absent.push((dir, ReadError::from(e).to_string()));
                    continue;
                }
            };
            for name in names {
                let plain = name.len() <= MAX_NAME && name.chars().all(|c| c.is_ascii_graphic());
                if !plain || table::is_setting(&name) {
                    continue;
                }
                let file = path.join(&name);
                let key: Key = (dir, name.into());
                let file = before.remove(&key).unwrap_or_else(|| CounterFile::new(file));
                self.files.insert(key, file);
            }
        }
    }

    /// Reads every counter: first those that make the rates, between two looks at the clock.
    pub(super) fn read(&mut self, root: &Root) -> PortSample {
        let table = table::of(self.facts.driver.as_deref());
        let first = self.traffic_files(table);
        let mut values = BTreeMap::new();
        let mut reopened = false;

        let before = clock::mono_ns();
        for key in &first {
            if let Some(file) = self.files.get_mut(key) {
                values.insert(key.clone(), file.read(root, &mut reopened));
            }
        }
        let after = clock::mono_ns();
        for (key, file) in &mut self.files {
            if !values.contains_key(key) {
                values.insert(key.clone(), file.read(root, &mut reopened));
            }
        }

        if reopened {
            self.incarnation += 1;
        }
        let mut reading = Reading {
            mono_ns: clock::middle(before, after),
            incarnation: self.incarnation,
            ..Reading::default()
        };
        reading.traffic = self.traffic(table, &values, &mut reading.missing);
        for ((dir, name), value) in values {
            match value {
                Ok(value) => {
                    let taken = reading.counters.iter().any(|c| c.name() == &*name);
                    let name = if taken { format!("{}/{name}", dir.name()) } else { name.to_string() };
                    let kind = if table.all_monotonic { Kind::Monotonic64 } else { Kind::Gauge };
                    let desc = Arc::new(Desc { kind, ..Desc::unknown(name) });
                    reading.counters.push(RawCounter { desc, value });
                }
                // A quantity that is missing for this very file's sake has said so already.
                Err(_) if first.iter().any(|(d, n)| *d == dir && *n == name) => {}
                Err(e) => {
                    let place = Some(format!("{}/{name}", dir.name()));
                    reading.missing.push(Missing { counter: name.to_string(), place, reason: e.to_string() });
                }
            }
        }
        PortSample { facts: Arc::clone(&self.facts), source: SourceKind::Sysfs, reading: Ok(reading) }
    }

    /// The files the canonical quantities are made from, that exist.
    fn traffic_files(&self, table: &DriverTable) -> Vec<Key> {
        [table.tx_bytes, table.rx_bytes, table.tx_pkts, table.rx_pkts]
            .iter()
            .filter_map(|places| self.chosen(places))
            .map(|place| (place.dir, place.file.into()))
            .collect()
    }

    /// Of several places the first whose file exists.
    fn chosen<'a>(&self, places: &'a [Place]) -> Option<&'a Place> {
        places.iter().find(|p| self.files.contains_key(&(p.dir, p.file.into())))
    }

    fn traffic(
        &self,
        table: &DriverTable,
        values: &BTreeMap<Key, Result<u64, ReadError>>,
        missing: &mut Vec<Missing>,
    ) -> Traffic {
        let mut get = |quantity: &str, places: &[Place]| {
            let place = self.chosen(places).or_else(|| places.first());
            let place = place.map(|p| format!("{}/{}", p.dir.name(), p.file));
            self.quantity(places, values)
                .map_err(|reason| missing.push(Missing { counter: quantity.to_owned(), place, reason }))
                .ok()
        };
        Traffic {
            tx_bytes: get("tx_bytes", table.tx_bytes),
            rx_bytes: get("rx_bytes", table.rx_bytes),
            tx_ops: get("tx_pkts", table.tx_pkts),
            rx_ops: get("rx_pkts", table.rx_pkts),
        }
    }

    /// A canonical quantity, or why there is none.
    fn quantity(
        &self,
        places: &[Place],
        values: &BTreeMap<Key, Result<u64, ReadError>>,
    ) -> Result<u64, String> {
        let Some(place) = self.chosen(places) else {
            return Err(self.why_absent(places));
        };
        match values.get(&(place.dir, place.file.into())) {
            Some(Ok(count)) => count.checked_mul(place.multiplier).ok_or_else(|| {
                format!("{count} words of {} bytes do not fit into 64 bits", place.multiplier)
            }),
            Some(Err(e)) => Err(e.to_string()),
            None => Err(self.why_absent(places)),
        }
    }

    fn why_absent(&self, places: &[Place]) -> String {
        let Some(place) = places.first() else { return "the driver counts no such thing".to_owned() };
        let dir = place.dir.name();
        match self.absent.iter().find(|(d, _)| *d == place.dir) {
            Some((_, reason)) if reason.contains("does not exist") => format!(
                "there is no {dir} directory (inside a container the kernel hides it: run on the host, or mount the \
                 host's /sys and name it with --sysfs-root)"
            ),
            Some((_, reason)) => format!("{dir}: {reason}"),
            None => "the file does not exist".to_owned(),
        }
    }
}
