//! An event count over a futex: the words may lie anywhere, in memory of several processes too.

use std::time::Duration;

use crate::sync::futex::{self, Scope};
use crate::sync::{AtomicU32, Ordering};

/// The event of one heap.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    generation: &'a AtomicU32,
    waiters: &'a AtomicU32,
}

impl<'a> Event<'a> {
    /// The event that lives in these two words, which begin as 0.
    #[must_use]
    pub fn new(generation: &'a AtomicU32, waiters: &'a AtomicU32) -> Self {
        Self { generation, waiters }
    }

    /// Tells every waiter, in whichever process, to look again. Costs no system call while nobody waits.
    pub fn notify(self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        if self.waiters.load(Ordering::SeqCst) > 0 {
            futex::wake_all(self.generation, Scope::Shared);
        }
    }

    /// Sleeps until the next [`Self::notify`] or until `limit` has passed, unless `ready` already holds.
    /// May wake early.
    pub fn wait(self, limit: Duration, mut ready: impl FnMut() -> bool) {
        let seen = self.generation.load(Ordering::SeqCst);
        self.waiters.fetch_add(1, Ordering::SeqCst);
        if !ready() {
            futex::wait(self.generation, seen, Some(limit), Scope::Shared);
        }
        self.waiters.fetch_sub(1, Ordering::SeqCst);
    }
}
