//! Minimum, median, maximum and percentiles of a few numbers.

use serde::Serialize;

/// How a quantity spread over iterations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// Smallest.
    pub min: f64,
    /// Middle one (mean of the two middle ones for an even count).
    pub median: f64,
    /// Largest.
    pub max: f64,
}

impl Quantiles {
    /// Of these values; `None` when there are none.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let median = match sorted.get(middle.wrapping_sub(1)) {
            Some(lower) if sorted.len().is_multiple_of(2) => f64::midpoint(*lower, upper),
            _ => upper,
        };
        Some(Self { min, median, max })
    }
}

/// The `q`-quantile (0 to 1) by nearest rank; `None` when there are no values.
#[must_use]
pub fn percentile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (q.clamp(0.0, 1.0) * sorted.len() as f64).ceil().max(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and the length")]
    let index = rank as usize - 1;
    sorted.get(index.min(sorted.len().wrapping_sub(1))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let q = Quantiles::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((q.min, q.median, q.max), (1.0, 2.0, 3.0));
        assert!((Quantiles::of(&[1.0, 2.0, 3.0, 10.0]).unwrap().median - 2.5).abs() < 1e-12);
        assert_eq!(Quantiles::of(&[]), None);
    }

    #[test]
    fn percentiles_by_nearest_rank() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.99), Some(99.0));
        assert_eq!(percentile(&values, 0.0), Some(1.0));
        assert_eq!(percentile(&values, 1.0), Some(100.0));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
