//! How the proxy sleeps until there is a command, and how a caller wakes it: without a lock, and without a system call
//! while it is awake.

use std::time::Duration;

use crate::sync::{AtomicBool, OnceLock, Ordering, Thread, current_thread, fence, park_timeout};

/// Where one thread sleeps and others wake it.
#[derive(Debug, Default)]
pub struct Sleeper {
    resting: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Sleeper {
    /// The calling thread is the one that sleeps.
    pub fn begin(&self) {
        let _ = self.thread.set(current_thread());
    }

    /// Sleeps until [`Self::wake`] or until `limit` has passed, unless `still_idle` says otherwise. May wake early.
    pub fn sleep(&self, limit: Duration, still_idle: impl Fn() -> bool) {
        self.resting.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if still_idle() {
            park_timeout(limit);
        }
        self.resting.store(false, Ordering::Relaxed);
    }

    /// Wakes the sleeper if it rests. Called after there is something that makes it no longer idle.
    pub fn wake(&self) {
        // The fence pairs with the sleeper's: either it sees what there is to do, or we see it resting.
        fence(Ordering::SeqCst);
        if self.resting.load(Ordering::Relaxed)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
}
