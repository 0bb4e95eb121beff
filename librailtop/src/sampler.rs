//! The background thread: ticks on absolute deadlines, and everything it reads goes into the store.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use railtop::monitor::sample::Needs;
use railtop::monitor::{Config, Monitor, Ticker, clock};

use crate::abi::Status;
use crate::error::Error;
use crate::guard::text_of;
use crate::store::Store;

/// A last read of devices this soon after the one before says nothing new: EFA's counters are kept by the kernel for 10 ms.
/// Counter pages are memory, and have it.
const LIFESPAN: Duration = Duration::from_millis(10);
/// The first round waits for devices no longer than 50 ms; so much more is a machine that hangs, and not worth holding up a program.
const FIRST_ROUND: Duration = Duration::from_secs(2);

/// What the thread and the callers share.
#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    /// A tick is done, or the thread has ended.
    news: Condvar,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    running: bool,
    /// The panic that ended the thread.
    bug: Option<String>,
}

/// A sampler, as C holds it.
#[derive(Debug)]
pub struct Sampler {
    shared: Arc<Shared>,
    /// To end the thread; `None` once that was asked for.
    thread: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
    interval: Duration,
    /// The process it belongs to.
    owner: u32,
}

impl Sampler {
    /// Starts a thread and waits for its first round.
    pub(crate) fn start(config: Config, capacity: usize) -> Result<Self, Error> {
        let (store, interval) = (Store::new(config.host.clone(), capacity), config.interval);
        // Here, since it reads the environment: on our own thread that would race with whatever the program sets meanwhile.
        let monitor = Monitor::new(config);
        Self::spawn(store, interval, move |shared, stopped| run(monitor, interval, shared, stopped))
    }

    /// The same for any `work`, which ends when it is told to.
    fn spawn(
        store: Store,
        interval: Duration,
        work: impl FnOnce(&Shared, &Receiver<()>) + Send + 'static,
    ) -> Result<Self, Error> {
        let inner = Inner { store, running: true, bug: None };
        let shared = Arc::new(Shared { inner: Mutex::new(inner), news: Condvar::new() });
        let (stop, stopped) = mpsc::channel();
        let theirs = Arc::clone(&shared);
        let whole = move || {
            let result = catch_unwind(AssertUnwindSafe(|| work(&theirs, &stopped)));
            let mut inner = lock(&theirs.inner);
            inner.running = false;
            inner.bug = result.err().map(|panic| text_of(&*panic));
            drop(inner);
            theirs.news.notify_all();
        };
        let thread = without_signals(|| thread::Builder::new().name("railtop".to_owned()).spawn(whole))?;
        let sampler =
            Self { shared, thread: Mutex::new(Some((stop, thread))), interval, owner: std::process::id() };
        // Not in time: then the first round comes later, which is no reason not to begin.
        match sampler.wait(1, FIRST_ROUND) {
            Ok(()) | Err(Error::Timeout { .. }) => Ok(sampler),
            Err(other) => Err(other),
        }
    }

    /// Whether this is the process that started it.
    pub(crate) fn is_ours(&self) -> Result<(), Error> {
        if std::process::id() == self.owner { Ok(()) } else { Err(Error::Forked { owner: self.owner }) }
    }

    /// Ends the thread after a last read.
    pub(crate) fn stop(&self) -> Result<(), Error> {
        // Whoever comes second waits here until the first is done.
        let mut thread = lock(&self.thread);
        if let Some((stop, thread)) = thread.take() {
            drop(stop);
            // It catches its panics, and says them below.
            let _caught = thread.join();
        }
        match &lock(&self.shared.inner).bug {
            Some(bug) => Err(Error::Bug(bug.clone())),
            None => Ok(()),
        }
    }

    /// Waits until so many rounds are done since the start.
    pub(crate) fn wait(&self, wanted: u64, timeout: Duration) -> Result<(), Error> {
        let inner = lock(&self.shared.inner);
        let waits = |inner: &mut Inner| inner.store.kept.ticks < wanted && inner.running;
        let (inner, _timed_out) = self
            .shared
            .news
            .wait_timeout_while(inner, timeout, waits)
            .unwrap_or_else(PoisonError::into_inner);
        let done = inner.store.kept.ticks;
        match &inner.bug {
            _ if done >= wanted => Ok(()),
            Some(bug) => Err(Error::Bug(bug.clone())),
            None if inner.running => Err(Error::Timeout { done, wanted }),
            None => Err(Error::Ended { done, wanted }),
        }
    }

