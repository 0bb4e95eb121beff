//! The page of the process, and the thread that keeps it.

#![expect(unsafe_code, reason = "signal masks and what is called at the end of a process")]

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::Duration;

use counters::{
    MAX_NICS, NicBlock, NicCounts, PageDir, PageState, PageWriter, PeCounts, ProcessBlock, RxSource,
    monotonic_ns,
};

use crate::count::registry;
use crate::guard::{Stop, always, guarded, stop, stopped};
use crate::totals::{Published, Sums};
use crate::{fork, identity, nics, settings};

/// Between two turns while there is traffic.
const BUSY: Duration = Duration::from_millis(10);
/// Between two turns when there has been none for a while: four heartbeats a second.
const IDLE: Duration = Duration::from_millis(250);
/// Before the next attempt to make a page, after one that failed.
const AGAIN_AFTER_NS: u64 = 5_000_000_000;

/// What only one thread at a time may do: make the page, and publish.
#[derive(Debug)]
pub(crate) struct Publisher {
    page: Option<Page>,
    /// By number of the NIC. On the heap, as all that is large here: the program's threads may have small stacks.
    published: Vec<Published>,
    last: Vec<Sums>,
    not_before_ns: u64,
    /// Whose it is. A child that was made past `pthread_atfork` has a copy, and nothing to say in it.
    pid: u32,
    /// The process is ending.
    finished: bool,
}

#[derive(Debug)]
struct Page {
    writer: PageWriter,
    process: ProcessBlock,
    /// The NICs in it, by number, in the page's order.
    nics: Vec<(usize, NicBlock)>,
    rx_known: bool,
}

/// Ends a page; but one whose descriptors the program has closed, and perhaps opened anew for itself, is only left.
fn end(page: Page) {
    if page.writer.is_intact() { drop(page) } else { std::mem::forget(page) }
}

static PUBLISHER: Mutex<Option<Publisher>> = Mutex::new(None);
static STARTED: AtomicBool = AtomicBool::new(false);
static WATCHING: Once = Once::new();

pub(crate) fn publisher() -> MutexGuard<'static, Option<Publisher>> {
    PUBLISHER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the page and starts the thread that keeps it, unless both are there.
pub(crate) fn start() {
    if STARTED.load(Relaxed) {
        return;
    }
    WATCHING.call_once(|| {
        // SAFETY: the function stays where it is: this library is never unloaded.
        unsafe { libc::atexit(at_exit) };
    });
    // Before the lock, so that no fork can come between: in a child both are undone.
    if STARTED.swap(true, Relaxed) {
        return;
    }
    publisher().get_or_insert_with(Publisher::new).turn();
    if spawn().is_err() {
        stop(Stop::NoThread);
        if let Some(publisher) = publisher().as_mut() {
            publisher.give_up(Stop::NoThread);
        }
    }
}

/// Starts the thread with all signals blocked: the program's handlers run in the program's threads.
fn spawn() -> std::io::Result<()> {
    // SAFETY: the sets are initialised by the calls that fill them.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let started =
            thread::Builder::new().name("railtop-hook".to_owned()).stack_size(256 << 10).spawn(keep);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        started.map(drop)
    }
}

/// The thread: publishes, faster while something happens.
fn keep() {
    let mut pause = BUSY;
    loop {
        thread::sleep(pause);
        let moved = guarded(|| {
            if settings::fault_in_turn() {
                std::panic::resume_unwind(Box::new("asked for"));
            }
            let mut publisher = publisher();
            let publisher = publisher.as_mut().filter(|publisher| !publisher.finished)?;
            Some(publisher.turn())
        });
        match moved {
            Some(Some(true)) => pause = BUSY,
            Some(Some(false)) => pause = (pause * 2).min(IDLE),
            Some(None) => return,
            None => {
                // No guard here: were it to panic, this thread would end, and that is what it does.
                if let (Some(publisher), Some(why)) = (publisher().as_mut(), stopped()) {
                    publisher.give_up(why);
                }
                return;
            }
        }
    }
}

/// Publishes what has been counted so far, if there is a page.
pub fn publish_now() {
    guarded(nudge);
}

pub(crate) fn nudge() {
    if let Some(publisher) =
        publisher().as_mut().filter(|publisher| publisher.page.is_some() && publisher.is_ours())
    {
        publisher.turn();
    }
}

extern "C" fn at_exit() {
    finish();
}

/// The end of the process: the last values, and a page that is closed; or why it has ended before.
pub fn finish() {
    if let Some(why) = stopped() {
        always(|| {
            if let Some(publisher) = publisher().as_mut().filter(|publisher| publisher.is_ours()) {
                publisher.give_up(why);
            }
        });
        return;
    }
    guarded(|| {
        if let Some(publisher) = publisher().as_mut().filter(|publisher| publisher.is_ours()) {
            publisher.turn();
            publisher.finished = true;
            if let Some(mut page) = publisher.page.take() {
                if settings::keep() {
                    page.writer.keep_name();
                }
                end(page);
            }
        }
    });
}

