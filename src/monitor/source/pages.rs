//! Counter pages of railtop's own transport: payload per PE and NIC.
//!
//! A page stays open while it is watched, so that the last numbers of a PE that ends are still read after its page has
//! lost its name.

mod problems;

use std::collections::HashSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use self::problems::{Unusable, about, too_many, windows_ended};
use super::pause::Pause;
use super::windows::WindowSampler;
use crate::counters::{
    DEAD_PAGE_TTL, ExtraField, Field, FieldKind, Liveness, NicCounts, NicIdentity, NicSnapshot, PageDir,
    PageEntry, PageIdentity, PageReader, PageSnapshot, PeCounts, ReadError, RxSource, Scan,
};
use crate::monitor::clock;
use crate::monitor::counter::{Class, Desc, Kind, Unit};
use crate::monitor::failover::{DOWN, FAILURES};
use crate::monitor::glob::Glob;
use crate::monitor::model::view::Notice;
use crate::monitor::moment::Moment;
use crate::monitor::natural;
use crate::monitor::sample::{Missing, PageNic, PageSample, PageState, RawCounter, Reading, Traffic};
use crate::text::printable;

/// From this interval on a look for pages is left out where there are none.
const SELDOM: Duration = Duration::from_secs(1);
/// How often dead pages are looked for to be removed.
const REAP_EVERY: Duration = Duration::from_secs(5);
/// A PE that has not published for this long, and not since the last look either, stands still: what it moved is not
/// known. The transport publishes every 100 ms, also when idle.
const SILENT_AFTER: Duration = Duration::from_millis(300);

/// Most pages of one directory that are kept open: far more than a node has PEs, and well below the usual limit of
/// open files.
const MAX_OPEN: usize = 512;

/// The counter page source.
#[derive(Debug)]
pub struct PageSource {
    dir: Option<PathBuf>,
    device: Option<Glob>,
    open: BTreeMap<PathBuf, OpenPage>,
    /// While somebody wants to see short windows.
    windows: Option<WindowSampler>,
    /// The thread that looked at them ended by a bug, and nobody looks for a while.
    windows_pause: Option<Pause>,
    reaped: Instant,
    /// Where this user's pages lie, and whether somebody said so: both asked once, since ticks may run on a thread of a
    /// process whose environment is not ours to read at any time.
    own: PathBuf,
    explicit: bool,
    /// The last look found no page and nothing wrong.
    found_none: bool,
}

/// A page that is watched.
#[derive(Debug)]
struct OpenPage {
    inode: u64,
    reader: PageReader,
    /// When the writer had published last, as of the last look.
    heartbeat_ns: Option<u64>,
    /// It has said that it is closed, so there is nothing more to hear from it.
    closed: bool,
}

/// A page's sample with what the network interface source needs to know about the writer.
#[derive(Debug, Clone)]
pub struct FoundPage {
    /// The sample.
    pub sample: PageSample,
    /// Inode of the writer's network namespace.
    pub net_ns: Option<u64>,
    /// The writer's process number, where it is of our own PID namespace: elsewhere it means another process.
    pub own_pid: Option<u32>,
    /// When the page was made, to tell runs of the same PE apart.
    started_ns: u64,
}

/// What one look gave.
#[derive(Debug, Default)]
pub struct PagesFound {
    /// Pages by job, node and PE.
    pub pages: Vec<FoundPage>,
    /// What is wrong with others.
    pub notices: Vec<Notice>,
    /// Why there is none, when there is none.
    pub nothing: Option<String>,
}

impl PageSource {
    /// Watches `dir`, or the directories the transport uses as the environment has them now; only NICs that match `device`.
    #[must_use]
    pub fn new(dir: Option<PathBuf>, device: Option<Glob>) -> Self {
        let (own, explicit) = (PageDir::default_path(), PageDir::is_explicit());
        Self {
            dir,
            own,
            explicit,
            found_none: false,
            device,
            open: BTreeMap::new(),
            windows: None,
            windows_pause: None,
            reaped: Instant::now(),
        }
    }

    /// From now on looks at short windows too, or no more. To be called at every tick: a thread that ended by a bug is found
    /// out, and after a while it is started again.
    ///
    /// # Errors
    /// When no thread can be started for it.
    pub fn set_windows(&mut self, wanted: bool) -> io::Result<()> {
        if self.windows.take_if(|windows| windows.is_over()).is_some() {
            self.windows_pause = Some(Pause::begin());
        }
        self.windows_pause = self.windows_pause.filter(|pause| wanted && pause.is_on());
        if !wanted {
            self.windows = None;
        } else if self.windows.is_none() && self.windows_pause.is_none() {
            self.windows = Some(WindowSampler::start()?);
        }
        Ok(())
    }