    /// How it is.
    pub(crate) fn status(&self) -> Status {
        let inner = lock(&self.shared.inner);
        let store = &inner.store.kept;
        let count = |names: usize| u32::try_from(names).unwrap_or(u32::MAX);
        Status {
            size: size_of::<Status>(),
            interval_ns: u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX),
            ticks: store.ticks,
            missed_ticks: store.missed,
            samples: store.samples.len() as u64,
            lost_samples: store.samples.lost(),
            lost_balances: store.balances.lost(),
            nics: count(store.nics.len()),
            groups: count(store.groups.len()),
            running: u32::from(inner.running),
            reserved: 0,
        }
    }

    /// Looks at what is kept. The sampler waits meanwhile.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&lock(&self.shared.inner).store)
    }

    /// What a person should know, a line each.
    pub(crate) fn notes(&self) -> Vec<String> {
        let inner = lock(&self.shared.inner);
        let bug = inner.bug.as_ref().map(|bug| format!("sampling ended by a bug: {bug}"));
        bug.into_iter().chain(inner.store.notes()).collect()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        // A bug was said by whoever asked; now there is nobody to tell.
        let _bug = self.stop();
    }
}

/// The thread: reads until it is told to stop, and then once more.
fn run(mut monitor: Monitor, interval: Duration, shared: &Shared, stopped: &Receiver<()>) {
    let mut ticker = Ticker::new(Instant::now(), interval);
    monitor.set_needs(Needs::list());
    let mut missed = 0;
    let mut last: Option<Instant> = None;
    loop {
        let wait = ticker.deadline().saturating_duration_since(Instant::now());
        let ends = !matches!(stopped.recv_timeout(wait), Err(RecvTimeoutError::Timeout));
        if ends
            && last.is_some_and(|last| last.elapsed() < LIFESPAN)
            && !lock(&shared.inner).store.has_pages()
        {
            return;
        }
        let sample = if last.is_none() { monitor.quick_sample() } else { monitor.sample() };
        let view = monitor.derive(&sample).view;
        last = Some(Instant::now());
        lock(&shared.inner).store.add(&view, wall_minus_mono_ns(), missed);
        shared.news.notify_all();
        if ends {
            return;
        }
        missed = ticker.advance(Instant::now());
    }
}

/// The distance of the two clocks. A thread may lose its core between two looks at them; so of several tries the quickest counts.
fn wall_minus_mono_ns() -> i64 {
    let tries = (0..5).map(|_| {
        let before = clock::mono_ns();
        let wall = clock::realtime_ns();
        let after = clock::mono_ns();
        (after.saturating_sub(before), wall - i128::from(clock::middle(before, after)))
    });
    tries.min_by_key(|&(took, _)| took).and_then(|(_, distance)| i64::try_from(distance).ok()).unwrap_or(0)
}

/// Starts threads that no signal of the program ever runs on: they inherit the mask.
fn without_signals<T>(start: impl FnOnce() -> T) -> T {
    let mut before = SigSet::empty();
    // Neither can fail: both sets are valid.
    let _blocked = pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), Some(&mut before));
    let started = start();
    let _restored = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    started
}

