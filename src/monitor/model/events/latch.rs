//! A condition with hysteresis in time: it counts only after it has held for a while, and so does its end.

use std::time::Duration;

/// What a condition looks like at one tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// It is met.
    On,
    /// Neither clearly met nor clearly not: whatever was so, stays so.
    Between,
    /// It is not met.
    Off,
}

/// What a tick changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The condition has held for long enough, for so long (ns).
    On(u64),
    /// It had been met for so long (ns), from when it was first seen to when it was first not seen any more.
    Off(u64),
}

/// The state of one condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Latch {
    on: bool,
    /// Since when the level has been against the state.
    against: Option<u64>,
    /// When the condition that is on was first seen.
    began: u64,
}

impl Latch {
    /// Whether the condition counts as met.
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// Takes the level at `now_ns` in; `None` = not known, which breaks what was about to turn. `begin` and `end` are
    /// how long the condition must be met, or not be met, to count.
    pub(super) fn update(
        &mut self,
        now_ns: u64,
        level: Option<Level>,
        begin: Duration,
        end: Duration,
    ) -> Option<Turn> {
        let (against, hold) = if self.on { (Level::Off, end) } else { (Level::On, begin) };
        if level != Some(against) {
            self.against = None;
            return None;
        }
        let since = *self.against.get_or_insert(now_ns);
        let for_ns = now_ns.saturating_sub(since);
        if u128::from(for_ns) < hold.as_nanos() {
            return None;
        }
        self.on = !self.on;
        self.against = None;
        if self.on {
            self.began = since;
            Some(Turn::On(for_ns))
        } else {
            Some(Turn::Off(since.saturating_sub(self.began)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: u64 = 1_000_000_000;
    const HOLD: Duration = Duration::from_secs(3);

    /// The turns of a latch that sees these levels one second apart, with the second of each.
    fn turns(levels: &[Option<Level>]) -> Vec<(u64, Turn)> {
        let mut latch = Latch::default();
        let at = |(i, level): (usize, &Option<Level>)| {
            let second = i as u64;
            Some((second, latch.update(second * S, *level, HOLD, HOLD)?))
        };
        levels.iter().enumerate().filter_map(at).collect()
    }

    #[test]
    fn begins_and_ends_after_the_hold() {
        use Level::{Off, On};
        let levels = [On, On, On, On, On, Off, On, Off, Off, Off, Off, Off].map(Some);
        assert_eq!(turns(&levels), [(3, Turn::On(3 * S)), (10, Turn::Off(7 * S))]);
    }

    #[test]
    fn flapping_turns_nothing() {
        let flapping: Vec<_> =
            (0..1000).map(|i| Some(if i % 3 == 0 { Level::Off } else { Level::On })).collect();
        assert_eq!(turns(&flapping), []);
    }

    #[test]
    fn what_is_not_known_or_in_between_neither_begins_nor_ends_it() {
        use Level::{Between, Off, On};
        let levels = [Some(On), Some(On), None, Some(On), Some(On), Some(Between), Some(On)];
        assert_eq!(turns(&levels), []);
        let levels = [On, On, On, On, Between, Between, Between, Between, Between].map(Some);
        assert_eq!(turns(&levels), [(3, Turn::On(3 * S))]);
        let levels =
            [Some(On), Some(On), Some(On), Some(On), Some(Off), Some(Off), None, Some(Off), Some(Off)];
        assert_eq!(turns(&levels), [(3, Turn::On(3 * S))]);
    }

    #[test]
    fn without_a_hold_it_turns_at_once() {
        let mut latch = Latch::default();
        let zero = Duration::ZERO;
        assert_eq!(latch.update(5, Some(Level::On), zero, zero), Some(Turn::On(0)));
        assert_eq!(latch.update(9, Some(Level::Off), zero, zero), Some(Turn::Off(4)));
    }

    proptest! {
        #[test]
        fn on_and_off_alternate_whatever_comes(
            steps in prop::collection::vec((any::<u64>(), 0..4_u8, 0..5_u64, 0..5_u64), 0..200)
        ) {
            let mut latch = Latch::default();
            let mut on = false;
            for (now, level, begin, end) in steps {
                let level = [Some(Level::On), Some(Level::Between), Some(Level::Off), None][usize::from(level)];
                match latch.update(now, level, Duration::from_secs(begin), Duration::from_secs(end)) {
                    Some(Turn::On(_)) => prop_assert!(!std::mem::replace(&mut on, true)),
                    Some(Turn::Off(_)) => prop_assert!(std::mem::replace(&mut on, false)),
                    None => {}
                }
                prop_assert_eq!(latch.is_on(), on);
            }
        }
    }
}
