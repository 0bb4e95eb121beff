//! The RDMA devices, each read by whichever of sysfs and netlink has what is shown and is cheaper.
//!
//! sysfs has everything, a system call per counter. RDMA netlink has the ports' hardware counters alone, but those of
//! many ports for a few system calls; and it has them where sysfs hides them, in a container's network namespace.
//! A device that hangs holds netlink for all, so then sysfs's threads serve those that answer.

mod answer;
mod changes;
mod continuity;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::answer::Descs;
use self::continuity::Continuity;
use super::errand::OVER;
use super::netlink::{NetlinkError, NetlinkSource, PortAnswer, Query, Round};
use super::sysfs::SysfsSource;
use crate::monitor::glob::Glob;
use crate::monitor::model::view::{Notice, SourceKind};
use crate::monitor::natural;
use crate::monitor::sample::{DeviceChange, Needs, PortFacts, PortSample};
use crate::monitor::table;

/// How long what sysfs says about a device that netlink reads is taken as unchanged, and how long a device without
/// counters is not asked for them again.
const HOLD: Duration = Duration::from_secs(60);
/// Netlink asks one device after the other. Where a round takes more than this share of the interval, sysfs, which
/// asks all at once, is better.
const SLOW_SHARE: u32 = 4;
/// Least time for sysfs to answer after netlink was late.
const SECOND_TRY: Duration = Duration::from_millis(100);

/// Which of the two is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// sysfs alone.
    Sysfs,
    /// Netlink alone; sysfs only for what a device is.
    Netlink,
    /// Per device, what suits.
    Auto,
}

/// What one tick has read.
#[derive(Debug, Default)]
pub struct DevicesRead {
    /// Ports in natural order of their devices.
    pub ports: Vec<PortSample>,
    /// Devices that came, went or were renamed.
    pub changes: Vec<DeviceChange>,
    /// What a person should know.
    pub notices: Vec<Notice>,
    /// Why there is no device, when there is none.
    pub nothing: Option<String>,
}

/// How long to wait, and what for.
#[derive(Debug, Clone, Copy)]
pub struct Tick {
    /// Longest wait for a device.
    pub deadline: Duration,
    /// Nominal time between ticks.
    pub interval: Duration,
    /// What is to be read.
    pub needs: Needs,
}

/// The devices' source.
#[derive(Debug)]
pub struct DeviceSource {
    choice: Choice,
    sysfs: SysfsSource,
    device: Option<Glob>,
    netlink: NetlinkSource,
    descs: Descs,
    continuity: Continuity,
    /// What sysfs said about each device's ports, and when.
    facts: HashMap<String, (Instant, Vec<Arc<PortFacts>>)>,
    /// Devices whose counters sysfs does not show and netlink does.
    hidden: HashSet<String>,
    /// Devices of which neither has counters, and when that was found out.
    without: HashMap<String, Instant>,
    /// When netlink was found too slow.
    slow: Option<Instant>,
    /// Whether netlink has ever answered: then it tells of all changes.
    answered: bool,
    before: Option<Vec<String>>,
}

impl DeviceSource {
    /// Reads devices that match `device`, as `choice` says.
    #[must_use]
    pub fn new(choice: Choice, sysfs: SysfsSource, device: Option<Glob>) -> Self {
        Self {
            choice,
            sysfs,
            device,
            netlink: NetlinkSource::default(),
            descs: Descs::default(),
            continuity: Continuity::default(),
            facts: HashMap::new(),
            hidden: HashSet::new(),
            without: HashMap::new(),
            slow: None,
            answered: false,
            before: None,
        }
    }

