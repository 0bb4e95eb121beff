//! Ticks on absolute deadlines: one that comes late does not push the next ones back.

use std::time::{Duration, Instant};

/// A row of deadlines, one interval apart.
#[derive(Debug, Clone)]
pub struct Ticker {
    interval: Duration,
    next: Instant,
    missed: u64,
}

impl Ticker {
    /// The first deadline is `start`.
    #[must_use]
    pub fn new(start: Instant, interval: Duration) -> Self {
        Self { interval, next: start, missed: 0 }
    }

    /// The deadline to wait for.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.next
    }

    /// Goes on to the first deadline after `now`; returns how many deadlines were skipped.
    pub fn advance(&mut self, now: Instant) -> u64 {
        self.next += self.interval;
        let late = now.saturating_duration_since(self.next);
        if late.is_zero() {
            return 0;
        }
        let skipped = late.as_nanos().div_ceil(self.interval.as_nanos().max(1));
        let skipped = u32::try_from(skipped).unwrap_or(u32::MAX);
        self.next += self.interval.saturating_mul(skipped);
        self.missed += u64::from(skipped);
        u64::from(skipped)
    }

    /// From now on another interval, beginning at `now`.
    pub fn set_interval(&mut self, interval: Duration, now: Instant) {
        self.interval = interval;
        self.next = now + interval;
    }

    /// Deadlines skipped so far.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn deadlines_do_not_drift() {
        let start = Instant::now();
        let mut ticker = Ticker::new(start, 100 * MS);
        assert_eq!(ticker.advance(start + 30 * MS), 0);
        assert_eq!(ticker.deadline(), start + 100 * MS);
        assert_eq!(ticker.advance(start + 199 * MS), 0);
        assert_eq!(ticker.deadline(), start + 200 * MS);
    }

    #[test]
    fn skipped_deadlines_are_counted_and_the_grid_stays() {
        let start = Instant::now();
        let mut ticker = Ticker::new(start, 100 * MS);
        assert_eq!(ticker.advance(start + 350 * MS), 3);
        assert_eq!(ticker.deadline(), start + 400 * MS);
        assert_eq!(ticker.missed(), 3);
    }
}
