//! MoE combine, as `railtop bench moe` does it: every expert's answer to every token goes back to where the token came from.

use std::sync::Arc;

use super::moe::{Moe, Shape};
use super::{Put, Traffic};
use crate::sim::scene::{MOST_BYTES, Scene, SceneError};

/// Answers of a round, at most, which all runs share: 4 bytes are kept for each, and three times that while they are put in order.
const MOST_ANSWERS: u64 = 1 << 26;

/// What comes back from a dispatch. Each round answers the tokens of the first one.
#[derive(Debug, Clone)]
pub struct Combine {
    moe: Moe,
    bytes: u64,
    /// By PE: the PEs that it answers, in order.
    to: Arc<[Vec<u32>]>,
}

impl Combine {
    /// Of `moe`, with answers of `bytes`.
    ///
    /// # Errors
    /// When an answer has no byte or too many, or there are too many of them.
    pub fn new(scene: &Scene, moe: &Moe, bytes: u64) -> Result<Self, SceneError> {
        let answers = u64::from(scene.pes()).saturating_mul(moe.each());
        match bytes {
            0 => return Err(SceneError::NoBytes { size: 0 }),
            bytes if bytes > MOST_BYTES => return Err(SceneError::TooManyBytes(bytes)),
            _ if answers > MOST_ANSWERS => {
                return Err(SceneError::TooManyAnswers { answers, most: MOST_ANSWERS });
            }
            _ => {}
        }
        let world = scene.pes();
        let mut of: Vec<Vec<(u32, u32)>> = (0..world).map(|_| Vec::new()).collect();
        for from in 0..world {
            for (expert, at) in moe.stream(from, 0).choices() {
                if let Some(answers) = of.get_mut(at as usize) {
                    answers.push((expert, from));
                }
            }
        }
        // Expert by expert, and for each in ring order, so that not all PEs answer PE 0 first.
        let order = |(me, mut answers): (u32, Vec<(u32, u32)>)| {
            answers.sort_by_key(|&(expert, from)| (expert, (from + world - me) % world));
            answers.into_iter().map(|(_, from)| from).collect()
        };
        let to = (0..world).zip(of).map(order).collect();
        Ok(Self { moe: moe.clone(), bytes, to })
    }

    /// What was dispatched, with the bytes of an answer.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape { bytes: self.bytes, ..self.moe.shape() }
    }
}

impl Traffic for Combine {
    type Stream = Answers;

    fn stream(&self, pe: u32, _round: u32) -> Answers {
        Answers { to: Arc::clone(&self.to), pe: pe as usize, next: 0, len: self.bytes }
    }

    fn each(&self) -> u64 {
        self.to.iter().map(Vec::len).max().unwrap_or(0) as u64
    }

    fn largest(&self) -> u64 {
        self.bytes
    }

    fn about(&self) -> u64 {
        self.to.iter().map(Vec::len).sum::<usize>() as u64
    }
}

/// A PE's answers.
#[derive(Debug, Clone)]
pub struct Answers {
    to: Arc<[Vec<u32>]>,
    pe: usize,
    next: usize,
    len: u64,
}

impl Iterator for Answers {
    type Item = Put;

    fn next(&mut self) -> Option<Put> {
        let dst = *self.to.get(self.pe)?.get(self.next)?;
        self.next += 1;
        Some(Put { dst, len: self.len })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sim::costs::Preset;
    use crate::sim::made::scene;
    use crate::skew::Skew;

    fn both(skew: Skew) -> (Scene, Moe, Combine) {
        let scene = scene(Preset::EfaP5, 4);
        let shape = Shape { tokens: 16, experts: 256, topk: 8, bytes: 7408, skew };
        let moe = Moe::new(&scene, shape).unwrap();
        let combine = Combine::new(&scene, &moe, 14_336).unwrap();
        (scene, moe, combine)
    }

    /// Puts between each pair.
    fn pairs<T: Traffic>(traffic: &T, world: u32) -> BTreeMap<(u32, u32), usize> {
        let mut pairs = BTreeMap::new();
        for pe in 0..world {
            traffic.stream(pe, 0).for_each(|put| *pairs.entry((pe, put.dst)).or_default() += 1);
        }
        pairs
    }

    #[test]
    fn every_token_is_answered_by_each_of_its_experts() {
        let (scene, moe, combine) = both(Skew::Zipf(1.2));
        let there: BTreeMap<_, _> =
            pairs(&moe, scene.pes()).into_iter().map(|((from, to), count)| ((to, from), count)).collect();
        assert_eq!(pairs(&combine, scene.pes()), there);
        assert_eq!(combine.about(), there.values().sum::<usize>() as u64);
        assert_eq!(combine.stream(0, 0).next().map(|put| put.len), Some(14_336));
    }

    #[test]
    fn an_expert_answers_in_ring_order() {
        let (scene, _, combine) = both(Skew::Uniform);
        let world = scene.pes();
        let far: Vec<u32> = combine.stream(9, 0).map(|put| (put.dst + world - 9) % world).collect();
        let turns = far.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!(turns < 8, "8 experts of this PE, each once round the ring: {far:?}");
    }

    #[test]
    fn too_many_answers_are_refused() {
        let scene = scene(Preset::EfaP5, 1024);
        let shape = Shape { tokens: 1 << 16, experts: 256, topk: 8, bytes: 1, skew: Skew::Uniform };
        let moe = Moe::new(&scene, shape).unwrap();
        let error = Combine::new(&scene, &moe, 1).unwrap_err();
        assert!(matches!(error, SceneError::TooManyAnswers { answers: 4_294_967_296, .. }), "{error}");
    }
}
