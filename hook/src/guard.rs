//! Between our code and the program: a panic ends the counting and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

use crate::count::Thread;
use crate::first::First;
use crate::publisher;

/// Why counting has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A panic in our code.
    Panic = 1,
    /// The thread that publishes could not be started.
    NoThread = 2,
}

impl Stop {
    /// For the page, 32 bytes at most.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Panic => "hook stopped: a fault of its own",
            Self::NoThread => "hook stopped: no thread",
        }
    }
}

const _: () = assert!(Stop::Panic.text().len() <= 32 && Stop::NoThread.text().len() <= 32);

static STOPPED: AtomicU8 = AtomicU8::new(0);

/// Why counting has stopped, if it has.
pub(crate) fn stopped() -> Option<Stop> {
    match STOPPED.load(Relaxed) {
        0 => None,
        1 => Some(Stop::Panic),
        _ => Some(Stop::NoThread),
    }
}

/// Stops for good. `publisher::say_why` lets the page say so.
pub(crate) fn stop(why: Stop) {
    let _ = STOPPED.compare_exchange(0, why as u8, Relaxed, Relaxed);
}

/// Runs what is not the program's business. `None`, and an end to all counting, if it panics; `None` at once after that.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    if stopped().is_some() {
        return None;
    }
    always(|| {
        fault();
        work()
    })
}

/// The same also after counting has stopped: for what gives the program back what is its own.
pub(crate) fn always<T>(work: impl FnOnce() -> T) -> Option<T> {
    let stopped = |_: &_| {
        stop(Stop::Panic);
        // There is nothing left to be done about a panic in this.
        let _ = catch_unwind(publisher::say_why);
    };
    catch_unwind(AssertUnwindSafe(work)).inspect_err(stopped).ok()
}

/// Lets no panic of ours write to the program's stderr. For the ways in from C, where the standard library in this file is our own copy of
/// it: the messages of a Rust program that uses the crate are its own affair.
pub(crate) fn be_quiet() {
    static QUIET: AtomicBool = AtomicBool::new(false);
    if !QUIET.swap(true, Relaxed) {
        std::panic::set_hook(Box::new(|_| {}));
    }
}

/// `RAILTOP_HOOK_FAULT=N`: the Nth piece of guarded work panics. For the test that shows that a program survives it.
fn fault() {
    static LEFT: First<AtomicU64> = First::new();
    let left = LEFT.get_or_make(|| crate::settings::fault().into());
    if left.load(Relaxed) > 0 && left.fetch_sub(1, Relaxed) == 1 {
        std::panic::resume_unwind(Box::new("asked for"));
    }
}

/// For the time of a provider's call that may open objects of another provider, which then are an inner layer.
#[derive(Debug)]
pub(crate) struct Inside(());

impl Inside {
    pub(crate) fn enter() -> Self {
        Thread::with(Thread::enter);
        Self(())
    }

    /// Whether this thread is in such a call.
    pub(crate) fn is() -> bool {
        Thread::with(Thread::is_inside)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        Thread::with(Thread::leave);
    }
}
