//! What a benchmark reports, and the formats it can take: one small file each.

mod balance_line;
mod json;
mod moe;
mod progress;
mod text;

use std::time::Duration;

pub use balance_line::BalanceLine;
pub use json::Json;
pub use progress::Progress;
pub use text::Text;

use super::WorkloadError;
use super::gather::PeResult;
use super::moe::MoeRow;
use super::options::{Initiator, Options, Pattern, Table};
use super::scene::Scene;
use crate::stats::Quantiles;
use crate::transport::select::PolicyKind;

/// One size under one policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The pattern.
    pub bench: Pattern,
    /// Who posted.
    pub initiator: Initiator,
    /// The policy.
    pub policy: PolicyKind,
    /// The table that it is a row of.
    pub table: Table,
    /// Blocks of a GPU's threads, and threads of each.
    pub grid: Option<(u32, u32)>,
    /// Which memory a GPU's heap lies in.
    pub heap: Option<&'static str>,
    /// Bytes: of `put`, per iteration; of `alltoall`, that one PE sends, its own block included.
    pub size: u64,
    /// Most bytes of one put of an all-to-all; `None`: a block is one put.
    pub chunk: Option<u64>,
    /// Timed iterations.
    pub iters: u64,
    /// Whether every byte was checked.
    pub verified: bool,
    /// Whether both PEs of `put` sent.
    pub bidir: bool,
    /// Mean time of an all-to-all on the slowest PE, microseconds.
    pub latency_us: Option<f64>,
    /// How the iterations spread, microseconds.
    pub latency_spread: Option<Quantiles>,
    /// Size over latency, 10^9 bytes per second.
    pub algbw_gb_per_s: Option<f64>,
    /// `algbw` times (PEs - 1) / PEs.
    pub busbw_gb_per_s: Option<f64>,
    /// Bandwidth of `put` until the receiver has everything, 10^9 bytes per second; `None` when no data moved.
    pub bw_gb_per_s: Option<f64>,
    /// How the iterations spread, 10^9 bytes per second.
    pub bw_spread: Option<Quantiles>,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            bench: Pattern::Put,
            initiator: Initiator::Host,
            policy: PolicyKind::PairSeq,
            table: Table { scope: None, bits: 32 },
            grid: None,
            heap: None,
            size: 0,
            chunk: None,
            iters: 0,
            verified: false,
            bidir: false,
            latency_us: None,
            latency_spread: None,
            algbw_gb_per_s: None,
            busbw_gb_per_s: None,
            bw_gb_per_s: None,
            bw_spread: None,
        }
    }
}

/// The sums over all sizes of one policy.
#[derive(Debug, Clone, Copy)]
pub struct Summary<'a> {
    /// The policy.
    pub policy: PolicyKind,
    /// Length of the short windows.
    pub window: Duration,
    /// Every PE's share, by rank.
    pub pes: &'a [PeResult],
}

/// Takes results in the order they come.
pub trait Reporter {
    /// A policy begins; `note`: what has to be known of all of its rows.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn begin(&mut self, scene: &Scene, policy: PolicyKind, note: Option<&str>) -> Result<(), WorkloadError>;

    /// A table begins; `heap`: which memory a GPU's heap lies in.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn table(
        &mut self,
        options: &Options,
        table: Table,
        heap: Option<&'static str>,
    ) -> Result<(), WorkloadError>;

    /// A size is done.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn row(&mut self, row: &Row) -> Result<(), WorkloadError>;

    /// A layer with so many tokens is done.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn moe(&mut self, row: &MoeRow) -> Result<(), WorkloadError>;

    /// A policy is done.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn summary(&mut self, summary: &Summary<'_>) -> Result<(), WorkloadError>;
}

#[cfg(test)]
mod tests;
