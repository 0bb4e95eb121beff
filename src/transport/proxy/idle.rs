//! What to do when nothing happens: spin a little, yield a while, then sleep.
//!
//! With more PEs than cores pure spinning costs more than half of the bandwidth (39 % of line rate is left with 2 nodes
//! x 2 PEs on 2 cores, 103 % with yielding; see `docs/performance.md`). Sleeping keeps an idle job off the cores.

use std::time::{Duration, Instant};

/// Rounds of each kind before the next.
const SPINS: u32 = 32;
const YIELDS: u32 = 128;

/// How long at least a caller yields that drives: it has nothing else to do. Of a message of 1 MiB nothing is seen for 0.2 ms
/// even at 5 GB/s, and who sleeps meanwhile lets queues run empty or full (`docs/measurements.md`). The thread has a program beside
/// it that may want the core.
const AWAKE: Duration = Duration::from_millis(1);

/// Shortest and longest sleep, and what share of the time in which nothing came a sleep may be: an arrival waits for
/// a look at most that much longer than it did anyway, and who has been idle for long costs next to nothing.
const SHORTEST_SLEEP: Duration = Duration::from_micros(20);
const LONGEST_SLEEP: Duration = Duration::from_millis(5);
pub(super) const SHARE: u32 = 16;

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
    /// How long it yields, if that is longer than its rounds take.
    awake: Duration,
    rounds: u32,
    /// When it began to yield.
    awake_since: Option<Instant>,
    /// Time slept since something last happened.
    slept: Duration,
}

impl Idle {
    /// For a caller that waits, and `drives` the proxy meanwhile or is woken by it.
    #[must_use]
    pub fn for_caller(drives: bool) -> Self {
        Self::new(Progress::Adaptive, if drives { AWAKE } else { Duration::ZERO })
    }

    /// For a thread that does nothing else.
    pub(super) fn for_thread(progress: Progress) -> Self {
        // Without this a sleep of 20 us takes 70: the kernel may round a sleep up by 50 us.
        let _ = nix::sys::prctl::set_timerslack(1_000);
        Self::new(progress, Duration::ZERO)
    }

    fn new(progress: Progress, awake: Duration) -> Self {
        Self { progress, awake, rounds: 0, awake_since: None, slept: Duration::ZERO }
    }

    /// Something happened.
    pub fn reset(&mut self) {
        self.rounds = 0;
        self.awake_since = None;
        self.slept = Duration::ZERO;
    }

    /// Nothing happened again: how to rest now.
    pub fn rest(&mut self) -> Rest {
        self.rest_by(Instant::now)
    }

    /// The same by another clock.
    fn rest_by(&mut self, now: impl FnOnce() -> Instant) -> Rest {
        self.rounds = self.rounds.saturating_add(1);
        if self.progress == Progress::Spin || self.rounds < SPINS {
            return Rest::Spin;
        }
        if self.slept.is_zero() {
            let now = now();
            let since = *self.awake_since.get_or_insert(now);
            if self.rounds < SPINS + YIELDS || now.saturating_duration_since(since) < self.awake {
                return Rest::Yield;
            }
        }
        let longest = if self.slept >= LONG { LONGEST_SLEEP } else { SLEEP_UNTIL_THEN };
        let sleep = (self.awake.saturating_add(self.slept) / SHARE).clamp(SHORTEST_SLEEP, longest);
        self.slept = self.slept.saturating_add(sleep);
        Rest::Sleep(sleep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one does who looks every microsecond.
    fn rests(mut idle: Idle) -> Vec<Rest> {
        let begin = Instant::now();
        (0..4000).map(|us| idle.rest_by(|| begin + Duration::from_micros(us))).collect()
    }

    #[test]
    fn adaptive_spins_then_yields_then_sleeps_ever_longer() {
        let thread = Idle::for_thread(Progress::Adaptive);
        let cases = [(Idle::for_caller(true), 1000), (Idle::for_caller(false), 128), (thread, 128)];
        for (idle, yields) in cases {
            let awake = idle.awake;
            let mut rests = rests(idle).into_iter().peekable();
            let mut count = |wanted: Rest| std::iter::from_fn(|| rests.next_if_eq(&wanted)).count();
            assert_eq!((count(Rest::Spin), count(Rest::Yield)), (31, yields));
            let mut before = awake;
            let mut last = Duration::ZERO;
            for rest in rests {
                let Rest::Sleep(sleep) = rest else { panic!("{rest:?} after sleeping") };
                assert!(
                    sleep >= last && sleep <= (before / SHARE).max(SHORTEST_SLEEP),
                    "{sleep:?} after {before:?}"
                );
                assert!(sleep <= SLEEP_UNTIL_THEN || before >= LONG, "{sleep:?} after {before:?}");
                before += sleep;
                last = sleep;
            }
            assert_eq!(last, LONGEST_SLEEP);
        }
    }

    #[test]
    fn what_happens_begins_it_anew() {
        let mut idle = Idle::new(Progress::Adaptive, Duration::ZERO);
        assert!((0..1000).any(|_| matches!(idle.rest(), Rest::Sleep(_))));
        idle.reset();
        assert_eq!(idle.rest(), Rest::Spin);
    }

    #[test]
    fn spin_never_sleeps() {
        let mut idle = Idle::new(Progress::Spin, AWAKE);
        assert!((0..10_000).all(|_| idle.rest() == Rest::Spin));
    }
}