/// In a forked child: there is no page, and no thread to keep one. `state` is locked.
pub(crate) fn restart(state: &mut Option<Publisher>) {
    // The parent's page is only unmapped and its file closed: its writer knows whose it is.
    let begun = state.take();
    let (begun, page) = (begun.is_some(), begun.and_then(|publisher| publisher.page));
    if let Some(page) = page {
        end(page);
    }
    *state = begun.then(Publisher::new);
    STARTED.store(false, Relaxed);
}

impl Publisher {
    fn new() -> Self {
        Self {
            page: None,
            published: vec![Published::default(); MAX_NICS],
            last: vec![Sums::default(); MAX_NICS],
            not_before_ns: 0,
            pid: std::process::id(),
            finished: false,
        }
    }

    fn is_ours(&self) -> bool {
        self.pid == std::process::id()
    }

    /// Adds up, makes the page if there is none or a NIC has come, and publishes. Whether anything has happened since the last turn.
    fn turn(&mut self) -> bool {
        let now_ns = monotonic_ns();
        let moved = self.add_up();
        self.make(now_ns);
        let Some(page) = &mut self.page else { return moved };
        let rx_known = nics::rx_known();
        if rx_known != page.rx_known {
            page.rx_known = rx_known;
            page.writer.set_rx_source(rx_source(rx_known));
        }
        for (number, block) in &mut page.nics {
            let (Some(published), Some(sums)) = (self.published.get_mut(*number), self.last.get(*number))
            else {
                continue;
            };
            let counts: NicCounts = published.turn(sums);
            block.publish(now_ns, &counts);
        }
        page.process.publish(now_ns, &PeCounts::default());
        moved
    }

    /// The sums of all threads, by NIC; and whether there are others than at the last turn, apart from polls that found nothing.
    fn add_up(&mut self) -> bool {
        let mut sums = vec![Sums::default(); MAX_NICS];
        let registry = registry();
        // What is done before what is posted, so that the former is not beyond the latter.
        for block in registry.all() {
            for (number, sums) in sums.iter_mut().enumerate() {
                sums.add_done(block.nic(number));
            }
        }
        for block in registry.all() {
            for (number, sums) in sums.iter_mut().enumerate() {
                sums.add_posted(block.nic(number));
            }
        }
        drop(registry);
        let moved = sums.iter().zip(&self.last).any(|(now, last)| now.has_moved(last));
        self.last = sums;
        moved
    }

    /// A page has a fixed number of NICs, so when one comes there is a new page, with all the counts so far, and then the old one goes.
    fn make(&mut self, now_ns: u64) {
        let known = nics::nics();
        let numbers: Vec<_> =
            known.iter().enumerate().filter(|(_, nic)| nic.in_use).map(|(number, _)| number).collect();
        let there = self.page.as_ref().map_or(0, |page| page.nics.len());
        if numbers.len() == there || now_ns < self.not_before_ns || self.finished || !may_write() {
            return;
        }
        let chosen = || numbers.iter().filter_map(|number| known.get(*number));
        let provider = chosen().next().map(|nic| nic.provider.clone()).unwrap_or_default();
        let identities =
            (0..).zip(chosen()).map(|(rail, nic)| counters::NicIdentity { rail, ..nic.identity.clone() });
        let rx_known = nics::rx_known();
        let spec = identity::spec(identities.collect(), &provider, rx_source(rx_known), fork::is_child());
        drop(known);
        let made =
            PageDir::create(&identity::environment().pages).and_then(|dir| PageWriter::create(&dir, &spec));
        let page = made.ok().and_then(|mut writer| {
            let process = writer.process_block()?;
            let nics = (0..).zip(&numbers).map(|(nic, number)| Some((*number, writer.nic_block(0, nic)?)));
            let nics = nics.collect::<Option<Vec<_>>>()?;
            writer.set_state(PageState::Running);
            Some(Page { writer, process, nics, rx_known })
        });
        match page {
            Some(page) => {
                if let Some(old) = self.page.replace(page) {
                    end(old);
                }
            }
            None => self.not_before_ns = now_ns.saturating_add(AGAIN_AFTER_NS),
        }
    }

    /// Says in the page why nothing is counted any more, and leaves it.
    fn give_up(&mut self, why: Stop) {
        if let Some(mut page) = self.page.take() {
            page.writer.set_policy(why.text());
            page.writer.set_state(PageState::Aborted);
            end(page);
        }
        self.finished = true;
    }
}

/// Whether a page is no larger than files of this process may be: one that is would not fail, but raise SIGXFSZ.
fn may_write() -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: fills the structure, or fails.
    unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) != 0 || limit.rlim_cur >= 1 << 20 }
}

fn rx_source(known: bool) -> RxSource {
    if known { RxSource::CqeLen } else { RxSource::None }
}
