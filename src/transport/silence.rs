//! How long nothing has come from somebody, as far as this thread was awake to hear it.
//!
//! Whoever waits looks again and again. Time between two looks counts as silence, unless it is so long that the
//! waiting thread itself must have stood still: in a debugger, on a suspended or migrated machine, on one far too
//! busy. What the other side did meanwhile nobody knows, so it gets a fresh term.

use std::time::{Duration, Instant};

/// Silence of one other side. Time is passed in.
#[derive(Debug, Clone)]
pub struct Silence {
    /// Zero: endless.
    limit: Duration,
    so_far: Duration,
    looked: Instant,
}

impl Silence {
    /// Begins to listen at `now`; zero is no limit at all.
    #[must_use]
    pub fn new(limit: Duration, now: Instant) -> Self {
        Self { limit, so_far: Duration::ZERO, looked: now }
    }

    /// Something has come.
    pub fn broken(&mut self, now: Instant) {
        (self.so_far, self.looked) = (Duration::ZERO, now);
    }

    /// Looks at `now` without anything having come; the length of the silence if it is longer than the limit. To be
    /// called at least ten times within the limit.
    #[must_use]
    pub fn look(&mut self, now: Instant) -> Option<Duration> {
        let step = now.saturating_duration_since(self.looked);
        self.looked = now;
        // Half a term: with a look every tenth, what was heard just before still leaves the other side time to speak.
        self.so_far = if step > self.limit / 2 { Duration::ZERO } else { self.so_far + step };
        (self.so_far > self.limit && !self.limit.is_zero()).then_some(self.so_far)
    }

    /// How often somebody must speak, and a listener look, for this limit.
    #[must_use]
    pub fn beat(limit: Duration) -> Duration {
        const FASTEST: Duration = Duration::from_millis(10);
        const SLOWEST: Duration = Duration::from_secs(1);
        if limit.is_zero() { SLOWEST } else { (limit / 10).clamp(FASTEST, SLOWEST) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: Duration = Duration::from_secs(10);
    const BEAT: Duration = Duration::from_secs(1);

    #[test]
    fn silence_is_told_after_the_limit_and_not_before() {
        let begun = Instant::now();
        let mut silence = Silence::new(LIMIT, begun);
        let told = (1..=11).map(|beat| silence.look(begun + BEAT * beat)).collect::<Vec<_>>();
        assert!(told[..10].iter().all(Option::is_none), "{told:?}");
        assert_eq!(told[10], Some(BEAT * 11));
    }

    #[test]
    fn a_word_begins_a_new_term() {
        let begun = Instant::now();
        let mut silence = Silence::new(LIMIT, begun);
        for beat in 1..100 {
            assert_eq!(silence.look(begun + BEAT * beat), None);
            if beat % 9 == 0 {
                silence.broken(begun + BEAT * beat);
            }
        }
    }

    #[test]
    fn who_stood_still_itself_blames_nobody() {
        let begun = Instant::now();
        let mut silence = Silence::new(LIMIT, begun);
        let mut now = begun;
        for _ in 0..9 {
            now += BEAT;
            assert_eq!(silence.look(now), None);
        }
        now += Duration::from_secs(3600);
        for _ in 0..11 {
            assert_eq!(silence.look(now), None, "a full term from here on");
            now += BEAT;
        }
        assert_eq!(silence.look(now), Some(LIMIT + BEAT));
    }

    #[test]
    fn without_a_limit_nothing_is_told() {
        let begun = Instant::now();
        let mut silence = Silence::new(Duration::ZERO, begun);
        assert!((1..1000).all(|beat| silence.look(begun + BEAT * beat).is_none()));
        assert_eq!(Silence::beat(Duration::ZERO), BEAT);
    }

    proptest! {
        /// However looks and stalls fall, a side that stood still as long as we did and speaks a beat later is never
        /// blamed, and one that is silent for good is, within a term of looks that were not stalls.
        #[test]
        fn never_the_wrong_one(steps in prop::collection::vec(0_u64..30_000, 1..60)) {
            let begun = Instant::now();
            let (mut lively, mut dead) = (Silence::new(LIMIT, begun), Silence::new(LIMIT, begun));
            let mut now = begun;
            for step in steps {
                now += Duration::from_millis(step);
                prop_assert_eq!(lively.look(now), None);
                // It was stopped together with us, and speaks a beat later.
                now += BEAT;
                prop_assert_eq!(lively.look(now), None);
                lively.broken(now);
                let _ = dead.look(now);
            }
            let told = (1..=11).any(|beat| dead.look(now + BEAT * beat).is_some());
            prop_assert!(told);
        }
    }
}
