//! One port: its counter files, read in an order that keeps the traffic counters close to their timestamp.

use std::path::PathBuf;
use std::sync::Arc;

use super::file::{CounterFile, ReadError};
use super::netdev::Netdev;
use super::root::Root;
use crate::monitor::clock;
use crate::monitor::counter::Desc;
use crate::monitor::model::view::SourceKind;
use crate::monitor::moment::Moment;
use crate::monitor::sample::{Missing, Needs, PortFacts, PortSample, RawCounter, Reading, Traffic};
use crate::monitor::table::{self, DeviceDir, Dir, Driver, Found, Term, Why};

/// Names longer than this are no counters.
const MAX_NAME: usize = 64;

/// What a counter is read for; the order in which they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Bytes,
    Packets,
    Health,
    Detail,
}

impl Use {
    /// Where bytes are not counted, packets are all that tells whether the port answers.
    fn is_wanted(self, needs: Needs, has_bytes: bool) -> bool {
        match self {
            Self::Bytes | Self::Health => true,
            Self::Packets => needs.packets || needs.all_counters || !has_bytes,
            Self::Detail => needs.all_counters,
        }
    }

    fn is_traffic(self) -> bool {
        matches!(self, Self::Bytes | Self::Packets)
    }
}

/// A counter of the port.
#[derive(Debug)]
struct Counter {
    dir: Dir,
    name: String,
    desc: Arc<Desc>,
    used: Use,
    file: CounterFile,
    /// What the last read gave; `None` when it was not read.
    value: Option<Result<u64, ReadError>>,
}

/// Reads one port.
#[derive(Debug)]
pub(super) struct PortReader {
    /// The device's directory, and the port's in it.
    dirs: (PathBuf, PathBuf),
    facts: Arc<PortFacts>,
    table: &'static Driver,
    /// By directory and name.
    counters: Vec<Counter>,
    /// Directories that could not be listed, with the reason.
    absent: Vec<(Dir, String)>,
    netdev: Option<Netdev>,
    incarnation: u64,
    /// What the four quantities were made of at the last read.
    made_of: [Option<u32>; 4],
}

impl PortReader {
    pub(super) fn new(device: PathBuf, facts: Arc<PortFacts>) -> Self {
        let port = device.join(format!("ports/{}", facts.port));
        let table = table::of(facts.driver.as_deref());
        Self {
            dirs: (device, port),
            facts,
            table,
            counters: Vec::new(),
            absent: Vec::new(),
            netdev: None,
            incarnation: 0,
            made_of: [None; 4],
        }
    }

    pub(super) fn port(&self) -> u8 {
        self.facts.port
    }

    /// Takes new facts and the current list of files; files that are still there stay open.
    pub(super) fn look(&mut self, root: &Root, facts: Arc<PortFacts>) {
        self.table = table::of(facts.driver.as_deref());
        self.facts = facts;
        self.absent.clear();
        let mut before = std::mem::take(&mut self.counters);
        for dir in Dir::ALL {
            let Some(path) = self.path(root, dir) else { continue };
            let mut names = match root.list(&path) {
                Ok(names) => names,
                Err(e) => {
                    self.absent.push((dir, ReadError::from(e).to_string()));
                    continue;
                }
            };
            names.retain(|n| n.len() <= MAX_NAME && n.chars().all(|c| c.is_ascii_graphic()));
            names.sort_unstable();
            for name in names {
                let known = before.iter().position(|c| c.dir == dir && c.name == name);
                let file = match known {
                    Some(at) => before.swap_remove(at).file,
                    None => CounterFile::new(path.join(&name)),
                };
                let desc = self.desc(dir, &name);
                self.counters.push(Counter {
                    dir,
                    used: self.used(dir, &name, &desc),
                    name,
                    desc,
                    file,
                    value: None,
                });
            }
        }
        let interface = self.facts.netdev.as_deref().filter(|_| self.table.software);
        if interface != self.netdev.as_ref().map(Netdev::name) {
            self.netdev = interface.map(Netdev::new);
        }
    }

