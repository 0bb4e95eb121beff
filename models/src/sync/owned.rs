//! A word that belongs to one thread at a time.

#![expect(unsafe_code, reason = "loom's unsynchronised load is marked unsafe")]

use loom::sync::atomic::{AtomicU64, Ordering};

/// As the standard library's `AtomicU64`, but a load that is not ordered with every store, on either side, is an error.
///
/// With that a missing order is found which the values cannot show: loom never lets a load see a later store.
#[derive(Debug, Default)]
pub struct OwnedWord(AtomicU64);

impl OwnedWord {
    /// A word with this value.
    #[must_use]
    pub fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    /// The value.
    #[must_use]
    pub fn load(&self, order: Ordering) -> u64 {
        // For loom this is a step, between which and the one before others may go on.
        let _ = self.0.load(order);
        // SAFETY: a race would be the caller's fault, and loom reports it instead of reading.
        unsafe { self.0.unsync_load() }
    }

    /// Sets the value.
    pub fn store(&self, value: u64, order: Ordering) {
        self.0.store(value, order);
    }
}
