//! How long the proxy's thread leaves its work to callers that do it.
//!
//! Each look of the thread takes the core from whoever is in a turn, which costs far more than the look itself
//! (`docs/measurements.md`). So it looks ever more seldom, as everything here that rests; but only while callers hardly pause: what others
//! ask of a PE that has gone back to computing waits for the next look.

use std::time::{Duration, Instant};

use super::idle::SHARE;

/// Shortest rest. A caller that waits for one message after another leaves for a moment between them, and must not find the thread
/// at its work then; so the thread takes over when nobody has come for as long.
const SHORTEST: Duration = Duration::from_micros(500);

/// Longest rest while callers come and go.
const LONGEST: Duration = Duration::from_millis(2);

/// The rest while one caller waits for long, which wakes the thread when it leaves. Not for ever, so that a wake-up more or less is
/// no matter.
pub(super) const DEEP: Duration = Duration::from_millis(5);

/// Callers that come no more seldom than this hardly pause.
const PAUSE: Duration = Duration::from_micros(100);

/// What the thread has seen of callers since it last did the work itself.
#[derive(Debug, Default)]
pub(super) struct Driven {
    /// The last look.
    looked: Option<Instant>,
    /// The first look since when they have hardly paused.
    since: Option<Instant>,
}

impl Driven {
    /// How long to rest, where callers have come `came` times since the last look, and one is at work or not.
    pub(super) fn rest(&mut self, now: Instant, came: u64, at_work: bool) -> Duration {
        let rested = self.looked.replace(now).map(|before| now.saturating_duration_since(before));
        let came = u32::try_from(came).unwrap_or(u32::MAX);
        let hardly_paused = rested.is_none_or(|rested| PAUSE.saturating_mul(came) >= rested);
        if !at_work && !hardly_paused {
            self.since = None;
            return SHORTEST;
        }
        let since = *self.since.get_or_insert(now);
        (now.saturating_duration_since(since) / SHARE).clamp(SHORTEST, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rests of a thread that sleeps as long as it is told, for half a second, while a caller comes every `pause` and is never met at work.
    fn rests(driven: &mut Driven, begin: Instant, pause: Duration) -> Vec<Duration> {
        let (mut now, mut came, mut rests) = (begin, 1, Vec::new());
        while now < begin + Duration::from_millis(500) {
            let rest = driven.rest(now, came, false);
            came = u64::try_from(rest.as_nanos() / pause.as_nanos()).unwrap();
            now += rest;
            rests.push(rest);
        }
        rests
    }

    #[test]
    fn it_looks_ever_more_seldom_while_callers_hardly_pause() {
        let rests = rests(&mut Driven::default(), Instant::now(), Duration::from_micros(20));
        assert_eq!(rests[0], SHORTEST);
        assert!(rests.is_sorted());
        assert_eq!(rests.last(), Some(&LONGEST));
        assert!(rests.len() < 300, "{} looks in half a second", rests.len());
    }

    #[test]
    fn it_looks_often_while_they_pause() {
        let begin = Instant::now();
        let mut driven = Driven::default();
        // They have hardly paused before: that is over with the first look that finds it so.
        rests(&mut driven, begin, Duration::from_micros(20));
        let then = begin + Duration::from_secs(1);
        let rests = rests(&mut driven, then, Duration::from_millis(4));
        assert!(rests.iter().all(|&rest| rest == SHORTEST), "{rests:?}");
    }

    #[test]
    fn who_is_met_at_work_does_not_pause() {
        let (mut driven, begin) = (Driven::default(), Instant::now());
        let at = |ms| begin + Duration::from_millis(ms);
        assert_eq!(driven.rest(at(0), 1, true), SHORTEST);
        assert_eq!(driven.rest(at(16), 1, true), Duration::from_millis(1));
        assert_eq!(driven.rest(at(17), 0, false), SHORTEST);
    }
}
