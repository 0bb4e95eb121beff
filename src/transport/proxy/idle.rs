//! What to do when nothing happens: spin a little, yield a while, then sleep.
//!
//! With more PEs than cores pure spinning costs more than half of the bandwidth (39 % of line rate is left with 2 nodes
//! x 2 PEs on 2 cores, 103 % with yielding; see `docs/performance.md`). Sleeping keeps an idle job off the cores.

use std::time::Duration;

/// Rounds of each kind before the next.
const SPINS: u32 = 32;
const YIELDS: u32 = 128;

/// Shortest and longest sleep, and what share of the time in which nothing came a sleep may be: an arrival waits for
/// a look at most that much longer than it did anyway, and who has been idle for long costs next to nothing.
const SHORTEST_SLEEP: Duration = Duration::from_micros(20);
pub(super) const LONGEST_SLEEP: Duration = Duration::from_millis(5);
const SHARE: u32 = 16;

/// Before nothing has come for so long, sleeps are no longer than that. A long message over sockets needs looks to get on at
/// all, and until it is complete nothing is seen of it: 8 MiB take 335 ms at 200 Mbit/s.
const LONG: Duration = Duration::from_millis(500);
const SLEEP_UNTIL_THEN: Duration = Duration::from_micros(500);

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
    /// Time slept since something last happened.
    slept: Duration,
}

impl Idle {
    /// For whoever waits now and then.
    #[must_use]
    pub fn new(progress: Progress) -> Self {
        Self { progress, rounds: 0, slept: Duration::ZERO }
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
        self.slept = Duration::ZERO;
    }

    /// Whether nothing has happened for so long that sleeps are as long as they get.
    #[must_use]
    pub fn is_deep(&self) -> bool {
        self.slept >= LONG
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
        let longest = if self.is_deep() { LONGEST_SLEEP } else { SLEEP_UNTIL_THEN };
        let sleep = (self.slept / SHARE).clamp(SHORTEST_SLEEP, longest);
        self.slept = self.slept.saturating_add(sleep);
        Rest::Sleep(sleep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adaptive_spins_then_yields_then_sleeps_ever_longer() {
        let mut idle = Idle::new(Progress::Adaptive);
        let rests: Vec<_> = (0..2000).map(|_| idle.rest()).collect();
        let count = |wanted: Rest| rests.iter().filter(|rest| **rest == wanted).count();
        assert_eq!((count(Rest::Spin), count(Rest::Yield)), (31, 128));
        assert_eq!(rests[159], Rest::Sleep(SHORTEST_SLEEP));
        assert_eq!(rests[1999], Rest::Sleep(LONGEST_SLEEP));
        let mut before = Duration::ZERO;
        for rest in rests {
            let Rest::Sleep(sleep) = rest else { continue };
            assert!(sleep <= (before / SHARE).max(SHORTEST_SLEEP), "{sleep:?} after {before:?}");
            assert!(sleep <= SLEEP_UNTIL_THEN || before >= LONG, "{sleep:?} after {before:?}");
            before += sleep;
        }
        idle.reset();
        assert_eq!(idle.rest(), Rest::Spin);
    }

    #[test]
    fn spin_never_sleeps() {
        let mut idle = Idle::new(Progress::Spin);
        assert!((0..10_000).all(|_| idle.rest() == Rest::Spin));
    }
}
