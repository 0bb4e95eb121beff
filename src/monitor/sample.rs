//! What the sources read, before anything is derived from it: values, when they were read, and why others are missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::counter::Desc;
use super::model::view::{Notice, SourceKind};

/// A counter and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawCounter {
    /// What it is. One value for all reads of the same counter.
    pub desc: Arc<Desc>,
    /// The value, in the unit of its source (so `port_xmit_data` is in 4-byte words).
    pub value: u64,
}

impl RawCounter {
    /// A counter of which only the name is known.
    #[must_use]
    pub fn unknown(name: &str, value: u64) -> Self {
        Self { desc: Arc::new(Desc::unknown(name.to_owned())), value }
    }

    /// Whether it is one that stops at its maximum, and has. It is exactly there: where the kernel has the wider form
    /// of InfiniBand's counters, values pass that of the narrow form.
    #[must_use]
    pub fn stands_at_its_maximum(&self) -> bool {
        self.desc.kind.maximum() == Some(self.value)
    }

    /// The kernel's or the page's name, verbatim.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.desc.name
    }
}

/// A counter that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Its name: canonical (`tx_bytes`) where the whole quantity is missing, else the file's.
    pub counter: String,
    /// The file it should come from, below the port's directory.
    pub place: Option<String>,
    /// Why, in words.
    pub reason: String,
}

/// The four quantities every source has in common, cumulative. Bytes are bytes, whatever the source counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reading {
    /// The middle of the read of the traffic counters, on the monotonic clock.
    pub mono_ns: u64,
    /// How long that read took: they are of some moment from half of this before the middle to half of it after.
    pub span_ns: u64,
    /// How long after it the last of the other counters was read; 0 where all are read at once.
    pub rest_ns: u64,
    /// Changes when the counters belong to something new under an old name (a restarted PE, a returned device).
    pub incarnation: u64,
    /// It was asked for at an earlier tick, and the ticks between had no answer because it took so long.
    pub late: bool,
    /// The quantities rates are made from.
    pub traffic: Traffic,
    /// All counters, by name.
    pub counters: Vec<RawCounter>,
    /// What could not be read.
    pub missing: Vec<Missing>,
}

/// What does not change from tick to tick about a device's port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
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
    /// Whether the line rate is not the one that the kernel says, but one set for this device or instance type.
    pub link_overridden: bool,
    /// `InfiniBand`, `Ethernet` or `Unknown`.
    pub link_layer: Option<String>,
    /// `ACTIVE`, `DOWN`, …
    pub state: Option<String>,
    /// `LinkUp`, `Polling`, …
    pub phys_state: Option<String>,
    /// Firmware version.
    pub fw_ver: Option<String>,
    /// PCI addresses of the nearest GPUs: one, or several that are equally near; none when nothing is known.
    pub gpus: Vec<String>,
    /// How many GPUs the machine shows in all.
    pub gpus_in_all: usize,
}

/// One port of one RDMA device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSample {
    /// What it is.
    pub facts: Arc<PortFacts>,
    /// Where its bytes come from: the device's own counters (sysfs, netlink), or its network interface's.
    pub source: SourceKind,
    /// What it said, or why it has not answered.
    pub reading: Result<Reading, String>,
}

/// How the writer of a counter page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What was received in each short window since the last tick, where that was asked for.
    pub rx_windows: Option<Windows>,
}

/// Bytes in each of a row of equally long windows, the last of which ends at `end_mono_ns`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Windows {
    /// Length of a window in nanoseconds.
    pub window_ns: u64,
    /// When the last one ended, on the monotonic clock.
    pub end_mono_ns: u64,
    /// Bytes, oldest first; `None` for a window that was not looked at in time.
    pub bytes: Vec<Option<u64>>,
}

/// One counter page: one PE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What belongs to the PE as a whole and to no NIC, without traffic of its own; `None` in older recordings.
    #[serde(default)]
    pub own: Option<Reading>,
    /// Its NICs, by rail.
    pub nics: Vec<PageNic>,
}

/// A process with queue pairs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProcessSample {
    /// Process id, in the monitor's own namespace.
    pub pid: u32,
    /// Name of the user it runs as; `None` when only the number is known.
    pub user: Option<String>,
    /// The user's number.
    pub uid: Option<u32>,
    /// The command line, or the kernel's short name in brackets where there is none.
    pub command: String,
    /// Resident memory in bytes.
    pub resident_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u32>,
    /// Queue pairs by device.
    pub qps: BTreeMap<String, u32>,
}

/// Who holds the queue pairs of the machine's devices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Processes {
    /// When it was read, on the monotonic clock: more seldom than the counters.
    pub mono_ns: u64,
    /// By process id.
    pub processes: Vec<ProcessSample>,
    /// Queue pairs of the kernel itself, by device.
    pub kernel_qps: BTreeMap<String, u32>,
    /// Queue pairs whose process the kernel does not show in this PID namespace, by device.
    pub hidden_qps: BTreeMap<String, u32>,
    /// Counter pages by key with the process that writes them, where that is of the monitor's own PID namespace.
    #[serde(default)]
    pub pages: BTreeMap<String, u32>,
    /// Why nothing, or not everything, is known.
    pub reason: Option<String>,
}

