//! `railtop demo`: lab, all-to-all and monitor in one command, to show what NIC selection does.

mod cluster;
mod headless;
mod screen;
mod story;

use std::process::ExitCode;
use std::time::Duration;

use super::GlobalArgs;
use super::exit::{self, ExitError};
use super::lab::{NicRate, parse_nic_rate};
use super::pe::parse_silence;
use super::source::TextOrJson;
use super::top::TopArgs;
use crate::lab::{LabMode, LabSpec, MAX_NICS_PER_PE, MAX_NODES, MAX_PES_PER_NODE};
use crate::transport::select::PolicyKind;
use crate::units::{parse_duration, parse_size};

/// How long each policy is shown on the screen before the next.
const SCENE: Duration = Duration::from_secs(15);

/// How long the whole of it takes without a screen.
const HEADLESS: Duration = Duration::from_secs(20);

/// Show the story on an emulated cluster: one NIC of four busy, then Rx piled onto one, then all even
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Needs no RDMA hardware: nodes are network namespaces, NICs are rate-limited veth pairs, the traffic is \
    railtop's own all-to-all over libfabric. Where namespaces are not allowed, NICs are loopback addresses without a limit.\n\
    On the screen the policies take turns until q; with --duration once, sharing the time."
)]
pub struct DemoArgs {
    /// No screen: run each policy once and print a table
    #[arg(long)]
    pub headless: bool,
    /// How long the demo runs in all, shared by the policies (default: on the screen until q, else 20s)
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// NIC policies, in this order
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "single,round-robin,round-robin-offset,pair-seq"
    )]
    pub policy: Vec<PolicyKind>,
    /// Nodes
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(2..=i64::from(MAX_NODES)))]
    pub nodes: u16,
    /// PEs on each node
    #[arg(long, value_name = "P", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_PES_PER_NODE)))]
    pub pes_per_node: u16,
    /// NICs of each PE
    #[arg(long, value_name = "K", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_NICS_PER_PE)))]
    pub nics_per_pe: u16,
    /// Rate of each NIC in each direction
    #[arg(long, value_name = "RATE", default_value = "100mbit", value_parser = parse_nic_rate)]
    pub nic_rate: NicRate,
    /// Bytes each PE sends per iteration, its own block included
    #[arg(long, value_name = "SIZE", default_value = "2M", value_parser = parse_size)]
    pub size: u64,
    /// How long a PE may give no sign of life before the others name it and end the job; 0 is for ever
    #[arg(long, value_name = "TIME", env = "RAILTOP_PE_TIMEOUT", default_value = "10s", value_parser = parse_silence)]
    pub pe_timeout: Duration,
    /// How the table looks
    #[arg(long, value_enum, default_value_t)]
    pub format: TextOrJson,
    /// How the screen looks.
    #[command(flatten)]
    pub screen: TopArgs,
}

impl DemoArgs {
    /// The emulated cluster.
    fn spec(&self) -> LabSpec {
        LabSpec {
            nodes: self.nodes,
            pes_per_node: self.pes_per_node,
            nics_per_pe: self.nics_per_pe,
            nic_rate: self.nic_rate.0,
            mode: LabMode::Namespaces,
        }
    }

    /// How long each policy runs.
    fn scene(&self, default: Duration) -> Duration {
        let policies = u32::try_from(self.policy.len()).unwrap_or(1).max(1);
        self.duration.map_or(default, |all| (all / policies).max(Duration::from_millis(200)))
    }
}

/// Runs the demo.
///
/// # Errors
/// With exit code 3 without libfabric, 2 without a terminal (unless headless), 1 when the cluster fails.
pub fn run(args: &DemoArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    if let Err(error) = args.spec().validate() {
        return Err(ExitError::Usage(error.to_string()).into());
    }
    // Said once here, rather than by every PE.
    libfabric_sys::Libfabric::load().map_err(|error| ExitError::Nothing(error.to_string()))?;
    if args.headless {
        return headless::run(args);
    }
    exit::require_terminal()?;
    screen::run(args, global)
}
