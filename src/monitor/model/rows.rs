//! Rows and their groups: counter pages by PE, the other devices by nearest GPU or by node.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::events::Renamed;
use super::names::Names;
use super::pair::Pairs;
use super::track::{Rates, Tracks};
use super::view::{
    CounterView, GroupKind, GroupView, KernelView, Mark, NicView, Notice, SourceKind, Together,
};
use super::{group, notice};
use crate::monitor::counter::Class;
use crate::monitor::failover::tells;
use crate::monitor::natural;
use crate::monitor::sample::{
    DeviceChange, Missing, PageNic, PageSample, PageState, PortFacts, PortSample, RawCounter, Reading, Sample,
};

/// How long the row of a device that is gone stays, in nanoseconds.
const GONE_NS: u64 = 30_000_000_000;

/// Most rows of devices that are gone, the latest. Time alone does not bound them where a sample is another machine's.
const MAX_GONE: usize = 256;

/// The rows of a tick.
#[derive(Debug)]
pub(super) struct Made {
    /// As they are shown.
    pub(super) groups: Vec<GroupView>,
    /// The kernel's rows of NICs that a page shows, with the key of the page's row.
    pub(super) kernel_rows: Vec<NicView>,
    /// Groups of the devices that are in none of `groups`, since a page shows them.
    pub(super) covered: Vec<GroupView>,
}

/// The devices there were, so that one that goes away is said to be gone.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// By key.
    seen: HashMap<String, Seen>,
    pairs: Pairs,
    names: Names,
}

/// A port that was there.
#[derive(Debug)]
struct Seen {
    facts: Arc<PortFacts>,
    source: SourceKind,
    /// When it was last there.
    at: u64,
}

impl Rows {
    /// Takes new names in, before the rows of the same tick are made: those that were told, and those that the list of
    /// devices gave away.
    pub(super) fn rename(&mut self, changes: &[DeviceChange], renamed: &[Renamed]) {
        self.names.update(changes);
        self.names.guess(renamed);
    }

    /// Makes all rows of a tick, groups judged under the limit `max_over_mean`.
    pub(super) fn make(
        &mut self,
        sample: &Sample,
        host: &str,
        max_over_mean: f64,
        tracks: &mut Tracks,
        notices: &mut Vec<Notice>,
    ) -> Made {
        let devices = self.devices(sample, tracks, notices);
        let mut kernel_rows = Vec::new();
        let mut covered = HashSet::new();
        let mut groups: Vec<GroupView> = Vec::new();
        for page in &sample.pages {
            let nics = page
                .nics
                .iter()
                .map(|nic| {
                    let mut row = page_row(page, nic, tracks);
                    let device = devices.iter().map(|(r, _)| r).find(|r| is_same_port(r, nic)).cloned();
                    let covered_by_device = device.is_some();
                    let kernel = device.or_else(|| netdev_row(&row, nic, tracks));
                    if let Some(mut kernel) = kernel {
                        if covered_by_device {
                            row.state.clone_from(&kernel.state);
                            covered.insert(kernel.key.clone());
                        }
                        kernel.key.clone_from(&row.key);
                        let together = self.pairs.update(&row, &kernel);
                        row.kernel = kernel_view(&kernel, together);
                        kernel_rows.push(kernel);
                    }
                    row
                })
                .collect();
            groups.push(page_group(page, nics, max_over_mean, page_counters(page, tracks)));
        }
        self.pairs.keep(|key| kernel_rows.iter().any(|row| row.key == key));
        let (shown, others): (Vec<_>, Vec<_>) =
            devices.into_iter().partition(|(row, _)| covered.contains(&row.key));
        groups.extend(device_groups(others, host, max_over_mean));
        Made { groups, kernel_rows, covered: device_groups(shown, host, max_over_mean) }
    }

