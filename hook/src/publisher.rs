//! The page of the process, and the thread that keeps it.

#![expect(unsafe_code, reason = "what is called at the end of a process")]

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use counters::{
    MAX_NICS, NicBlock, NicCounts, PageDir, PageState, PageWriter, PeCounts, ProcessBlock, RxSource,
    monotonic_ns,
};

use crate::guard::{Stop, always, guarded, stop, stopped};
use crate::lock::Lock;
use crate::totals::{Published, Sums};
use crate::{count, fork, identity, nics, rest, settings, system, thread};

/// Between two turns while there is traffic, ms.
pub(crate) const BUSY: u32 = 10;
/// Turns without traffic before it rests, for so long that the page shows some times a second that its process lives.
const QUIET_TURNS: u32 = 4;
/// Before the next attempt to make a page, after one that failed.
const AGAIN_AFTER_NS: u64 = 5_000_000_000;

/// What only one thread at a time may do: make the page, and publish.
#[derive(Debug)]
pub(crate) struct Publisher {
    page: Option<Page>,
    /// By number of the NIC. On the heap, as all that is large here: the program's threads may have small stacks.
    published: Vec<Published>,
    last: Vec<Sums>,
    /// When to try again, after an attempt that failed; else 0.
    not_before_ns: u64,
    /// The program communicates, so the page is to be seen.
    visible: bool,
    /// The thread runs.
    kept: bool,
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
    shown: bool,
}

impl Page {
    /// Publishes the sums. Neither allocates nor can panic.
    fn publish(&mut self, now_ns: u64, published: &mut [Published], sums: &[Sums]) {
        let rx_known = nics::rx_known();
        if rx_known != self.rx_known {
            self.rx_known = rx_known;
            self.writer.set_rx_source(rx_source(rx_known));
        }
        for (number, block) in &mut self.nics {
            let (Some(published), Some(sums)) = (published.get_mut(*number), sums.get(*number)) else {
                continue;
            };
            let counts: NicCounts = published.turn(now_ns, sums, nics::all_closed(*number));
            block.publish(now_ns, &counts);
        }
        self.process.publish(now_ns, &PeCounts::default());
    }
}

/// Ends a page; but one whose descriptors the program has closed, and perhaps opened anew for itself, is only left.
fn end(page: Page) {
    if page.writer.is_intact() { drop(page) } else { std::mem::forget(page) }
}

static PUBLISHER: Lock<Option<Publisher>> = Lock::new(None);
/// The program communicates.
static STARTED: AtomicBool = AtomicBool::new(false);
/// The process whose all this is. A child that was made past `pthread_atfork` has a copy of everything, and nothing to say in it.
static OWNER: AtomicU32 = AtomicU32::new(0);

pub(crate) fn publisher() -> &'static Lock<Option<Publisher>> {
    &PUBLISHER
}

/// Whether there is a page, or should be one, and it is this process's.
fn is_ours() -> bool {
    STARTED.load(Relaxed) && OWNER.load(Relaxed) == std::process::id()
}

/// Makes the page and starts the thread that keeps it, before the program communicates: that takes a quarter of a millisecond, which is
/// nothing where endpoints are set up, and much in the first operation. Nobody sees the page before that.
pub(crate) fn prepare() {
    if STARTED.load(Relaxed) || fork::is_forking() {
        return;
    }
    let mut publisher = PUBLISHER.lock();
    if STARTED.load(Relaxed) {
        return;
    }
    let publisher = own(&mut publisher);
    publisher.make(monotonic_ns());
    publisher.keep();
}

/// The last endpoint has been closed: a page that nobody has seen is of no use.
pub(crate) fn let_go() {
    if STARTED.load(Relaxed) || fork::is_forking() || !nics::none_open() {
        return;
    }
    if let Some(publisher) = PUBLISHER.lock().as_mut()
        && OWNER.load(Relaxed) == std::process::id()
        && !publisher.visible
        // Another thread may have opened and enabled one since.
        && nics::none_open()
        && let Some(page) = publisher.page.take()
    {
        end(page);
    }
}

