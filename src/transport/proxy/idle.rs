//! What to do when nothing happens: spin a little, yield a while, then sleep.
//!
//! With more PEs than cores pure spinning costs more than half of the bandwidth (39 % of line rate is left with 2 nodes
//! x 2 PEs on 2 cores, 103 % with yielding; see `docs/performance.md`). Sleeping keeps an idle job off the cores.

use std::time::Duration;

/// Rounds of each kind before the next.
const SPINS: u32 = 32;
const YIELDS: u32 = 128;

/// First and longest sleep. The longest bounds what an arrival may wait for an idle proxy to look.
const FIRST_SLEEP: Duration = Duration::from_micros(20);
const LONGEST_SLEEP: Duration = Duration::from_micros(500);

/// What a proxy does when there is nothing to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Progress {
    /// Spin: for a proxy that has a core to itself.
    Spin,
    /// Spin a little, yield a while, then sleep; a caller that waits does the work meanwhile.
    #[default]
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
pub struct Idle {
    progress: Progress,
    rounds: u32,
    sleep: Duration,
}

impl Idle {
    /// For whoever waits now and then.
    #[must_use]
    pub fn new(progress: Progress) -> Self {
        Self { progress, rounds: 0, sleep: FIRST_SLEEP }
    }

    /// For a thread that does nothing else.
    pub(super) fn for_thread(progress: Progress) -> Self {
        // Without this a sleep of 20 us takes 70: the kernel may round a sleep up by 50 us.
        let _ = nix::sys::prctl::set_timerslack(1_000);
        Self::new(progress)
    }

    /// Something happened.
    pub fn reset(&mut self) {
        self.rounds = 0;
        self.sleep = FIRST_SLEEP;
    }

    /// Nothing happened again: how to rest now.
    pub fn rest(&mut self) -> Rest {
        self.rounds = self.rounds.saturating_add(1);
        if self.progress == Progress::Spin || self.rounds < SPINS {
            return Rest::Spin;
        }
        if self.rounds < SPINS + YIELDS {
            return Rest::Yield;
        }
        let sleep = self.sleep;
        self.sleep = (self.sleep * 2).min(LONGEST_SLEEP);
        Rest::Sleep(sleep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adaptive_spins_then_yields_then_sleeps_ever_longer() {
        let mut idle = Idle::new(Progress::Adaptive);
        let rests: Vec<_> = (0..SPINS + YIELDS + 9).map(|_| idle.rest()).collect();
        let count = |wanted: Rest| rests.iter().filter(|rest| **rest == wanted).count();
        assert_eq!((count(Rest::Spin), count(Rest::Yield)), (31, 128));
        assert_eq!(rests[159], Rest::Sleep(FIRST_SLEEP));
        assert_eq!(rests[160], Rest::Sleep(2 * FIRST_SLEEP));
        assert_eq!(rests[168], Rest::Sleep(LONGEST_SLEEP));
        idle.reset();
        assert_eq!(idle.rest(), Rest::Spin);
    }

    #[test]
    fn spin_never_sleeps() {
        let mut idle = Idle::new(Progress::Spin);
        assert!((0..10_000).all(|_| idle.rest() == Rest::Spin));
    }
}
