//! What is reported of a layer with so many tokens.

use serde::{Deserialize, Serialize};

use super::batch::Batch;
use super::shape::Shape;
use super::traffic::Traffic;
use crate::skew::Skew;
use crate::stats::Quantiles;
use crate::transport::select::PolicyKind;
use crate::workload::options::Initiator;

/// The three parts that are timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Tokens to their experts.
    Dispatch,
    /// Answers back, and added up.
    Combine,
    /// The plain all-to-all of as many bytes as there is room for tokens.
    AllToAll,
}

impl Phase {
    /// All, in the order in which they run.
    pub const ALL: [Self; 3] = [Self::Dispatch, Self::Combine, Self::AllToAll];

    /// The name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dispatch => "dispatch",
            Self::Combine => "combine",
            Self::AllToAll => "alltoall",
        }
    }

    /// Bytes that pplx-kernels' benchmark counts for it.
    #[must_use]
    pub fn bytes(self, shape: Shape, tokens: u32) -> u64 {
        match self {
            Self::Dispatch => shape.dispatch_bytes(tokens),
            Self::Combine => shape.combine_bytes(tokens),
            Self::AllToAll => shape.alltoall_bytes(tokens),
        }
    }
}

/// What one PE measured: of each phase the seconds of every iteration, and what it put over NICs in one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Measured {
    /// In the order of [`Phase::ALL`]; empty where a phase was left out.
    pub phases: [(Vec<f64>, Traffic); 3],
}

/// How long the iterations of a phase took on the slowest PE, microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (of the population, as `NumPy`'s).
    pub deviation: f64,
    /// Smallest, middle and largest.
    pub spread: Quantiles,
}

impl Latency {
    /// Of the PE with the largest mean; `None` when nothing was measured.
    #[must_use]
    pub fn of_slowest<'a>(pes: impl Iterator<Item = &'a [f64]>) -> Option<Self> {
        let of = |seconds: &[f64]| {
            let us: Vec<f64> = seconds.iter().map(|seconds| seconds * 1e6).collect();
            let spread = Quantiles::of(&us)?;
            let count = us.len() as f64;
            let mean = us.iter().sum::<f64>() / count;
            let variance = us.iter().map(|us| (us - mean) * (us - mean)).sum::<f64>() / count;
            Some(Self { mean, deviation: variance.sqrt(), spread })
        };
        pes.filter_map(of).max_by(|a, b| a.mean.total_cmp(&b.mean))
    }

    /// 10^9 bytes per second; `None` when it took no time.
    #[must_use]
    pub fn gb_per_s(&self, bytes: u64) -> Option<f64> {
        (self.mean > 0.0).then(|| bytes as f64 / self.mean / 1e3)
    }
}

/// One phase of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhaseRow {
    /// Which.
    pub phase: Phase,
    /// Bytes of a PE, as pplx-kernels' benchmark counts them.
    pub size: u64,
    /// How long it took.
    pub latency: Latency,
    /// What the busiest PE put over its NICs in one iteration.
    pub traffic: Traffic,
}

/// A layer with so many tokens of each PE, under one policy.
#[derive(Debug, Clone, PartialEq)]
pub struct MoeRow {
    /// The policy.
    pub policy: PolicyKind,
    /// Who posted.
    pub initiator: Initiator,
    /// Which memory a GPU's heap lies in.
    pub heap: Option<&'static str>,
    /// Blocks of a GPU's threads, and threads of each.
    pub grid: Option<(u32, u32)>,
    /// The layer.
    pub shape: Shape,
    /// Tokens of each PE.
    pub tokens: u32,
    /// How likely the experts were.
    pub skew: Skew,
    /// Where routing and content came from.
    pub seed: u64,
    /// Whether rows might travel together.
    pub batch: Batch,
    /// Timed iterations.
    pub iters: u64,
    /// Whether every row and result was compared.
    pub verified: bool,
    /// Those that were run.
    pub phases: Vec<PhaseRow>,
}

impl PhaseRow {
    /// From what all PEs have measured.
    #[must_use]
    pub fn all(shape: Shape, tokens: u32, pes: &[Measured]) -> Vec<Self> {
        let phases = Phase::ALL.into_iter().enumerate();
        let row = |(index, phase): (usize, Phase)| {
            let of = || pes.iter().filter_map(|pe| pe.phases.get(index));
            let latency = Latency::of_slowest(of().map(|(seconds, _)| seconds.as_slice()))?;
            let traffic = Traffic {
                puts: of().map(|(_, traffic)| traffic.puts).max().unwrap_or(0),
                bytes: of().map(|(_, traffic)| traffic.bytes).max().unwrap_or(0),
            };
            Some(Self { phase, size: phase.bytes(shape, tokens), latency, traffic })
        };
        phases.filter_map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_pe_is_told_and_the_busiest() {
        let pe = |seconds: &[f64], puts, bytes| Measured {
            phases: [
                (seconds.to_vec(), Traffic { puts, bytes }),
                (Vec::new(), Traffic::default()),
                (seconds.to_vec(), Traffic::default()),
            ],
        };
        let pes = [pe(&[1e-6, 3e-6], 5, 10), pe(&[2e-6, 6e-6], 4, 20)];
        let rows = PhaseRow::all(Shape::E64, 128, &pes);
        assert_eq!(rows.iter().map(|row| row.phase).collect::<Vec<_>>(), [Phase::Dispatch, Phase::AllToAll]);
        let row = rows[0];
        assert!(
            (row.latency.mean - 4.0).abs() < 1e-9 && (row.latency.deviation - 2.0).abs() < 1e-9,
            "{row:?}"
        );
        assert_eq!(row.traffic, Traffic { puts: 5, bytes: 20 });
        assert_eq!(row.size, 1_622_016);
        assert!((row.latency.gb_per_s(row.size).unwrap() - 405.504).abs() < 1e-6);
    }
}
