//! Where everything lies in a page. `docs/counter-page.md` is the same in words.
//!
//! All integers are little-endian; offsets are in bytes.

/// `RAILTOP\0`, little-endian.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"RAILTOP\0");
/// Readers refuse another major version: the layout has changed.
pub const ABI_MAJOR: u16 = 1;
/// Readers accept any minor version: something was added.
pub const ABI_MINOR: u16 = 4;
/// Largest page a reader touches, in bytes.
pub const MAX_PAGE_BYTES: u64 = 16 << 20;
/// Most NICs of one PE.
pub const MAX_NICS: usize = 64;
/// Most publishing threads of one PE.
pub const MAX_THREADS: usize = 64;

pub(super) const HEADER_SIZE: usize = 4096;
/// Section records: every one starts on its own pair of cache lines, because processors prefetch
/// lines in pairs and a neighbour's stores would otherwise slow a writer down.
pub(super) const ALIGN: usize = 128;

/// Fixed places in the header.
pub(super) mod header {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const ABI_MAJOR: usize = 8;
    pub(crate) const ABI_MINOR: usize = 10;
    pub(crate) const HEADER_SIZE: usize = 12;
    pub(crate) const TOTAL_SIZE: usize = 16;
    pub(crate) const FEATURES: usize = 24;
    pub(crate) const PID: usize = 32;
    pub(crate) const UID: usize = 36;
    pub(crate) const START_TICKS: usize = 40;
    pub(crate) const BOOT_ID: usize = 48;
    pub(crate) const PID_NS: usize = 64;
    pub(crate) const NET_NS: usize = 72;
    pub(crate) const STARTED_REALTIME_NS: usize = 80;
    pub(crate) const STARTED_MONOTONIC_NS: usize = 88;
    pub(crate) const RANK: usize = 96;
    pub(crate) const WORLD: usize = 100;
    pub(crate) const LOCAL_RANK: usize = 104;
    pub(crate) const THREADS: usize = 108;
    pub(crate) const NICS: usize = 110;
    pub(crate) const SECTION_COUNT: usize = 112;
    // 116..128: zero in 1.0
    pub(crate) const HOST: (usize, usize) = (128, 64);
    pub(crate) const NODE: (usize, usize) = (192, 64);
    pub(crate) const JOB: (usize, usize) = (256, 64);
    pub(crate) const COMMAND: (usize, usize) = (320, 128);
    pub(crate) const PROVIDER: (usize, usize) = (448, 32);
    pub(crate) const LIBRARY_VERSION: (usize, usize) = (480, 16);
    pub(crate) const GPU: (usize, usize) = (496, 16);
    // 512..1024: zero in 1.0
    pub(crate) const SECTIONS: usize = 1024;
    pub(crate) const SECTION_ENTRY: usize = 32;
    pub(crate) const MAX_SECTIONS: usize = 64;
    // 3072..4096: zero in 1.0
}

/// A bit of the features: see `PageSpec::onlooker`.
pub(super) const FEATURE_ONLOOKER: u64 = 1;
/// A bit of the flags of a field: its writer does not count it.
pub(super) const FIELD_UNCOUNTED: u32 = 1;

/// Section kinds. Readers skip kinds they do not know.
pub(super) mod kind {
    pub(crate) const CONTROL: u32 = 1;
    pub(crate) const PROCESS_COUNTERS: u32 = 2;
    pub(crate) const NIC_INFO: u32 = 3;
    pub(crate) const NIC_COUNTERS: u32 = 4;
    pub(crate) const SCHEMA: u32 = 5;
}

// Every record that changes starts with a sequence word and a time word.
pub(super) const SEQ: usize = 0;
pub(super) const PUBLISHED_NS: usize = 8;
pub(super) const FIRST_FIELD: usize = 16;

pub(super) const CONTROL_STRIDE: usize = 128;
pub(super) const CONTROL_STATE: usize = 16;
pub(super) const CONTROL_RX_SOURCE: usize = 20;
pub(super) const CONTROL_POLICY_EPOCH: usize = 24;
pub(super) const CONTROL_POLICY: (usize, usize) = (32, 32);

pub(super) const PROCESS_STRIDE: usize = 128;
pub(super) const NIC_COUNTERS_STRIDE: usize = 256;

pub(super) const NIC_INFO_STRIDE: usize = 256;
/// What a `NIC_INFO` record of 1.0 takes; a reader needs at least this much.
pub(super) const NIC_INFO_LEN: usize = 160;
pub(super) const NIC_DOMAIN: (usize, usize) = (0, 64);
pub(super) const NIC_DEVICE: (usize, usize) = (64, 32);
pub(super) const NIC_NETDEV: (usize, usize) = (96, 32);
pub(super) const NIC_PCI: (usize, usize) = (128, 16);
pub(super) const NIC_NUMA: usize = 144;
pub(super) const NIC_RAIL: usize = 148;
pub(super) const NIC_PORT: usize = 150;
pub(super) const NIC_LINK_BITS_PER_S: usize = 152;

pub(super) const SCHEMA_STRIDE: usize = 64;
pub(super) const SCHEMA_SECTION: usize = 0;
pub(super) const SCHEMA_OFFSET: usize = 4;
pub(super) const SCHEMA_KIND: usize = 8;
pub(super) const SCHEMA_FLAGS: usize = 12;
pub(super) const SCHEMA_UNIT: usize = 16;
pub(super) const SCHEMA_UNIT_LEN: usize = 16;
pub(super) const SCHEMA_NAME: usize = 32;
pub(super) const SCHEMA_NAME_LEN: usize = 32;
pub(super) const MAX_SCHEMA_FIELDS: usize = 512;

/// One entry of the section table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) kind: u32,
    pub(super) stride: usize,
    pub(super) count: usize,
    pub(super) offset: usize,
}

impl Section {
    pub(super) fn bytes(&self) -> usize {
        self.stride.saturating_mul(self.count)
    }
}
