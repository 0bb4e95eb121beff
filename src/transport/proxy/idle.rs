//! What a proxy does when nothing happens: spin a little, yield a while, then sleep.
//!
//! With more PEs than cores pure spinning costs more than half of the bandwidth (39 % of line rate is left with 2 nodes
//! x 2 PEs on 2 cores, 103 % with yielding; see `docs/performance.md`). Sleeping keeps an idle job off the cores.

use std::time::Duration;

use super::sleeper::Sleeper;

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
    /// Spin a little, yield a while, then sleep.
    #[default]
    Adaptive,
}

/// How long nothing has happened.
pub(super) struct Idle {
    progress: Progress,
    rounds: u32,
    sleep: Duration,
}

impl Idle {
    pub(super) fn new(progress: Progress) -> Self {
        // Without this a sleep of 20 us takes 70: the kernel may round a sleep up by 50 us.
        let _ = nix::sys::prctl::set_timerslack(1_000);
        Self { progress, rounds: 0, sleep: FIRST_SLEEP }
    }

    /// Something happened.
    pub(super) fn reset(&mut self) {
        self.rounds = 0;
        self.sleep = FIRST_SLEEP;
    }

    /// Rests for one round. `sleeper` is where the caller wakes us; `still_idle` is asked once more before sleeping.
    pub(super) fn rest(&mut self, sleeper: &Sleeper, still_idle: impl Fn() -> bool) {
        self.rounds = self.rounds.saturating_add(1);
        if self.progress == Progress::Spin || self.rounds < SPINS {
            std::hint::spin_loop();
        } else if self.rounds < SPINS + YIELDS {
            std::thread::yield_now();
        } else {
            sleeper.sleep(self.sleep, still_idle);
            self.sleep = (self.sleep * 2).min(LONGEST_SLEEP);
        }
    }
}
