//! `--format json`: the lines of `bench --format json`, and the parameters of the model.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde::Serialize;

use super::{Reporter, Row, Work};
use crate::balance::Direction;
use crate::sim::costs::Told;
use crate::sim::outcome::Outcome;
use crate::workload::report::BalanceLine;

/// Writes JSON lines.
#[derive(Debug)]
pub struct Json<W> {
    out: W,
}

/// PEs whose NICs are told one by one where there are more: the most uneven and the most even ones of each direction.
const MOST_PES: usize = 16;

#[derive(Serialize)]
struct RunLine<'a> {
    r#type: &'a str,
    policy: &'a str,
    version: &'a str,
    provider: String,
    nodes: u32,
    pes: u32,
    nics_per_pe: u16,
    nic_bits_per_s: u64,
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    slow_nics: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slow_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter: Option<f64>,
    model: Vec<Told>,
}

#[derive(Serialize)]
struct RowLine<'a> {
    r#type: &'a str,
    bench: &'a str,
    initiator: &'a str,
    policy: &'a str,
    size: u64,
    iters: u32,
    nodes: u32,
    latency_us: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bw_gb_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    algbw_gb_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    busbw_gb_per_s: Option<f64>,
    #[serde(flatten)]
    moe: Option<MoeKeys>,
    puts: u64,
    events: u64,
    most_puts_at_one_nic: u32,
}

#[derive(Serialize)]
struct MoeKeys {
    phase: &'static str,
    experts: u32,
    topk: u32,
    tokens: u32,
    skew: String,
}

#[derive(Serialize)]
struct NicLine<'a> {
    r#type: &'a str,
    policy: &'a str,
    pe: usize,
    node: String,
    nic: String,
    tx_bytes: u64,
    rx_bytes: u64,
    tx_ops: u64,
    rx_ops: u64,
    seconds: f64,
}

#[derive(Serialize)]
struct OmittedLine<'a> {
    r#type: &'a str,
    policy: &'a str,
    pes: usize,
    nics: usize,
}

impl<W: Write> Json<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(b"\n")
    }

    fn nics(&mut self, row: &Row<'_>, policy: &str) -> io::Result<()> {
        let outcome = row.outcome;
        let told = told(outcome, row.scene.pes() as usize);
        let (mut left_out, mut nics_left_out) = (0, 0);
        for (pe, nics) in outcome.pes().enumerate() {
            if !told.contains(&pe) {
                (left_out, nics_left_out) = (left_out + 1, nics_left_out + nics.len());
                continue;
            }
            for (number, nic) in nics.iter().enumerate() {
                self.line(&NicLine {
                    r#type: "nic",
                    policy,
                    pe,
                    node: format!("node{}", pe / (row.scene.pes_per_node.max(1) as usize)),
                    nic: format!("nic{number}"),
                    tx_bytes: nic.tx_bytes,
                    rx_bytes: nic.rx_bytes,
                    tx_ops: nic.tx_ops,
                    rx_ops: nic.rx_ops,
                    seconds: outcome.span().as_secs_f64(),
                })?;
            }
        }
        if left_out > 0 {
            self.line(&OmittedLine { r#type: "omitted", policy, pes: left_out, nics: nics_left_out })?;
        }
        Ok(())
    }
}

/// The PEs whose NICs are told: all where they are few.
fn told(outcome: &Outcome, pes: usize) -> BTreeSet<usize> {
    if pes <= MOST_PES {
        return (0..pes).collect();
    }
    let mut told = BTreeSet::new();
    for way in Direction::BOTH {
        let ratio =
            |(pe, spread): (usize, Option<crate::balance::Spread>)| Some((spread?.max_over_mean?, pe));
        let mut all: Vec<(f64, usize)> = outcome.spreads(way).enumerate().filter_map(ratio).collect();
        // The most uneven first; of as uneven ones that of the lower rank.
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let (worst, best) = (all.iter().take(MOST_PES / 4), all.iter().rev().take(MOST_PES / 4));
        told.extend(worst.chain(best).map(|&(_, pe)| pe));
    }
    told
}

impl<W: Write> Reporter for Json<W> {
    fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        let (scene, outcome) = (row.scene, row.outcome);
        let policy = outcome.policy.name();
        self.line(&RunLine {
            r#type: "run",
            policy,
            version: env!("CARGO_PKG_VERSION"),
            provider: format!("model {}", scene.costs.preset.name()),
            nodes: scene.nodes,
            pes: scene.pes(),
            nics_per_pe: scene.nics_per_pe,
            nic_bits_per_s: scene.nic_bits_per_s,
            seed: scene.seed,
            slow_nics: scene.slow.map(|slow| slow.count),
            slow_rate: scene.slow.map(|slow| slow.rate_ppm as f64 / 1e6),
            jitter: (scene.jitter_ppm > 0).then_some(scene.jitter_ppm as f64 / 1e6),
            model: scene.costs.told(),
        })?;
        let figures = row.figures();
        let moe = match row.work {
            Work::Moe(phase, shape) => Some(MoeKeys {
                phase: phase.name(),
                experts: shape.experts,
                topk: shape.topk,
                tokens: shape.tokens,
                skew: shape.skew.to_string(),
            }),
            Work::Put | Work::AllToAll => None,
        };
        self.line(&RowLine {
            r#type: "row",
            bench: row.work.name(),
            initiator: "sim",
            policy,
            size: row.size,
            iters: outcome.iters,
            nodes: scene.nodes,
            latency_us: figures.latency_us,
            bw_gb_per_s: figures.bw,
            algbw_gb_per_s: figures.algbw,
            busbw_gb_per_s: figures.busbw,
            moe,
            puts: outcome.puts,
            events: outcome.events,
            most_puts_at_one_nic: outcome.most_at_once(),
        })?;
        self.nics(row, policy)?;
        for way in Direction::BOTH {
            let balance = outcome.balance(way);
            let (nics, window) = (scene.nics_per_pe.into(), outcome.window());
            self.line(&BalanceLine::of(policy, way, balance.worst, nics, window, balance.window_p99))?;
        }
        self.out.flush()
    }
}
