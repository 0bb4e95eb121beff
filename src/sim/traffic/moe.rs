//! MoE dispatch, as pplx-kernels does it: a put for each token and chosen expert of another node.

use std::sync::Arc;

use super::{Put, Traffic, node};
use crate::chance::Numbers;
use crate::sim::scene::{MOST_BYTES, Scene, SceneError};
use crate::skew::Skew;

/// Experts that a token may take.
pub const MOST_TOPK: usize = 16;

/// What is dispatched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Tokens of each PE.
    pub tokens: u32,
    /// Experts in all; at least one for each PE.
    pub experts: u32,
    /// Experts that a token takes.
    pub topk: u32,
    /// Bytes of a put: of a token, or of the answer to one.
    pub bytes: u64,
    /// How likely the experts are.
    pub skew: Skew,
}

impl Shape {
    /// Bytes that a PE sends in a round, what stays in its node included; 2^64 - 1 where that is more.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.bytes.saturating_mul(u64::from(self.tokens) * u64::from(self.topk))
    }
}

/// Dispatch to experts that lie in equal parts on all PEs.
#[derive(Debug, Clone)]
pub struct Moe {
    scene: Scene,
    shape: Shape,
    /// Sums of the experts' shares, the first one's first.
    sums: Arc<[u64]>,
}

impl Moe {
    /// A token takes at most [`MOST_TOPK`] experts, and there is at least one for each PE.
    ///
    /// # Errors
    /// When a put has no byte, or too many.
    pub fn new(scene: &Scene, shape: Shape) -> Result<Self, SceneError> {
        match shape.bytes {
            0 => return Err(SceneError::NoBytes { size: 0 }),
            bytes if bytes > MOST_BYTES => return Err(SceneError::TooManyBytes(bytes)),
            _ => {}
        }
        let experts = shape.experts.max(scene.pes()).max(1);
        let topk = shape.topk.clamp(1, experts).min(u32::try_from(MOST_TOPK).unwrap_or(u32::MAX));
        let mut sum = 0;
        let shares = shape.skew.shares(experts, scene.seed);
        let sums = shares.into_iter().map(|share| {
            sum += share;
            sum
        });
        Ok(Self { scene: scene.clone(), shape: Shape { experts, topk, ..shape }, sums: sums.collect() })
    }

    /// What is dispatched, with as many experts as there are.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }
}

/// What numbers are for, so that no other use of the seed has the same.
const CHOICES: u64 = 2 << 32;

impl Traffic for Moe {
    type Stream = Tokens;

    fn stream(&self, pe: u32, round: u32) -> Tokens {
        let (first, after) = node(&self.scene, pe);
        Tokens {
            shape: self.shape,
            pes: self.scene.pes(),
            first,
            after,
            token: 0,
            taken: 0,
            chosen: [0; MOST_TOPK],
            numbers: Numbers::of(&[self.scene.seed, CHOICES, pe.into(), round.into()]),
            sums: Arc::clone(&self.sums),
        }
    }

    fn each(&self) -> u64 {
        u64::from(self.shape.tokens) * u64::from(self.shape.topk)
    }

    fn largest(&self) -> u64 {
        self.shape.bytes
    }

    fn about(&self) -> u64 {
        let all = u64::from(self.scene.pes()) * self.each();
        all * u64::from(self.scene.nodes - 1) / u64::from(self.scene.nodes)
    }
}

/// A PE's puts: token by token, each to its experts.
#[derive(Debug, Clone)]
pub struct Tokens {
    shape: Shape,
    pes: u32,
    first: u32,
    after: u32,
    token: u32,
    taken: u32,
    chosen: [u32; MOST_TOPK],
    numbers: Numbers,
    sums: Arc<[u64]>,
}

impl Tokens {
    /// An expert that this token has not taken yet, by the shares of those.
    fn choose(&mut self) -> u32 {
        let taken = self.taken as usize;
        let begin = |expert: u32| match expert.checked_sub(1) {
            Some(before) => self.sums.get(before as usize).copied().unwrap_or(0),
            None => 0,
        };
        let end = |expert: u32| self.sums.get(expert as usize).copied().unwrap_or(0);
        let chosen = self.chosen.get(..taken).unwrap_or_default();
        let gone: u64 = chosen.iter().map(|&expert| end(expert) - begin(expert)).sum();
        let left = self.sums.last().copied().unwrap_or(1).saturating_sub(gone);
        let mut number = self.numbers.below(left);
        // Of what is left, laid side by side: the ones that are gone, from the first to the last, are stepped over.
        for &expert in chosen {
            if number >= begin(expert) {
                number += end(expert) - begin(expert);
            }
        }
        let expert = u32::try_from(self.sums.partition_point(|&sum| sum <= number)).unwrap_or(0);
        if let Some(place) = self.chosen.get_mut(taken) {
            *place = expert;
        }
        self.taken += 1;
        if let Some(chosen) = self.chosen.get_mut(..=taken) {
            chosen.sort_unstable();
        }
        expert
    }
}

impl Tokens {
    /// The next expert of another node, and its PE.
    fn next_choice(&mut self) -> Option<(u32, u32)> {
        loop {
            if self.taken == self.shape.topk {
                (self.token, self.taken) = (self.token + 1, 0);
            }
            if self.token >= self.shape.tokens {
                return None;
            }
            let expert = self.choose();
            let dst = u64::from(expert) * u64::from(self.pes) / u64::from(self.shape.experts);
            let dst = u32::try_from(dst).unwrap_or(0);
            if dst < self.first || dst >= self.after {
                return Some((expert, dst));
            }
        }
    }

    /// Every choice that leaves the node: the expert and its PE.
    pub(super) fn choices(mut self) -> impl Iterator<Item = (u32, u32)> {
        std::iter::from_fn(move || self.next_choice())
    }
}

impl Iterator for Tokens {
    type Item = Put;

    fn next(&mut self) -> Option<Put> {
        self.next_choice().map(|(_, dst)| Put { dst, len: self.shape.bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::costs::Preset;
    use crate::sim::made::scene;

    fn puts(skew: Skew) -> Vec<u64> {
        let shape = Shape { tokens: 512, experts: 256, topk: 8, bytes: 7408, skew };
        let of = Moe::new(&scene(Preset::EfaP5, 4), shape).unwrap();
        let mut counts = vec![0; 32];
        for pe in 0..32 {
            of.stream(pe, 0).for_each(|put| counts[put.dst as usize] += 1);
        }
        counts
    }

    #[test]
    fn three_of_four_tokens_leave_a_node_of_four_and_skew_is_skew() {
        let spread = |counts: &[u64]| {
            let mean = counts.iter().sum::<u64>() as f64 / 32.0;
            *counts.iter().max().unwrap() as f64 / mean
        };
        let even = puts(Skew::Uniform);
        let share = even.iter().sum::<u64>() as f64 / f64::from(32 * 512 * 8);
        assert!((0.73..0.77).contains(&share), "{share}");
        assert!(spread(&even) < 1.1, "{even:?}");
        let zipf = puts(Skew::Zipf(1.2));
        assert!(spread(&zipf) > 1.8, "{zipf:?}");
    }

    #[test]
    fn a_token_takes_an_expert_once() {
        let shape = Shape { tokens: 50, experts: 16, topk: 16, bytes: 1, skew: Skew::Zipf(10.0) };
        let of = Moe::new(&scene(Preset::EfaP5, 2), shape).unwrap();
        assert_eq!(of.stream(3, 0).count(), 50 * 8, "all 16, of which 8 lie in the node");
    }
}
