//! The structures and constants of `include/railtop.h`, field by field. `tests/c.rs` holds them to the header.

use std::ffi::c_char;

/// Major number of the ABI: another one is another library.
pub const ABI_MAJOR: u32 = 0;
/// Minor number of the ABI: a higher one has more.
pub const ABI_MINOR: u32 = 1;

/// Sample: `tx_bytes` was read.
pub const HAS_TX_BYTES: u32 = 0x1;
/// Sample: `rx_bytes` was read.
pub const HAS_RX_BYTES: u32 = 0x2;
/// Sample: first sight, or a gap.
pub const NEW: u32 = 0x100;
/// Sample: the counters began again.
pub const RESET: u32 = 0x200;
/// Sample: it could not be read.
pub const STALE: u32 = 0x400;
/// Sample: the writer of its page ended without a word.
pub const DEAD: u32 = 0x800;
/// Sample: the writer of its page does not publish.
pub const STALLED: u32 = 0x1000;
/// Sample: the numbers may be of different moments.
pub const TORN: u32 = 0x2000;
/// Sample: the device went away.
pub const GONE: u32 = 0x4000;
/// Sample: its PE does without it.
pub const DOWN: u32 = 0x8000;
/// See `RAILTOP_UNSURE`.
pub const UNSURE: u32 = 0x1_0000;

/// It went well.
pub const OK: i32 = 0;
/// An argument is wrong.
pub const E_ARGUMENT: i32 = 1;
/// The system refused something.
pub const E_SYSTEM: i32 = 2;
/// The sampler belongs to the parent.
pub const E_FORKED: i32 = 3;
/// It did not happen in time.
pub const E_TIMEOUT: i32 = 4;
/// It will not happen.
pub const E_ENDED: i32 = 5;
/// A bug.
pub const E_BUG: i32 = 6;

/// `CLOCK_MONOTONIC`.
pub const CLOCK_MONOTONIC: i32 = 1;
/// `CLOCK_REALTIME`.
pub const CLOCK_REALTIME: i32 = 2;

/// `railtop_options`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The caller's `sizeof`.
    pub size: usize,
    /// Where sysfs lies.
    pub sysfs_root: *const c_char,
    /// Names or patterns, separated by commas.
    pub devices: *const c_char,
    /// The only source to take.
    pub source: *const c_char,
    /// Time between samples.
    pub interval_ns: u64,
    /// Most samples kept.
    pub capacity: u64,
}

/// `railtop_status`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Status {
    /// The caller's `sizeof`.
    pub size: usize,
    /// Time between samples.
    pub interval_ns: u64,
    /// Rounds of reads.
    pub ticks: u64,
    /// Rounds left out.
    pub missed_ticks: u64,
    /// Samples that are kept.
    pub samples: u64,
    /// Samples that made room.
    pub lost_samples: u64,
    /// Balances that made room.
    pub lost_balances: u64,
    /// NICs seen.
    pub nics: u32,
    /// Groups seen.
    pub groups: u32,
    /// Whether the thread samples.
    pub running: u32,
    /// 0.
    pub reserved: u32,
}

/// `railtop_nic`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Nic {
    /// The caller's `sizeof`.
    pub size: usize,
    /// Identity.
    pub key: *const c_char,
    /// Device name.
    pub device: *const c_char,
    /// Kernel driver or provider.
    pub driver: *const c_char,
    /// Where the numbers come from.
    pub source: *const c_char,
    /// PCI address.
    pub pci: *const c_char,
    /// Network interface.
    pub netdev: *const c_char,
    /// Line rate, NaN when unknown.
    pub link_bits_per_s: f64,
    /// NUMA node or -1.
    pub numa: i32,
    /// Port.
    pub port: u32,
    /// Group.
    pub group: u32,
    /// 0.
    pub reserved: u32,
}

/// `railtop_group`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// The caller's `sizeof`.
    pub size: usize,
    /// Identity.
    pub key: *const c_char,
    /// What it is called.
    pub name: *const c_char,
    /// What ties it together.
    pub kind: *const c_char,
    /// Host.
    pub node: *const c_char,
    /// GPU.
    pub gpu: *const c_char,
    /// NUMA node or -1.
    pub numa: i32,
    /// PE or -1.
    pub pe: i32,
}

/// `railtop_sample`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Number of the NIC.
    pub nic: u32,
    /// `RAILTOP_HAS_*` and marks.
    pub flags: u32,
    /// The middle of the read on `CLOCK_MONOTONIC`.
    pub mono_ns: u64,
    /// `CLOCK_REALTIME` minus `CLOCK_MONOTONIC` at that tick.
    pub wall_minus_mono_ns: i64,
    /// Since the read before, 0 without rates.
    pub dt_ns: u64,
    /// Sent.
    pub tx_bytes: u64,
    /// Received.
    pub rx_bytes: u64,
    /// Sent per second, or NaN.
    pub tx_bytes_per_s: f64,
    /// Received per second, or NaN.
    pub rx_bytes_per_s: f64,
}

/// `railtop_balance`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Balance {
    /// Number of the group.
    pub group: u32,
    /// NICs in it.
    pub nics: u32,
    /// When the tick began, on `CLOCK_MONOTONIC`.
    pub mono_ns: u64,
    /// `CLOCK_REALTIME` minus `CLOCK_MONOTONIC` at that tick.
    pub wall_minus_mono_ns: i64,
    /// Sum of what is known, or NaN.
    pub tx_bytes_per_s: f64,
    /// Sum of what is known, or NaN.
    pub rx_bytes_per_s: f64,
    /// Busiest over mean, or NaN.
    pub tx_max_over_mean: f64,
    /// Busiest over mean, or NaN.
    pub rx_max_over_mean: f64,
}
