//! Numbers that look random and are the same everywhere.

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014): a bijection, so different numbers stay different.
#[must_use]
pub fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// What [`mix`] is fed from number to number: the golden ratio's bits, as in splitmix64.
pub const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A row of numbers, from a seed.
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    /// Those that belong to these keys, in this order.
    #[must_use]
    pub fn of(keys: &[u64]) -> Self {
        Self(keys.iter().fold(STEP, |state, key| mix(state.wrapping_add(STEP) ^ key.wrapping_mul(STEP))))
    }

    /// The next one.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// One below `end`, or 0: the high half of a product, whose bias is `end` in 2^64.
    pub fn below(&mut self, end: u64) -> u64 {
        let product = u128::from(self.number()) * u128::from(end);
        u64::try_from(product >> 64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_depend_on_every_key_and_their_order() {
        let first = |keys: &[u64]| Numbers::of(keys).number();
        let all = [first(&[]), first(&[0]), first(&[1]), first(&[1, 2]), first(&[2, 1]), first(&[0, 1])];
        for (at, number) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(number), "{all:?}");
        }
        assert_eq!(first(&[7, 8]), first(&[7, 8]));
        // Of the published algorithm with seed 0: what other implementations print.
        assert_eq!(Numbers(0).number(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn below_reaches_every_number_and_none_beyond() {
        let mut numbers = Numbers::of(&[3]);
        let mut seen = [0_u32; 7];
        for _ in 0..7000 {
            seen[usize::try_from(numbers.below(7)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|&count| (800..1200).contains(&count)), "{seen:?}");
        assert_eq!(numbers.below(0), 0);
    }
}
