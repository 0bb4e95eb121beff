//! Where the proxy's time comes from.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::counters::monotonic_ns;

/// A clock.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The system's monotonic clock.
    System,
    /// One that a test moves on; nanoseconds.
    Given(Arc<AtomicU64>),
}

impl Clock {
    /// Nanoseconds since some fixed time.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        match self {
            Self::System => monotonic_ns(),
            Self::Given(now) => now.load(Ordering::Relaxed),
        }
    }
}
