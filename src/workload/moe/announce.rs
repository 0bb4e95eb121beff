//! The word that tells an expert how many rows of a source come in a round.

/// Bits of the count, of the slot behind it, and in front of the round.
const COUNT_BITS: u32 = 16;
const BACK_BITS: u32 = 20;
const ROUND_AT: u32 = COUNT_BITS + BACK_BITS;

/// How many rows come, and where their answers go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// Rows of the source for the expert.
    pub count: u32,
    /// Slot at the source for the first one's answer; the others' follow.
    pub back: u32,
}

/// The least word of a round: a word of an earlier round is less, so nothing has to be put back to 0 in between.
#[must_use]
pub fn least(round: u64) -> u64 {
    round << ROUND_AT
}

impl Announced {
    /// The word for a round.
    #[must_use]
    pub fn word(self, round: u64) -> u64 {
        let low = |number: u32, bits: u32| u64::from(number) & ((1 << bits) - 1);
        least(round) | low(self.back, BACK_BITS) << COUNT_BITS | low(self.count, COUNT_BITS)
    }

    /// What a word says.
    #[must_use]
    pub fn of(word: u64) -> Self {
        let bits = |shift: u32, bits: u32| u32::try_from(word >> shift & ((1 << bits) - 1)).unwrap_or(0);
        Self { count: bits(0, COUNT_BITS), back: bits(COUNT_BITS, BACK_BITS) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::workload::moe::shape::{MOST_TOKENS, MOST_TOPK};

    proptest! {
        #[test]
        fn words_grow_with_rounds_and_are_read_as_written(
            count in 0..=MOST_TOKENS, back in 0..MOST_TOKENS * MOST_TOPK, round in 1..1_u64 << 27, more in 1..1_u64 << 27,
        ) {
            let announced = Announced { count, back };
            prop_assert_eq!(Announced::of(announced.word(round)), announced);
            prop_assert!(announced.word(round) >= least(round));
            prop_assert!(announced.word(round) < least(round + more));
        }
    }
}
