//! Which experts each token goes to, and how much each one's answer counts: from a seed, so that every PE knows every
//! PE's.

use super::shape::Shape;
use crate::chance::Numbers;
use crate::skew::Skew;

/// What the numbers of this file are for, so that no other use of the seed has the same.
const CHOICES: u64 = 2;

/// One of a token's experts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Its number, over all PEs.
    pub expert: u32,
    /// How much its answer counts; a token's add up to 1.
    pub weight: f32,
}

/// Every token of a PE with its experts.
#[derive(Debug, Clone, PartialEq)]
pub struct Routing {
    topk: usize,
    choices: Vec<Choice>,
}

impl Routing {
    /// That of `pe` with so many tokens.
    #[must_use]
    pub fn of(shape: Shape, tokens: u32, skew: Skew, seed: u64, pe: u32) -> Self {
        let shares = skew.shares(shape.experts, seed);
        let mut choices = Vec::with_capacity(tokens as usize * shape.topk as usize);
        for token in 0..tokens {
            let mut numbers = Numbers::of(&[seed, CHOICES, u64::from(pe), u64::from(token)]);
            let first = choices.len();
            let mut left = shares.clone();
            for _ in 0..shape.topk {
                choices.push(Choice { expert: draw(&mut left, &mut numbers), weight: weight(&mut numbers) });
            }
            let chosen = choices.get_mut(first..).unwrap_or_default();
            let sum: f32 = chosen.iter().map(|choice| choice.weight).sum();
            for choice in chosen {
                choice.weight /= sum;
            }
        }
        Self { topk: shape.topk as usize, choices }
    }

    /// The experts of each token in turn.
    pub fn tokens(&self) -> impl Iterator<Item = &[Choice]> {
        self.choices.chunks(self.topk.max(1))
    }

    /// All of it, token by token.
    #[must_use]
    pub fn choices(&self) -> &[Choice] {
        &self.choices
    }
}

/// One of the experts that are left, by their shares; it is left no more.
fn draw(left: &mut [u64], numbers: &mut Numbers) -> u32 {
    let mut at = numbers.below(left.iter().sum());
    for (expert, share) in (0..).zip(left) {
        if at < *share {
            *share = 0;
            return expert;
        }
        at -= *share;
    }
    0
}

/// Between 0.5 and 1.5, before a token's are made to add up to 1.
fn weight(numbers: &mut Numbers) -> f32 {
    let number = u16::try_from(numbers.number() >> 48).unwrap_or(0);
    0.5 + f32::from(number) / 65_536.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn counts(routing: &Routing, experts: u32) -> Vec<u32> {
        let mut counts = vec![0; experts as usize];
        for choice in routing.choices() {
            counts[choice.expert as usize] += 1;
        }
        counts
    }

    proptest! {
        #[test]
        fn experts_are_distinct_and_weights_add_up(
            experts in 1..80_u32, topk in 1..9_u32, tokens in 0..20_u32, seed: u64, pe in 0..9_u32, exponent in 0.0..10.0_f64,
        ) {
            let shape = Shape { experts, topk: topk.min(experts), dim: 16 };
            for skew in [Skew::Uniform, Skew::Zipf(exponent)] {
                let routing = Routing::of(shape, tokens, skew, seed, pe);
                prop_assert_eq!(routing.tokens().count(), tokens as usize);
                for chosen in routing.tokens() {
                    let distinct: BTreeSet<_> = chosen.iter().map(|choice| choice.expert).collect();
                    prop_assert_eq!(distinct.len(), shape.topk as usize);
                    prop_assert!(distinct.iter().all(|&expert| expert < experts));
                    let sum: f32 = chosen.iter().map(|choice| choice.weight).sum();
                    prop_assert!((sum - 1.0).abs() < 1e-5 && chosen.iter().all(|choice| choice.weight > 0.0));
                }
            }
        }
    }

    #[test]
    fn pes_and_seeds_differ_and_nothing_else_does() {
        let of = |seed, pe| Routing::of(Shape::E64, 8, Skew::Uniform, seed, pe);
        assert_eq!(of(1, 0), of(1, 0));
        assert_ne!(of(1, 0), of(1, 1));
        assert_ne!(of(1, 0), of(2, 0));
        // More tokens do not change the first ones.
        let more = Routing::of(Shape::E64, 16, Skew::Uniform, 1, 0);
        assert_eq!(more.choices()[..48], *of(1, 0).choices());
    }

    #[test]
    fn uniform_is_even_and_zipf_is_not() {
        let tokens = 4096;
        let spread = |skew| {
            let counts = counts(&Routing::of(Shape::E64, tokens, skew, 7, 0), 64);
            let mean = f64::from(tokens * 6) / 64.0;
            let (min, max) = (*counts.iter().min().unwrap(), *counts.iter().max().unwrap());
            (f64::from(min) / mean, f64::from(max) / mean)
        };
        let (min, max) = spread(Skew::Uniform);
        assert!(min > 0.8 && max < 1.2, "{min} to {max} of the mean");
        let (min, max) = spread(Skew::Zipf(1.2));
        assert!(min < 0.4 && max > 4.0, "{min} to {max} of the mean");
        // A share of 1 for each is what uniform is.
        let even = spread(Skew::Zipf(0.0));
        assert!(even.0 > 0.8 && even.1 < 1.2, "{even:?}");
    }
}