/// One NVLink of a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NvLinkSample {
    /// Link number.
    pub link: u32,
    /// Whether it is up.
    pub active: bool,
    /// Bytes sent since the counter began.
    pub tx_bytes: Option<u64>,
    /// Bytes received.
    pub rx_bytes: Option<u64>,
    /// The device at the other end, as a PCI address.
    pub remote: Option<String>,
}

/// One GPU, as NVML shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GpuSample {
    /// NVML's index.
    pub index: u32,
    /// Product name.
    pub name: Option<String>,
    /// PCI address in the form sysfs uses, `0000:53:00.0`.
    pub pci: Option<String>,
    /// When it was read, on the monotonic clock; the middle of the read of its `NVLinks` where it has some.
    pub mono_ns: u64,
    /// How long that read took: see [`Reading::span_ns`].
    pub span_ns: u64,
    /// Share of time with a kernel running, in per cent.
    pub busy_percent: Option<u32>,
    /// Memory in use and in all, in bytes.
    pub memory_used_bytes: Option<u64>,
    /// See [`memory_used_bytes`](Self::memory_used_bytes).
    pub memory_total_bytes: Option<u64>,
    /// Temperature.
    pub celsius: Option<u32>,
    /// Power draw in milliwatts.
    pub milliwatts: Option<u32>,
    /// NVLinks, by number.
    pub nvlinks: Vec<NvLinkSample>,
    /// Why something is missing.
    pub reason: Option<String>,
}

/// The GPUs of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Gpus {
    /// By index.
    pub gpus: Vec<GpuSample>,
    /// Why there are none, in words.
    pub nothing: Option<String>,
}

/// What the kernel said about devices coming and going, between two ticks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceChange {
    /// A device appeared.
    Added(String),
    /// A device went away.
    Removed(String),
    /// A device has another name.
    Renamed {
        /// The name it had.
        from: String,
        /// The name it has.
        to: String,
    },
}

/// What a tick should read: what nobody looks at is not read.
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Every counter of every device, not only bytes and those that tell how a NIC is.
    pub all_counters: bool,
    /// Packets sent and received.
    pub packets: bool,
    /// Who holds the queue pairs.
    pub processes: bool,
    /// GPUs.
    pub gpus: bool,
    /// Bytes received in short windows.
    pub windows: bool,
}

impl Needs {
    /// All there is, but the short windows: what a log or a recording wants.
    #[must_use]
    pub fn everything() -> Self {
        Self { all_counters: true, packets: true, processes: true, gpus: true, windows: false }
    }

    /// What the list of NICs shows, and as cheap as that can be: bytes, drops, retransmits, timeouts, congestion.
    #[must_use]
    pub fn list() -> Self {
        Self::default()
    }

    /// This, and [`everything`](Self::everything) if it is recorded.
    #[must_use]
    pub fn and_recorded(self, recorded: bool) -> Self {
        if recorded { Self { windows: self.windows, ..Self::everything() } } else { self }
    }
}

/// Everything read in one tick.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sample {
    /// Wall clock, nanoseconds since 1970.
    pub realtime_ns: i128,
    /// Monotonic clock, nanoseconds.
    pub mono_ns: u64,
    /// RDMA device ports, in natural order.
    pub ports: Vec<PortSample>,
    /// Counter pages, by job, node and PE.
    pub pages: Vec<PageSample>,
    /// Who holds queue pairs, where that was asked for.
    pub processes: Option<Processes>,
    /// GPUs, where they were asked for.
    pub gpus: Option<Gpus>,
    /// Devices that came, went or were renamed since the tick before.
    pub changes: Vec<DeviceChange>,
    /// What a person should know.
    pub notices: Vec<Notice>,
    /// Per source that has nothing, why.
    pub nothing: Vec<String>,
}

/// Pages for tests, which change what they are about.
#[cfg(test)]
pub(crate) mod made {
    use super::{PageNic, PageSample, PageState, Reading};

    /// `nic0`, `nic1` and so on of a PE, of which nothing is known but this.
    pub(crate) fn nic(index: usize, reading: Reading) -> PageNic {
        PageNic {
            index,
            device: format!("nic{index}"),
            port: 0,
            pci: None,
            numa: None,
            netdev: None,
            link_bits_per_s: None,
            reading,
            in_flight_bytes: None,
            torn: false,
            netdev_reading: None,
            rx_windows: None,
        }
    }

    /// The page of PE 3 of a job.
    pub(crate) fn page(state: PageState, nics: Vec<PageNic>) -> PageSample {
        PageSample {
            key: "job/node0/3".to_owned(),
            job: "job".to_owned(),
            node: "node0".to_owned(),
            pe: 3,
            pid: 42,
            gpu: None,
            command: "bench put".to_owned(),
            provider: "tcp".to_owned(),
            policy: None,
            rx_source: None,
            state,
            own: None,
            nics,
        }
    }
}
