//! MoE dispatch, as pplx-kernels does it: a put for each token and chosen expert of another node.

use std::fmt;
use std::rc::Rc;
use std::str::FromStr;

use super::{Put, Traffic, node};
use crate::sim::numbers::Numbers;
use crate::sim::scene::{Scene, SceneError};

/// Experts that a token may take.
pub const MOST_TOPK: usize = 16;

/// How likely the experts are.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Skew {
    /// All alike.
    #[default]
    Uniform,
    /// The one in place r of a seeded order in proportion to r to the power of minus this.
    Zipf(f64),
}

impl FromStr for Skew {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "uniform" {
            return Ok(Self::Uniform);
        }
        let exponent = text.strip_prefix("zipf:").and_then(|number| number.parse().ok());
        match exponent {
            Some(exponent) if (0.0..=10.0).contains(&exponent) => Ok(Self::Zipf(exponent)),
            _ => Err("uniform, or zipf:S with S from 0 to 10".to_owned()),
        }
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Zipf(exponent) => write!(f, "zipf:{exponent}"),
        }
    }
}

/// What is dispatched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Tokens of each PE.
    pub tokens: u32,
    /// Experts in all; at least one for each PE.
    pub experts: u32,
    /// Experts that a token takes.
    pub topk: u32,
    /// Bytes of a token's put.
    pub bytes: u64,
    /// How likely the experts are.
    pub skew: Skew,
}

/// Dispatch to experts that lie in equal parts on all PEs.
#[derive(Debug, Clone)]
pub struct Moe {
    scene: Scene,
    shape: Shape,
    /// Sums of the experts' shares, the first one's first.
    sums: Rc<[u64]>,
}

impl Moe {
    /// A token takes at most [`MOST_TOPK`] experts, and there is at least one for each PE.
    ///
    /// # Errors
    /// When a put has no byte.
    pub fn new(scene: &Scene, shape: Shape) -> Result<Self, SceneError> {
        if shape.bytes == 0 {
            return Err(SceneError::NoBytes { size: 0 });
        }
        let experts = shape.experts.max(scene.pes()).max(1);
        let topk = shape.topk.clamp(1, experts).min(u32::try_from(MOST_TOPK).unwrap_or(u32::MAX));
        let mut sum = 0;
        let shares = shares(experts, shape.skew, scene.seed);
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

/// How likely each expert is, in whole numbers, since a power's last bit may differ between machines.
fn shares(experts: u32, skew: Skew, seed: u64) -> Vec<u64> {
    let Skew::Zipf(exponent) = skew else { return vec![1; experts as usize] };
    let share = |place: u32| {
        let share = f64::from(place).powf(-exponent) * f64::from(1 << 20);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 2^20")]
        let share = share.round().max(1.0) as u64;
        share
    };
    let mut shares: Vec<u64> = (1..=experts).map(share).collect();
    let mut numbers = Numbers::of(&[seed, POPULARITY]);
    for last in (1..shares.len()).rev() {
        let other = usize::try_from(numbers.below(last as u64 + 1)).unwrap_or(0);
        shares.swap(last, other);
    }
    shares
}

/// What numbers are for, so that no other use of the seed has the same.
const POPULARITY: u64 = 1 << 32;
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
            sums: Rc::clone(&self.sums),
        }
    }

    fn peers(&self) -> u32 {
        self.scene.pes() - self.scene.pes_per_node
    }

    fn largest(&self) -> u64 {
        self.shape.bytes
    }

    fn about(&self) -> u64 {
        let all = u64::from(self.scene.pes()) * u64::from(self.shape.tokens) * u64::from(self.shape.topk);
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
    sums: Rc<[u64]>,
}

impl Tokens {
    /// An expert that this token has not taken yet.
    fn choose(&mut self) -> u32 {
        let taken = self.taken as usize;
        let all = self.sums.last().copied().unwrap_or(1);
        loop {
            let number = self.numbers.below(all);
            let expert = self.sums.partition_point(|&sum| sum <= number);
            let expert = u32::try_from(expert).unwrap_or(0);
            if !self.chosen.iter().take(taken).any(|&known| known == expert) {
                if let Some(place) = self.chosen.get_mut(taken) {
                    *place = expert;
                }
                self.taken += 1;
                return expert;
            }
        }
    }
}

impl Iterator for Tokens {
    type Item = Put;

    fn next(&mut self) -> Option<Put> {
        loop {
            if self.taken == self.shape.topk {
                (self.token, self.taken) = (self.token + 1, 0);
            }
            if self.token >= self.shape.tokens {
                return None;
            }
            let expert = u64::from(self.choose());
            let dst = expert * u64::from(self.pes) / u64::from(self.shape.experts);
            let dst = u32::try_from(dst).unwrap_or(0);
            if dst < self.first || dst >= self.after {
                return Some(Put { dst, len: self.shape.bytes });
            }
        }
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
        let shape = Shape { tokens: 50, experts: 16, topk: 16, bytes: 1, skew: Skew::Zipf(2.0) };
        let of = Moe::new(&scene(Preset::EfaP5, 2), shape).unwrap();
        assert_eq!(of.stream(3, 0).count(), 50 * 8, "all 16, of which 8 lie in the node");
    }

    #[test]
    fn skew_is_read_as_it_is_written() {
        for text in ["uniform", "zipf:1.2", "zipf:0"] {
            assert_eq!(text.parse::<Skew>().unwrap().to_string(), text);
        }
        for text in ["", "zipf", "zipf:", "zipf:-1", "zipf:NaN", "zipf:11", "pareto:1"] {
            assert!(text.parse::<Skew>().unwrap_err().contains("zipf:S"), "{text}");
        }
    }
}