/// A panic while a lock was held leaves a tick half added, which is no worse than one that was missed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::{Path, PathBuf};

    use railtop::counters::{NicBlock, NicCounts, NicIdentity, PageDir, PageSpec, PageWriter, monotonic_ns};
    use railtop::monitor::Thresholds;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn store() -> Store {
        Store::new("host".to_owned(), 10)
    }

    #[test]
    fn a_bug_in_the_thread_is_an_error_and_what_was_read_stays() {
        let (go, gone) = mpsc::channel::<()>();
        let sampler = Sampler::spawn(store(), 10 * MS, move |shared, _| {
            lock(&shared.inner).store.kept.ticks += 1;
            shared.news.notify_all();
            gone.recv().unwrap();
            let inner = lock(&shared.inner);
            panic!("bug number {}", inner.store.kept.ticks);
        })
        .unwrap();
        assert_eq!((sampler.status().running, sampler.notes().len()), (1, 0));
        go.send(()).unwrap();
        let said = sampler.wait(2, Duration::from_secs(60)).unwrap_err();
        assert!(matches!(&said, Error::Bug(text) if text == "bug number 1"), "{said}");
        assert_eq!((sampler.status().running, sampler.status().ticks), (0, 1));
        assert_eq!(sampler.notes(), ["sampling ended by a bug: bug number 1"]);
        assert!(matches!(sampler.stop(), Err(Error::Bug(_))));
        assert!(sampler.wait(1, Duration::ZERO).is_ok(), "that one was done");
    }

    #[test]
    fn waiting_ends_in_time_and_when_nobody_samples_any_more() {
        let sampler = Sampler::spawn(store(), 10 * MS, |shared, stopped| {
            lock(&shared.inner).store.kept.ticks += 1;
            shared.news.notify_all();
            let _told = stopped.recv();
        })
        .unwrap();
        assert!(matches!(sampler.wait(2, MS), Err(Error::Timeout { done: 1, wanted: 2 })));
        sampler.stop().unwrap();
        sampler.stop().unwrap();
        assert!(matches!(sampler.wait(2, MS), Err(Error::Ended { done: 1, wanted: 2 })));
    }

    /// The interval is an hour, so that what is read at the end is read because of the end.
    fn config(pages: PathBuf, interval: Duration) -> Config {
        Config {
            sysfs_root: PathBuf::from("/nonexistent"),
            page_dir: Some(pages),
            host: "host".to_owned(),
            device: None,
            source: None,
            interval,
            line_rates: Vec::new(),
            thresholds: Thresholds::default(),
        }
    }

    #[test]
    fn the_end_reads_once_more() {
        let hourly = config(PathBuf::from("/nonexistent"), Duration::from_secs(3600));
        let sampler = Sampler::start(hourly, 10).unwrap();
        assert_eq!(sampler.status().ticks, 1);
        thread::sleep(2 * LIFESPAN);
        sampler.stop().unwrap();
        assert_eq!(sampler.status().ticks, 2);
    }

    /// A PE of two NICs.
    fn pe(dir: &Path) -> (PageWriter, Vec<NicBlock>) {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).unwrap();
        let nic = |name: &str| NicIdentity { device: name.to_owned(), ..NicIdentity::default() };
        let spec = PageSpec { nics: vec![nic("a"), nic("b")], threads: 1, ..PageSpec::default() };
        let mut writer = PageWriter::create(&PageDir::create(dir).unwrap(), &spec).unwrap();
        let blocks = (0..2).map(|nic| writer.nic_block(0, nic).unwrap()).collect();
        (writer, blocks)
    }

    #[test]
    fn the_end_reads_counter_pages_however_short_ago_they_were_read() {
        let dir = tempfile::tempdir().unwrap();
        let (_pe, mut nics) = pe(dir.path());
        // Tried several times: a busy machine may take longer than the lifespan from one line to the next.
        for bytes in 1..=5 {
            let hourly = config(dir.path().to_owned(), Duration::from_secs(3600));
            let sampler = Sampler::start(hourly, 10).unwrap();
            let counts = NicCounts { tx_posted_bytes: bytes, tx_done_bytes: bytes, ..NicCounts::default() };
            nics[0].publish(monotonic_ns(), &counts);
            sampler.stop().unwrap();
            let last = sampler.with(|store| store.kept.samples.iter().filter(|s| s.nic == 0).last().copied());
            assert_eq!(last.map(|sample| sample.tx_bytes), Some(bytes));
        }
    }

    #[test]
    fn a_group_that_ends_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let (pe, nics) = pe(dir.path());
        let sampler = Sampler::start(config(dir.path().to_owned(), 10 * MS), 1000).unwrap();
        sampler.wait(3, Duration::from_secs(60)).unwrap();
        drop((nics, pe));
        // Its last numbers may be read once more after it has gone.
        sampler.wait(sampler.status().ticks + 4, Duration::from_secs(60)).unwrap();
        sampler.stop().unwrap();
        let nics: Vec<u32> = sampler.with(|store| store.kept.balances.iter().map(|b| b.nics).collect());
        assert_eq!(nics.iter().filter(|&&nics| nics == 0).count(), 1, "{nics:?}");
        assert_eq!((nics.first(), nics.last()), (Some(&2), Some(&0)));
    }
}
