//! One line of `bench --format json`, as far as a report needs it. Unknown keys and kinds of lines are skipped, since a newer
//! program may have written them.

use serde::Deserialize;

use crate::balance::Direction;
use crate::text::printable;

/// A line, by its `type`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Line {
    /// Where and how what follows was measured; again for each policy of a run.
    Run(Header),
    Row(Row),
    Nic(Nic),
    Balance(Balance),
    #[serde(other)]
    Other,
}

impl Line {
    /// The line with nothing in its texts that could move a cursor; or what no benchmark prints.
    pub(super) fn checked(mut self) -> Result<Self, String> {
        match &mut self {
            Self::Run(header) => {
                let Header {
                    started,
                    version,
                    command,
                    host,
                    kernel,
                    cpu,
                    gpu,
                    provider,
                    libfabric,
                    intra_node,
                    ..
                } = header;
                for text in [started, version, host, kernel, cpu, gpu, provider, libfabric, intra_node]
                    .into_iter()
                    .flatten()
                {
                    clean(text);
                }
                command.truncate(MOST_WORDS);
                command.iter_mut().for_each(clean);
            }
            Self::Row(row) => {
                let Row { bench, initiator, policy, scope, heap, moe, .. } = row;
                let MoeRow { phase, batch, skew, .. } = moe;
                [bench, policy]
                    .into_iter()
                    .chain([initiator, scope, heap, phase, batch, skew].into_iter().flatten())
                    .for_each(clean);
                in_range("bw_gb_per_s", row.bw_gb_per_s)?;
                in_range("busbw_gb_per_s", row.busbw_gb_per_s)?;
                in_range("latency_us", row.latency_us)?;
            }
            Self::Nic(nic) => {
                let Nic { policy, node, name, .. } = nic;
                [policy, name].into_iter().chain(node).for_each(clean);
            }
            Self::Balance(balance) => {
                clean(&mut balance.policy);
                in_range("max_over_mean", balance.max_over_mean)?;
                in_range("window_ms", balance.window_ms)?;
                in_range("p99_window_max_over_mean", balance.p99_window_max_over_mean)?;
            }
            Self::Other => {}
        }
        Ok(self)
    }
}

/// Words of a command line that are kept.
const MOST_WORDS: usize = 256;

/// No NIC moves 10^9 GB/s, and nobody waits for 10^9 s; sums of figures below it stay far from the end of numbers.
const MOST: f64 = 1e11;

fn clean(text: &mut String) {
    *text = printable(text);
}

fn in_range(what: &str, value: Option<f64>) -> Result<(), String> {
    match value {
        Some(value) if !(0.0..=MOST).contains(&value) => Err(format!("{what} is out of range")),
        _ => Ok(()),
    }
}

/// Where and how a run was made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub(super) struct Header {
    /// When it began, RFC 3339.
    pub(super) started: Option<String>,
    pub(super) version: Option<String>,
    pub(super) command: Vec<String>,
    pub(super) host: Option<String>,
    /// Kernel and processor.
    pub(super) kernel: Option<String>,
    pub(super) cpu: Option<String>,
    pub(super) cores: Option<u64>,
    pub(super) gpu: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) libfabric: Option<String>,
    pub(super) nodes: Option<u64>,
    pub(super) pes: Option<u64>,
    pub(super) nics_per_pe: Option<u64>,
    /// Line rate of a NIC, where it is known and all have the same.
    pub(super) nic_bits_per_s: Option<u64>,
    /// `nic` where PEs of a node reached each other over NICs, too.
    pub(super) intra_node: Option<String>,
}

/// One size under one policy.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Row {
    pub(super) bench: String,
    #[serde(default)]
    pub(super) initiator: Option<String>,
    pub(super) policy: String,
    #[serde(default)]
    pub(super) scope: Option<String>,
    #[serde(default)]
    pub(super) bits: Option<u64>,
    #[serde(default)]
    pub(super) blocks: Option<u64>,
    #[serde(default)]
    pub(super) threads: Option<u64>,
    #[serde(default)]
    pub(super) heap: Option<String>,
    #[serde(default)]
    pub(super) bidir: bool,
    pub(super) size: u64,
    /// Most bytes of one put of an all-to-all, where its blocks were cut.
    #[serde(default)]
    pub(super) chunk: Option<u64>,
    #[serde(default)]
    pub(super) bw_gb_per_s: Option<f64>,
    #[serde(default)]
    pub(super) latency_us: Option<f64>,
    #[serde(default)]
    pub(super) busbw_gb_per_s: Option<f64>,
    #[serde(flatten)]
    pub(super) moe: MoeRow,
}

/// What a row of `bench moe` says besides; nothing of it in others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize)]
#[serde(default)]
pub(super) struct MoeRow {
    /// `dispatch`, `combine` or `alltoall`.
    pub(super) phase: Option<String>,
    pub(super) experts: Option<u64>,
    /// Experts that a token takes.
    pub(super) topk: Option<u64>,
    /// Values of a token.
    pub(super) dim: Option<u64>,
    /// Tokens of each PE.
    pub(super) tokens: Option<u64>,
    /// `off`, or `auto` where puts to one PE were gathered.
    pub(super) batch: Option<String>,
    /// How the experts were chosen, where not all alike.
    pub(super) skew: Option<String>,
}

/// What one NIC moved in the timed part.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Nic {
    pub(super) policy: String,
    pub(super) pe: u64,
    #[serde(default)]
    pub(super) node: Option<String>,
    #[serde(rename = "nic")]
    pub(super) name: String,
    pub(super) tx_bytes: u64,
    pub(super) rx_bytes: u64,
}

/// How evenly the NICs of the worst PE shared it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Balance {
    pub(super) policy: String,
    pub(super) direction: Direction,
    #[serde(default)]
    pub(super) max_over_mean: Option<f64>,
    #[serde(default)]
    pub(super) active_nics: Option<u64>,
    #[serde(default)]
    pub(super) nics: Option<u64>,
    #[serde(default)]
    pub(super) window_ms: Option<f64>,
    #[serde(default)]
    pub(super) p99_window_max_over_mean: Option<f64>,
}