    /// Reads every device once; what has not answered in time is reported as such.
    pub fn read(&mut self, tick: Tick) -> DevicesRead {
        let mut read = DevicesRead::default();
        self.sysfs.set_needs(tick.needs);
        let listed = self.sysfs.wanted();
        let names = listed.as_ref().map(Vec::clone).unwrap_or_default();
        // Of a copied tree the running kernel knows nothing. Where sysfs has no list of devices, the module that has
        // netlink is not loaded either, and asking would load it.
        let live = self.choice != Choice::Sysfs && self.sysfs.is_live();
        let mut ports = match self.choice {
            Choice::Netlink if !live => {
                let why =
                    "no RDMA device: --source netlink asks the running kernel, and --sysfs-root is a copy";
                read.nothing = Some(why.to_owned());
                Vec::new()
            }
            Choice::Netlink => self.netlink_alone(&names, tick, &mut read),
            Choice::Auto if live && (listed.is_ok() || self.sysfs.has_class()) => {
                self.both(&names, tick, &mut read)
            }
            Choice::Sysfs | Choice::Auto => self.sysfs.read_these(&names, tick.deadline),
        };
        if !self.answered {
            let before = self.before.as_ref();
            read.changes = before.map(|before| changes::between(before, &names)).unwrap_or_default();
        }
        let before = self.before.replace(names).unwrap_or_default();
        read.changes.retain(|change| changes::concerns(change, self.device.as_ref()));
        if ports.is_empty()
            && let Err(none) = listed
        {
            read.notices.extend(none.notice);
            read.nothing = read.nothing.take().or(none.nothing);
        }
        ports.sort_by(|a, b| {
            natural::compare(&a.facts.device, &b.facts.device).then(a.facts.port.cmp(&b.facts.port))
        });
        if !read.changes.is_empty() {
            self.sysfs.list_again();
        }
        self.rename(&read.changes, &before, &mut ports);
        for port in &mut ports {
            self.continuity.apply(port);
        }
        read.ports = ports;
        read
    }

    /// Lets what is known go along with a name. What was read under one that changed hands may be the other device's.
    fn rename(&mut self, changes: &[DeviceChange], before: &[String], ports: &mut [PortSample]) {
        let taken_over = changes::taken_over(changes, before);
        for port in ports.iter_mut().filter(|p| p.source != SourceKind::Netlink) {
            if taken_over.contains(&port.facts.device.as_str()) {
                port.reading = Err("another device has this name since now".to_owned());
            }
        }
        for change in changes {
            let DeviceChange::Renamed { from, to } = change else { continue };
            self.continuity.rename(from, to);
            for name in [from, to] {
                self.sysfs.forget(name);
                self.facts.remove(name);
                self.hidden.remove(name);
            }
        }
    }

