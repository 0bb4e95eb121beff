//! `--format text`: a line for each cluster and policy.

use std::io::{self, Write};

use super::{Reporter, Row, Work};
use crate::balance::Direction;
use crate::text::plural;
use crate::units::{format_bit_rate, format_size};

/// Writes a table for each cluster.
#[derive(Debug)]
pub struct Text<W> {
    out: W,
    /// What the table that has begun is of: nodes, and the phase where there are several.
    begun: Option<(u32, Option<&'static str>)>,
}

impl<W: Write> Text<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, begun: None }
    }
}

fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

impl<W: Write> Reporter for Text<W> {
    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        let (scene, outcome) = (row.scene, row.outcome);
        let figures = row.figures();
        let phase = match row.work {
            Work::Moe(phase, _) => Some(phase.name()),
            Work::Put | Work::AllToAll => None,
        };
        let table = (scene.nodes, phase);
        if self.begun != Some(table) {
            if self.begun.replace(table).is_some() {
                writeln!(self.out)?;
            }
            writeln!(
                self.out,
                "# {}{}: {}, {}, {} each of {}; model {}; {}",
                row.work.name(),
                phase.map(|phase| format!(" {phase}")).unwrap_or_default(),
                plural(scene.nodes, "node"),
                plural(scene.pes(), "PE"),
                plural(scene.nics_per_pe, "NIC"),
                format_bit_rate(scene.nic_bits_per_s as f64),
                scene.costs.preset.name(),
                format_size(row.size)
            )?;
            let rate = if row.work == Work::AllToAll { "busbw(GB/s)" } else { "BW (GB/sec)" };
            writeln!(
                self.out,
                "{:<18}  {:>14}  {:>11}  {:>8}  {:>8}  {:>8}  {:>8}  {:>7}",
                "policy", "time(us)", rate, "Tx", "Rx", "Tx, p99", "Rx, p99", "at once"
            )?;
        }
        let (tx, rx) = (outcome.balance(Direction::Tx), outcome.balance(Direction::Rx));
        writeln!(
            self.out,
            "{:<18}  {:>14.3}  {:>11.3}  {:>8}  {:>8}  {:>8}  {:>8}  {:>7}",
            outcome.policy.name(),
            figures.latency_us,
            figures.busbw.or(figures.bw).unwrap_or(0.0),
            ratio(tx.worst.and_then(|spread| spread.max_over_mean)),
            ratio(rx.worst.and_then(|spread| spread.max_over_mean)),
            ratio(tx.window_p99),
            ratio(rx.window_p99),
            outcome.most_at_once(),
        )?;
        self.out.flush()
    }
}
