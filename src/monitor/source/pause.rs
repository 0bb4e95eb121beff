//! How long what ended by a bug rests before it is started again: a bug that stays would otherwise end a thread, and print
//! a message, at every tick.

use std::time::{Duration, Instant};

/// Least time from an end to the next start.
const REST: Duration = Duration::from_secs(10);

/// The rest of something that ended by a bug.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pause {
    since: Instant,
}

impl Pause {
    /// It begins now.
    pub(super) fn begin() -> Self {
        Self { since: Instant::now() }
    }

    /// Whether it is too early to start again.
    pub(super) fn is_on(&self) -> bool {
        self.since.elapsed() < REST
    }

    /// One that has been long enough.
    #[cfg(test)]
    pub(super) fn over() -> Self {
        Self { since: Instant::now().checked_sub(REST).expect("a machine that runs for a while") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_has_an_end() {
        assert!(Pause::begin().is_on());
        assert!(!Pause::over().is_on());
    }
}
