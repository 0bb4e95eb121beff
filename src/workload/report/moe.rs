//! Rows of dispatch and combine, in both formats.

use serde::Serialize;

use crate::skew::Skew;
use crate::workload::moe::{Latency, MoeRow, Phase, PhaseRow};

/// One phase as a line of JSON.
#[derive(Debug, Serialize)]
pub(super) struct MoeLine<'a> {
    r#type: &'a str,
    bench: &'a str,
    initiator: &'a str,
    policy: &'a str,
    phase: &'a str,
    experts: u32,
    topk: u32,
    tokens: u32,
    dim: u32,
    batch: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    skew: Option<String>,
    seed: u64,
    size: u64,
    iters: u64,
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocks: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threads: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heap: Option<&'a str>,
    latency_us: f64,
    latency_std_us: f64,
    latency_min_us: f64,
    latency_median_us: f64,
    latency_max_us: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bw_gb_per_s: Option<f64>,
    puts: u64,
    wire_bytes: u64,
}

impl<'a> MoeLine<'a> {
    /// Of a phase of a row.
    pub(super) fn of(row: &'a MoeRow, phase: &PhaseRow) -> Self {
        let Latency { mean, deviation, spread } = phase.latency;
        Self {
            r#type: "row",
            bench: "moe",
            initiator: row.initiator.name(),
            policy: row.policy.name(),
            phase: phase.phase.name(),
            experts: row.shape.experts,
            topk: row.shape.topk,
            tokens: row.tokens,
            dim: row.shape.dim,
            batch: row.batch.name(),
            skew: (row.skew != Skew::Uniform).then(|| row.skew.to_string()),
            seed: row.seed,
            size: phase.size,
            iters: row.iters,
            verified: row.verified,
            blocks: row.grid.map(|(blocks, _)| blocks),
            threads: row.grid.map(|(_, threads)| threads),
            heap: row.heap,
            latency_us: mean,
            latency_std_us: deviation,
            latency_min_us: spread.min,
            latency_median_us: spread.median,
            latency_max_us: spread.max,
            bw_gb_per_s: phase.latency.gb_per_s(phase.size),
            puts: phase.traffic.puts,
            wire_bytes: phase.traffic.bytes,
        }
    }
}

/// What a phase's columns are called.
fn title(phase: Phase) -> &'static str {
    match phase {
        Phase::Dispatch => "Dispatch",
        Phase::Combine => "Combine",
        Phase::AllToAll => "Alltoall",
    }
}

/// The line above rows like this one: pplx-kernels' columns.
pub(super) fn head(row: &MoeRow) -> String {
    let cells =
        |phase: &PhaseRow| ["lat", "bw", "bytes"].map(|what| format!("{}_{what}", title(phase.phase)));
    columns(["E", "E/tok", "tok", "dim"].map(str::to_owned), row.phases.iter().map(cells))
}

/// A row.
pub(super) fn line(row: &MoeRow) -> String {
    let numbers =
        [row.shape.experts, row.shape.topk, row.tokens, row.shape.dim].map(|number| number.to_string());
    let cells = |PhaseRow { latency, size, .. }: &PhaseRow| {
        let bandwidth = latency.gb_per_s(*size);
        [
            format!("{:.1}μs ± {:.1}μs", latency.mean, latency.deviation),
            bandwidth.map_or_else(|| "-".to_owned(), |bandwidth| format!("{bandwidth:.3}GB/s")),
            size.to_string(),
        ]
    };
    columns(numbers, row.phases.iter().map(cells))
}

/// Side by side: four numbers, and three cells of each phase.
fn columns([experts, topk, tokens, dim]: [String; 4], phases: impl Iterator<Item = [String; 3]>) -> String {
    let first = format!("{experts:<5} {topk:<5} {tokens:<5} {dim:<6}");
    let phases =
        phases.map(|[latency, bandwidth, bytes]| format!("  {latency:<26} {bandwidth:<13} {bytes:<14}"));
    let line: String = std::iter::once(first).chain(phases).collect();
    line.trim_end().to_owned()
}
