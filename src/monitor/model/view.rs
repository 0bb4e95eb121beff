//! What a screen, a log line or a check is made from: rates derived from two adjacent samples, grouped.
//!
//! Everything that may be unknown is an `Option`; a rate is unknown at first sight, after a reset and over a gap.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::remote::RemoteView;
use crate::balance::Spread;
use crate::monitor::counter::{Desc, PerHealth};
use crate::monitor::sample::{GpuSample, ProcessSample, Windows};
use crate::monitor::table;

/// Where a number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SourceKind {
    /// A counter page of railtop's transport: payload of one PE on one NIC.
    Page,
    /// The RDMA device's own counters in sysfs: all processes together.
    Sysfs,
    /// The RDMA device's own counters over RDMA netlink: all processes together.
    Netlink,
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
            Self::Netlink => "netlink",
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
    /// A read took so long that it is not known well enough of when its numbers are: some rates, or all, come later.
    Unsure,
    /// The device went away; these are its last numbers.
    Gone,
    /// Its PE does without it because it has failed; its work goes over the others.
    Down,
}

impl Mark {
    /// What it is, in words: why a row may have no rate.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Reset => "the counters began again",
            Self::Stale => "it could not be read",
            Self::Dead => "its process ended without a word",
            Self::Stalled => "its process does not publish",
            Self::Torn => "its process was busy",
            Self::New => "first sight, or a gap",
            Self::Unsure => "reading it took too long for a rate",
            Self::Gone => "the device is gone",
            Self::Down => "it has failed, and its PE does without it",
        }
    }
}

/// A named counter with its value and rate, for the detail pane and `log`.
#[derive(Debug, Clone, PartialEq)]
pub struct CounterView {
    /// What it is: name, kind, class, help.
    pub desc: Arc<Desc>,
    /// Its value.
    pub value: u64,
    /// Change per second over the last interval.
    pub per_s: Option<f64>,
    /// It has reached its maximum and counts no more.
    pub saturated: bool,
}

impl CounterView {
    /// The kernel's or the page's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.desc.name
    }
}

/// A health quantity: the sum of the counters that feed it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tally {
    /// So far; `None` when the source has no such counter.
    pub total: Option<u64>,
    /// Per second over the last interval.
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
    /// Whether the line rate was set for this device or instance type, against what the kernel says.
    pub link_overridden: bool,
    /// `InfiniBand`, `Ethernet` or `Unknown`, where known.
    pub link_layer: Option<String>,
    /// `LinkUp`, `Polling`, …, where known.
    pub phys_state: Option<String>,
    /// Firmware version, where known.
    pub fw_ver: Option<String>,
    /// PCI addresses of the nearest GPUs.
    pub gpus: Vec<String>,
    /// The port's state as the kernel says it (`ACTIVE`, `DOWN`, …), where known.
    pub state: Option<String>,
    /// Which source the row's numbers come from.
    pub source: SourceKind,
    /// Sent.
    pub tx: Flow,
    /// Received.
    pub rx: Flow,
    /// Drops, retransmits, timeouts, congestion.
    pub health: PerHealth<Tally>,
    /// Bytes posted and not yet done (counter pages only).
    pub in_flight_bytes: Option<u64>,
    /// Bytes received in each short window since the tick before (counter pages, where asked for).
    pub rx_windows: Option<Windows>,
    /// The kernel's view of the same NIC, where both are known. In a box, since most NICs have none and many views are kept.
    pub kernel: Option<Box<KernelView>>,
    /// All counters of the row's source, by name.
    pub counters: Vec<CounterView>,
    /// How the numbers are to be read.
    pub marks: Vec<Mark>,
    /// Why something is missing, in a sentence.
    pub reason: Option<String>,
    /// When this device was read, on the monotonic clock.
    pub mono_ns: u64,
    /// How long the read took of which that is the middle.
    pub span_ns: u64,
    /// Changes when the counters belong to something new under an old name: a restarted PE, another device.
    pub incarnation: u64,
    /// The measured time that its rates are over: since its previous good read, or the last whose moment is known well.
    pub dt: Option<Duration>,
}

