//! What counter pages received in each window of 10 ms, since totals over a second hide who met whom.
//!
//! A thread looks at one column of every open page at each window's end: one `pread` a page and one timed wait a
//! window, so 100 x (pages + 1) system calls a second, and only while somebody looks at windows. A look that comes
//! late says nothing about its window, nor about the next: both are unknown, and no bytes are spread over them.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::counters::{Column, ReadError};
use crate::monitor::clock;
use crate::monitor::sample::Windows;

/// The length of a window.
const WINDOW_NS: u64 = 10_000_000;
/// A look that is later than this after a window's end is none.
const IN_TIME_NS: u64 = WINDOW_NS / 2;
/// Most windows of a NIC that are kept until somebody takes them; the oldest go.
const MOST: usize = 1024;

/// Which page: its path and inode.
type Key = (PathBuf, u64);

/// The thread that looks. Dropping it ends it.
#[derive(Debug)]
pub(super) struct WindowSampler {
    pages: Arc<Mutex<BTreeMap<Key, PageWindows>>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl WindowSampler {
    /// Starts to look.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn start() -> io::Result<Self> {
        let pages = Arc::new(Mutex::new(BTreeMap::<Key, PageWindows>::new()));
        let (stop, stopped) = mpsc::channel::<()>();
        let theirs = Arc::clone(&pages);
        let thread = thread::Builder::new().name("windows".to_owned()).spawn(move || {
            loop {
                let wait = WINDOW_NS - clock::mono_ns() % WINDOW_NS;
                if stopped.recv_timeout(Duration::from_nanos(wait)) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                // A page that cannot be read any more has nothing to say; the tick tells why.
                lock(&theirs).retain(|_, page| page.look(clock::mono_ns()).is_ok());
            }
        })?;
        Ok(Self { pages, stop: Some(stop), thread: Some(thread) })
    }

    /// Whether the thread is gone. Only a panic brings that about, and nobody looks any more.
    pub(super) fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// The windows of each NIC of a page since they were last taken; none when nobody looks any more, since what was seen
    /// last is old. A page that is new is looked at from now on, with the column that `open` gives.
    pub(super) fn take(
        &self,
        path: &Path,
        inode: u64,
        open: impl FnOnce() -> io::Result<Column>,
    ) -> Vec<Option<Windows>> {
        if self.is_over() {
            return Vec::new();
        }
        let mut pages = lock(&self.pages);
        let key = (path.to_owned(), inode);
        if let Some(page) = pages.get_mut(&key) {
            return page.take();
        }
        if let Ok(column) = open() {
            pages.insert(key, PageWindows::new(column));
        }
        Vec::new()
    }

    /// Looks no more at pages that are not there any more.
    pub(super) fn keep(&self, there: impl Fn(&Path, u64) -> bool) {
        lock(&self.pages).retain(|(path, inode), _| there(path, *inode));
    }
}

#[cfg(test)]
impl WindowSampler {
    /// Has the thread gone by a panic.
    pub(super) fn break_down(&mut self) {
        let panics = thread::spawn(|| panic!("a bug while windows are looked at"));
        while !panics.is_finished() {
            thread::yield_now();
        }
        self.stop = None;
        if let Some(thread) = self.thread.replace(panics) {
            thread.join().unwrap();
        }
    }
}

impl Drop for WindowSampler {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// A panic while the lock was held leaves nothing half done here.
fn lock(pages: &Mutex<BTreeMap<Key, PageWindows>>) -> MutexGuard<'_, BTreeMap<Key, PageWindows>> {
    pages.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One page's windows, on a grid of whole windows since the clock began.
#[derive(Debug)]
struct PageWindows {
    column: Column,
    /// The last window's end that was looked at in time, counted in windows.
    boundary: Option<u64>,
    nics: Vec<NicWindows>,
}

/// One NIC's.
#[derive(Debug, Default)]
struct NicWindows {
    /// Bytes received at the last look.
    last: u64,
    bytes: VecDeque<Option<u64>>,
}

impl PageWindows {
    fn new(column: Column) -> Self {
        Self { column, boundary: None, nics: Vec::new() }
    }