    /// Reads every page that is there, and once more every page that has gone since the last time.
    ///
    /// `interval` is the nominal time between looks.
    pub fn read(&mut self, interval: Duration) -> PagesFound {
        let scan = self.scan(interval);
        let mut found = PagesFound::default();
        for problem in &scan.problems {
            found.notices.push(about("counter pages", problem));
        }
        self.read_departed(&scan, &mut found);
        let mut unusable = Unusable::default();
        for entries in scan.entries.chunk_by(|a, b| a.path.parent() == b.path.parent()) {
            let mut open = 0;
            for entry in entries {
                if open == MAX_OPEN {
                    found.notices.push(too_many(entry));
                    break;
                }
                match self.read_page(entry) {
                    Ok(sample) => {
                        found.pages.push(sample);
                        open += 1;
                    }
                    Err(e) if e.is_gone() => {}
                    Err(e) => unusable.add(entry, &e),
                }
            }
        }
        found.notices.extend(unusable.notices());
        found.pages.retain(|p| !p.sample.nics.is_empty());
        unique(&mut found.pages);
        if found.pages.is_empty() {
            found.nothing = Some(self.why_nothing(scan.entries.len(), &found.notices));
        }
        // Not among those that may be why there is no page.
        found.notices.extend(self.windows_pause.map(|_| windows_ended()));
        self.reap(&scan);
        found
    }

    /// The pages that are there. Where the last look found none, and looks are seldom, every second one is left out:
    /// most machines never have a page, and the look is not free.
    fn scan(&mut self, interval: Duration) -> Scan {
        if self.found_none && interval >= SELDOM {
            self.found_none = false;
            return Scan::default();
        }
        let scan = self.scan_now();
        self.found_none = scan.entries.is_empty() && scan.problems.is_empty();
        scan
    }

    fn scan_now(&self) -> Scan {
        let Some(dir) = &self.dir else { return PageDir::scan_for(&self.own, self.explicit) };
        match PageDir::open(dir).and_then(|d| d.scan()) {
            Ok(entries) => Scan { entries, problems: Vec::new() },
            Err(e) if e.is_not_found() => Scan::default(),
            Err(e) => Scan { entries: Vec::new(), problems: vec![e] },
        }
    }

    /// The last numbers of pages that have lost their name (or gave it to another) since the last look.
    fn read_departed(&mut self, scan: &Scan, found: &mut PagesFound) {
        let present: HashSet<(&Path, u64)> =
            scan.entries.iter().map(|e| (e.path.as_path(), e.inode)).collect();
        if let Some(windows) = &self.windows {
            windows.keep(|path, inode| present.contains(&(path, inode)));
        }
        let device = self.device.as_ref();
        self.open.retain(|path, page| {
            if present.contains(&(path.as_path(), page.inode)) {
                return true;
            }
            if !page.closed
                && let Ok(last) = page.sample(device)
                // A page that only lost its name is one that somebody removed: it will never be found again.
                && last.sample.state != PageState::Dead
            {
                found.pages.push(last);
            }
            false
        });
    }

    /// Reads a page, which stays open unless it can no longer be read.
    fn read_page(&mut self, entry: &PageEntry) -> Result<FoundPage, ReadError> {
        let page = match self.open.entry(entry.path.clone()) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(free) => free.insert(OpenPage::new(entry.inode, PageReader::open(&entry.path)?)),
        };
        let mut sample = page.sample(self.device.as_ref());
        match (&mut sample, &self.windows) {
            (Ok(found), Some(windows)) => page.add_windows(windows, entry, &mut found.sample),
            (Ok(_), None) => {}
            (Err(_), _) => drop(self.open.remove(&entry.path)),
        }
        sample
    }

    fn why_nothing(&self, entries: usize, notices: &[Notice]) -> String {
        let place = printable(&self.dir.as_ref().unwrap_or(&self.own).to_string_lossy());
        match (entries, notices.first()) {
            (0, Some(n)) => format!("no counter page: {}", n.text),
            (0, None) => format!(
                "no counter page in {place} (nothing runs on railtop's transport here, or it publishes elsewhere: \
                 set RAILTOP_PAGE_DIR)"
            ),
            (n, Some(first)) => {
                format!("none of {n} files is a usable counter page: {}: {}", first.subject, first.text)
            }
            (_, None) => "no NIC of a counter page matches".to_owned(),
        }
    }

    /// Removes pages whose writers died a while ago.
    fn reap(&mut self, scan: &Scan) {
        if self.reaped.elapsed() < REAP_EVERY {
            return;
        }
        self.reaped = Instant::now();
        let dirs: HashSet<&Path> = scan.entries.iter().filter_map(|e| e.path.parent()).collect();
        for dir in dirs {
            // A page that cannot be removed stays visible as dead, which says all there is to say.
            let _kept = PageDir::open(dir).and_then(|d| d.reap(DEAD_PAGE_TTL, clock::mono_ns()));
        }
    }
}

