//! Fences: what is sent to a PE behind one lands there behind what was sent before.

use super::{Landing, Planner, number};
use crate::transport::ring::Command;

impl Planner<'_> {
    fn fence(&mut self) {
        self.post(Command::Fence);
        // It speaks of every PE, and others go on.
        if self.rng.chance(20) {
            let other = self.any_other();
            self.put_somewhere(other, true);
        }
    }

    /// Puts to one place: the last one's bytes stand. Later ones may be short enough for a frame, which would overtake the
    /// pieces of the first.
    pub(super) fn fenced_place(&mut self, dst: usize) {
        let len = self.any_len().max(1);
        let place = self.landing(dst, len);
        self.put_anyhow(dst, place);
        for _ in 0..self.rng.between(1, 2) {
            self.fence();
            let skip = self.rng.below(len);
            let rest = len - skip;
            let len = if rest > super::SHORT && self.rng.chance(50) {
                self.rng.between(1, super::SHORT)
            } else {
                self.rng.between(rest.div_ceil(2), rest)
            };
            self.put_anyhow(dst, Landing { offset: place.offset + skip, len });
        }
    }

    fn put_anyhow(&mut self, dst: usize, landing: Landing) {
        if self.rng.chance(50) {
            self.put_signal(dst, landing, Vec::new());
        } else {
            self.put(dst, landing, None);
        }
    }

    /// Puts that only what follows the fence tells of.
    pub(super) fn fenced_signal(&mut self, dst: usize) {
        let puts = self.rng.between(1, 3);
        let mut before = Vec::new();
        for _ in 0..puts {
            let len = self.any_len();
            let landing = self.landing(dst, len);
            before.push((landing, self.put(dst, landing, None)));
        }
        self.fence();
        if self.rng.chance(50) {
            let len = self.any_len();
            let landing = self.landing(dst, len);
            return self.put_signal(dst, landing, before);
        }
        let signal = self.signal(dst);
        self.judge.expect_signal(dst, signal.offset, signal.value, before);
        let dst = number(dst);
        let atomic = Command::Atomic { dst, atomic: signal.into(), tag: None };
        let bare = if self.rng.chance(50) { Command::Signal { dst, signal } } else { atomic };
        self.post(bare);
    }

    /// A get that finds what was put before the fence.
    pub(super) fn fenced_get(&mut self, dst: usize) {
        let len = self.any_len();
        let landing = self.landing(dst, len);
        let content = self.put(dst, landing, None);
        self.fence();
        self.get_back(dst, landing, content);
    }
}