    /// Looks, if it is in time for a window's end.
    fn look(&mut self, now_ns: u64) -> Result<(), ReadError> {
        let boundary = now_ns / WINDOW_NS;
        if now_ns % WINDOW_NS > IN_TIME_NS || self.boundary == Some(boundary) {
            return Ok(());
        }
        let values = self.column.read()?;
        self.nics.resize_with(values.len(), NicWindows::default);
        let windows = self.boundary.map(|before| boundary.saturating_sub(before));
        for (nic, value) in self.nics.iter_mut().zip(values) {
            match windows {
                None => {}
                // A smaller value is a page's that began again.
                Some(1) => nic.push(value.checked_sub(nic.last)),
                Some(missed) => (0..missed.min(MOST as u64)).for_each(|_| nic.push(None)),
            }
            nic.last = value;
        }
        self.boundary = Some(boundary);
        Ok(())
    }

    fn take(&mut self) -> Vec<Option<Windows>> {
        let Some(boundary) = self.boundary else { return Vec::new() };
        let windows = |nic: &mut NicWindows| Windows {
            window_ns: WINDOW_NS,
            end_mono_ns: boundary.saturating_mul(WINDOW_NS),
            bytes: nic.bytes.drain(..).collect(),
        };
        self.nics.iter_mut().map(|nic| Some(windows(nic))).collect()
    }
}

impl NicWindows {
    fn push(&mut self, bytes: Option<u64>) {
        if self.bytes.len() == MOST {
            self.bytes.pop_front();
        }
        self.bytes.push_back(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::{
        NicBlock, NicCounts, NicIdentity, PageDir, PageReader, PageSpec, PageWriter, RxSource,
    };
    use proptest::prelude::*;

    /// A real page with two threads on each of `nics` NICs, and looks at it by a clock of the test's own.
    struct Setup {
        _dir: tempfile::TempDir,
        _writer: PageWriter,
        blocks: Vec<NicBlock>,
        received: Vec<u64>,
        page: PageWindows,
    }

    impl Setup {
        fn new(nics: usize) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let pages = PageDir::create(&dir.path().join("pages")).unwrap();
            let spec = PageSpec {
                nics: vec![NicIdentity::default(); nics],
                threads: 2,
                rx_source: RxSource::Ledger,
                ..PageSpec::default()
            };
            let mut writer = PageWriter::create(&pages, &spec).unwrap();
            let blocks = (0..2 * nics)
                .map(|i| {
                    writer
                        .nic_block(u16::try_from(i / nics).unwrap(), u16::try_from(i % nics).unwrap())
                        .unwrap()
                })
                .collect();
            let entry = pages.scan().unwrap().remove(0);
            let column = PageReader::open(&entry.path).unwrap().rx_column().unwrap();
            Self {
                _dir: dir,
                _writer: writer,
                blocks,
                received: vec![0; 2 * nics],
                page: PageWindows::new(column),
            }
        }

        /// A thread's NIC receives.
        fn receive(&mut self, block: usize, bytes: u64) {
            self.received[block] += bytes;
            let counts = NicCounts { rx_bytes: self.received[block], rx_ops: 1, ..NicCounts::default() };
            self.blocks[block].publish(1, &counts);
        }

        fn look(&mut self, windows: u64, late_ns: u64) {
            self.page.look(windows * WINDOW_NS + late_ns).unwrap();
        }

        fn bytes(&mut self, nic: usize) -> Vec<Option<u64>> {
            self.page.take()[nic].clone().unwrap().bytes
        }
    }

    #[test]
    fn the_bytes_of_each_window_come_back() {
        let mut setup = Setup::new(2);
        setup.receive(0, 5000);
        setup.look(100, 0);
        assert_eq!(setup.bytes(0), [], "what was there before the first look is of no window");
        let known = [[10, 0], [0, 20], [30, 40], [0, 0], [7, 7]];
        for (i, [first, second]) in known.into_iter().enumerate() {
            setup.receive(0, first);
            // The other thread of the second NIC.
            setup.receive(3, second);
            setup.look(101 + i as u64, 100_000);
        }
        let taken = setup.page.take();
        let windows = |nic: usize| taken[nic].clone().unwrap();
        assert_eq!(windows(0).bytes, [10, 0, 30, 0, 7].map(Some));
        assert_eq!(windows(1).bytes, [0, 20, 40, 0, 7].map(Some));
        assert_eq!((windows(0).window_ns, windows(0).end_mono_ns), (WINDOW_NS, 105 * WINDOW_NS));
        assert_eq!(setup.bytes(0), [], "handed over once");
    }

    #[test]
    fn a_late_look_is_none_and_its_bytes_are_spread_over_nothing() {
        let mut setup = Setup::new(1);
        setup.look(10, 0);
        setup.receive(0, 1000);
        setup.look(11, IN_TIME_NS + 1);
        setup.look(12, 5);
        setup.receive(0, 30);
        setup.look(13, IN_TIME_NS);
        assert_eq!(setup.bytes(0), [None, None, Some(30)]);
        setup.look(2000, 0);
        assert_eq!(setup.bytes(0), vec![None; MOST], "bounded, however long nobody looked");
    }

    #[test]
    fn the_oldest_windows_go_when_nobody_takes_them() {
        let mut setup = Setup::new(1);
        for i in 0..2 * MOST as u64 {
            setup.receive(0, 1);
            setup.look(i, 0);
        }
        assert_eq!(setup.bytes(0), vec![Some(1); MOST]);
    }

    #[test]
    fn after_a_panic_nothing_old_is_given() {
        let mut setup = Setup::new(1);
        setup.look(10, 0);
        let mut sampler = WindowSampler::start().unwrap();
        lock(&sampler.pages).insert(("page".into(), 1), setup.page);
        assert!(!sampler.is_over());
        let known = || Err(io::Error::other("it is known"));
        assert_eq!(sampler.take(Path::new("page"), 1, known).len(), 1);
        sampler.break_down();
        assert!(sampler.is_over());
        assert_eq!(sampler.take(Path::new("page"), 1, known), []);
    }

    #[test]
    fn the_thread_looks_at_what_a_real_page_receives() {
        let mut setup = Setup::new(1);
        let sampler = WindowSampler::start().unwrap();
        let path = Path::new("page");
        let column = std::mem::replace(&mut setup.page.column, Setup::new(1).page.column);
        assert!(sampler.take(path, 1, move || Ok(column)).is_empty());
        // The first look sets the start; what comes after it is of some window, unless a look was late.
        let mut windows = Vec::new();
        let mut sent = 0_u64;
        for _ in 0..200 {
            thread::sleep(Duration::from_nanos(WINDOW_NS));
            let taken = sampler.take(path, 1, || Err(io::Error::other("it is known")));
            let Some(Some(new)) = taken.into_iter().next() else { continue };
            windows.extend(new.bytes);
            if windows.len() > 20 {
                break;
            }
            setup.receive(0, 100);
            sent += 100;
        }
        let seen: u64 = windows.iter().flatten().sum();
        assert!(windows.len() > 20 && seen <= sent, "{windows:?}");
        if windows.iter().all(Option::is_some) {
            assert!(seen + 200 >= sent, "all but what came in the last windows: {seen} of {sent}");
        }
        sampler.keep(|_, _| false);
        assert!(lock(&sampler.pages).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn windows_add_up_to_what_the_counter_has_grown(bytes in prop::collection::vec(0..1_u64 << 40, 1..200)) {
            let mut setup = Setup::new(1);
            setup.look(0, 0);
            for (i, &bytes) in bytes.iter().enumerate() {
                setup.receive(i % 2, bytes);
                setup.look(i as u64 + 1, i as u64 * 7919 % IN_TIME_NS);
            }
            let windows = setup.bytes(0);
            prop_assert_eq!(windows.iter().flatten().sum::<u64>(), bytes.iter().sum::<u64>());
            prop_assert_eq!(windows, bytes.into_iter().map(Some).collect::<Vec<_>>());
        }
    }
}
