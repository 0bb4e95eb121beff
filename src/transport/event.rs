//! Sleeping until something changes in a heap: an event count over a futex that lies in the heap itself.
//!
//! The proxy and PEs of the same node change signal words; whoever waits must not burn a core (with more PEs
//! than cores, spinning halves the bandwidth) and must not miss a change that comes between its look and its sleep.

mod count;

pub use count::Event;

use super::heap::reserved::{GENERATION, WAITERS};
use super::heap::{Heap, HeapError};

impl<'a> Event<'a> {
    /// The event in `heap`'s reserved page.
    ///
    /// # Errors
    /// Never for a heap made by [`Heap::create`].
    pub fn of(heap: &'a Heap) -> Result<Self, HeapError> {
        Ok(Self::new(heap.half_word(GENERATION)?, heap.half_word(WAITERS)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

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