    /// Whether the running kernel's netlink may be asked about the devices that the tree shows.
    ///
    /// # Errors
    /// Says why not: of a copied tree it knows nothing, and where the RDMA core is not loaded, asking would load it.
    pub fn can_ask_kernel(&self) -> Result<(), &'static str> {
        if !self.sysfs.is_live() {
            return Err("--sysfs-root is a copied tree, of which the running kernel knows nothing");
        }
        if !self.sysfs.has_class() {
            return Err("no RDMA driver is loaded");
        }
        Ok(())
    }

    /// Netlink for the devices it suits, sysfs for the others and for those that netlink owes an answer for.
    fn both(&mut self, names: &[String], tick: Tick, read: &mut DevicesRead) -> Vec<PortSample> {
        let begun = Instant::now();
        let until = begun + tick.deadline;
        let is_late = self.netlink.open_for().is_some();
        let by_netlink: Vec<String> = if is_late {
            Vec::new()
        } else {
            names.iter().filter(|name| self.suits_netlink(name, tick.needs)).cloned().collect()
        };
        // Also where it is to read nothing: it tells which devices came and went.
        self.ask(by_netlink.clone(), names, tick, read);
        let by_sysfs: Vec<String> = names.iter().filter(|n| !by_netlink.contains(n)).cloned().collect();
        let mut ports = self.sysfs.read_these(&by_sysfs, tick.deadline);
        let patience = if is_late { Duration::ZERO } else { tick.deadline / 2 };
        let round = self.netlink.answer(begun + patience);
        let answered = matches!(round, Some(Ok(_)));
        match round {
            Some(Ok(round)) => {
                let found = self.take(round, tick, read);
                if !is_late {
                    ports.extend(found);
                }
            }
            Some(Err(NetlinkError::Panicked)) => self.netlink_ended(read),
            // It is not there, and sysfs has what there is.
            Some(Err(_)) | None => {}
        }
        let there: HashSet<&String> = ports.iter().map(|p| &p.facts.device).collect();
        let left: Vec<String> = by_netlink.iter().filter(|name| !there.contains(name)).cloned().collect();
        if !left.is_empty() {
            let rest = until.saturating_duration_since(Instant::now()).max(SECOND_TRY);
            ports.extend(self.sysfs.read_these(&left, rest));
        }
        self.learn(&ports);
        if answered && !is_late {
            self.look_for_hidden(&mut ports, names, until, tick, read);
        }
        self.tell_hidden(read);
        ports
    }

    /// Reads over netlink what sysfs has no counter of at all.
    fn look_for_hidden(
        &mut self,
        ports: &mut [PortSample],
        names: &[String],
        until: Instant,
        tick: Tick,
        read: &mut DevicesRead,
    ) {
        self.without.retain(|_, at| at.elapsed() < HOLD);
        let bare = |p: &&PortSample| {
            p.source == SourceKind::Sysfs
                && p.reading.as_ref().is_ok_and(|r| r.traffic.is_unknown() && r.counters.is_empty())
        };
        let mut devices: Vec<String> = ports.iter().filter(bare).map(|p| p.facts.device.clone()).collect();
        devices.retain(|name| !self.without.contains_key(name));
        devices.dedup();
        if devices.is_empty() {
            return;
        }
        self.ask(devices.clone(), names, tick, read);
        let round = match self.netlink.answer(until) {
            Some(Ok(round)) => round,
            Some(Err(NetlinkError::Panicked)) => return self.netlink_ended(read),
            Some(Err(_)) | None => return,
        };
        for found in self.take(round, tick, read) {
            if found.reading.as_ref().is_ok_and(|r| !r.counters.is_empty()) {
                self.hidden.insert(found.facts.device.clone());
                let same = |p: &&mut PortSample| {
                    (&p.facts.device, p.facts.port) == (&found.facts.device, found.facts.port)
                };
                if let Some(port) = ports.iter_mut().find(same) {
                    *port = found;
                }
            }
        }
        let now = Instant::now();
        self.without.extend(devices.into_iter().filter(|d| !self.hidden.contains(d)).map(|d| (d, now)));
    }

    /// A bug ended netlink's thread, so nobody tells of changes but the lists of sysfs.
    fn netlink_ended(&mut self, read: &mut DevicesRead) {
        self.answered = false;
        read.notices.push(Notice { subject: "RDMA netlink".to_owned(), text: OVER.to_owned() });
    }

    /// Netlink for everything.
    fn netlink_alone(&mut self, names: &[String], tick: Tick, read: &mut DevicesRead) -> Vec<PortSample> {
        let until = Instant::now() + tick.deadline;
        let wanted = if names.is_empty() { None } else { Some(names.to_vec()) };
        self.ask_for(Query { devices: wanted, listed: names.to_vec(), interval: tick.interval }, read);
        let unknown: Vec<String> =
            names.iter().filter(|name| self.facts_of(name).is_none()).cloned().collect();
        let facts = self.sysfs.read_these(&unknown, tick.deadline / 2);
        self.learn(&facts);
        let reason = match self.netlink.answer(until) {
            Some(Ok(round)) => {
                let mut ports = self.take(round, tick, read);
                ports.retain(|p| self.device.as_ref().is_none_or(|glob| glob.matches(&p.facts.device)));
                return ports;
            }
            Some(Err(e)) => e.to_string(),
            None => answer::late(self.netlink.open_for()),
        };
        read.nothing = Some(format!("no RDMA device: {reason}"));
        // Those that sysfs lists are there, whatever netlink says.
        let unknown = |name: &String| {
            vec![Arc::new(PortFacts { device: name.clone(), port: 1, ..PortFacts::default() })]
        };
        let ports =
            |name: &String| self.facts.get(name).map_or_else(|| unknown(name), |(_, ports)| ports.clone());
        let row = |facts| PortSample { facts, source: SourceKind::Netlink, reading: Err(reason.clone()) };
        names.iter().flat_map(ports).map(row).collect()
    }

    fn ask(&mut self, devices: Vec<String>, names: &[String], tick: Tick, read: &mut DevicesRead) {
        let query = Query { devices: Some(devices), listed: names.to_vec(), interval: tick.interval };
        self.ask_for(query, read);
    }

    fn ask_for(&mut self, query: Query, read: &mut DevicesRead) {
        if let Err(e) = self.netlink.ask(query) {
            let text = format!("cannot start a thread: {e}");
            read.notices.push(Notice { subject: "RDMA netlink".to_owned(), text });
        }
    }

    /// The samples of a round, and what else it tells.
    fn take(&mut self, round: Round, tick: Tick, read: &mut DevicesRead) -> Vec<PortSample> {
        self.answered = true;
        read.changes.extend(round.changes);
        if round.took > tick.interval / SLOW_SHARE {
            self.slow = Some(Instant::now());
        }
        if round.devices.is_empty() && round.system.shared == Some(false) {
            read.nothing = Some(
                "no RDMA device in this network namespace: RDMA devices belong to one namespace each here (`rdma \
                 system` says exclusive); run railtop in the one that has them (`nsenter -t 1 -n railtop` for the \
                 host's), or move one here with `rdma dev set DEVICE netns NAME`"
                    .to_owned(),
            );
        }
        let fw_ver = |answer: &PortAnswer| {
            let device = round.devices.iter().find(|d| d.index == answer.index);
            device.and_then(|d| d.fw_ver.clone())
        };
        let mut samples = Vec::with_capacity(round.ports.len());
        for answer in &round.ports {
            let facts = self.facts_for(answer, || fw_ver(answer));
            // In the other modes sysfs says better what is wrong with a device.
            if self.choice == Choice::Netlink || answer.counters.is_ok() {
                samples.push(answer::sample(answer, &facts, &mut self.descs));
            }
        }
        samples
    }

    /// What is known about a port, from sysfs if that has ever said it.
    fn facts_for(&self, answer: &PortAnswer, fw_ver: impl FnOnce() -> Option<String>) -> Arc<PortFacts> {
        let known = self
            .facts
            .get(&answer.device)
            .and_then(|(_, ports)| ports.iter().find(|f| f.port == answer.port));
        known.map_or_else(
            || {
                Arc::new(PortFacts {
                    device: answer.device.clone(),
                    port: answer.port,
                    fw_ver: fw_ver(),
                    ..PortFacts::default()
                })
            },
            Arc::clone,
        )
    }

    /// Remembers what sysfs says about the devices it read.
    fn learn(&mut self, ports: &[PortSample]) {
        let now = Instant::now();
        for device in ports.chunk_by(|a, b| a.facts.device == b.facts.device) {
            let [first, ..] = device else { continue };
            if first.source == SourceKind::Netlink || first.reading.is_err() {
                continue;
            }
            if device.iter().any(|p| p.reading.as_ref().is_ok_and(|r| !r.counters.is_empty())) {
                self.hidden.remove(&first.facts.device);
            }
            let facts = device.iter().map(|p| Arc::clone(&p.facts)).collect();
            self.facts.insert(first.facts.device.clone(), (now, facts));
        }
        self.facts.retain(|_, (at, _)| at.elapsed() < 2 * HOLD);
    }

    /// What sysfs said about a device, unless that is long ago.
    fn facts_of(&self, device: &str) -> Option<&[Arc<PortFacts>]> {
        let (at, ports) = self.facts.get(device)?;
        (at.elapsed() < HOLD).then_some(ports)
    }

    fn suits_netlink(&self, device: &str, needs: Needs) -> bool {
        if self.slow.is_some_and(|at| at.elapsed() < HOLD) && !self.hidden.contains(device) {
            return false;
        }
        let Some([first, ..]) = self.facts_of(device) else { return false };
        self.hidden.contains(device)
            || answer::carries(table::of(first.driver.as_deref()), needs.all_counters)
    }

    /// Says once for all devices that their counters come over netlink.
    fn tell_hidden(&self, read: &mut DevicesRead) {
        if self.hidden.is_empty() {
            return;
        }
        read.notices.push(Notice {
            subject: "RDMA netlink".to_owned(),
            text: "sysfs hides the port counters in this network namespace, so they are read over RDMA netlink; \
                   what netlink does not have (mlx5's bytes) needs the host's /sys (--sysfs-root)"
                .to_owned(),
        });
    }
}

#[cfg(test)]
mod tests;
