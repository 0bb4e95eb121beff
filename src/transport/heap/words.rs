//! Words of a heap that somebody looks at all the time: found once, and not with each look.

#![expect(unsafe_code, reason = "a shared mapping is raw memory")]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::{Heap, HeapError};

/// Words of a heap, which is kept with them.
#[derive(Debug, Clone)]
pub struct HeapWords {
    start: NonNull<AtomicU64>,
    count: usize,
    _heap: Arc<Heap>,
}

// SAFETY: the words are atomics in a mapping that lives as long as the heap, which is kept.
unsafe impl Send for HeapWords {}
// SAFETY: as above.
unsafe impl Sync for HeapWords {}

impl HeapWords {
    /// `count` words from `offset` on.
    ///
    /// # Errors
    /// As [`Heap::words`].
    pub fn of(heap: Arc<Heap>, offset: u64, count: u64) -> Result<Self, HeapError> {
        let words = heap.words(offset, count)?;
        Ok(Self { start: NonNull::from(words).cast(), count: words.len(), _heap: heap })
    }

    /// All of them.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[AtomicU64] {
        // SAFETY: they were such a slice of the heap, whose mapping stays where it is for as long as it is kept.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}
