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
    /// The last look, and how long a rest followed.
    looked: Option<(Instant, Duration)>,
    /// The first look since when they have hardly paused.
    since: Option<Instant>,
}

impl Driven {
    /// How long to rest, where callers have come `came` times since the last look, and one is at work or not.
    pub(super) fn rest(&mut self, now: Instant, came: u64, at_work: bool) -> Duration {
        let rest = self.rest_after(now, came, at_work);
        self.looked = Some((now, rest));
        rest
    }

    fn rest_after(&mut self, now: Instant, came: u64, at_work: bool) -> Duration {
        if let (Some((before, rest)), false) = (self.looked, at_work) {
            let came = u32::try_from(came).unwrap_or(u32::MAX);
            if PAUSE.saturating_mul(came) < now.saturating_duration_since(before) {
                self.since = None;
                return SHORTEST;
            }
            if rest > SHORTEST {
                // They have hardly paused so far, and may just have gone for long: another look soon tells.
                return SHORTEST;
            }
        }
        let since = *self.since.get_or_insert(now);
        (now.saturating_duration_since(since) / SHARE).clamp(SHORTEST, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rests of a thread that sleeps as long as it is told, for half a second, while a caller comes every `pause`.
    fn rests(pause: Duration, at_work: bool) -> Vec<Duration> {
        let begin = Instant::now();
        let (mut driven, mut now, mut came, mut rests) = (Driven::default(), begin, 1, Vec::new());
        while now < begin + Duration::from_millis(500) {
            let rest = driven.rest(now, came, at_work);
            came = u64::try_from(rest.as_nanos() / pause.as_nanos()).unwrap();
            now += rest;
            rests.push(rest);
        }
        rests
    }

    #[test]
    fn it_looks_ever_more_seldom_while_callers_are_at_work() {
        let rests = rests(Duration::from_secs(1), true);
        assert_eq!(rests[0], SHORTEST);
        assert!(rests.is_sorted());
        assert_eq!(rests.last(), Some(&LONGEST));
        assert!(rests.len() < 300, "{} looks in half a second", rests.len());
    }

    #[test]
    fn it_does_while_they_hardly_pause_and_makes_sure_that_they_go_on() {
        let rests = rests(Duration::from_micros(80), false);
        assert!(rests.contains(&LONGEST));
        assert!(rests.windows(2).all(|two| two[0] == SHORTEST || two[1] == SHORTEST));
        assert!(rests.len() < 500, "{} looks in half a second", rests.len());
    }

    #[test]
    fn it_looks_often_while_they_pause() {
        let rests = rests(Duration::from_micros(150), false);
        assert!(rests.iter().all(|&rest| rest == SHORTEST), "{rests:?}");
    }

    #[test]
    fn who_has_just_gone_is_found_out_soon() {
        let (mut driven, begin) = (Driven::default(), Instant::now());
        let at = |us| begin + Duration::from_micros(us);
        assert_eq!(driven.rest(at(0), 1, true), SHORTEST);
        assert_eq!(driven.rest(at(32_000), 1, true), LONGEST);
        assert_eq!(driven.rest(at(34_000), 25, false), SHORTEST, "they came often, and may have gone since");
        assert_eq!(driven.rest(at(34_500), 1, false), SHORTEST, "they have");
        assert_eq!(driven.rest(at(40_000), 1, true), SHORTEST, "what was before is over");
        assert_eq!(driven.rest(at(56_000), 1, true), Duration::from_millis(1));
    }
}
