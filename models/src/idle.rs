//! In place of the proxy's `idle`: who has nothing to do sleeps at once. That it spins and yields before only hides what a model is
//! to find.

use std::time::Duration;

/// How long the thread sleeps at most: no time passes here.
const LONGEST_SLEEP: Duration = Duration::MAX;

/// As the proxy's.
pub(super) const SHARE: u32 = 16;

/// What a proxy does when there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A caller that waits does the work.
    Adaptive,
}

/// What to do until the next look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Nothing but a hint to the processor.
    Spin,
    /// Let other threads run.
    Yield,
    /// Sleep at most so long.
    Sleep(Duration),
}

/// How long nothing has happened.
#[derive(Debug)]
pub struct Idle;

impl Idle {
    /// For a thread that does nothing else.
    #[must_use]
    pub fn for_thread(_progress: Progress) -> Self {
        Self
    }

    /// Something happened.
    pub fn reset(&mut self) {}

    /// Nothing happened again.
    pub fn rest(&mut self) -> Rest {
        Rest::Sleep(LONGEST_SLEEP)
    }
}
