//! `railtop sim`: clusters that are not there.

mod session;

use std::collections::BTreeSet;
use std::io;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use self::session::Session;
use super::exit::{self, ExitError};
use super::source::TextOrJson;
use crate::lab::Rate;
use crate::sim::report::{Json, Reporter, Text, Work};
use crate::sim::traffic::{AllToAll, Combine, MOST_TOPK, Moe, PutTest, Shape};
use crate::sim::{Costs, Preset, Scene, SceneError, Slow};
use crate::skew::Skew;
use crate::transport::select::PolicyKind;
use crate::units::{parse_duration, parse_size};
use crate::workload::moe::Phase;

/// Simulate a cluster of up to thousands of nodes: which NIC policy holds there
///
/// The policies are those that `railtop bench` runs; ports, proxies and windows are a model, whose parameters come from what was
/// measured or published (--format json says which from where). The same flags print the same bytes on every machine.
#[derive(Debug, Clone, clap::Args)]
pub struct SimArgs {
    /// What to run.
    #[command(subcommand)]
    pub pattern: PatternArgs,
}

/// The patterns.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum PatternArgs {
    /// PE 0 writes to the first PE of the next node, as NVSHMEM's `shmem_put_bw`
    Put {
        /// Flags that all have.
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Puts of an iteration
        #[arg(short = 'c', long, value_name = "COUNT", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65536))]
        ctas: u32,
    },
    /// Every PE writes to every other one, as NVSHMEM's `alltoall_latency`
    Alltoall {
        /// Flags that all have.
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Every PE sends its tokens to their experts, which answer, as pplx-kernels' dispatch and combine
    Moe {
        /// Flags that all have.
        #[command(flatten)]
        cluster: ClusterArgs,
        /// Tokens of each PE
        #[arg(long, value_name = "COUNT", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
        tokens: u32,
        /// Experts in all; where there are more PEs, one for each
        #[arg(long, value_name = "COUNT", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
        experts: u32,
        /// Experts that a token takes
        #[arg(long, value_name = "COUNT", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=i64::try_from(MOST_TOPK).unwrap_or(1)))]
        topk: u32,
        /// How likely the experts are: uniform, or zipf:S
        #[arg(long, value_name = "SKEW", default_value = "uniform")]
        skew: Skew,
        /// What is run, each by itself
        #[arg(
            long,
            value_enum,
            value_name = "PHASE",
            default_value = "dispatch,combine",
            value_delimiter = ','
        )]
        phase: Vec<PhaseArg>,
        /// Bytes of an expert's answer to a token; default: 7168 values of 16 bits
        #[arg(long, value_name = "SIZE", default_value = "14336", value_parser = parse_size)]
        answer: u64,
    },
}

/// Parts of MoE traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum PhaseArg {
    /// Tokens to their experts.
    Dispatch,
    /// Answers back.
    Combine,
}

/// Where the parameters are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PresetArg {
    /// AWS p5 with NVSHMEM's proxy, as published.
    EfaP5,
    /// `railtop lab` with railtop's transport, as measured.
    Lab,
}