    /// Where the counters of a directory lie; `None` where they must not, or need not, be looked at.
    fn path(&self, root: &Root, dir: Dir) -> Option<PathBuf> {
        match dir {
            Dir::HwCounters | Dir::Counters => Some(self.dirs.1.join(dir.name())),
            Dir::Device => {
                // A stand-in in another network namespace has no port counters; opening the device's own crashes
                // Linux 5.14 to 6.14. So those are opened only if the port has some, and are not missed otherwise.
                let is_whole = self.counters.iter().any(|c| c.dir == Dir::HwCounters);
                let safe = match self.table.device {
                    DeviceDir::Ignored => false,
                    DeviceDir::Detail | DeviceDir::Shown => is_whole,
                    DeviceDir::Only => is_whole || !root.may_be_stand_in(&self.dirs.0),
                };
                safe.then(|| self.dirs.0.join("hw_counters"))
            }
        }
    }

    /// What a counter is. A name that another directory has already gets its own in front.
    fn desc(&self, dir: Dir, name: &str) -> Arc<Desc> {
        let desc = self.table.desc(dir, name);
        if self.counters.iter().any(|c| c.dir != dir && c.name == name) {
            return Arc::new(Desc { name: format!("{}/{name}", dir.name()).into(), ..(*desc).clone() });
        }
        desc
    }

    fn used(&self, dir: Dir, name: &str, desc: &Desc) -> Use {
        let part_of = |which: usize| {
            let (_, quantity) = self.table.traffic()[which];
            quantity.terms().any(|term| term.dir == dir && term.name == name)
        };
        match (part_of(0) || part_of(1), part_of(2) || part_of(3), desc.feeds) {
            (true, ..) => Use::Bytes,
            (_, true, _) => Use::Packets,
            (.., Some(_)) => Use::Health,
            _ => Use::Detail,
        }
    }

    /// Reads the counters that are needed: first those that make the rates, between two looks at the clock.
    pub(super) fn read(&mut self, root: &Root, needs: Needs) -> PortSample {
        let mut reopened = false;
        let has_bytes = self.has_bytes();
        let is_wanted = |used: Use| used.is_wanted(needs, has_bytes);
        let before = clock::mono_ns();
        self.read_some(root, |used| used.is_traffic() && is_wanted(used), &mut reopened);
        let netdev = match &mut self.netdev {
            Some(netdev) => netdev.read(root, &mut reopened),
            None => Vec::new(),
        };
        let moment = Moment::since(before);
        let rest_from = clock::mono_ns();
        self.read_some(root, |used| !used.is_traffic() && is_wanted(used), &mut reopened);

        let mut reading = Reading {
            mono_ns: moment.at_ns,
            span_ns: moment.span_ns,
            rest_ns: clock::mono_ns().saturating_sub(rest_from),
            ..Reading::default()
        };
        let source = self.traffic(is_wanted, &netdev, &mut reading);
        self.incarnation += u64::from(reopened);
        reading.incarnation = self.incarnation;
        self.collect(&mut reading);
        if source == SourceKind::Netdev {
            let new = |c: &RawCounter| self.counters.iter().all(|own| own.desc.name != c.desc.name);
            reading.counters.extend(netdev.into_iter().filter_map(Result::ok).filter(new));
        }
        PortSample { facts: Arc::clone(&self.facts), source, reading: Ok(reading) }
    }

    /// Whether something counts bytes: the port itself, or the interface that stands in for it.
    fn has_bytes(&self) -> bool {
        self.netdev.is_some() || self.counters.iter().any(|c| c.used == Use::Bytes)
    }

    fn read_some(&mut self, root: &Root, which: impl Fn(Use) -> bool, reopened: &mut bool) {
        for counter in &mut self.counters {
            if which(counter.used) {
                counter.value = Some(counter.file.read(root, reopened));
            }
        }
    }

