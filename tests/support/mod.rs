//! Jobs of several PEs inside the test process.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

pub mod port;
pub mod providers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use port::Port;
pub use providers::providers;
use railtop::counters::RxSource;
use railtop::transport::bootstrap::Rendezvous;
use railtop::transport::bootstrap::secret::Secret;
use railtop::transport::error::TransportError;
use railtop::transport::pe::{IntraNode, Pe, PeConfig};
use railtop::transport::proxy::Progress;
use railtop::transport::ranks::Ranks;
use railtop::transport::select::PolicyKind;

/// Only a test that has failed waits so long, and no thread of a busy machine is kept from its turn for so long.
const LIMIT: Duration = Duration::from_secs(240);

/// A job to run.
#[derive(Clone)]
pub struct Job {
    pub provider: String,
    pub pes: u32,
    pub pes_per_node: u32,
    pub nics: u8,
    /// PE `n` has `n` NICs more than PE 0.
    pub uneven: bool,
    pub policy: PolicyKind,
    pub rx_source: Option<RxSource>,
    pub wait_limit: Duration,
    /// After how long without any sign a NIC is suspected.
    pub nic_timeout: Duration,
    pub heap_bytes: u64,
    pub intra_node: IntraNode,
}

/// Loopback addresses are not used twice, so that jobs of one process do not meet.
static NEXT_NET: AtomicU8 = AtomicU8::new(1);

impl Job {
    pub fn new(provider: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            intra_node: IntraNode::Direct,
            pes: 2,
            pes_per_node: 1,
            nics: 2,
            uneven: false,
            policy: PolicyKind::PairSeq,
            rx_source: None,
            wait_limit: LIMIT,
            nic_timeout: LIMIT / 4,
            heap_bytes: 4 << 20,
        }
    }

    pub fn configs(&self) -> Vec<PeConfig> {
        let port = Port::for_good().port();
        let secret = Secret::generate_hex().unwrap();
        let net = NEXT_NET.fetch_add(1, Ordering::Relaxed);
        (0..self.pes)
            .map(|rank| PeConfig {
                ranks: Ranks {
                    rank,
                    world: self.pes,
                    local_rank: Some(rank % self.pes_per_node),
                    local_world: Some(self.pes_per_node),
                    master_addr: None,
                    master_port: Some(port),
                    from: "test",
                },
                rendezvous: (self.pes > 1).then(|| Rendezvous {
                    rank,
                    world: self.pes,
                    addr: "127.0.0.1".into(),
                    port,
                    secret: Secret::from_hex(&secret).unwrap(),
                    join_time: LIMIT,
                    pe_timeout: LIMIT,
                }),
                provider: Some(self.provider.clone()),
                nics: (1..=self.nics + if self.uneven { u8::try_from(rank).unwrap() } else { 0 })
                    .map(|nic| providers::nic(&self.provider, net, rank, nic))
                    .collect(),
                nic_bits_per_s: None,
                policy: self.policy,
                heap_bytes: self.heap_bytes,
                node: format!("node{}", rank / self.pes_per_node),
                intra_node: self.intra_node,
                host: "test".into(),
                job: "test".into(),
                command: "test".into(),
                page_dir: None,
                gpu: None,
                wait_limit: self.wait_limit,
                nic_timeout: self.nic_timeout,
                progress: Progress::Adaptive,
                rx_source: self.rx_source,
            })
            .collect()
    }

    /// Runs `work` with each configuration, side by side; returns what each gave, by rank.
    pub fn spawn<T: Send + 'static>(
        configs: Vec<PeConfig>,
        work: impl Fn(PeConfig) -> T + Send + Sync + 'static,
    ) -> Vec<T> {
        let work = Arc::new(work);
        let threads: Vec<_> = configs
            .into_iter()
            .map(|config| {
                let work = Arc::clone(&work);
                std::thread::spawn(move || work(config))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    }

    /// Runs `work` on every PE and leaves in good order.
    pub fn run<T: Send + 'static>(&self, work: impl Fn(&mut Pe) -> T + Send + Sync + 'static) -> Vec<T> {
        Self::spawn(self.configs(), move |config| {
            let mut pe = Pe::start(&config).unwrap();
            let result = work(&mut pe);
            pe.finish().unwrap();
            result
        })
    }

    /// Runs `work` on every PE, which leaves as it likes.
    pub fn run_each<T: Send + 'static>(&self, work: impl Fn(Pe) -> T + Send + Sync + 'static) -> Vec<T> {
        Self::spawn(self.configs(), move |config| work(Pe::start(&config).unwrap()))
    }

    /// Starts every PE with a changed configuration.
    pub fn start_each(&self, change: impl Fn(&mut PeConfig)) -> Vec<Result<(), TransportError>> {
        let mut configs = self.configs();
        configs.iter_mut().for_each(change);
        Self::spawn(configs, |config| Pe::start(&config).map(drop))
    }
}