/// The first operation: the page is to be seen. Makes what is not there yet, as in a program whose endpoints were enabled by connecting them.
pub(crate) fn start() {
    if STARTED.load(Relaxed) || fork::is_forking() {
        return;
    }
    let kept = {
        let mut publisher = PUBLISHER.lock();
        // With the lock, so that no fork can come between: in a child all is undone.
        if STARTED.swap(true, Relaxed) {
            return;
        }
        let publisher = own(&mut publisher);
        publisher.visible = true;
        // What was in the way before the first operation need not be any more.
        publisher.not_before_ns = 0;
        publisher.turn();
        publisher.keep()
    };
    if !kept {
        stop(Stop::NoThread);
        say_why();
    }
}

/// What is this process's own, not its parent's.
fn own(state: &mut Option<Publisher>) -> &mut Publisher {
    static WATCHING: AtomicBool = AtomicBool::new(false);
    if !WATCHING.swap(true, Relaxed) {
        // SAFETY: the function stays where it is: this library is never unloaded.
        unsafe { libc::atexit(at_exit) };
    }
    if state.is_some() && OWNER.load(Relaxed) != std::process::id() {
        undo(state);
    }
    OWNER.store(std::process::id(), Relaxed);
    state.get_or_insert_with(Publisher::new)
}

/// The thread: publishes, faster while something happens. It has nothing of what `thread` says a thread of the C library has.
extern "C" fn keep(_: *mut c_void) -> c_int {
    thread::settle();
    let mut quiet = 0;
    loop {
        if quiet < QUIET_TURNS {
            system::sleep_ms(BUSY);
        } else if rest::rest(settings::idle_ms(), || take_turn() != Some(false)) {
            quiet = 0;
        }
        match take_turn() {
            Some(true) => quiet = 0,
            Some(false) => quiet = quiet.saturating_add(1),
            None => return 0,
        }
    }
}

/// A turn of the thread: whether anything has happened since the last; `None` at the end of all.
fn take_turn() -> Option<bool> {
    if stopped().is_some() {
        return None;
    }
    // A thread of the program's that has the lock publishes itself.
    let Some(mut publisher) = PUBLISHER.try_lock() else { return Some(true) };
    publisher.as_mut().filter(|publisher| !publisher.finished).map(Publisher::publish)
}

/// Publishes what has been counted so far, if there is a page.
pub fn publish_now() {
    guarded(nudge);
}

pub(crate) fn nudge() {
    if is_ours()
        && let Some(publisher) = PUBLISHER.lock().as_mut()
    {
        publisher.turn();
    }
}

/// Lets the page say why counting has stopped, and leaves it.
pub(crate) fn say_why() {
    if is_ours()
        && let Some(why) = stopped()
        && let Some(mut publisher) = PUBLISHER.lock_in_time()
        && let Some(publisher) = publisher.as_mut()
    {
        publisher.give_up(why);
    }
}

extern "C" fn at_exit() {
    finish();
}

/// The end of the process: the last values, and a page that is closed; or why it has ended before.
pub fn finish() {
    if stopped().is_some() {
        always(say_why);
        return;
    }
    if !is_ours() {
        return;
    }
    guarded(|| {
        // A handler of a signal may end the process on top of a thread that has the lock.
        let mut publisher = PUBLISHER.lock_in_time()?;
        let publisher = publisher.as_mut()?;
        publisher.turn();
        publisher.finished = true;
        let mut page = publisher.page.take()?;
        if settings::keep() {
            page.writer.keep_name();
        }
        end(page);
        Some(())
    });
}

/// In a forked child: there is no page, and no thread to keep one. `state` is locked.
pub(crate) fn restart(state: &mut Option<Publisher>) {
    undo(state);
    STARTED.store(false, Relaxed);
}

/// Leaves what is the parent's to the parent.
fn undo(state: &mut Option<Publisher>) {
    // The parent's page is only unmapped and its file closed: its writer knows whose it is.
    if let Some(page) = state.take().and_then(|publisher| publisher.page) {
        end(page);
    }
}