/// The inode of the PID namespace that we are in, which stays the same.
fn own_pid_ns() -> Option<u64> {
    static OWN: OnceLock<Option<u64>> = OnceLock::new();
    *OWN.get_or_init(|| Some(std::fs::metadata("/proc/self/ns/pid").ok()?.ino()))
}

impl OpenPage {
    fn new(inode: u64, reader: PageReader) -> Self {
        Self { inode, reader, heartbeat_ns: None, closed: false }
    }

    /// Whether the writer has not published since the last look, for longer than it should.
    fn is_silent(&mut self, snapshot: &PageSnapshot) -> bool {
        let before = self.heartbeat_ns.replace(snapshot.heartbeat_ns);
        let age = Duration::from_nanos(snapshot.read_ns.saturating_sub(snapshot.heartbeat_ns));
        before == Some(snapshot.heartbeat_ns) && age >= SILENT_AFTER
    }

    /// What its NICs received in short windows since the last tick, where it knows what it receives.
    fn add_windows(&self, windows: &WindowSampler, entry: &PageEntry, sample: &mut PageSample) {
        if sample.rx_source.is_none() {
            return;
        }
        let mut taken = windows.take(&entry.path, entry.inode, || self.reader.rx_column());
        for nic in &mut sample.nics {
            nic.rx_windows = taken.get_mut(nic.index).and_then(Option::take);
        }
    }

    fn sample(&mut self, device: Option<&Glob>) -> Result<FoundPage, ReadError> {
        let before = clock::mono_ns();
        let snapshot = self.reader.read()?;
        let moment = Moment::since(before);
        self.closed = snapshot.liveness == Liveness::Closed;
        let silent = self.is_silent(&snapshot);
        let identity = self.reader.identity();
        let nics = identity
            .nics
            .iter()
            .zip(&snapshot.nics)
            .enumerate()
            .map(|(i, (nic, counts))| page_nic(i, nic, counts, identity, &snapshot, moment))
            .filter(|nic| {
                device.is_none_or(|g| {
                    g.matches(&nic.device) || nic.netdev.as_deref().is_some_and(|n| g.matches(n))
                })
            })
            .collect();
        let sample = PageSample {
            key: format!("{}/{}/{}", name(&identity.job), name(&identity.node), identity.rank),
            job: name(&identity.job),
            node: name(&identity.node),
            pe: identity.rank,
            pid: identity.pid,
            gpu: some(&identity.gpu),
            command: printable(&identity.command),
            provider: name(&identity.provider),
            policy: some(&snapshot.policy),
            rx_source: (snapshot.rx_source != RxSource::None).then(|| snapshot.rx_source.name().to_owned()),
            state: match snapshot.liveness {
                Liveness::Live if !silent => PageState::Alive,
                Liveness::Live | Liveness::Stalled { .. } => PageState::Stalled,
                Liveness::Closed => PageState::Closed,
                Liveness::Dead => PageState::Dead,
            },
            own: Some(Reading {
                mono_ns: moment.at_ns,
                span_ns: moment.span_ns,
                incarnation: incarnation(identity),
                counters: named(
                    PeCounts::FIELDS.iter().zip(snapshot.process.to_array()).zip(snapshot.process_there),
                    &snapshot.process_extras,
                ),
                ..Reading::default()
            }),
            nics,
        };
        let own_pid = identity.pid_ns.filter(|ns| Some(*ns) == own_pid_ns()).map(|_| identity.pid);
        Ok(FoundPage { sample, own_pid, net_ns: identity.net_ns, started_ns: identity.started_monotonic_ns })
    }
}