    /// A row for every device port, those that went away lately included.
    fn devices(
        &mut self,
        sample: &Sample,
        tracks: &mut Tracks,
        notices: &mut Vec<Notice>,
    ) -> Vec<(NicView, Arc<PortFacts>)> {
        let mut rows: Vec<(NicView, Arc<PortFacts>)> = Vec::new();
        for port in &sample.ports {
            let key = format!("{}/{}", self.names.identity(&port.facts.device), port.facts.port);
            let seen = Seen { facts: Arc::clone(&port.facts), source: port.source, at: sample.mono_ns };
            self.seen.insert(key.clone(), seen);
            let row = port_row(key, port, tracks);
            if let Some(reason) = &row.reason {
                notices.push(notice(&row.device, reason));
            }
            rows.push((row, Arc::clone(&port.facts)));
        }
        let there: HashSet<(&str, u8)> =
            sample.ports.iter().map(|p| (p.facts.device.as_str(), p.facts.port)).collect();
        // Under the name of one that is there nothing is gone: a new name may show before the kernel has told of it.
        self.seen.retain(|_, seen| {
            let age = sample.mono_ns.saturating_sub(seen.at);
            age == 0 || (age <= GONE_NS && !there.contains(&(seen.facts.device.as_str(), seen.facts.port)))
        });
        let mut gone: Vec<u64> =
            self.seen.values().map(|seen| seen.at).filter(|&at| at != sample.mono_ns).collect();
        if gone.len() > MAX_GONE {
            gone.sort_unstable();
            let oldest = gone[gone.len() - MAX_GONE];
            // Of those that went at the same time all go.
            self.seen.retain(|_, seen| seen.at > oldest || seen.at == sample.mono_ns);
        }
        for (key, Seen { facts, source, at }) in self.seen.iter().filter(|(_, s)| s.at != sample.mono_ns) {
            let seconds = sample.mono_ns.saturating_sub(*at) / 1_000_000_000;
            let reason = format!("the device is gone (since {seconds} s)");
            notices.push(notice(&facts.device, "the device is gone"));
            let mut rates = tracks.stale(key);
            rates.marks = vec![Mark::Gone];
            let row = row(key.clone(), facts, rates, Some(reason));
            rows.push((NicView { source: *source, ..row }, Arc::clone(facts)));
        }
        rows.sort_by(|(a, _), (b, _)| natural::compare(&a.device, &b.device).then(a.port.cmp(&b.port)));
        rows
    }
}

fn port_row(key: String, port: &PortSample, tracks: &mut Tracks) -> NicView {
    let row = match &port.reading {
        Ok(reading) if reading.traffic.is_unknown() && !is_full(reading) && tracks.had_traffic(&key) => {
            let rates = tracks.stale(&key);
            row(key, &port.facts, rates, why(&reading.missing))
        }
        Ok(reading) => {
            let rates = tracks.good(&key, reading);
            row(key, &port.facts, rates, why(&reading.missing))
        }
        Err(reason) => {
            let rates = tracks.stale(&key);
            row(key, &port.facts, rates, Some(reason.clone()))
        }
    };
    NicView { source: port.source, ..row }
}

/// Whether the counters are there and count no more.
fn is_full(reading: &Reading) -> bool {
    let of_traffic = |c: &&RawCounter| c.desc.class == Class::Traffic;
    reading.counters.iter().filter(of_traffic).any(RawCounter::stands_at_its_maximum)
}

fn row(key: String, facts: &PortFacts, rates: Rates, reason: Option<String>) -> NicView {
    NicView {
        key,
        device: facts.device.clone(),
        port: facts.port,
        driver: facts.driver.clone().unwrap_or_else(|| "unknown".to_owned()),
        netdev: facts.netdev.clone(),
        pci: facts.pci.clone(),
        numa: facts.numa,
        link_bits_per_s: facts.link_bits_per_s,
        link_overridden: facts.link_overridden,
        link_layer: facts.link_layer.clone(),
        phys_state: facts.phys_state.clone(),
        fw_ver: facts.fw_ver.clone(),
        gpus: facts.gpus.clone(),
        state: facts.state.clone(),
        source: SourceKind::Sysfs,
        tx: rates.tx,
        rx: rates.rx,
        health: rates.health,
        in_flight_bytes: None,
        rx_windows: None,
        kernel: None,
        counters: rates.counters,
        marks: rates.marks,
        reason,
        mono_ns: rates.mono_ns,
        span_ns: rates.span_ns,
        incarnation: rates.incarnation,
        dt: rates.dt,
    }
}

/// One sentence about all missing counters: those with the same reason together, each with its file where that has
/// another name.
fn why(missing: &[Missing]) -> Option<String> {
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for m in missing {
        let other_name = m.place.as_deref().filter(|p| !p.ends_with(&format!("/{}", m.counter)));
        let label = other_name.map_or_else(|| m.counter.clone(), |place| format!("{} ({place})", m.counter));
        match by_reason.iter_mut().find(|(reason, _)| *reason == m.reason) {
            Some((_, labels)) => labels.push(label),
            None => by_reason.push((&m.reason, vec![label])),
        }
    }
    let sentence = |(reason, labels): &(&str, Vec<String>)| {
        let shown = labels[..labels.len().min(4)].join(", ");
        let more = labels.len().saturating_sub(4);
        if more == 0 { format!("{shown}: {reason}") } else { format!("{shown} and {more} more: {reason}") }
    };
    (!by_reason.is_empty()).then(|| by_reason.iter().map(sentence).collect::<Vec<_>>().join("; "))
}

