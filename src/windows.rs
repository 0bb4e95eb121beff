//! Balance over short windows, from samples of cumulative bytes per NIC.
//!
//! Totals can hide the defect: with 7 remote peers and 4 NICs round-robin's totals are even, yet all senders meet on one
//! NIC at a time. A counter moves when a whole message completes, so between two changes the bytes are taken to have
//! arrived evenly: a message longer than the window is spread over the time since the NIC's previous one.

use crate::balance::max_over_mean;
use crate::stats::percentile;

/// Cumulative bytes of one NIC at moments in time.
#[derive(Debug, Clone, Default)]
pub struct Curve {
    /// (nanoseconds, bytes), with a point where the bytes changed, and one at the start.
    points: Vec<(u64, u64)>,
}

impl Curve {
    /// Takes a sample in; samples come in the order of time.
    pub fn push(&mut self, at_ns: u64, bytes: u64) {
        if self.points.last().is_none_or(|&(_, last)| last != bytes) {
            self.points.push((at_ns, bytes));
        }
    }

    /// Bytes at the first sample.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.points.first().map(|&(_, bytes)| bytes)
    }

    /// Bytes at a moment, straight between two changes and flat outside.
    fn at(&self, at_ns: u64) -> f64 {
        let after = self.points.partition_point(|&(at, _)| at <= at_ns);
        match (after.checked_sub(1).and_then(|before| self.points.get(before)), self.points.get(after)) {
            (None, None) => 0.0,
            (Some(&(_, bytes)), None) | (None, Some(&(_, bytes))) => bytes as f64,
            (Some(&(t0, b0)), Some(&(t1, b1))) => {
                let share = (at_ns - t0) as f64 / (t1 - t0) as f64;
                b0 as f64 + share * b1.saturating_sub(b0) as f64
            }
        }
    }

    /// When the bytes first reached `target`; `None` if they never did.
    #[must_use]
    pub fn time_of(&self, target: u64) -> Option<f64> {
        let after = self.points.partition_point(|&(_, bytes)| bytes < target);
        let &(t1, b1) = self.points.get(after)?;
        let Some(&(t0, b0)) = after.checked_sub(1).and_then(|before| self.points.get(before)) else {
            return Some(t1 as f64);
        };
        let share = (target - b0) as f64 / (b1 - b0) as f64;
        Some(t0 as f64 + share * (t1 - t0) as f64)
    }
}

/// Windows with less than this share of the mean window's bytes say nothing about balance: the edges of an iteration.
const QUIET_SHARE: f64 = 0.5;

/// Busiest NIC over mean in each window of `window_ns` between two moments, of windows that carry traffic.
#[must_use]
pub fn window_ratios(curves: &[Curve], from_ns: u64, to_ns: u64, window_ns: u64) -> Vec<f64> {
    let mut windows = Vec::new();
    let mut begin = from_ns;
    while window_ns > 0 && begin + window_ns <= to_ns {
        let bytes: Vec<f64> =
            curves.iter().map(|curve| curve.at(begin + window_ns) - curve.at(begin)).collect();
        windows.push(bytes);
        begin += window_ns;
    }
    ratios(&windows)
}

/// Busiest NIC over mean in each window that carries traffic: `windows` has a value per NIC for each.
#[must_use]
pub fn ratios(windows: &[Vec<f64>]) -> Vec<f64> {
    let totals: Vec<f64> = windows.iter().map(|bytes| bytes.iter().sum()).collect();
    let mean = totals.iter().sum::<f64>() / totals.len().max(1) as f64;
    windows
        .iter()
        .zip(&totals)
        .filter(|&(_, &total)| total > 0.0 && total >= mean * QUIET_SHARE)
        .filter_map(|(bytes, _)| max_over_mean(bytes))
        .collect()
}

/// The 99th percentile of window ratios; `None` when no window carried traffic.
#[must_use]
pub fn p99(ratios: &[f64]) -> Option<f64> {
    percentile(ratios, 0.99)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(u64, u64)]) -> Curve {
        let mut curve = Curve::default();
        for &(at, bytes) in points {
            curve.push(at, bytes);
        }
        curve
    }

    #[test]
    fn long_messages_are_spread_over_their_time() {
        // Two NICs, one message each every 100 ns, half a period apart: even, although no window has both.
        let a = curve(&[(0, 0), (100, 10), (200, 20), (300, 30)]);
        let b = curve(&[(0, 0), (50, 5), (150, 15), (250, 25), (300, 30)]);
        let ratios = window_ratios(&[a, b], 0, 300, 10);
        assert_eq!(ratios.len(), 30);
        assert!(ratios.iter().all(|&ratio| (ratio - 1.0).abs() < 1e-9), "{ratios:?}");
    }

    #[test]
    fn turns_are_seen_that_totals_hide() {
        // Each NIC carries everything for one window in turn: the totals are even, each window is not.
        let a = curve(&[(0, 0), (10, 100), (20, 100), (21, 101), (30, 200)]);
        let b = curve(&[(0, 0), (10, 0), (11, 10), (20, 100), (30, 100)]);
        let ratios = window_ratios(&[a, b], 0, 30, 10);
        assert!(ratios.iter().filter(|&&ratio| ratio > 1.8).count() >= 2, "{ratios:?}");
    }

    #[test]
    fn idle_edges_do_not_count() {
        let a = curve(&[(0, 0), (10, 1000), (20, 1001), (30, 1001)]);
        let b = curve(&[(0, 0), (10, 1000), (30, 1000)]);
        assert_eq!(window_ratios(&[a, b], 0, 30, 10).len(), 1);
        assert!(window_ratios(&[], 0, 30, 10).is_empty());
        assert!(window_ratios(&[curve(&[(0, 5)])], 0, 30, 0).is_empty());
    }

    #[test]
    fn times_of_bytes() {
        let a = curve(&[(0, 0), (100, 10), (300, 20)]);
        assert_eq!(a.time_of(5), Some(50.0));
        assert_eq!(a.time_of(15), Some(200.0));
        assert_eq!(a.time_of(20), Some(300.0));
        assert_eq!(a.time_of(21), None);
    }
}
