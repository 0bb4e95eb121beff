//! `--format json`: one object a line (contract).

use std::io::Write;

use serde::Serialize;

use super::balance_line::BalanceLine;
use super::moe::MoeLine;
use super::{Reporter, Row, Summary, WorkloadError};
use crate::balance::{DEFAULT_MAX_OVER_MEAN, Direction};
use crate::transport::select::PolicyKind;
use crate::workload::gather::balance;
use crate::workload::moe::MoeRow;
use crate::workload::options::{Options, Pattern, Scope, Table};
use crate::workload::scene::Scene;

/// Writes JSON lines.
#[derive(Debug)]
pub struct Json<W> {
    out: W,
}

impl<W: Write> Json<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), WorkloadError> {
        serde_json::to_writer(&mut self.out, value).map_err(std::io::Error::from)?;
        self.out.write_all(b"\n")?;
        self.out.flush()?;
        Ok(())
    }
}

/// What a quantity spread over, flattened into keys with a unit.
#[derive(Serialize)]
struct RowLine<'a> {
    r#type: &'a str,
    bench: &'a str,
    initiator: &'a str,
    policy: &'a str,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunk: Option<u64>,
    iters: u64,
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bits: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocks: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threads: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heap: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bidir: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bw_gb_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bw_min_gb_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bw_median_gb_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bw_max_gb_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_min_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_median_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_max_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    algbw_gb_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    busbw_gb_per_s: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[derive(Serialize)]
struct NicLine<'a> {
    r#type: &'a str,
    policy: &'a str,
    pe: u32,
    node: &'a str,
    nic: &'a str,
    tx_bytes: u64,
    rx_bytes: u64,
    tx_ops: u64,
    rx_ops: u64,
    #[serde(skip_serializing_if = "is_zero")]
    failures: u64,
    #[serde(skip_serializing_if = "is_zero")]
    resent_bytes: u64,
    /// What all PEs say they sent to this NIC: equal to `rx_bytes` unless a NIC has failed, or the run has failed.
    sent_to_bytes: u64,
    rx_source: &'a str,
    seconds: f64,
}

#[derive(Serialize)]
struct RunLine<'a> {
    r#type: &'a str,
    policy: &'a str,
    #[serde(flatten)]
    scene: &'a Scene,
}

impl<W: Write> Reporter for Json<W> {
    fn begin(&mut self, scene: &Scene, policy: PolicyKind, _note: Option<&str>) -> Result<(), WorkloadError> {
        self.line(&RunLine { r#type: "run", policy: policy.name(), scene })
    }

    fn table(
        &mut self,
        _options: &Options,
        _table: Table,
        _heap: Option<&'static str>,
    ) -> Result<(), WorkloadError> {
        Ok(())
    }

    fn row(&mut self, row: &Row) -> Result<(), WorkloadError> {
        let scope = row.table.scope;
        self.line(&RowLine {
            r#type: "row",
            bench: row.bench.name(),
            initiator: row.initiator.name(),
            policy: row.policy.name(),
            size: row.size,
            chunk: row.chunk,
            iters: row.iters,
            verified: row.verified,
            scope: scope.map(Scope::name),
            bits: scope.filter(|_| row.bench == Pattern::AllToAll).map(|_| row.table.bits),
            blocks: row.grid.map(|(blocks, _)| blocks),
            threads: row.grid.map(|(_, threads)| threads),
            heap: row.heap,
            bidir: row.bidir.then_some(true),
            bw_gb_per_s: row.bw_gb_per_s,
            bw_min_gb_per_s: row.bw_spread.map(|q| q.min),
            bw_median_gb_per_s: row.bw_spread.map(|q| q.median),
            bw_max_gb_per_s: row.bw_spread.map(|q| q.max),
            latency_us: row.latency_us,
            latency_min_us: row.latency_spread.map(|q| q.min),
            latency_median_us: row.latency_spread.map(|q| q.median),
            latency_max_us: row.latency_spread.map(|q| q.max),
            algbw_gb_per_s: row.algbw_gb_per_s,
            busbw_gb_per_s: row.busbw_gb_per_s,
        })
    }

    fn moe(&mut self, row: &MoeRow) -> Result<(), WorkloadError> {
        row.phases.iter().try_for_each(|phase| self.line(&MoeLine::of(row, phase)))
    }

    fn summary(&mut self, summary: &Summary<'_>) -> Result<(), WorkloadError> {
        let policy = summary.policy.name();
        for (index, pe) in summary.pes.iter().enumerate() {
            for (number, nic) in pe.nics.iter().enumerate() {
                let sent_to_bytes =
                    summary.pes.iter().filter_map(|other| other.sent.get(index)?.get(number)).sum();
                self.line(&NicLine {
                    r#type: "nic",
                    policy,
                    pe: pe.pe,
                    node: &pe.node,
                    nic: &nic.name,
                    tx_bytes: nic.tx_bytes,
                    rx_bytes: nic.rx_bytes,
                    tx_ops: nic.tx_ops,
                    failures: nic.failures,
                    resent_bytes: nic.resent_bytes,
                    rx_ops: nic.rx_ops,
                    sent_to_bytes,
                    rx_source: &pe.rx_source,
                    seconds: pe.seconds,
                })?;
            }
        }
        for direction in Direction::BOTH {
            let run = balance(summary.pes, direction, DEFAULT_MAX_OVER_MEAN);
            let nics = summary.pes.iter().map(|pe| pe.nics.len()).max().unwrap_or(0);
            self.line(&BalanceLine::of(policy, direction, run.worst, nics, summary.window, run.window_p99))?;
        }
        Ok(())
    }
}