    /// The canonical quantities, and where the bytes come from.
    fn traffic(
        &mut self,
        is_wanted: impl Fn(Use) -> bool,
        netdev: &[Result<RawCounter, Missing>],
        reading: &mut Reading,
    ) -> SourceKind {
        let mut values = [None; 4];
        let mut made_of = [None; 4];
        let mut source = SourceKind::Sysfs;
        for (which, (name, quantity)) in self.table.traffic().into_iter().enumerate() {
            let used = if which < 2 { Use::Bytes } else { Use::Packets };
            if !is_wanted(used) {
                continue;
            }
            match quantity.sum(|term| self.found(term)) {
                Ok(sum) => (values[which], made_of[which]) = (Some(sum.value), Some(sum.made_of)),
                Err(why) => match netdev.get(which) {
                    // Software alone comes here: a hardware driver's interface does not count its RDMA traffic.
                    Some(Ok(counter)) => {
                        (values[which], made_of[which]) = (Some(counter.value), Some(u32::MAX));
                        source = SourceKind::Netdev;
                    }
                    Some(Err(missing)) => {
                        reading.missing.push(Missing { counter: name.to_owned(), ..missing.clone() });
                    }
                    None => reading.missing.push(self.missing(name, why)),
                },
            }
        }
        // A sum of other counters is no continuation of the last one.
        let changed =
            |(now, then): (&Option<u32>, &Option<u32>)| now.is_some() && then.is_some() && now != then;
        self.incarnation += u64::from(made_of.iter().zip(&self.made_of).any(changed));
        for (then, now) in self.made_of.iter_mut().zip(made_of) {
            *then = now.or(*then);
        }
        let [tx_bytes, rx_bytes, tx_ops, rx_ops] = values;
        reading.traffic = Traffic { tx_bytes, rx_bytes, tx_ops, rx_ops };
        source
    }

    fn found(&self, term: &Term) -> Found {
        let Some(counter) = self.counters.iter().find(|c| c.dir == term.dir && c.name == term.name) else {
            return Found::Absent;
        };
        match &counter.value {
            // It would say 0 B/s for ever.
            Some(Ok(value)) if counter.desc.kind.maximum() == Some(*value) => Found::Unreadable(format!(
                "it stands at its maximum, {value}, and counts no more until somebody clears it (`perfquery -R`)"
            )),
            Some(Ok(value)) => Found::Value(*value),
            Some(Err(e)) if !e.is_absence() => Found::Unreadable(e.to_string()),
            Some(Err(_)) | None => Found::Absent,
        }
    }

    /// Moves all values that were read into the reading.
    fn collect(&mut self, reading: &mut Reading) {
        let says_so =
            |missing: &[Missing], place: &str| missing.iter().any(|m| m.place.as_deref() == Some(place));
        for counter in &mut self.counters {
            match counter.value.take() {
                Some(Ok(value)) => {
                    reading.counters.push(RawCounter { desc: Arc::clone(&counter.desc), value });
                }
                Some(Err(e)) => {
                    let place = format!("{}/{}", counter.dir.name(), counter.name);
                    // A quantity that is missing for this very file's sake has said so already.
                    if !says_so(&reading.missing, &place) {
                        let (counter, reason) = (counter.name.clone(), e.to_string());
                        reading.missing.push(Missing { counter, place: Some(place), reason });
                    }
                }
                None => {}
            }
        }
    }

    fn missing(&self, quantity: &str, why: Why) -> Missing {
        let place = |term: &Term| Some(format!("{}/{}", term.dir.name(), term.name));
        let (place, reason) = match why {
            Why::NotCounted if self.table.software => {
                (None, "the driver does not count it, and its network interface is not known".to_owned())
            }
            Why::NotCounted => (None, "the driver counts no such thing".to_owned()),
            Why::Absent(term) => (place(term), self.why_absent(term.dir)),
            Why::Unreadable(term, reason) => (place(term), reason),
        };
        Missing { counter: quantity.to_owned(), place, reason }
    }

    fn why_absent(&self, dir: Dir) -> String {
        let name = dir.name();
        match self.absent.iter().find(|(d, _)| *d == dir) {
            Some((_, reason)) if reason.contains("does not exist") => format!(
                "there is no {name} directory (inside a container the kernel hides it: run on the host, or mount the \
                 host's /sys and name it with --sysfs-root)"
            ),
            Some((_, reason)) => format!("{name}: {reason}"),
            None if dir == Dir::Device && self.counters.is_empty() => {
                "the device's hw_counters are not opened here: in a network namespace other than the first that crashes \
                 some kernels (run on the host)"
                    .to_owned()
            }
            None => "the file does not exist".to_owned(),
        }
    }
}