fn page_nic(
    index: usize,
    nic: &NicIdentity,
    snapshot: &NicSnapshot,
    page: &PageIdentity,
    now: &PageSnapshot,
    moment: Moment,
) -> PageNic {
    let counts = snapshot.counts;
    let rx_known = now.rx_source != RxSource::None;
    // Of a program that uses libfabric in its own ways, arrivals are known where their bytes are. Our transport counts each.
    let rx_ops_known = rx_known || !page.onlooker;
    let fields = NicCounts::FIELDS.iter().zip(counts.to_array()).zip(snapshot.there);
    let counted = |name: &str| {
        NicCounts::FIELDS.iter().zip(snapshot.there).any(|(field, there)| there && field.name == name)
    };
    let known = |name: &str| (rx_known || name != "rx_bytes") && (rx_ops_known || name != "rx_ops");
    let counters = named(fields.filter(|((field, _), _)| known(field.name)), &snapshot.extras);
    let missing = (!rx_known).then(|| Missing {
        counter: "rx_bytes".to_owned(),
        place: None,
        reason: "nothing tells the process what its peers write into its memory".to_owned(),
    });
    let device = [&nic.device, &nic.netdev, &nic.domain].into_iter().find(|n| !n.is_empty());
    PageNic {
        index,
        device: device.map_or_else(|| format!("nic{index}"), |n| printable(n)),
        port: nic.port,
        pci: some(&nic.pci),
        numa: nic.numa,
        netdev: some(&nic.netdev),
        link_bits_per_s: nic.link_bits_per_s,
        reading: Reading {
            mono_ns: moment.at_ns,
            span_ns: moment.span_ns,
            incarnation: incarnation(page),
            traffic: Traffic {
                // Done, not posted: what is still queued has not left.
                tx_bytes: counted("tx_done_bytes").then_some(counts.tx_done_bytes),
                rx_bytes: (rx_known && counted("rx_bytes")).then_some(counts.rx_bytes),
                tx_ops: counted("tx_done_ops").then_some(counts.tx_done_ops),
                rx_ops: (rx_ops_known && counted("rx_ops")).then_some(counts.rx_ops),
            },
            counters,
            missing: missing.into_iter().collect(),
            ..Reading::default()
        },
        in_flight_bytes: (counted("tx_posted_bytes") && counted("tx_done_bytes"))
            .then_some(counts.in_flight_bytes()),
        torn: snapshot.torn,
        netdev_reading: None,
        rx_windows: None,
    }
}

/// Another one for another process.
fn incarnation(page: &PageIdentity) -> u64 {
    page.started_monotonic_ns ^ u64::from(page.pid)
}

/// Fields with their values, those that are there, and those that this program does not know.
fn named<'a>(
    fields: impl Iterator<Item = ((&'a Field, u64), bool)>,
    extras: &[ExtraField],
) -> Vec<RawCounter> {
    let there = fields.filter(|(_, there)| *there).map(|((field, value), _)| RawCounter {
        desc: desc(field.name, field.unit, field.kind, field.help),
        value,
    });
    let extras =
        extras.iter().map(|e| RawCounter { desc: desc(&e.name, &e.unit, e.kind, ""), value: e.value });
    there.chain(extras).collect()
}

/// What a field of a page is.
fn desc(name: &str, unit: &str, kind: FieldKind, help: &'static str) -> Arc<Desc> {
    let kind = match kind {
        FieldKind::Counter => Kind::Monotonic64,
        // Only says how high it got; and a kind of a newer writer may go down without meaning anything.
        _ => Kind::Gauge,
    };
    let unit = match unit {
        "bytes" => Unit::Bytes,
        "ops" => Unit::Operations,
        _ => Unit::Count,
    };
    let class = match name {
        FAILURES => Class::Error,
        // What it costs that a NIC failed: nothing is lost, but it is moved twice.
        "resent_ops" | "resent_bytes" => Class::Loss,
        DOWN | "fences" => Class::Neutral,
        _ if name.contains("error") => Class::Error,
        _ => Class::Traffic,
    };
    Arc::new(Desc { kind, unit, class, help: help.into(), ..Desc::unknown(name.to_owned()) })
}

/// Sorts the pages and makes their keys unique: of several runs of the same PE the one that lives is shown, and two
/// that both live are told apart by their process ids.
fn unique(pages: &mut Vec<FoundPage>) {
    let rank = |state| match state {
        PageState::Alive => 0,
        PageState::Stalled => 1,
        PageState::Closed => 2,
        PageState::Dead => 3,
    };
    pages.sort_by(|a, b| {
        natural::compare(&a.sample.key, &b.sample.key)
            .then(rank(a.sample.state).cmp(&rank(b.sample.state)))
            .then(b.started_ns.cmp(&a.started_ns))
    });
    let mut seen = HashSet::new();
    pages.retain_mut(|page| {
        if seen.insert(page.sample.key.clone()) {
            return true;
        }
        let lives = matches!(page.sample.state, PageState::Alive | PageState::Stalled);
        if lives {
            page.sample.key = format!("{}#{}", page.sample.key, page.sample.pid);
        }
        lives && seen.insert(page.sample.key.clone())
    });
}

/// A text of the page, `-` where it is empty.
fn name(text: &str) -> String {
    some(text).unwrap_or_else(|| "-".to_owned())
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| printable(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_for_windows_that_ended_by_a_bug_is_told_and_started_again_after_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let mut source = PageSource::new(Some(dir.path().to_owned()), None);
        let tick = |source: &mut PageSource| {
            source.set_windows(true).unwrap();
            (source.read(Duration::ZERO).notices, source.windows.is_some())
        };
        assert_eq!(tick(&mut source), (Vec::new(), true));
        source.windows.as_mut().unwrap().break_down();
        for _ in 0..3 {
            assert_eq!(tick(&mut source), (vec![windows_ended()], false), "not at once");
        }
        source.windows_pause = Some(Pause::over());
        assert_eq!(tick(&mut source), (Vec::new(), true));
    }
}
