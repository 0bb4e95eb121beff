//! What a screen, a log line or a check is made from: rates derived from two adjacent samples, grouped.
//!
//! Everything that may be unknown is an `Option`; a rate is unknown at first sight, after a reset and over a gap.

use std::time::Duration;

use crate::balance::Spread;

/// Where a number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// A counter page of railtop's transport: payload of one PE on one NIC.
    Page,
    /// The RDMA device's own counters in sysfs: all processes together.
    Sysfs,
    /// Statistics of a network interface: everything on it, headers included. Only for software NICs.
    Netdev,
}

impl SourceKind {
    /// The name in logs and on the command line (`--source`).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Sysfs => "sysfs",
            Self::Netdev => "netdev",
        }
    }
}

/// One direction of one NIC.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Flow {
    /// Bytes since the counter began; `None` when the source has no such counter.
    pub bytes: Option<u64>,
    /// Operations (counter pages) or packets (devices) since the counter began.
    pub ops: Option<u64>,
    /// Bytes per second over the last interval.
    pub bytes_per_s: Option<f64>,
    /// Operations or packets per second over the last interval.
    pub ops_per_s: Option<f64>,
}

/// Something about a row that changes how its numbers are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// A counter went backwards: no rate for this interval.
    Reset,
    /// The last read failed: the numbers are of the last good read and no rate is shown.
    Stale,
    /// The writer of the counter page is gone without closing it.
    Dead,
    /// The writer lives but has not published for longer than it should.
    Stalled,
    /// The writer was busy at every look: each number is right by itself, but they may be of different moments.
    Torn,
    /// Seen for the first time: rates come with the next sample.
    New,
}

/// A named counter with its value and rate, for the detail pane and `log`.
#[derive(Debug, Clone, PartialEq)]
pub struct CounterView {
    /// The kernel's or the page's own name.
    pub name: String,
    /// Its value.
    pub value: u64,
    /// Change per second over the last interval.
    pub per_s: Option<f64>,
}

/// Bytes that the counter page and the kernel have counted over the same time: (page, kernel).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Together {
    /// Sent; `None` when one of the two is not known.
    pub tx: Option<(u64, u64)>,
    /// Received.
    pub rx: Option<(u64, u64)>,
}

/// The kernel's numbers for the same NIC, beside a counter page's.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelView {
    /// Which kernel source this is.
    pub source: SourceKind,
    /// What the kernel says was sent.
    pub tx: Flow,
    /// What the kernel says was received.
    pub rx: Flow,
    /// Both counters over the last half minute or so, to hold them against each other.
    pub together: Together,
}

/// A NIC as one row.
#[derive(Debug, Clone, PartialEq)]
pub struct NicView {
    /// Stable identity across samples (and across runs of the same PE), for selection and history.
    pub key: String,
    /// Device name (`rdmap79s0`, `mlx5_0`, `nic4`).
    pub device: String,
    /// Port number on the device; 1 for most.
    pub port: u8,
    /// Driver (`efa`, `mlx5_core`), or the libfabric provider for a counter page.
    pub driver: String,
    /// Network interface that carries it, where there is one.
    pub netdev: Option<String>,
    /// PCI address, where there is one.
    pub pci: Option<String>,
    /// NUMA node, where known.
    pub numa: Option<u16>,
    /// Line rate in bits per second, where known.
    pub link_bits_per_s: Option<u64>,
    /// The port's state as the kernel says it (`ACTIVE`, `DOWN`, …), where known.
    pub state: Option<String>,
    /// Which source the row's numbers come from.
    pub source: SourceKind,
    /// Sent.
    pub tx: Flow,
    /// Received.
    pub rx: Flow,
    /// Bytes posted and not yet done (counter pages only).
    pub in_flight_bytes: Option<u64>,
    /// The kernel's view of the same NIC, where both are known.
    pub kernel: Option<KernelView>,
    /// All counters of the row's source, by name.
    pub counters: Vec<CounterView>,
    /// How the numbers are to be read.
    pub marks: Vec<Mark>,
    /// Why something is missing, in a sentence.
    pub reason: Option<String>,
    /// When this device was read, on the monotonic clock.
    pub mono_ns: u64,
    /// The measured time since its previous good read.
    pub dt: Option<Duration>,
}

impl NicView {
    /// The port's state where it is anything but `ACTIVE`: such a port moves nothing.
    #[must_use]
    pub fn not_active(&self) -> Option<&str> {
        self.state.as_deref().filter(|&state| state != "ACTIVE")
    }
}

/// What ties the NICs of a group together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupKind {
    /// One PE of a job (counter pages).
    Pe,
    /// The NICs nearest to one GPU (PCI affinity).
    Gpu,
    /// All NICs of a node, when nothing finer is known.
    Node,
}

/// One direction of a group.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupFlow {
    /// Sum over the NICs whose rate is known.
    pub bytes_per_s: Option<f64>,
    /// NICs whose rate is not known.
    pub unread: usize,
    /// How evenly the NICs share it.
    pub spread: Spread,
}

/// NICs that should share one load.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupView {
    /// Stable identity, for selection and history.
    pub key: String,
    /// What ties it together.
    pub kind: GroupKind,
    /// Node or host the group is on.
    pub node: String,
    /// PE number within the job.
    pub pe: Option<u32>,
    /// GPU (PCI address), where known.
    pub gpu: Option<String>,
    /// Job the PE belongs to.
    pub job: Option<String>,
    /// Process id.
    pub pid: Option<u32>,
    /// NIC selection policy of the transport.
    pub policy: Option<String>,
    /// How the transport knows its Rx bytes (`CQE_LEN`, `IMM_LEN`, `LEDGER`).
    pub rx_source: Option<String>,
    /// Sent.
    pub tx: GroupFlow,
    /// Received.
    pub rx: GroupFlow,
    /// Its NICs, in the order of their rails.
    pub nics: Vec<NicView>,
    /// How the group's numbers are to be read (a dead page, …).
    pub marks: Vec<Mark>,
}

/// Something the person should know: a device that cannot be read, a page that is no page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notice {
    /// What it is about (`mlx5_1`, a path).
    pub subject: String,
    /// What is wrong and what can be done.
    pub text: String,
}

/// Everything known at one tick.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Wall clock, nanoseconds since 1970.
    pub realtime_ns: i128,
    /// Monotonic clock, nanoseconds.
    pub mono_ns: u64,
    /// Host name of the machine the monitor runs on.
    pub host: String,
    /// Nominal interval.
    pub interval: Duration,
    /// Groups in display order: node, then PE or GPU.
    pub groups: Vec<GroupView>,
    /// What is wrong, without repetition: with devices first.
    pub notices: Vec<Notice>,
    /// Why there is nothing to show, when there is nothing.
    pub nothing: Option<String>,
}
