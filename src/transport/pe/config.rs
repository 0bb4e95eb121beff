//! What a PE is started with.

use std::path::PathBuf;
use std::time::Duration;

use crate::counters::RxSource;
use crate::transport::bootstrap::Rendezvous;
use crate::transport::fabric::NicRequest;
use crate::transport::on_node::IntraNode;
use crate::transport::proxy::Progress;
use crate::transport::ranks::Ranks;
use crate::transport::select::PolicyKind;

/// Everything a PE needs to know to join its job.
#[derive(Debug, Clone)]
pub struct PeConfig {
    /// Number and size of the job.
    pub ranks: Ranks,
    /// Where PEs meet; `None` for a job of one.
    pub rendezvous: Option<Rendezvous>,
    /// libfabric provider; `None`: the best that has the NICs.
    pub provider: Option<String>,
    /// NICs by name or address; empty: this PE's share of the node's EFA NICs, or of those of the provider that is named.
    pub nics: Vec<NicRequest>,
    /// Line rate of the NICs in bits per second, where the NIC does not say and the launcher knows.
    pub nic_bits_per_s: Option<u64>,
    /// NIC selection policy.
    pub policy: PolicyKind,
    /// Bytes of symmetric heap, the same on every PE.
    pub heap_bytes: u64,
    /// Name of the node: PEs with the same name reach each other as `intra_node` says.
    pub node: String,
    /// How PEs of a node reach each other, the same on every PE.
    pub intra_node: IntraNode,
    /// Host name, for the counter page.
    pub host: String,
    /// Name of the job, for the counter page.
    pub job: String,
    /// The command, for the counter page.
    pub command: String,
    /// Directory of the counter page; `None`: no page.
    pub page_dir: Option<PathBuf>,
    /// PCI address of the GPU that the PE drives, for the counter page.
    pub gpu: Option<String>,
    /// How long a wait goes on while nothing moves on this PE's NICs before it is an error; zero: for ever.
    pub wait_limit: Duration,
    /// How received bytes are known; `None`: found out at the start.
    pub rx_source: Option<RxSource>,
    /// After how long without any sign a NIC is suspected of having failed; 0: only when it says so.
    pub nic_timeout: Duration,
    /// What the proxy does when there is nothing to do.
    pub progress: Progress,
}
