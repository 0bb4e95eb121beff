//! How much data a NIC is given ahead of what it has sent.
//!
//! What has been handed over goes in the NIC's order, not in ours, and whatever comes later to the same target, an acknowledgement, say,
//! waits behind it. So a NIC gets what keeps it busy. The rest waits here, in the order of posting: receivers are served in turn, as
//! all-to-alls go round, and what a late one still has to get does not compete with everybody's next round.

/// How long the work ahead takes, as fast as the NIC has been lately, in milliseconds.
const AHEAD_MS: u64 = 8;

/// How often that is found out.
const SPAN_MS: u64 = 4;

/// What is under way for so long without anything completing may never do: it is not counted any more.
const STUCK_MS: u64 = 500;

/// Bytes of pieces in flight, and how many are enough.
#[derive(Debug)]
pub(super) struct Ahead {
    /// As little as is enough for any NIC of this kind.
    least: u64,
    enough: u64,
    in_flight: u64,
    /// Those of them that are not counted.
    stuck: u64,
    /// When something last completed, or was posted to an idle NIC.
    moved_ms: u64,
    /// Bytes done since then.
    since_ms: u64,
    done: u64,
}

impl Ahead {
    /// Nothing in flight, and at least `least` bytes that may be.
    pub(super) fn new(least: u64) -> Self {
        Self { least, enough: least, in_flight: 0, stuck: 0, moved_ms: 0, since_ms: 0, done: 0 }
    }

    /// Whether a piece of `bytes` may follow: of long ones two may be in flight in any case.
    #[inline]
    pub(super) fn has_room(&mut self, bytes: u64, now_ms: u64) -> bool {
        let most = self.enough.max(bytes.saturating_mul(2));
        if self.in_flight - self.stuck < most {
            return true;
        }
        let is_stuck = now_ms.saturating_sub(self.moved_ms) >= STUCK_MS;
        if is_stuck {
            self.stuck = self.in_flight;
        }
        is_stuck
    }

    /// A piece of `bytes` has been posted.
    #[inline]
    pub(super) fn posted(&mut self, bytes: u64, now_ms: u64) {
        if self.in_flight == self.stuck {
            // Who has had nothing to do for a moment is not slow.
            if now_ms.saturating_sub(self.moved_ms) > SPAN_MS {
                (self.since_ms, self.done) = (now_ms, 0);
            }
            self.moved_ms = now_ms;
        }
        self.in_flight += bytes;
    }

    /// Pieces of `bytes` in all have completed, or failed.
    #[inline]
    pub(super) fn done(&mut self, bytes: u64, now_ms: u64) {
        if bytes == 0 {
            return;
        }
        self.in_flight = self.in_flight.saturating_sub(bytes);
        self.stuck = self.stuck.min(self.in_flight);
        self.moved_ms = now_ms;
        self.done += bytes;
        let span = now_ms.saturating_sub(self.since_ms);
        if span >= SPAN_MS {
            // A process that is off its core for a while has not become slow: less by an eighth at most.
            let lately = self.done / span * AHEAD_MS;
            self.enough = self.least.max(lately).max(self.enough / 8 * 7);
            (self.since_ms, self.done) = (now_ms, 0);
        }
    }

    /// Bytes in flight.
    #[cfg(test)]
    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// What was in flight is given up.
    pub(super) fn forget(&mut self) {
        (self.in_flight, self.stuck) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: u64 = 1000;

    fn fill(ahead: &mut Ahead, bytes: u64, now_ms: u64) -> u64 {
        let mut posted = 0;
        while ahead.has_room(bytes, now_ms) {
            ahead.posted(bytes, now_ms);
            posted += 1;
        }
        posted
    }

    #[test]
    fn short_pieces_up_to_enough_and_long_ones_by_twos() {
        assert_eq!(fill(&mut Ahead::new(LEAST), 100, 0), 10);
        assert_eq!(fill(&mut Ahead::new(LEAST), 300, 0), 4);
        assert_eq!(fill(&mut Ahead::new(LEAST), 5000, 0), 2);
        let mut unbounded = Ahead::new(u64::MAX);
        (0..1000).for_each(|_| unbounded.posted(1 << 20, 0));
        assert!(unbounded.has_room(1, 0));
    }

    #[test]
    fn a_fast_nic_gets_more_and_one_that_slows_down_less_again() {
        let mut ahead = Ahead::new(LEAST);
        let mut enough = Vec::new();
        for now_ms in 0..200 {
            fill(&mut ahead, 100, now_ms);
            ahead.done(if now_ms < 50 { 700 } else { 100 }, now_ms);
            enough.push(ahead.enough);
        }
        assert!(
            enough[10..50].iter().all(|&enough| (700 * AHEAD_MS..=900 * AHEAD_MS).contains(&enough)),
            "{enough:?}"
        );
        assert!(enough[50..].is_sorted_by(|before, after| before >= after), "{enough:?}");
        assert_eq!(ahead.enough, LEAST);
    }

    #[test]
    fn a_nic_that_had_nothing_to_do_is_not_slow() {
        let mut ahead = Ahead::new(LEAST);
        for burst in 0..100 {
            let begin = burst * 1000;
            for now_ms in begin..begin + 10 {
                fill(&mut ahead, 100, now_ms);
                ahead.done(700, now_ms);
            }
            assert!(burst == 0 || ahead.enough > LEAST, "burst {burst}: {}", ahead.enough);
        }
    }

    #[test]
    fn what_never_completes_does_not_take_the_room_of_others_for_ever() {
        let mut ahead = Ahead::new(LEAST);
        assert_eq!(fill(&mut ahead, 100, 0), 10);
        assert_eq!(fill(&mut ahead, 100, STUCK_MS - 1), 0);
        assert_eq!(fill(&mut ahead, 100, STUCK_MS), 10);
        for round in 1..100 {
            ahead.done(500, STUCK_MS + round);
            assert!(fill(&mut ahead, 100, STUCK_MS + round) >= 5);
        }
        ahead.forget();
        assert_eq!(ahead.in_flight, 0);
    }
}
