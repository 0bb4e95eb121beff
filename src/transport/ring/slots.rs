//! A ring of slots of `N` words: single producer, single consumer, bounded, without locks.
//!
//! Words are relaxed atomics and the two indices are published with release and read with acquire, so the ring needs no
//! `unsafe`. Indices only ever grow, and wrap at 2^64.

use crate::sync::{Arc, AtomicU64, Ordering, OwnedWord};

/// An index alone on its pair of cache lines (adjacent lines are prefetched together).
#[derive(Debug)]
#[repr(align(128))]
struct Index(AtomicU64);

#[derive(Debug)]
struct Shared<const N: usize> {
    slots: Box<[[OwnedWord; N]]>,
    mask: u64,
    head: Index,
    tail: Index,
}

/// The end that adds.
#[derive(Debug)]
pub struct Producer<const N: usize> {
    shared: Arc<Shared<N>>,
    tail: u64,
    cached_head: u64,
}

/// The end that takes.
#[derive(Debug)]
pub struct Consumer<const N: usize> {
    shared: Arc<Shared<N>>,
    head: u64,
    cached_tail: u64,
}

/// Makes a ring of at least `depth` slots (rounded up to a power of two); the first gets the index `first`.
#[must_use]
pub fn ring<const N: usize>(depth: usize, first: u64) -> (Producer<N>, Consumer<N>) {
    let depth = depth.max(2).next_power_of_two();
    let slots = (0..depth).map(|_| std::array::from_fn(|_| OwnedWord::new(0))).collect();
    let index = || Index(AtomicU64::new(first));
    let shared = Arc::new(Shared { slots, mask: depth as u64 - 1, head: index(), tail: index() });
    (
        Producer { shared: Arc::clone(&shared), tail: first, cached_head: first },
        Consumer { shared, head: first, cached_tail: first },
    )
}

impl<const N: usize> Shared<N> {
    fn slot(&self, index: u64) -> Option<&[OwnedWord; N]> {
        self.slots.get(usize::try_from(index & self.mask).ok()?)
    }
}

impl<const N: usize> Producer<N> {
    /// Whether half of the ring is free.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.tail.wrapping_sub(self.shared.head.0.load(Ordering::Acquire)) <= self.shared.mask / 2
    }

    /// Adds what `words` makes; `false`, and `words` is not asked, when the ring is full.
    #[must_use]
    #[inline]
    pub fn try_push(&mut self, words: impl FnOnce() -> [u64; N]) -> bool {
        let depth = self.shared.mask + 1;
        if self.tail.wrapping_sub(self.cached_head) >= depth {
            self.cached_head = self.shared.head.0.load(Ordering::Acquire);
            if self.tail.wrapping_sub(self.cached_head) >= depth {
                return false;
            }
        }
        let Some(slot) = self.shared.slot(self.tail) else {
            return false;
        };
        for (word, value) in slot.iter().zip(words()) {
            word.store(value, Ordering::Relaxed);
        }
        self.tail = self.tail.wrapping_add(1);
        self.shared.tail.0.store(self.tail, Ordering::Release);
        true
    }
}

impl<const N: usize> Consumer<N> {
    /// Takes the oldest slot.
    #[inline]
    pub fn pop(&mut self) -> Option<[u64; N]> {
        if self.head == self.cached_tail {
            self.cached_tail = self.shared.tail.0.load(Ordering::Acquire);
            if self.head == self.cached_tail {
                return None;
            }
        }
        let slot = self.shared.slot(self.head)?;
        let words = slot.each_ref().map(|word| word.load(Ordering::Relaxed));
        self.head = self.head.wrapping_add(1);
        self.shared.head.0.store(self.head, Ordering::Release);
        Some(words)
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head == self.shared.tail.0.load(Ordering::Acquire)
    }
}
