//! Who writes a page: the cold part, written once before the page becomes visible.

/// How a PE knows the payload bytes that arrived on each of its NICs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RxSource {
    /// Every put carries an immediate, and the length in the target's completion is valid.
    CqeLen,
    /// The length rides in the immediate itself (providers with 8 bytes of it).
    ImmLen,
    /// Senders ship their cumulative bytes per (receiver, NIC); exact as of the last synchronisation.
    Ledger,
    /// Not known: `rx_bytes` means nothing and must be shown as missing.
    #[default]
    None,
}

impl RxSource {
    /// `CQE_LEN`, `IMM_LEN`, `LEDGER` or `-`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CqeLen => "CQE_LEN",
            Self::ImmLen => "IMM_LEN",
            Self::Ledger => "LEDGER",
            Self::None => "-",
        }
    }

    pub(super) fn code(self) -> u32 {
        match self {
            Self::None => 0,
            Self::CqeLen => 1,
            Self::ImmLen => 2,
            Self::Ledger => 3,
        }
    }

    /// A source of a newer minor version reads as [`RxSource::None`].
    pub(super) fn from_code(code: u32) -> Self {
        match code {
            1 => Self::CqeLen,
            2 => Self::ImmLen,
            3 => Self::Ledger,
            _ => Self::None,
        }
    }
}

impl std::fmt::Display for RxSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Where the PE is in its life, in its own words. Whether it lives is [`super::Liveness`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PageState {
    /// Starting: bootstrap, connecting, self-tests.
    #[default]
    Init,
    /// Carrying traffic.
    Running,
    /// Waiting for the last operations before the end.
    Draining,
    /// Ended well; the values are final.
    Closed,
    /// Gave up; the values are final. Its page stays until it is reaped.
    Aborted,
}

impl PageState {
    /// Lower-case name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Closed => "closed",
            Self::Aborted => "aborted",
        }
    }

    pub(super) fn code(self) -> u32 {
        match self {
            Self::Init => 0,
            Self::Running => 1,
            Self::Draining => 2,
            Self::Closed => 3,
            Self::Aborted => 4,
        }
    }

    /// A state of a newer minor version reads as [`PageState::Running`].
    pub(super) fn from_code(code: u32) -> Self {
        match code {
            0 => Self::Init,
            2 => Self::Draining,
            3 => Self::Closed,
            4 => Self::Aborted,
            _ => Self::Running,
        }
    }
}

impl std::fmt::Display for PageState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// One NIC of a PE. Texts are empty where not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NicIdentity {
    /// libfabric domain: `rdmap79s0-rdm`, `eth0`. At most 64 bytes.
    pub domain: String,
    /// RDMA device as in `/sys/class/infiniband`: `rdmap79s0`, `mlx5_0`. At most 32 bytes.
    pub device: String,
    /// Network interface: `eth0`. At most 32 bytes.
    pub netdev: String,
    /// PCI address: `0000:4f:00.0`. At most 16 bytes.
    pub pci: String,
    /// NUMA node.
    pub numa: Option<u16>,
    /// Port of the device, from 1; 0 where ports have no meaning.
    pub port: u8,
    /// Line rate in bit/s.
    pub link_bits_per_s: Option<u64>,
    /// Index of the NIC within its PE; equal indices of different PEs are one rail.
    pub rail: u16,
}

/// What the caller of [`super::PageWriter::create`] says about itself.
///
/// Longer texts than the page has room for are cut at a character; control characters are dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageSpec {
    /// Host name. At most 64 bytes.
    pub host: String,
    /// Node of the cluster; in the lab many nodes share one host. At most 64 bytes.
    pub node: String,
    /// Job the PE belongs to (scheduler's id or the launcher's). At most 64 bytes.
    pub job: String,
    /// What runs: `bench alltoall`. At most 128 bytes.
    pub command: String,
    /// libfabric provider: `efa`, `tcp;ofi_rxm`. At most 32 bytes.
    pub provider: String,
    /// libfabric version: `1.17`. At most 16 bytes.
    pub library_version: String,
    /// PE number.
    pub rank: u32,
    /// Number of PEs of the job.
    pub world: u32,
    /// PE number within its node.
    pub local_rank: u32,
    /// NIC selection policy at the start. At most 32 bytes.
    pub policy: String,
    /// How Rx bytes are known, as far as is known at the start.
    pub rx_source: RxSource,
    /// PCI address of the PE's GPU. At most 16 bytes.
    pub gpu: String,
    /// The PE's NICs; 1 to [`super::MAX_NICS`].
    pub nics: Vec<NicIdentity>,
    /// Threads that publish NIC counters; 1 to [`super::MAX_THREADS`].
    pub threads: u16,
    /// Names of the counters that this writer does not count, so that readers take them for missing and not for 0. They are left out of the page's
    /// schema; those of 1.0, which older readers insist on, are marked there.
    pub uncounted: Vec<&'static str>,
    /// The writer looks on at a program that uses libfabric in its own ways, and so knows of its arrivals only what libfabric tells.
    pub onlooker: bool,
}

/// What a reader learns about the writer. Policy and Rx source can change and are in the snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageIdentity {
    /// Process id, in the writer's own PID namespace.
    pub pid: u32,
    /// Start of the process in clock ticks after boot (`/proc/PID/stat`, field 22).
    pub start_ticks: Option<u64>,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: Option<[u8; 16]>,
    /// Inode of the writer's PID namespace. `pid` is meaningful only to readers in the same one.
    pub pid_ns: Option<u64>,
    /// Inode of the writer's network namespace.
    pub net_ns: Option<u64>,
    /// Owner of the file, as the reader's kernel says. Not taken from the page.
    pub uid: u32,
    /// See [`PageSpec::host`].
    pub host: String,
    /// See [`PageSpec::node`].
    pub node: String,
    /// See [`PageSpec::job`].
    pub job: String,
    /// See [`PageSpec::command`].
    pub command: String,
    /// See [`PageSpec::provider`].
    pub provider: String,
    /// See [`PageSpec::library_version`].
    pub library_version: String,
    /// See [`PageSpec::rank`].
    pub rank: u32,
    /// See [`PageSpec::world`].
    pub world: u32,
    /// See [`PageSpec::local_rank`].
    pub local_rank: u32,
    /// See [`PageSpec::gpu`].
    pub gpu: String,
    /// When the page was made, nanoseconds since 1970.
    pub started_realtime_ns: u64,
    /// When the page was made, `CLOCK_MONOTONIC`.
    pub started_monotonic_ns: u64,
    /// The PE's NICs, in the order of the snapshot's counters.
    pub nics: Vec<NicIdentity>,
    /// Threads whose counters the snapshot adds up.
    pub threads: u16,
    /// See [`PageSpec::onlooker`].
    pub onlooker: bool,
    /// Layout version of the page: major and minor.
    pub abi: (u16, u16),
}