fn page_row(page: &PageSample, nic: &PageNic, tracks: &mut Tracks) -> NicView {
    let key = format!("{}/nic{}", page.key, nic.index);
    let mut rates = match page.state {
        PageState::Alive | PageState::Closed => tracks.good(&key, &nic.reading),
        // What it does is not known, so there is no rate, and none over this gap when it goes on.
        PageState::Stalled | PageState::Dead => tracks.unmoved(&nic.reading),
    };
    rates.marks.extend(page_mark(page.state));
    rates.marks.extend(nic.torn.then_some(Mark::Torn));
    let is_down = tells(page.state) && nic.is_down() == Some(true);
    rates.marks.extend(is_down.then_some(Mark::Down));
    let facts = PortFacts {
        device: nic.device.clone(),
        port: nic.port.max(1),
        driver: Some(page.provider.clone()),
        netdev: nic.netdev.clone(),
        pci: nic.pci.clone(),
        numa: nic.numa,
        link_bits_per_s: nic.link_bits_per_s,
        ..PortFacts::default()
    };
    let no_kernel = nic.netdev_reading.as_ref().and_then(|r| r.as_ref().err());
    let reason = why(&nic.reading.missing).or_else(|| no_kernel.cloned());
    NicView {
        source: SourceKind::Page,
        in_flight_bytes: nic.in_flight_bytes,
        rx_windows: nic.rx_windows.clone(),
        ..row(key, &facts, rates, reason)
    }
}

/// Whether a device's row is the port that a page's NIC stands for.
fn is_same_port(row: &NicView, nic: &PageNic) -> bool {
    row.device == nic.device && (nic.port == 0 || nic.port == row.port)
}

fn page_mark(state: PageState) -> Option<Mark> {
    match state {
        PageState::Alive | PageState::Closed => None,
        PageState::Stalled => Some(Mark::Stalled),
        PageState::Dead => Some(Mark::Dead),
    }
}

/// What the kernel's network interface says about a page's NIC.
fn netdev_row(page_row: &NicView, nic: &PageNic, tracks: &mut Tracks) -> Option<NicView> {
    let reading: &Reading = nic.netdev_reading.as_ref()?.as_ref().ok()?;
    let rates = tracks.good(&format!("{}#netdev", page_row.key), reading);
    Some(NicView {
        source: SourceKind::Netdev,
        tx: rates.tx,
        rx: rates.rx,
        health: rates.health,
        in_flight_bytes: None,
        rx_windows: None,
        kernel: None,
        counters: rates.counters,
        marks: rates.marks,
        reason: None,
        mono_ns: rates.mono_ns,
        span_ns: rates.span_ns,
        incarnation: rates.incarnation,
        dt: rates.dt,
        ..page_row.clone()
    })
}

fn kernel_view(row: &NicView, together: Together) -> Option<Box<KernelView>> {
    let view = KernelView { source: row.source, tx: row.tx, rx: row.rx, together };
    (!row.marks.iter().any(|m| matches!(m, Mark::Stale | Mark::Gone))).then(|| Box::new(view))
}

/// What the PE counts as a whole.
fn page_counters(page: &PageSample, tracks: &mut Tracks) -> Vec<CounterView> {
    let Some(own) = &page.own else { return Vec::new() };
    match page.state {
        PageState::Alive | PageState::Closed => tracks.good(&format!("{}/own", page.key), own).counters,
        PageState::Stalled | PageState::Dead => tracks.unmoved(own).counters,
    }
}

fn page_group(
    page: &PageSample,
    nics: Vec<NicView>,
    max_over_mean: f64,
    counters: Vec<CounterView>,
) -> GroupView {
    GroupView {
        key: page.key.clone(),
        kind: GroupKind::Pe,
        node: page.node.clone(),
        pe: Some(page.pe),
        gpu: page.gpu.clone(),
        numa: None,
        job: Some(page.job.clone()),
        pid: Some(page.pid),
        policy: page.policy.clone(),
        rx_source: page.rx_source.clone(),
        tx: group::flow(&nics, max_over_mean, |n| n.tx),
        rx: group::flow(&nics, max_over_mean, |n| n.rx),
        nics,
        marks: page_mark(page.state).into_iter().collect(),
        counters,
    }
}

/// What ties the NICs of a group of devices together, the finest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Tie {
    /// The nearest GPUs, comma-separated.
    Gpu(String),
    Numa(u16),
    Node,
}

impl Tie {
    fn of(facts: &PortFacts) -> Self {
        // Equally near to every GPU of the machine says nothing.
        let tells =
            !facts.gpus.is_empty() && (facts.gpus.len() < facts.gpus_in_all || facts.gpus_in_all == 1);
        match facts.numa {
            _ if tells => Self::Gpu(facts.gpus.join(",")),
            Some(numa) => Self::Numa(numa),
            None => Self::Node,
        }
    }
}

