//! `--format text`: NVSHMEM's tables, with what ours adds to the right of its columns and below.

use std::io::Write;

use super::moe;
use super::{Reporter, Row, Summary, WorkloadError};
use crate::balance::DEFAULT_MAX_OVER_MEAN;
use crate::balance::Direction;
use crate::transport::select::PolicyKind;
use crate::workload::gather::balance;
use crate::workload::moe::MoeRow;
use crate::workload::options::{Initiator, Options, Pattern, Table};
use crate::workload::scene::Scene;

/// Writes tables.
#[derive(Debug)]
pub struct Text<W> {
    out: W,
    /// The job has been said.
    begun: bool,
    /// The columns of dispatch and combine have been said.
    moe_head: bool,
}

impl<W: Write> Text<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, begun: false, moe_head: false }
    }
}

/// A number, or `-` where there is none.
fn cell(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

impl<W: Write> Reporter for Text<W> {
    fn begin(&mut self, scene: &Scene, policy: PolicyKind, note: Option<&str>) -> Result<(), WorkloadError> {
        if !std::mem::replace(&mut self.begun, true) {
            let Scene { version, nodes, pes, nics_per_pe, provider, .. } = scene;
            let library = scene.libfabric.as_deref().unwrap_or("of an unknown version");
            writeln!(
                self.out,
                "# railtop {version}: nodes {nodes}, PEs {pes}, NICs of each {nics_per_pe}; libfabric {library}, {provider}"
            )?;
        }
        writeln!(self.out, "# policy {policy}: {}", policy.help())?;
        if let Some(note) = note {
            writeln!(self.out, "# {note}")?;
        }
        self.moe_head = false;
        self.out.flush()?;
        Ok(())
    }

    fn table(
        &mut self,
        options: &Options,
        _table: Table,
        heap: Option<&'static str>,
    ) -> Result<(), WorkloadError> {
        if let (Initiator::Gpu { threads, .. }, Some(heap)) = (options.initiator, heap) {
            // An all-to-all of few bytes takes fewer.
            let most = if options.pattern == Pattern::AllToAll { "at most " } else { "" };
            writeln!(self.out, "# heap: {heap}; {most}{} blocks of {threads} threads", options.ctas)?;
        }
        match options.pattern {
            Pattern::Put => {
                let direction = if options.bidir { "bidi" } else { "uni" };
                writeln!(self.out, "#shmem_put_bw_{direction}")?;
                writeln!(
                    self.out,
                    "{:<10}  {:<8}  {:<16}  {:<10}  {:<10}  {:<10}",
                    "size(B)", "scope", "BW (GB/sec)", "min", "median", "max"
                )?;
            }
            Pattern::AllToAll => {
                let initiator = match options.initiator {
                    Initiator::Host => "host",
                    Initiator::Gpu { .. } => "device",
                };
                writeln!(self.out, "#alltoall_{initiator}")?;
                writeln!(
                    self.out,
                    "{:<10}  {:<8}  {:<8}  {:<8}  {:<16}  {:<12}  {:<12}  {:<12}  {:<12}  {:<12}",
                    "size(B)",
                    "count",
                    "type",
                    "scope",
                    "latency(us)",
                    "algbw(GB/s)",
                    "busbw(GB/s)",
                    "min(us)",
                    "median(us)",
                    "max(us)"
                )?;
            }
        }
        self.out.flush()?;
        Ok(())
    }

    fn row(&mut self, row: &Row) -> Result<(), WorkloadError> {
        match row.bench {
            Pattern::Put => {
                let spread = row.bw_spread;
                writeln!(
                    self.out,
                    "{:<10}  {:<8}  {:<16}  {:<10}  {:<10}  {:<10}",
                    row.size,
                    "None",
                    cell(row.bw_gb_per_s, 6),
                    cell(spread.map(|q| q.min), 6),
                    cell(spread.map(|q| q.median), 6),
                    cell(spread.map(|q| q.max), 6),
                )?;
            }
            Pattern::AllToAll => {
                let spread = row.latency_spread;
                writeln!(
                    self.out,
                    "{:<10}  {:<8}  {:<8}  {:<8}  {:<16}  {:<12}  {:<12}  {:<12}  {:<12}  {:<12}",
                    row.size,
                    row.size / row.table.element_bytes(),
                    format!("{}-bit", row.table.bits),
                    row.table.scope_name(),
                    cell(row.latency_us, 6),
                    cell(row.algbw_gb_per_s, 3),
                    cell(row.busbw_gb_per_s, 3),
                    cell(spread.map(|q| q.min), 1),
                    cell(spread.map(|q| q.median), 1),
                    cell(spread.map(|q| q.max), 1),
                )?;
            }
        }
        self.out.flush()?;
        Ok(())
    }

    fn moe(&mut self, row: &MoeRow) -> Result<(), WorkloadError> {
        if !std::mem::replace(&mut self.moe_head, true) {
            writeln!(self.out, "{}", moe::head(row))?;
        }
        writeln!(self.out, "{}", moe::line(row))?;
        self.out.flush()?;
        Ok(())
    }

    fn summary(&mut self, summary: &Summary<'_>) -> Result<(), WorkloadError> {
        writeln!(self.out, "# payload of the timed part per NIC")?;
        writeln!(
            self.out,
            "# {:<4} {:<10} {:<12} {:>10} {:>10} {:>16} {:>16}",
            "pe", "node", "nic", "tx Gb/s", "rx Gb/s", "tx bytes", "rx bytes"
        )?;
        // A PE that only receives has nothing to wait for: the run's time is that of the PE that took longest.
        let seconds = summary.pes.iter().map(|pe| pe.seconds).fold(0.0, f64::max);
        let rate = |bytes: u64| (seconds > 0.0).then(|| bytes as f64 * 8.0 / seconds / 1e9);
        for pe in summary.pes {
            for nic in &pe.nics {
                writeln!(
                    self.out,
                    "  {:<4} {:<10} {:<12} {:>10} {:>10} {:>16} {:>16}",
                    pe.pe,
                    pe.node,
                    nic.name,
                    cell(rate(nic.tx_bytes), 3),
                    cell(rate(nic.rx_bytes), 3),
                    nic.tx_bytes,
                    nic.rx_bytes
                )?;
            }
        }
        for (direction, name) in [(Direction::Tx, "Tx"), (Direction::Rx, "Rx")] {
            let run = balance(summary.pes, direction, DEFAULT_MAX_OVER_MEAN);
            let Some(spread) = run.worst else {
                writeln!(self.out, "# {name}: nothing")?;
                continue;
            };
            writeln!(
                self.out,
                "# {name}: {}, max/mean {}, {} of {} NICs active; in windows of {} ms the 99th percentile of max/mean is {} (worst PE)",
                spread.verdict.word(),
                cell(spread.max_over_mean, 2),
                spread.active_nics,
                spread.nics,
                summary.window.as_millis(),
                cell(run.window_p99, 2),
            )?;
        }
        writeln!(self.out)?;
        self.out.flush()?;
        Ok(())
    }
}
