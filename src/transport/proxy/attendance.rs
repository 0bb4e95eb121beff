//! Who is at the proxy's work: its thread, which may sleep, and callers that wait and do the work meanwhile.

use super::sleeper::Sleeper;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// What thread and callers know of each other.
#[derive(Debug, Default)]
pub struct Attendance {
    /// Where the thread sleeps.
    pub(super) sleeper: Sleeper,
    /// Callers at work.
    driving: AtomicU32,
    /// One of them has waited for long.
    deep: AtomicBool,
    /// How often one has begun.
    drives: AtomicU64,
}

impl Attendance {
    /// Wakes the thread if it rests.
    pub fn wake(&self) {
        self.sleeper.wake();
    }

    /// Whether some caller does the work.
    pub(super) fn is_driven(&self) -> bool {
        self.driving.load(Ordering::Acquire) > 0
    }

    /// A number that changes whenever a caller begins.
    pub(super) fn drives(&self) -> u64 {
        self.drives.load(Ordering::Relaxed)
    }

    /// Whether a caller has waited for long.
    pub(super) fn is_deep(&self) -> bool {
        self.deep.load(Ordering::Relaxed)
    }

    /// A caller begins.
    pub(super) fn come(&self) {
        self.driving.fetch_add(1, Ordering::Release);
        self.drives.fetch_add(1, Ordering::Relaxed);
    }

    /// It goes on, for long already: the thread may sleep deeply.
    pub(super) fn stay(&self) {
        if !self.is_deep() {
            self.deep.store(true, Ordering::Relaxed);
        }
    }

    /// It ends; whether it had waited for long: then the thread is to be woken.
    pub(super) fn leave(&self) -> bool {
        let deep = self.deep.swap(false, Ordering::Relaxed);
        self.driving.fetch_sub(1, Ordering::Release);
        deep
    }
}
