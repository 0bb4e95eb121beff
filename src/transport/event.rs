//! Sleeping until something changes in a heap: an event count over a futex that lies in the heap itself.
//!
//! The proxy thread and PEs of the same node change signal words; whoever waits must not burn a core (with more PEs
//! than cores, spinning halves the bandwidth) and must not miss a change that comes between its look and its sleep.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::heap::{Heap, HeapError};
use crate::futex::{self, Scope};

/// Offsets of the two words in the reserved page.
const GENERATION: u64 = 0;
const WAITERS: u64 = 4;

/// The event of one heap.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    generation: &'a AtomicU32,
    waiters: &'a AtomicU32,
}

impl<'a> Event<'a> {
    /// The event in `heap`'s reserved page.
    ///
    /// # Errors
    /// Never for a heap made by [`Heap::create`].
    pub fn of(heap: &'a Heap) -> Result<Self, HeapError> {
        Ok(Self { generation: heap.half_word(GENERATION)?, waiters: heap.half_word(WAITERS)? })
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_change_between_look_and_sleep_is_not_missed() {
        const ROUNDS: u64 = 20_000;
        let heap = Arc::new(Heap::create(4096).unwrap());
        let writer = Arc::clone(&heap);
        let thread = std::thread::spawn(move || {
            for _ in 0..ROUNDS {
                let ping = writer.word(64).unwrap();
                let answer = writer.word(128).unwrap();
                let next = ping.load(Ordering::Acquire) + 1;
                ping.store(next, Ordering::Release);
                Event::of(&writer).unwrap().notify();
                while answer.load(Ordering::Acquire) < next {
                    std::hint::spin_loop();
                    std::thread::yield_now();
                }
            }
        });
        let event = Event::of(&heap).unwrap();
        for round in 1..=ROUNDS {
            let ping = heap.word(64).unwrap();
            while ping.load(Ordering::Acquire) < round {
                // A missed wake-up would cost the full ten seconds each time and the test its patience.
                event.wait(Duration::from_secs(10), || ping.load(Ordering::Acquire) >= round);
            }
            heap.word(128).unwrap().store(round, Ordering::Release);
        }
        thread.join().unwrap();
    }
}
