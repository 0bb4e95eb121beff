//! How the rates of a group's NICs are distributed, and which one NIC is far slower than the others.

use super::view::Distribution;
use crate::balance::{BUSY_BYTES_PER_S, DEFAULT_MAX_OVER_MEAN, max_over_mean};
use crate::stats::Quantiles;

/// A NIC below this share of the others' median is slow. A link that has come up with half its lanes or half its
/// speed is, one that is a little behind is not.
pub const SLOW_BELOW: f64 = 0.7;

impl Distribution {
    /// Of the rates of a group's NICs, in bytes per second and in the group's order; `None` when none is known. Only those
    /// of which `can_carry` says by their position that they could carry something can be slow.
    ///
    /// A group in which these move less than [`BUSY_BYTES_PER_S`] has no slow NIC.
    #[must_use]
    pub fn of(rates: &[Option<f64>], can_carry: impl Fn(usize) -> bool) -> Option<Self> {
        let known: Vec<f64> = rates.iter().flatten().copied().collect();
        let Quantiles { min, median, max } = Quantiles::of(&known)?;
        let (places, carried): (Vec<usize>, Vec<Option<f64>>) =
            rates.iter().copied().enumerate().filter(|&(place, _)| can_carry(place)).unzip();
        // All of them must be known, or the one that is not might be the slow one.
        let carried: Option<Vec<f64>> = carried.into_iter().collect();
        let busy = carried.filter(|carried| carried.iter().sum::<f64>() >= BUSY_BYTES_PER_S);
        let slow = busy.and_then(|carried| slow(&carried)).map(|counted| places[counted]);
        Some(Self { min, median, max, jain: jain(&known), slow })
    }
}

/// Jain's fairness index; `None` when nothing moves.
///
/// From shares of the largest value, so that no square leaves the range of numbers.
#[must_use]
pub fn jain(values: &[f64]) -> Option<f64> {
    let max = values.iter().copied().fold(0.0, f64::max);
    if max <= 0.0 {
        return None;
    }
    let (sum, squares) =
        values.iter().map(|v| v / max).fold((0.0, 0.0), |(sum, squares), v| (sum + v, squares + v * v));
    Some(sum * sum / (values.len() as f64 * squares))
}

/// The position of the one NIC that is clearly slow.
///
/// It carries less than [`SLOW_BELOW`] of the median of all others, and those others share their load within
/// [`DEFAULT_MAX_OVER_MEAN`]: take it away and the group is balanced. So there is none where everything is idle, where
/// one NIC carries everything (the others are idle, and the NICs are not to blame), where two are slow, or where the
/// load is spread anyhow.
#[must_use]
pub fn slow(rates: &[f64]) -> Option<usize> {
    let mut found = (0..rates.len()).filter(|&i| is_slow(rates, i));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

fn is_slow(rates: &[f64], index: usize) -> bool {
    let mut others = rates.to_vec();
    let own = others.remove(index);
    let Some(Quantiles { median, .. }) = Quantiles::of(&others) else { return false };
    let even = max_over_mean(&others).is_some_and(|ratio| ratio <= DEFAULT_MAX_OVER_MEAN);
    // Of two NICs, one that carries nothing is the sign of a program that uses one NIC.
    let unused = others.len() == 1 && own <= 0.0;
    even && !unused && own < median * SLOW_BELOW
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use test_case::test_case;

    #[test_case(&[90.0, 90.0, 27.0, 90.0], Some(2); "one at 27 of 90")]
    #[test_case(&[100.0, 50.0], Some(1); "half the lanes, of two")]
    #[test_case(&[100.0, 100.0, 100.0, 0.0], Some(3); "three work and one does not")]
    #[test_case(&[100.0, 0.0, 0.0, 0.0], None; "one NIC of four")]
    #[test_case(&[100.0, 0.0], None; "one NIC of two")]
    #[test_case(&[100.0, 100.0, 0.0, 0.0], None; "two of four")]
    #[test_case(&[90.0, 80.0, 75.0, 90.0], None; "a little uneven")]
    #[test_case(&[10.0, 40.0, 70.0, 100.0], None; "spread anyhow")]
    #[test_case(&[90.0, 27.0, 90.0, 27.0, 90.0, 90.0, 90.0, 90.0], None; "two slow ones")]
    #[test_case(&[90.0, 3.0, 3.0, 90.0, 90.0, 90.0, 90.0, 90.0, 90.0, 90.0, 90.0, 90.0, 90.0, 90.0], None; "two very slow ones of many")]
    #[test_case(&[0.0, 0.0, 0.0], None; "idle")]
    #[test_case(&[5.0], None; "alone")]
    #[test_case(&[], None; "nothing")]
    fn names_one_that_is_clearly_slow(rates: &[f64], expected: Option<usize>) {
        assert_eq!(slow(rates), expected);
    }

    #[test]
    fn numbers_of_a_group() {
        let rates: Vec<Option<f64>> = [90e6, 90e6, 27e6, 93e6].map(Some).into();
        let d = Distribution::of(&rates, |_| true).unwrap();
        assert_eq!((d.min, d.median, d.max, d.slow), (27e6, 90e6, 93e6, Some(2)));
        assert!((d.jain.unwrap() - 300.0 * 300.0 / (4.0 * 25578.0)).abs() < 1e-9);
    }

    #[test]
    fn chatter_and_half_known_groups_have_no_slow_nic() {
        let of = |rates: &[Option<f64>]| Distribution::of(rates, |_| true);
        assert_eq!(of(&[Some(90.0), Some(90.0), Some(0.0)]).unwrap().slow, None, "bytes, not load");
        assert_eq!(of(&[Some(90e6), Some(90e6), Some(0.0), None]).unwrap().slow, None);
        assert_eq!(of(&[Some(90e6), None]).map(|d| d.max), Some(90e6));
        assert_eq!(of(&[None, None]), None);
    }

    fn rates() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(prop_oneof![Just(0.0), 1.0..1e12], 1..33)
    }

    proptest! {
        #[test]
        fn jain_is_between_one_of_n_and_one(rates in rates()) {
            let n = rates.len() as f64;
            match jain(&rates) {
                Some(index) => prop_assert!(index > 1.0 / n - 1e-9 && index < 1.0 + 1e-9, "{index} of {n}"),
                None => prop_assert!(rates.iter().all(|&rate| rate == 0.0)),
            }
        }

        #[test]
        fn a_scale_changes_nothing(rates in rates(), power in -20..20_i32) {
            // A power of two scales exactly, so that not even rounding may differ.
            let scaled: Vec<f64> = rates.iter().map(|rate| rate * 2_f64.powi(power)).collect();
            prop_assert_eq!(jain(&rates), jain(&scaled));
            prop_assert_eq!(slow(&rates), slow(&scaled));
        }

        #[test]
        fn order_changes_nothing(rates in rates(), by in 0..32_usize) {
            let by = by % rates.len();
            let mut turned = rates.clone();
            turned.rotate_left(by);
            let expected = slow(&rates).map(|i| (i + rates.len() - by) % rates.len());
            prop_assert_eq!(slow(&turned), expected);
        }
    }
}
