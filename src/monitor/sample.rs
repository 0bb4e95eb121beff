//! What the sources read, before anything is derived from it: values, when they were read, and why others are missing.

use std::sync::Arc;

use super::model::view::Notice;

/// A counter under its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawCounter {
    /// The kernel's or the page's name, verbatim.
    pub name: Arc<str>,
    /// The value, in the unit of its source (so `port_xmit_data` is in 4-byte words).
    pub value: u64,
}

/// A counter that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its name: canonical (`tx_bytes`) where the whole quantity is missing, else the file's.
    pub counter: String,
    /// The file it should come from, below the port's directory.
    pub place: Option<String>,
    /// Why, in words.
    pub reason: String,
}

/// The four quantities every source has in common, cumulative. Bytes are bytes, whatever the source counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Bytes sent.
    pub tx_bytes: Option<u64>,
    /// Bytes received.
    pub rx_bytes: Option<u64>,
    /// Operations (pages) or packets (devices) sent.
    pub tx_ops: Option<u64>,
    /// Operations or packets received.
    pub rx_ops: Option<u64>,
}

impl Traffic {
    /// Whether nothing at all is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// Whether some quantity is smaller than in `before`: the counters began again.
    #[must_use]
    pub fn went_back(&self, before: &Self) -> bool {
        let less = |now: Option<u64>, then: Option<u64>| now.zip(then).is_some_and(|(n, t)| n < t);
        less(self.tx_bytes, before.tx_bytes)
            || less(self.rx_bytes, before.rx_bytes)
            || less(self.tx_ops, before.tx_ops)
            || less(self.rx_ops, before.rx_ops)
    }
}

/// One read of one NIC by one source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// The middle of the read of the traffic counters, on the monotonic clock.
    pub mono_ns: u64,
    /// Changes when the counters belong to something new under an old name (a restarted PE, a returned device).
    pub incarnation: u64,
    /// Whether *every* counter only grows, so that any decrease means that all of them began again.
    pub all_monotonic: bool,
    /// The quantities rates are made from.
    pub traffic: Traffic,
    /// All counters, by name.
    pub counters: Vec<RawCounter>,
    /// What could not be read.
    pub missing: Vec<Missing>,
}

/// What does not change from tick to tick about a device's port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortFacts {
    /// Device name, `mlx5_0`.
    pub device: String,
    /// Port number.
    pub port: u8,
    /// Kernel driver, `mlx5_core`.
    pub driver: Option<String>,
    /// Network interface of the same device.
    pub netdev: Option<String>,
    /// PCI address, `0000:4f:00.0`.
    pub pci: Option<String>,
    /// NUMA node; sysfs says -1 for unknown.
    pub numa: Option<u16>,
    /// Line rate in bits per second.
    pub link_bits_per_s: Option<u64>,
    /// `InfiniBand`, `Ethernet` or `Unknown`.
    pub link_layer: Option<String>,
    /// `ACTIVE`, `DOWN`, …
    pub state: Option<String>,
    /// Firmware version.
    pub fw_ver: Option<String>,
    /// PCI addresses of the nearest GPUs: one, or several that are equally near; none when nothing is known.
    pub gpus: Vec<String>,
    /// How many GPUs the machine shows in all.
    pub gpus_in_all: usize,
}

/// One port of one RDMA device, as sysfs shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSample {
    /// What it is.
    pub facts: Arc<PortFacts>,
    /// What it said, or why it has not answered.
    pub reading: Result<Reading, String>,
}

/// How the writer of a counter page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageState {
    /// Writes.
    Alive,
    /// Lives, but has not published for longer than it should.
    Stalled,
    /// Ended and said so: these are the last numbers.
    Closed,
    /// Ended without a word.
    Dead,
}

/// One NIC of a counter page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageNic {
    /// Rail number within the PE.
    pub index: usize,
    /// RDMA device where there is one, else the network interface or the libfabric domain.
    pub device: String,
    /// Port of the device, from 1; 0 where ports have no meaning.
    pub port: u8,
    /// PCI address.
    pub pci: Option<String>,
    /// NUMA node.
    pub numa: Option<u16>,
    /// Network interface, where there is one.
    pub netdev: Option<String>,
    /// Line rate in bits per second.
    pub link_bits_per_s: Option<u64>,
    /// The page's numbers.
    pub reading: Reading,
    /// Posted and not yet done.
    pub in_flight_bytes: Option<u64>,
    /// The writer was never seen between two updates: the numbers may belong to different ones.
    pub torn: bool,
    /// The kernel's statistics of the network interface, where they are this NIC's alone; or why there are none.
    pub netdev_reading: Option<Result<Reading, String>>,
}

/// One counter page: one PE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSample {
    /// `job/node/pe`: the same for the next run of the same job's PE, and unique within a sample.
    pub key: String,
    /// Job name.
    pub job: String,
    /// Node, the PE's host name.
    pub node: String,
    /// PE number.
    pub pe: u32,
    /// Process id, in the writer's own process namespace.
    pub pid: u32,
    /// PCI address of the PE's GPU.
    pub gpu: Option<String>,
    /// What runs.
    pub command: String,
    /// libfabric provider.
    pub provider: String,
    /// NIC selection policy.
    pub policy: Option<String>,
    /// How Rx bytes are known.
    pub rx_source: Option<String>,
    /// How the writer is.
    pub state: PageState,
    /// Its NICs, by rail.
    pub nics: Vec<PageNic>,
}

/// Everything read in one tick.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sample {
    /// Wall clock, nanoseconds since 1970.
    pub realtime_ns: i128,
    /// Monotonic clock, nanoseconds.
    pub mono_ns: u64,
    /// RDMA device ports, in natural order.
    pub ports: Vec<PortSample>,
    /// Counter pages, by job, node and PE.
    pub pages: Vec<PageSample>,
    /// What a person should know.
    pub notices: Vec<Notice>,
    /// Per source that has nothing, why.
    pub nothing: Vec<String>,
}