impl Publisher {
    fn new() -> Self {
        Self {
            page: None,
            published: vec![Published::default(); MAX_NICS],
            last: vec![Sums::default(); MAX_NICS],
            not_before_ns: 0,
            visible: false,
            kept: false,
            finished: false,
        }
    }

    /// Starts the thread, unless it runs. Whether it does.
    fn keep(&mut self) -> bool {
        self.kept = self.kept || thread::start(keep);
        self.kept
    }

    /// Makes the page if there is none or a NIC has come, and publishes. In the program's threads only.
    fn turn(&mut self) {
        self.add_up();
        self.make(monotonic_ns());
        self.publish();
    }

    /// Adds up and publishes. Whether anything has happened since the last time. Neither allocates nor can panic.
    fn publish(&mut self) -> bool {
        let now_ns = monotonic_ns();
        let moved = self.add_up();
        if let Some(page) = &mut self.page {
            page.publish(now_ns, &mut self.published, &self.last);
        }
        // To make one needs memory, and so a thread of the program's.
        if self.not_before_ns > 0 && now_ns >= self.not_before_ns {
            rest::want_page();
        }
        moved
    }

    /// The sums of all threads, by NIC; and whether there are others than at the last time, apart from polls that found nothing.
    fn add_up(&mut self) -> bool {
        let known = nics::known();
        let mut moved = false;
        for (number, last) in self.last.iter_mut().enumerate().take(known) {
            let mut sums = Sums::default();
            // What is done before what is posted, so that the former is not beyond the latter.
            count::all().for_each(|block| sums.add_done(block.nic(number)));
            count::all().for_each(|block| sums.add_posted(block.nic(number)));
            moved |= sums.has_moved(last);
            *last = sums;
        }
        moved
    }

    /// A page has a fixed number of NICs, so when one comes there is a new page, with all the counts so far, and then the old one goes.
    fn make(&mut self, now_ns: u64) {
        let numbers = nics::in_use();
        let ready = self.page.as_ref().filter(|page| page.nics.len() == numbers.len());
        if numbers.is_empty() || ready.is_some_and(|page| page.shown || !self.visible) {
            self.not_before_ns = 0;
            return;
        }
        if now_ns < self.not_before_ns || self.finished || !may_write() {
            return;
        }
        // One that was made before the program communicates needs nothing but its name, if the program has left its descriptors alone.
        let prepared = self.page.take_if(|page| page.nics.len() == numbers.len() && page.writer.is_intact());
        // Or its directory: where that is gone, a new page brings a new one.
        let page = prepared
            .and_then(|page| self.fill(page, now_ns))
            .or_else(|| self.fill(new_page(&numbers)?, now_ns));
        match page {
            Some(page) => {
                self.not_before_ns = 0;
                if let Some(old) = self.page.replace(page) {
                    end(old);
                }
            }
            None => self.not_before_ns = now_ns.saturating_add(AGAIN_AFTER_NS),
        }
    }

    /// Lets a new page say what the one before said; only then it is seen, if it is to be.
    fn fill(&mut self, mut page: Page, now_ns: u64) -> Option<Page> {
        page.publish(now_ns, &mut self.published, &self.last);
        if self.visible {
            page.writer.show().ok()?;
        }
        page.shown = self.visible;
        Some(page)
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

/// A page of these NICs that nobody sees yet.
fn new_page(numbers: &[usize]) -> Option<Page> {
    let rx_known = nics::rx_known();
    let (identities, provider) = nics::identities(numbers);
    let spec = identity::spec(identities, &provider, rx_source(rx_known), fork::is_child());
    let dir = PageDir::create(&identity::environment().pages).ok()?;
    let mut writer = PageWriter::prepare(&dir, &spec).ok()?;
    let process = writer.process_block()?;
    let nics = (0..).zip(numbers).map(|(nic, number)| Some((*number, writer.nic_block(0, nic)?)));
    let nics = nics.collect::<Option<Vec<_>>>()?;
    writer.set_state(PageState::Running);
    Some(Page { writer, process, nics, rx_known, shown: false })
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