/// Devices that no page covers, by nearest GPUs where that tells them apart, else by NUMA node, else all of the node
/// together.
fn device_groups(devices: Vec<(NicView, Arc<PortFacts>)>, host: &str, max_over_mean: f64) -> Vec<GroupView> {
    let mut by_tie: BTreeMap<Tie, Vec<NicView>> = BTreeMap::new();
    for (row, facts) in devices {
        by_tie.entry(Tie::of(&facts)).or_default().push(row);
    }
    by_tie
        .into_iter()
        .map(|(tie, nics)| {
            let (key, kind, gpu, numa) = match tie {
                Tie::Gpu(gpu) => (format!("gpu:{gpu}"), GroupKind::Gpu, Some(gpu), None),
                Tie::Numa(numa) => (format!("numa:{numa}"), GroupKind::Numa, None, Some(numa)),
                Tie::Node => (format!("node:{host}"), GroupKind::Node, None, None),
            };
            GroupView {
                key,
                kind,
                node: host.to_owned(),
                pe: None,
                gpu,
                numa,
                job: None,
                pid: None,
                policy: None,
                rx_source: None,
                tx: group::flow(&nics, max_over_mean, |n| n.tx),
                rx: group::flow(&nics, max_over_mean, |n| n.rx),
                nics,
                marks: Vec::new(),
                counters: Vec::new(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// All device rows of a second at which netlink gave these devices' ports.
    fn tick(
        rows: &mut Rows,
        tracks: &mut Tracks,
        second: u64,
        devices: &[&str],
        changes: &[DeviceChange],
    ) -> Vec<NicView> {
        let mono_ns = second * 1_000_000_000;
        let port = |&device: &&str| PortSample {
            facts: Arc::new(PortFacts { device: device.to_owned(), port: 1, ..PortFacts::default() }),
            source: SourceKind::Netlink,
            reading: Ok(Reading { mono_ns, ..Reading::default() }),
        };
        let ports = devices.iter().map(port).collect();
        let sample = Sample { mono_ns, ports, ..Sample::default() };
        tracks.begin(Duration::from_secs(1));
        rows.rename(changes, &[]);
        let made = rows.make(&sample, "h", 1.25, tracks, &mut Vec::new());
        made.groups.into_iter().flat_map(|g| g.nics).collect()
    }

    #[test]
    fn a_device_that_is_gone_keeps_the_source_it_had() {
        let (mut rows, mut tracks) = (Rows::default(), Tracks::default());
        tick(&mut rows, &mut tracks, 1, &["a"], &[]);
        let [gone] = &tick(&mut rows, &mut tracks, 2, &[], &[])[..] else { panic!("one row") };
        assert_eq!((gone.source, gone.marks.as_slice()), (SourceKind::Netlink, &[Mark::Gone][..]));
    }

    #[test]
    fn a_new_name_that_shows_before_the_kernel_tells_of_it_leaves_no_row_of_its_own_behind() {
        let (mut rows, mut tracks) = (Rows::default(), Tracks::default());
        tick(&mut rows, &mut tracks, 1, &["a"], &[]);
        assert_eq!(tick(&mut rows, &mut tracks, 2, &["b"], &[]).len(), 2, "nobody knows yet that a is b");
        let told = DeviceChange::Renamed { from: "a".to_owned(), to: "b".to_owned() };
        let after = tick(&mut rows, &mut tracks, 3, &["b"], &[told]);
        let shown: Vec<_> = after.iter().map(|r| (r.key.as_str(), r.marks.contains(&Mark::Gone))).collect();
        assert_eq!(shown, [("a/1", false)]);
    }

    fn facts(gpus: &[&str], gpus_in_all: usize, numa: Option<u16>) -> PortFacts {
        let gpus = gpus.iter().map(|&g| g.to_owned()).collect();
        PortFacts { numa, gpus, gpus_in_all, ..PortFacts::default() }
    }

    #[test]
    fn gpus_tie_nics_together_then_numa_nodes_then_the_node() {
        assert_eq!(Tie::of(&facts(&["a"], 8, Some(0))), Tie::Gpu("a".to_owned()));
        assert_eq!(Tie::of(&facts(&["a"], 1, Some(0))), Tie::Gpu("a".to_owned()), "one GPU in all");
        // p4d: two GPUs and one NIC on a bus.
        assert_eq!(Tie::of(&facts(&["a", "b"], 8, Some(0))), Tie::Gpu("a,b".to_owned()));
        assert_eq!(Tie::of(&facts(&["a", "b"], 2, Some(1))), Tie::Numa(1), "near to all is near to none");
        assert_eq!(Tie::of(&facts(&[], 8, Some(1))), Tie::Numa(1));
        assert_eq!(Tie::of(&facts(&[], 0, None)), Tie::Node);
    }
}
