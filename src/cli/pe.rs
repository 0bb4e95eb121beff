//! Flags and environment that make a process a PE of a job.

use std::path::PathBuf;
use std::time::Duration;

use crate::counters::{PageDir, RxSource};
use crate::monitor::host;
use crate::transport::bootstrap::Rendezvous;
use crate::transport::fabric::NicRequest;
use crate::transport::pe::{IntraNode, PeConfig};
use crate::transport::proxy::Progress;
use crate::transport::ranks::{RankFlags, Ranks};
use crate::transport::select::PolicyKind;
use crate::units::parse_duration;

use super::exit::ExitError;

/// Who this PE is and which NICs it has. The environment of torchrun, Open MPI, `PMIx` and Slurm is read, in this order.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Job")]
pub struct PeArgs {
    /// This PE's number (else from the launcher's environment)
    #[arg(long, value_name = "N")]
    pub rank: Option<u32>,
    /// PEs in the job
    #[arg(long, value_name = "N")]
    pub world_size: Option<u32>,
    /// Address on which PE 0 listens for the others, and only there
    #[arg(long, value_name = "HOST")]
    pub master_addr: Option<String>,
    /// Its port
    #[arg(long, value_name = "PORT")]
    pub master_port: Option<u16>,
    /// This PE's NICs: devices (rdmap79s0), addresses (10.0.0.5), or both (eth1=10.0.0.5); without it, this PE's share of the node's EFA devices, in PCI order
    #[arg(long, value_name = "LIST", env = "RAILTOP_NICS", value_delimiter = ',')]
    pub nics: Vec<NicRequest>,
    /// libfabric provider, such as efa, tcp, `tcp;ofi_rxm` or net (default: the first of these that has the NICs)
    #[arg(long, value_name = "NAME", env = "RAILTOP_PROVIDER")]
    pub provider: Option<String>,
    /// How PEs of a node reach each other: by loads and stores, or over NICs as all others
    #[arg(long, value_enum, env = "RAILTOP_INTRA_NODE", default_value = "direct")]
    pub intra_node: IntraNodeArg,
    /// How received bytes are counted (default: found out at the start)
    #[arg(long, value_enum, env = "RAILTOP_RX_SOURCE")]
    pub rx_source: Option<RxSourceArg>,
    /// How long all PEs may take to come together
    #[arg(long, value_name = "TIME", env = "RAILTOP_JOIN_TIMEOUT", default_value = "30s", value_parser = parse_duration)]
    pub join_timeout: Duration,
    /// How long a PE may give no sign of life before the others name it and end the job; PE 0's holds for all, 0 is for ever (under a debugger)
    #[arg(long, value_name = "TIME", env = "RAILTOP_PE_TIMEOUT", default_value = "10s", value_parser = parse_silence)]
    pub pe_timeout: Duration,
    /// How long a PE waits while nothing moves on its NICs before the job is given up (a message counts when it is complete); 0 is for ever
    #[arg(long, value_name = "TIME", env = "RAILTOP_TIMEOUT", default_value = "60s", value_parser = parse_duration)]
    pub timeout: Duration,
    /// How long a NIC may show no sign of life before its work goes over the others; 0: only when it reports an error
    #[arg(long, value_name = "TIME", env = "RAILTOP_NIC_TIMEOUT", default_value = "3s", value_parser = parse_silence)]
    pub nic_timeout: Duration,
    /// What the proxy thread does when nothing happens
    #[arg(long, value_enum, env = "RAILTOP_PROGRESS", default_value = "adaptive")]
    pub progress: ProgressArg,
    /// No counter page: the monitor will not see this PE
    #[arg(long, env = "RAILTOP_NO_PAGE")]
    pub no_page: bool,
}

/// `--progress` on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ProgressArg {
    /// Spin: takes a core for itself
    Spin,
    /// Spin a little, yield a while, then sleep
    Adaptive,
}

impl From<ProgressArg> for Progress {
    fn from(arg: ProgressArg) -> Self {
        match arg {
            ProgressArg::Spin => Self::Spin,
            ProgressArg::Adaptive => Self::Adaptive,
        }
    }
}

