//! Atomics: changes that add up in any order, and fetches whose old values make a chain.

use super::{CHANGED, COUNTER, Planner, Step, number};
use crate::transport::answers::NOBODY;
use crate::transport::atomic::{Atomic, AtomicOp, Width};
use crate::transport::ring::Command;
use crate::transport::signal::{Signal, SignalOp};

use super::super::fetched::{cut, locked};
use super::super::judge::Judge;
use super::super::rng::Rng;

/// A word, from [`CHANGED`] on. Two halves share each 64 bits, so that who changes too much is seen.
#[derive(Clone, Copy)]
struct Word {
    at: u64,
    width: Width,
}

const fn whole(at: u64) -> Word {
    Word { at, width: Width::Word }
}

const fn half(at: u64) -> Word {
    Word { at, width: Width::Half }
}

/// Only fetches change these, by adding.
const SUMS: [Word; 3] = [whole(0), half(8), half(12)];
/// And these, by setting and by comparing and swapping.
const SWAPS: [Word; 3] = [whole(16), half(24), half(28)];
/// Each has one operation, in whose order nothing lies.
const FOLDS: [(Word, AtomicOp); 8] = [
    (whole(32), AtomicOp::Add),
    (whole(40), AtomicOp::Xor),
    (whole(48), AtomicOp::And),
    (whole(56), AtomicOp::Or),
    (half(64), AtomicOp::Add),
    (half(68), AtomicOp::Xor),
    (half(72), AtomicOp::And),
    (half(76), AtomicOp::Or),
];

/// What the words of all PEs must come to.
pub(super) struct Words {
    /// By PE, of [`FOLDS`].
    folds: Vec<[u64; FOLDS.len()]>,
    /// No two swaps leave the same value.
    swaps: u64,
}

impl Words {
    /// What they take in a heap.
    pub(super) const BYTES: u64 = 80;

    /// Words with something in them.
    pub(super) fn new(rng: &mut Rng, pes: usize, judge: &mut Judge) -> Self {
        let mut give = |pe, Word { at, width }, value: u64| {
            let bytes = value.to_le_bytes();
            let size = if width == Width::Word { 8 } else { 4 };
            judge.give(pe, CHANGED + at, &bytes[..size]);
            cut(value, width)
        };
        let mut folds = vec![[0; FOLDS.len()]; pes];
        let mut begins = Vec::new();
        for (pe, folds) in folds.iter_mut().enumerate() {
            for ((word, _), fold) in FOLDS.into_iter().zip(folds) {
                *fold = give(pe, word, rng.next());
            }
            for word in SUMS {
                // They run over soon.
                begins.push((pe, word, give(pe, word, rng.below(3000).wrapping_neg())));
            }
            begins.extend(SWAPS.map(|word| (pe, word, 0)));
        }
        let fetched = judge.fetched();
        let mut fetched = locked(&fetched);
        for (pe, Word { at, width }, begin) in begins {
            fetched.begin(pe, CHANGED + at, width, begin);
        }
        Self { folds, swaps: 0 }
    }

    /// No more changes come.
    pub(super) fn conclude(self, judge: &mut Judge) {
        for (pe, folds) in self.folds.into_iter().enumerate() {
            for ((Word { at, width }, _), value) in FOLDS.into_iter().zip(folds) {
                judge.expect_word(pe, CHANGED + at, width, value);
            }
        }
    }

    fn next_swap(&mut self) -> u64 {
        self.swaps += 1;
        // Odd, so different ones stay different in 32 bits, and none is 0.
        cut(self.swaps.wrapping_mul(0x9e37_79b1), Width::Half)
    }
}

impl Planner<'_> {
    /// Adds to the counter: by itself, as an atomic, or as one whose old value is sent back.
    pub(super) fn count(&mut self, dst: usize) {
        let value = self.rng.below(1000);
        self.counters[dst] += value;
        let signal = Signal { offset: COUNTER, op: SignalOp::Add, value };
        let command = match self.rng.below(3) {
            0 => Command::Signal { dst: number(dst), signal },
            _ => self.untagged(dst, signal.into()),
        };
        self.post(command);
    }

    /// An atomic nobody waits for.
    pub(super) fn change(&mut self, dst: usize) {
        let index = self.rng.index(FOLDS.len());
        let (Word { at, width }, op) = FOLDS[index];
        let operand = match op {
            // Some bits at a time.
            AtomicOp::And => self.rng.next() | self.rng.next(),
            AtomicOp::Or => self.rng.next() & self.rng.next(),
            _ => self.rng.next(),
        };
        let fold = &mut self.words.folds[dst][index];
        *fold = cut(
            match op {
                AtomicOp::Add => fold.wrapping_add(operand),
                AtomicOp::Xor => *fold ^ operand,
                AtomicOp::And => *fold & operand,
                _ => *fold | operand,
            },
            width,
        );
        let atomic = Atomic { offset: CHANGED + at, width, op, operand, compare: 0 };
        let command = self.untagged(dst, atomic);
        self.post(command);
    }

    fn untagged(&mut self, dst: usize, atomic: Atomic) -> Command {
        let tag = if self.rng.chance(50) { Some(NOBODY) } else { None };
        Command::Atomic { dst: number(dst), atomic, tag }
    }

    /// Up to eight fetches at a time, of which some are waited for. Most are of the words of PE 0, to meet others there.
    pub(super) fn fetch(&mut self, dst: usize) {
        let dst = if self.me > 0 && self.rng.chance(70) { 0 } else { dst };
        for _ in 0..self.rng.between(1, 8) {
            let (words, op) = match self.rng.below(5) {
                0..2 => (SUMS, AtomicOp::Add),
                2..4 => (SWAPS, AtomicOp::CompareSwap),
                _ => (SWAPS, AtomicOp::Set),
            };
            let Word { at, width } = words[self.rng.index(words.len())];
            let operand =
                if op == AtomicOp::Add { self.rng.between(1, 1000) } else { self.words.next_swap() };
            let atomic = Atomic { offset: CHANGED + at, width, op, operand, compare: 0 };
            self.steps.push(Step::Ask(Command::Atomic { dst: number(dst), atomic, tag: None }));
        }
        if self.rng.chance(50) {
            self.steps.push(Step::Answers);
        }
    }
}
