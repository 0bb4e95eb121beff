//! The proxy's end of a ring that a GPU posts into.
//!
//! Its memory is the host's, pinned, and the GPU writes it over PCIe: `depth` descriptors, then on lines of their own how
//! many the proxy has *taken* and how many *quiets* are done, which the GPU reads, and how often it found the ring full
//! (*stalls*), which it writes. Who posts next is the GPU's own matter (a counter in its memory), so no atomic operation
//! crosses PCIe.

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
    depth * width + 3 * APART
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

/// The word in which the GPU counts how often it found the ring full and waited.
#[must_use]
pub const fn stalls_at(depth: usize, width: usize) -> usize {
    quiet_at(depth, width) + APART
}

/// The end that takes descriptors of `N` words.
#[derive(Debug)]
pub struct Taker<M, const N: usize> {
    memory: M,
    depth: usize,
    /// Descriptors taken so far.
    taken: u64,
    /// The word at which the next one begins, and the mark of its lap.
    start: usize,
    mark: u64,
    /// What the GPU has been told of it.
    told: u64,
}

impl<M: Memory, const N: usize> Taker<M, N> {
    /// For a ring of `depth` descriptors, a power of two, in zeroed memory of [`words_for`] it.
    #[must_use]
    pub fn new(memory: M, depth: usize) -> Self {
        debug_assert!(depth.is_power_of_two() && memory.words().len() >= words_for(depth, N));
        Self { memory, depth, taken: 0, start: 0, mark: mark_of(0), told: 0 }
    }

    /// The words of the next descriptor, once all of them have arrived.
    #[inline]
    pub fn pop(&mut self) -> Option<[u64; N]> {
        let slot = self.memory.words().get(self.start..self.start + N)?;
        let mut words = [0; N];
        for (word, cell) in words.iter_mut().zip(slot) {
            let Some(payload) = payload(cell.load(Ordering::Relaxed), self.mark) else {
                // Empty, or under way: a good moment to say how far it is.
                self.tell();
                return None;
            };
            *word = payload;
        }
        // What the GPU had written before it posted can be read from here on.
        fence(Ordering::Acquire);
        self.taken += 1;
        self.start += N;
        if self.start == self.depth * N {
            self.start = 0;
            self.mark = mark_of(self.taken / self.depth as u64);
        }
        if self.taken - self.told >= (self.depth as u64 / 4).max(1) {
            self.tell();
        }
        Some(words)
    }

    /// Whether no descriptor waits, as far as this side can see.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.has_posted(0)
    }

    /// Whether the descriptor `ahead` of the next one has been posted, as far as this side can see.
    fn has_posted(&self, ahead: usize) -> bool {
        let place = self.start + ahead * N;
        let (start, lap) = if place < self.depth * N { (place, 0) } else { (place - self.depth * N, 1) };
        let mark = mark_of(self.taken / self.depth as u64 + lap);
        let first = self.memory.words().get(start);
        first.is_some_and(|word| payload(word.load(Ordering::Relaxed), mark).is_some())
    }

    /// About how many descriptors wait: exactly, unless some of those posted last are still under way. Looks at a dozen
    /// places and not at all of them.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let (mut posted, mut free) = (0, self.depth);
        while posted < free {
            let middle = posted.midpoint(free);
            if self.has_posted(middle) {
                posted = middle + 1;
            } else {
                free = middle;
            }
        }
        posted as u64
    }

    /// How often the GPU found the ring full.
    #[must_use]
    pub fn stalls(&self) -> u64 {
        self.memory.words().get(stalls_at(self.depth, N)).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// Descriptors taken so far.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Descriptors that there is room for.
    #[must_use]
    pub fn depth(&self) -> u64 {
        self.depth as u64
    }

    /// Tells the GPU that everything is done that it had posted before its `posted`th descriptor, a quiet.
    pub fn quiet_done(&self, posted: u64) {
        if let Some(word) = self.memory.words().get(quiet_at(self.depth, N)) {
            word.store(posted, Ordering::Release);
        }
    }

    /// Tells the GPU which slots are free again.
    #[inline]
    fn tell(&mut self) {
        if self.told != self.taken
            && let Some(word) = self.memory.words().get(taken_at(self.depth, N))
        {
            word.store(self.taken, Ordering::Release);
            self.told = self.taken;
        }
    }
}
