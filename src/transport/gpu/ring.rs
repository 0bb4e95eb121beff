//! The proxy's end of a ring that a GPU posts into.
//!
//! Its memory is the host's, pinned, and the GPU writes it over PCIe: `depth` descriptors, then on lines of their own how
//! many the proxy has *taken* and how many *quiets* are done, which the GPU reads. Who posts next is the GPU's own matter
//! (a counter in its memory), so no atomic operation crosses PCIe.

use super::mark::{mark_of, payload};
use crate::sync::{AtomicU64, Ordering, fence};

/// Words between the figures that the GPU reads.
const APART: usize = 16;

/// Memory that a ring lies in.
pub trait Memory {
    /// Its words, [`words_for`] of them.
    fn words(&self) -> &[AtomicU64];
}

/// Words that a ring of `depth` descriptors of `width` words takes; `depth` is a power of two.
#[must_use]
pub const fn words_for(depth: usize, width: usize) -> usize {
    depth * width + 2 * APART
}

/// The word that tells how many descriptors have been taken.
#[must_use]
pub const fn taken_at(depth: usize, width: usize) -> usize {
    depth * width
}

/// The word that tells which quiet is done, by the number of descriptors posted with it.
#[must_use]
pub const fn quiet_at(depth: usize, width: usize) -> usize {
    taken_at(depth, width) + APART
}

/// The end that takes descriptors of `N` words.
#[derive(Debug)]
pub struct Taker<M, const N: usize> {
    memory: M,
    depth: usize,
    /// Descriptors taken so far.
    taken: u64,
    /// What the GPU has been told of it.
    told: u64,
}

impl<M: Memory, const N: usize> Taker<M, N> {
    /// For a ring of `depth` descriptors, a power of two, in zeroed memory of [`words_for`] it.
    #[must_use]
    pub fn new(memory: M, depth: usize) -> Self {
        debug_assert!(depth.is_power_of_two() && memory.words().len() >= words_for(depth, N));
        Self { memory, depth, taken: 0, told: 0 }
    }

    /// The words of the next descriptor, once all of them have arrived.
    pub fn pop(&mut self) -> Option<[u64; N]> {
        let mark = self.mark();
        let start = self.start();
        let slot = self.memory.words().get(start..start + N)?;
        let mut words = [0; N];
        for (word, cell) in words.iter_mut().zip(slot) {
            let Some(payload) = payload(cell.load(Ordering::Relaxed), mark) else {
                // Empty, or under way: a good moment to say how far it is.
                self.tell();
                return None;
            };
            *word = payload;
        }
        // What the GPU had written before it posted can be read from here on.
        fence(Ordering::Acquire);
        self.taken += 1;
        if self.taken - self.told >= (self.depth as u64 / 4).max(1) {
            self.tell();
        }
        Some(words)
    }

    /// Whether no descriptor waits, as far as this side can see.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let first = self.memory.words().get(self.start());
        first.is_none_or(|word| payload(word.load(Ordering::Relaxed), self.mark()).is_none())
    }

    /// Descriptors taken so far.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Tells the GPU that everything is done that it had posted before its `posted`th descriptor, a quiet.
    pub fn quiet_done(&self, posted: u64) {
        if let Some(word) = self.memory.words().get(quiet_at(self.depth, N)) {
            word.store(posted, Ordering::Release);
        }
    }

    /// The mark of the next descriptor.
    fn mark(&self) -> u64 {
        mark_of(self.taken / self.depth as u64)
    }

    /// Where it lies.
    fn start(&self) -> usize {
        // The remainder is below a usize.
        usize::try_from(self.taken % self.depth as u64).unwrap_or(0) * N
    }

    /// Tells the GPU which slots are free again.
    fn tell(&mut self) {
        if self.told != self.taken
            && let Some(word) = self.memory.words().get(taken_at(self.depth, N))
        {
            word.store(self.taken, Ordering::Release);
            self.told = self.taken;
        }
    }
}
