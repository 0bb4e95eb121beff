//! An event count over a futex: the words may lie anywhere, in memory of several processes too.

use std::time::Duration;

use crate::sync::futex::{self, Scope};
use crate::sync::{AtomicU32, Ordering, fence};

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
        self.generation.fetch_add(1, Ordering::Release);
        // The fence pairs with the waiter's: either it sees the change and the new generation, or we see that it waits.
        fence(Ordering::SeqCst);
        if self.waiters.load(Ordering::Relaxed) > 0 {
            futex::wake_all(self.generation, Scope::Shared);
        }
    }

    /// Sleeps until the next [`Self::notify`] or until `limit` has passed, unless `ready` already holds.
    /// May wake early.
    pub fn wait(self, limit: Duration, mut ready: impl FnMut() -> bool) {
        // Behind the fence, who has seen a generation sees what was changed before it, and need not wait for that any more.
        let seen = self.generation.load(Ordering::Relaxed);
        self.waiters.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if !ready() {
            futex::wait(self.generation, seen, Some(limit), Scope::Shared);
        }
        self.waiters.fetch_sub(1, Ordering::Relaxed);
    }
}