impl NicView {
    /// Whether its driver has no counter of bytes at all. Such a NIC says nothing about how a load is shared.
    #[must_use]
    pub fn counts_no_bytes(&self) -> bool {
        self.source != SourceKind::Page
            && self.tx.bytes.is_none()
            && self.rx.bytes.is_none()
            && table::of(Some(&self.driver)).counts_no_bytes()
    }

    /// The port's state where it is anything but `ACTIVE`: such a port moves nothing.
    #[must_use]
    pub fn not_active(&self) -> Option<&str> {
        self.state.as_deref().filter(|&state| state != "ACTIVE")
    }

    /// Whether it is known why it carries nothing: its port is not active, or its PE does without it. Such a NIC is not
    /// slow, and nobody is to look for a reason.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.not_active().is_some() || self.marks.contains(&Mark::Down)
    }
}

/// What ties the NICs of a group together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupKind {
    /// One PE of a job (counter pages).
    Pe,
    /// The NICs nearest to one GPU (PCI affinity).
    Gpu,
    /// The NICs of one NUMA node, where GPUs do not tell them apart.
    Numa,
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
    /// How the known rates are distributed; `None` when none is known.
    pub distribution: Option<Distribution>,
    /// Busiest NIC over mean in windows of some milliseconds, the 99th percentile over the last seconds: beyond
    /// `spread` where the NICs share the total but not each moment. `None` where windows are not looked at.
    pub window_max_over_mean: Option<f64>,
}

/// How the rates of a group's NICs are distributed, in bytes per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distribution {
    /// The slowest NIC's.
    pub min: f64,
    /// The middle one's, or the mean of the two in the middle.
    pub median: f64,
    /// The fastest NIC's.
    pub max: f64,
    /// Jain's fairness index, (sum x)^2 / (n sum x^2): 1 = even, 1/n = one NIC of n. `None` when nothing moves.
    /// Source: R. Jain, D. Chiu, W. Hawe, DEC-TR-301 (1984).
    pub jain: Option<f64>,
    /// Position in the group of a NIC that is far slower than the others, when it is exactly one (see
    /// [`slow`](super::distribution::slow)); those that are [out](NicView::is_out) are not looked at.
    pub slow: Option<usize>,
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
    /// GPU (PCI address), where known; several with commas, where NICs are shared by them.
    pub gpu: Option<String>,
    /// NUMA node, where that is what ties the group together.
    pub numa: Option<u16>,
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
    /// What a PE counts as a whole: barriers, the proxy's turns, what its GPU posts. Empty for other groups.
    pub counters: Vec<CounterView>,
}

impl GroupView {
    /// What it is called among the groups of its node: `PE 3`, `GPU 53:00.0`, `NUMA 1`, or the node itself.
    #[must_use]
    pub fn short_name(&self) -> String {
        match (self.kind, self.pe, &self.gpu) {
            (GroupKind::Pe, Some(pe), _) => format!("PE {pe}"),
            (GroupKind::Gpu, _, Some(gpu)) => format!("GPU {}", gpu.strip_prefix("0000:").unwrap_or(gpu)),
            (GroupKind::Numa, ..) => {
                self.numa.map_or_else(|| self.node.clone(), |numa| format!("NUMA {numa}"))
            }
            _ => self.node.clone(),
        }
    }

    /// What it is called among the groups of all nodes: `node0 PE 3`, `node0 GPU 0000:53:00.0`, `node0`.
    #[must_use]
    pub fn name(&self) -> String {
        match (self.pe, &self.gpu) {
            (Some(pe), _) => format!("{} PE {pe}", self.node),
            (None, Some(gpu)) => format!("{} GPU {gpu}", self.node),
            (None, None) => self.node.clone(),
        }
    }
}

/// Something the person should know: a device that cannot be read, a page that is no page.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Notice {
    /// What it is about (`mlx5_1`, a path).
    pub subject: String,
    /// What is wrong and what can be done.
    pub text: String,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A port's state is not `ACTIVE` any more.
    LinkDown,
    /// A port's state is `ACTIVE` again.
    LinkUp,
    /// A device's counters began again.
    Reset,
    /// A device appeared that was not there at the start.
    Added,
    /// A device went away.
    Gone,
    /// A device that had gone is there again.
    Back,
    /// A device has another name.
    Renamed,
    /// A device stopped to answer.
    Silent,
    /// A device answers again.
    Answers,
    /// Retransmissions, drops or timeouts began.
    LossBegins,
    /// They have ended.
    LossEnds,
    /// A counter reached its maximum.
    Saturated,
    /// A group's NICs do not share the load any more.
    ImbalanceBegins,
    /// They do again.
    ImbalanceEnds,
    /// A NIC of a PE failed, and its work goes over the others.
    NicFailed,
    /// A NIC of a PE that had failed is used again.
    NicUsedAgain,
    /// A PE ended without a word.
    PeDied,
}

