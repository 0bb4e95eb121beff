//! Gets.

use super::{KNOWN, Landing, Planner, Step, Unsettled, number};
use crate::transport::ring::Command;

impl Planner<'_> {
    /// Of what nobody writes.
    pub(super) fn get(&mut self, src: usize) {
        let len = self.any_len();
        let skew = self.rng.below(self.known[src].len() as u64 - len + 1);
        let start = usize::try_from(skew).unwrap();
        let content = self.known[src][start..][..usize::try_from(len).unwrap()].to_vec();
        self.get_back(src, Landing { offset: KNOWN + skew, len }, content);
    }

    /// Of what is there: waited for at once, or by a quiet.
    pub(super) fn get_back(&mut self, src: usize, from: Landing, content: Vec<u8>) {
        let Landing { offset: remote, len } = from;
        let place = self.landing(self.me, len);
        self.judge.expect_bytes(self.me, place, &content);
        let get = Command::Get { src: number(src), remote, local: place.offset, len, tag: None };
        if self.rng.chance(50) {
            let holds = Step::Holds(self.me, place, content);
            self.steps.extend([Step::Ask(get), Step::Answers, holds]);
        } else {
            self.post(get);
            let there = Some((self.me, place, content));
            self.unsettled.push(Unsettled { with: src, source: None, there, word: None });
        }
    }
}
