//! Results as text and as JSON, in the form of `railtop bench`, so that `railtop report` and `railtop compare` read them.

mod json;
mod text;

use std::io;

pub use json::Json;
pub use text::Text;

use super::outcome::Outcome;
use super::scene::Scene;
use super::traffic::Shape;
use crate::workload::moe::Phase;

/// What was run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Work {
    /// The put test.
    Put,
    /// All-to-all.
    AllToAll,
    /// A phase of MoE: dispatch or combine.
    Moe(Phase, Shape),
}

impl Work {
    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::AllToAll => "alltoall",
            Self::Moe(..) => "moe",
        }
    }
}

/// A run with what it was.
#[derive(Debug)]
pub struct Row<'a> {
    /// The cluster.
    pub scene: &'a Scene,
    /// The pattern.
    pub work: Work,
    /// Bytes: of `put` of an iteration, of the others what a PE sends, what stays in its node included.
    pub size: u64,
    /// What came out.
    pub outcome: &'a Outcome,
}

/// Figures of a row, 10^9 bytes per second and microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Mean time of an iteration.
    pub latency_us: f64,
    /// Size over time, of `put` and `moe`.
    pub bw: Option<f64>,
    /// Size over time, of `alltoall`.
    pub algbw: Option<f64>,
    /// `algbw` times (PEs - 1) / PEs.
    pub busbw: Option<f64>,
}

impl Row<'_> {
    /// Its figures.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let latency_us = self.outcome.latency_us();
        let rate = self.size as f64 / latency_us / 1e3;
        let pes = f64::from(self.scene.pes());
        match self.work {
            Work::AllToAll => {
                Figures { latency_us, bw: None, algbw: Some(rate), busbw: Some(rate * (pes - 1.0) / pes) }
            }
            Work::Put | Work::Moe(..) => Figures { latency_us, bw: Some(rate), algbw: None, busbw: None },
        }
    }
}

/// Takes results in the order in which they come.
pub trait Reporter {
    /// A cluster under a policy is done.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn row(&mut self, row: &Row<'_>) -> io::Result<()>;
}