/// The shortest `--pe-timeout` and `--nic-timeout`: below it, a process that is merely not scheduled would count as hung.
const SHORTEST_SILENCE: Duration = Duration::from_millis(100);

/// Reads `--pe-timeout` or `--nic-timeout`.
///
/// # Errors
/// If it is no duration, or neither 0 nor at least 100 ms.
pub fn parse_silence(text: &str) -> Result<Duration, String> {
    let limit = parse_duration(text).map_err(|error| error.to_string())?;
    if limit.is_zero() || limit >= SHORTEST_SILENCE {
        Ok(limit)
    } else {
        Err(format!("at least {} ms, or 0 for no limit", SHORTEST_SILENCE.as_millis()))
    }
}

/// `--rx-source` on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RxSourceArg {
    /// The length in the target's completions
    CqeLen,
    /// The length in the immediate (providers with 8 bytes of it)
    ImmLen,
    /// What the senders say they sent
    Ledger,
}

impl From<RxSourceArg> for RxSource {
    fn from(arg: RxSourceArg) -> Self {
        match arg {
            RxSourceArg::CqeLen => Self::CqeLen,
            RxSourceArg::ImmLen => Self::ImmLen,
            RxSourceArg::Ledger => Self::Ledger,
        }
    }
}

/// `--intra-node` on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum IntraNodeArg {
    /// Loads and stores: through shared memory, and between GPUs
    Direct,
    /// NICs
    Nic,
}

impl From<IntraNodeArg> for IntraNode {
    fn from(arg: IntraNodeArg) -> Self {
        match arg {
            IntraNodeArg::Direct => Self::Direct,
            IntraNodeArg::Nic => Self::Nic,
        }
    }
}

/// The environment variable, when it is set and can be shown.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

impl PeArgs {
    /// This PE's place in its job.
    ///
    /// # Errors
    /// When flags or environment make no sense.
    pub fn ranks(&self) -> Result<Ranks, ExitError> {
        let flags = RankFlags {
            rank: self.rank,
            world: self.world_size,
            master_addr: self.master_addr.clone(),
            master_port: self.master_port,
        };
        Ranks::find(&flags, variable).map_err(|error| ExitError::Usage(error.to_string()))
    }

    /// Everything a PE needs.
    ///
    /// # Errors
    /// When a variable that the job needs is missing or wrong.
    pub fn config(&self, ranks: Ranks, heap_bytes: u64, policy: PolicyKind) -> Result<PeConfig, ExitError> {
        let rendezvous = Rendezvous::find(&ranks, self.join_timeout, self.pe_timeout, variable)
            .map_err(|error| ExitError::Usage(error.to_string()))?;
        let host = host::name();
        let nic_bits_per_s = match variable("RAILTOP_NIC_RATE_BPS") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                let shown = crate::text::printable(&text);
                ExitError::Usage(format!("RAILTOP_NIC_RATE_BPS={shown:?} is not a number of bits per second"))
            })?),
        };
        let page_dir: Option<PathBuf> = (!self.no_page).then(PageDir::default_path);
        let name = |name: &str, default: &str| {
            variable(name)
                .filter(|value| !value.is_empty())
                .map_or_else(|| default.to_owned(), |value| crate::text::printable(&value))
        };
        Ok(PeConfig {
            job: name("RAILTOP_JOB", &name("SLURM_JOB_ID", "job")),
            node: name("RAILTOP_NODE", &host),
            intra_node: self.intra_node.into(),
            ranks,
            rendezvous,
            provider: self.provider.clone(),
            nics: self.nics.clone(),
            nic_bits_per_s,
            policy,
            heap_bytes,
            host,
            command: std::env::args().skip(1).take(12).collect::<Vec<_>>().join(" "),
            page_dir,
            gpu: None,
            wait_limit: self.timeout,
            rx_source: self.rx_source.map(Into::into),
            nic_timeout: self.nic_timeout,
            progress: self.progress.into(),
        })
    }
}