/// Which clusters, and what may be wrong with them.
#[derive(Debug, Clone, clap::Args)]
pub struct ClusterArgs {
    /// Nodes; several clusters, one after another, with commas
    #[arg(long, value_name = "N", default_value = "2,4,8,16", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub nodes: Vec<u32>,
    /// PEs on each node
    #[arg(long, value_name = "P", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub pes_per_node: u32,
    /// NICs of each PE
    #[arg(long, value_name = "K", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub nics_per_pe: u16,
    /// Line rate of a NIC
    #[arg(long, value_name = "RATE", default_value = "100gbit")]
    pub nic_rate: Rate,
    /// NIC selection: all, or some of single, round-robin, round-robin-offset, pair-seq, stripe and least-loaded with commas
    #[arg(long, value_name = "P", default_value = "all", value_delimiter = ',')]
    pub policy: Vec<Policies>,
    /// Bytes: of an iteration of put, of what a PE sends in alltoall, of a token in moe [default: 128M, 1G, 7408]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub message: Option<u64>,
    /// Iterations, one after another
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub iters: u32,
    /// Parameters of the model
    #[arg(long, value_enum, default_value_t = PresetArg::EfaP5)]
    pub preset: PresetArg,
    /// What a put costs the proxy, instead of the preset's; at most 1s
    #[arg(long, value_name = "TIME", value_parser = put_cost)]
    pub put_cost: Option<Duration>,
    /// So many NICs are slow: COUNT:SHARE of the others' rate, such as 1:0.5
    #[arg(long, value_name = "COUNT:SHARE", value_parser = slow)]
    pub slow_nic: Option<Slow>,
    /// By how much at most what a put costs the proxy is off, such as 20%
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = jitter)]
    pub jitter: u64,
    /// Where all chance begins
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Policies that are run at a time [default: as many as there are cores, and as fit into 4 GiB]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// How the results look
    #[arg(long, value_enum, default_value_t)]
    pub format: TextOrJson,
}

/// One policy, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies(Vec<PolicyKind>);

impl FromStr for Policies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self(PolicyKind::ALL.to_vec()));
        }
        text.parse()
            .map(|kind| Self(vec![kind]))
            .map_err(|error: crate::transport::select::UnknownPolicy| format!("{error}, or all"))
    }
}

/// A share as millionths, at most `most` of a whole.
fn millionths(share: &str, most: f64) -> Option<u64> {
    let share: f64 = share.trim().parse().ok().filter(|share| (0.0..=most).contains(share))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    let ppm = (share * 1e6).round() as u64;
    Some(ppm)
}

/// `1:0.5`.
fn slow(text: &str) -> Result<Slow, String> {
    let parts = text.split_once(':');
    let read = parts.and_then(|(count, share)| {
        let rate_ppm = millionths(share, 1.0).filter(|&ppm| ppm >= 1000)?;
        Some(Slow { count: count.trim().parse().ok()?, rate_ppm })
    });
    read.ok_or_else(|| "COUNT:SHARE with a share of the rate from 0.001 to 1, such as 1:0.5".to_owned())
}

/// `20%`, as millionths.
fn jitter(text: &str) -> Result<u64, String> {
    let percent = text.strip_suffix('%').unwrap_or(text);
    let read = millionths(percent, 100.0).map(|ppm| ppm / 100);
    read.ok_or_else(|| "a share from 0% to 100%, such as 20%".to_owned())
}

/// `0.5us`.
fn put_cost(text: &str) -> Result<Duration, String> {
    let cost = parse_duration(text).map_err(|error| error.to_string())?;
    if cost > Duration::from_secs(1) { Err("more than a second for one put".to_owned()) } else { Ok(cost) }
}

impl ClusterArgs {
    fn scene(&self, nodes: u32) -> Scene {
        let mut costs = Costs::of(match self.preset {
            PresetArg::EfaP5 => Preset::EfaP5,
            PresetArg::Lab => Preset::Lab,
        });
        if let Some(cost) = self.put_cost {
            costs.set_put(u64::try_from(cost.as_nanos()).unwrap_or(u64::MAX).saturating_mul(1000));
        }
        Scene {
            nodes,
            pes_per_node: self.pes_per_node,
            nics_per_pe: self.nics_per_pe,
            nic_bits_per_s: self.nic_rate.bits_per_s(),
            iters: self.iters,
            seed: self.seed,
            slow: self.slow_nic,
            jitter_ppm: self.jitter,
            costs,
        }
    }

    /// The policies, each once, in the order in which they are named.
    fn policies(&self) -> Vec<PolicyKind> {
        let mut seen = BTreeSet::new();
        let all = self.policy.iter().flat_map(|named| named.0.iter().copied());
        all.filter(|policy| seen.insert(policy.name())).collect()
    }
}