impl EventKind {
    /// The name in logs (`link_down`, …).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LinkDown => "link_down",
            Self::LinkUp => "link_up",
            Self::Reset => "reset",
            Self::Added => "added",
            Self::Gone => "gone",
            Self::Back => "back",
            Self::Renamed => "renamed",
            Self::Silent => "silent",
            Self::Answers => "answers",
            Self::LossBegins => "loss_begins",
            Self::LossEnds => "loss_ends",
            Self::Saturated => "saturated",
            Self::ImbalanceBegins => "imbalance_begins",
            Self::ImbalanceEnds => "imbalance_ends",
            Self::NicFailed => "nic_failed",
            Self::NicUsedAgain => "nic_used_again",
            Self::PeDied => "pe_died",
        }
    }
}

/// How urgent an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Look at it when you can.
    Warning,
    /// Something is broken.
    Bad,
}

impl Severity {
    /// The name in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// Something that happened between two ticks, told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Wall clock of the tick that saw it, nanoseconds since 1970.
    pub realtime_ns: i128,
    /// Monotonic clock of the same tick.
    pub mono_ns: u64,
    /// What happened.
    pub kind: EventKind,
    /// How urgent it is.
    pub severity: Severity,
    /// To what (`mlx5_1`, `node0 PE 3`).
    pub subject: String,
    /// In words, with numbers.
    pub text: String,
}

/// A process with queue pairs, and what its NICs moved where a counter page tells.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessView {
    /// The process.
    pub sample: ProcessSample,
    /// Bytes sent and received by device, from the counter page of the process.
    pub traffic: Vec<ProcessNic>,
}

/// What a process moved over one NIC.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessNic {
    /// Device.
    pub device: String,
    /// Sent.
    pub tx: Flow,
    /// Received.
    pub rx: Flow,
}

/// Who uses the devices.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProcessesView {
    /// Those with most queue pairs first.
    pub processes: Vec<ProcessView>,
    /// Queue pairs of the kernel itself, summed over the devices.
    pub kernel_qps: u32,
    /// Queue pairs whose process cannot be seen from here.
    pub hidden_qps: u32,
    /// Why nothing, or not everything, is known.
    pub reason: Option<String>,
}

/// Rates of one NVLink.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct NvLinkView {
    /// Link number.
    pub link: u32,
    /// Whether it is up.
    pub active: bool,
    /// Sent.
    pub tx: Flow,
    /// Received.
    pub rx: Flow,
}

/// A GPU with the rates of its links.
#[derive(Debug, Clone, PartialEq)]
pub struct GpuView {
    /// What NVML said.
    pub sample: GpuSample,
    /// Sent over all links.
    pub tx: Flow,
    /// Received over all links.
    pub rx: Flow,
    /// Its links, by number.
    pub nvlinks: Vec<NvLinkView>,
}

/// The GPUs, or why there are none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GpusView {
    /// By index.
    pub gpus: Vec<GpuView>,
    /// Why there are none.
    pub nothing: Option<String>,
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
    /// The limit under which groups were judged: busiest NIC over mean.
    pub max_over_mean: f64,
    /// Groups in display order: node, then PE or GPU.
    pub groups: Vec<GroupView>,
    /// What is wrong, without repetition: with devices first.
    pub notices: Vec<Notice>,
    /// Why there is nothing to show, when there is nothing.
    pub nothing: Option<String>,
    /// Who holds queue pairs; `None` when nobody asked.
    pub processes: Option<ProcessesView>,
    /// GPUs; `None` when nobody asked.
    pub gpus: Option<GpusView>,
    /// The latest events, oldest first.
    pub events: Arc<[Event]>,
    /// The nodes, where they are watched from afar; `None` for a monitor of its own machine.
    pub fleet: Option<Arc<[RemoteView]>>,
}