/// Runs the clusters.
///
/// # Errors
/// With exit code 2 when flags make no sense, 1 when the output cannot be written.
pub fn run(args: &SimArgs) -> anyhow::Result<ExitCode> {
    let cluster = match &args.pattern {
        PatternArgs::Put { cluster, .. }
        | PatternArgs::Alltoall { cluster }
        | PatternArgs::Moe { cluster, .. } => cluster,
    };
    let scenes: Vec<Scene> = cluster.nodes.iter().map(|&nodes| cluster.scene(nodes)).collect();
    let usage = |error: SceneError| ExitError::Usage(error.to_string());
    for scene in &scenes {
        scene.check().map_err(usage)?;
    }
    let out = io::BufWriter::new(io::stdout().lock());
    let reporter: Box<dyn Reporter> = match cluster.format {
        TextOrJson::Text => Box::new(Text::new(out)),
        TextOrJson::Json => Box::new(Json::new(out)),
    };
    let mut session = Session::new(reporter, cluster.policies(), cluster.threads)?;
    for scene in &scenes {
        let done = match &args.pattern {
            PatternArgs::Put { ctas, .. } => {
                let traffic =
                    PutTest::new(scene, cluster.message.unwrap_or(128 << 20), *ctas).map_err(usage)?;
                session.all(scene, &traffic, Work::Put, traffic.bytes())?
            }
            PatternArgs::Alltoall { .. } => {
                let traffic = AllToAll::new(scene, cluster.message.unwrap_or(1 << 30)).map_err(usage)?;
                session.all(scene, &traffic, Work::AllToAll, traffic.bytes())?
            }
            PatternArgs::Moe { tokens, experts, topk, skew, phase, answer, .. } => {
                let bytes = cluster.message.unwrap_or(TOKEN_BYTES);
                let shape = Shape { tokens: *tokens, experts: *experts, topk: *topk, bytes, skew: *skew };
                let traffic = Moe::new(scene, shape).map_err(usage)?;
                let phases: BTreeSet<PhaseArg> = phase.iter().copied().collect();
                let mut done = ControlFlow::Continue(());
                for phase in phases {
                    done = match phase {
                        PhaseArg::Dispatch => {
                            let shape = traffic.shape();
                            session.all(scene, &traffic, Work::Moe(Phase::Dispatch, shape), shape.sent())?
                        }
                        PhaseArg::Combine => {
                            let answers = Combine::new(scene, &traffic, *answer).map_err(usage)?;
                            let shape = answers.shape();
                            session.all(scene, &answers, Work::Moe(Phase::Combine, shape), shape.sent())?
                        }
                    };
                    if done.is_break() {
                        break;
                    }
                }
                done
            }
        };
        if done.is_break() {
            exit::say("railtop: ended; what was finished is above");
            return Ok(ExitCode::from(exit::INTERRUPTED));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Bytes of a token's put in pplx-kernels with 7168 values of 8 bits: values, scales and a header.
const TOKEN_BYTES: u64 = 7408;

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("1:0.5", Some((1, 500_000)))]
    #[test_case("32: 1", Some((32, 1_000_000)))]
    #[test_case("1", None; "no share")]
    #[test_case("1:0", None; "one that does nothing")]
    #[test_case("1:1.5", None; "faster")]
    #[test_case("-1:0.5", None; "fewer than none")]
    #[test_case("1:NaN", None; "no number")]
    fn reads_slow_nics(text: &str, expected: Option<(u32, u64)>) {
        assert_eq!(slow(text).ok().map(|slow| (slow.count, slow.rate_ppm)), expected);
    }

    #[test_case("20%", Some(200_000))]
    #[test_case("0.5", Some(5_000))]
    #[test_case("101%", None; "more than all")]
    #[test_case("much", None; "no number")]
    fn reads_jitter(text: &str, expected: Option<u64>) {
        assert_eq!(jitter(text).ok(), expected);
    }
}
