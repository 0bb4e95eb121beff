//! What lies in the payloads, as Protocol Buffers: the Rust side of `docs/recording.md`.
//!
//! Kept apart from [`crate::monitor::sample`], so that a change there is a decision here. New fields get new
//! numbers; a number is never used again. Unknown fields and kinds of record are skipped by readers.

use prost::Message;

/// Kinds of records.
pub mod kind {
    pub const HEADER: u32 = 1;
    pub const TICK: u32 = 2;
    pub const DESC: u32 = 16;
    pub const SHAPE: u32 = 17;
    pub const PORT: u32 = 18;
    pub const PAGE: u32 = 19;
    pub const PROCESSES: u32 = 20;
    pub const GPU: u32 = 21;
    pub const MISSING: u32 = 22;
    pub const REMARKS: u32 = 23;
}

/// First record of a part.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Header {
    #[prost(string, tag = "1")]
    pub tool_version: String,
    #[prost(string, tag = "2")]
    pub host: String,
    #[prost(string, optional, tag = "3")]
    pub boot_id: Option<String>,
    /// The same in all parts of a recording; another one when the file was appended to.
    #[prost(fixed64, tag = "4")]
    pub recording: u64,
    #[prost(uint32, tag = "5")]
    pub part: u32,
    /// When the recording (not the part) began, on three clocks.
    #[prost(int64, tag = "6")]
    pub realtime_ns: i64,
    #[prost(uint64, tag = "7")]
    pub mono_ns: u64,
    #[prost(uint64, tag = "8")]
    pub boottime_ns: u64,
    #[prost(uint64, tag = "9")]
    pub interval_ns: u64,
    #[prost(uint32, tag = "10")]
    pub page_size: u32,
    /// What `--source` and `--device` asked for.
    #[prost(uint32, optional, tag = "11")]
    pub source: Option<u32>,
    #[prost(string, optional, tag = "12")]
    pub device: Option<String>,
}

/// A dictionary record: ticks of the same part name what it defines by its number.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Define {
    #[prost(uint32, tag = "1")]
    pub id: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub body: Vec<u8>,
}

/// When a tick was, and nothing else of it: for the index.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct TickTime {
    #[prost(int64, tag = "1")]
    pub realtime_ns: i64,
    #[prost(uint64, tag = "2")]
    pub mono_ns: u64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Tick {
    #[prost(int64, tag = "1")]
    pub realtime_ns: i64,
    #[prost(uint64, tag = "2")]
    pub mono_ns: u64,
    #[prost(uint64, tag = "3")]
    pub interval_ns: u64,
    #[prost(uint64, tag = "4")]
    pub missed: u64,
    #[prost(message, repeated, tag = "5")]
    pub ports: Vec<Port>,
    #[prost(message, repeated, tag = "6")]
    pub pages: Vec<Page>,
    #[prost(uint32, tag = "7")]
    pub processes: u32,
    #[prost(message, optional, tag = "8")]
    pub gpus: Option<Gpus>,
    #[prost(message, repeated, tag = "9")]
    pub changes: Vec<Change>,
    #[prost(uint32, tag = "10")]
    pub remarks: u32,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Port {
    #[prost(uint32, tag = "1")]
    pub facts: u32,
    #[prost(uint32, tag = "2")]
    pub source: u32,
    #[prost(message, optional, tag = "3")]
    pub reading: Option<Reading>,
    #[prost(string, optional, tag = "4")]
    pub error: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Reading {
    /// Relative to the tick.
    #[prost(sint64, tag = "1")]
    pub after_ns: i64,
    #[prost(uint64, tag = "2")]
    pub incarnation: u64,
    #[prost(uint64, optional, tag = "3")]
    pub tx_bytes: Option<u64>,
    #[prost(uint64, optional, tag = "4")]
    pub rx_bytes: Option<u64>,
    #[prost(uint64, optional, tag = "5")]
    pub tx_ops: Option<u64>,
    #[prost(uint64, optional, tag = "6")]
    pub rx_ops: Option<u64>,
    #[prost(uint32, tag = "7")]
    pub shape: u32,
    /// In the order of the shape's descriptions.
    #[prost(uint64, repeated, tag = "8")]
    pub values: Vec<u64>,
    #[prost(uint32, tag = "9")]
    pub missing: u32,
    #[prost(bool, tag = "10")]
    pub late: bool,
    /// How well the moment is known; 0 in recordings of before there was this.
    #[prost(uint64, tag = "11")]
    pub span_ns: u64,
    #[prost(uint64, tag = "12")]
    pub rest_ns: u64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Page {
    #[prost(uint32, tag = "1")]
    pub facts: u32,
    #[prost(uint32, tag = "2")]
    pub state: u32,
    /// As many as the facts have.
    #[prost(message, repeated, tag = "3")]
    pub nics: Vec<PageNic>,
    /// What belongs to the PE and to none of them.
    #[prost(message, optional, tag = "4")]
    pub own: Option<Reading>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct PageNic {
    #[prost(message, optional, tag = "1")]
    pub reading: Option<Reading>,
    #[prost(uint64, optional, tag = "2")]
    pub in_flight_bytes: Option<u64>,
    #[prost(bool, tag = "3")]
    pub torn: bool,
    #[prost(message, optional, tag = "4")]
    pub netdev: Option<Reading>,
    #[prost(string, optional, tag = "5")]
    pub netdev_error: Option<String>,
    #[prost(message, optional, tag = "6")]
    pub rx_windows: Option<Windows>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Windows {
    #[prost(uint64, tag = "1")]
    pub window_ns: u64,
    #[prost(sint64, tag = "2")]
    pub end_after_ns: i64,
    /// 0 where the window was not seen.
    #[prost(uint64, repeated, tag = "3")]
    pub bytes: Vec<u64>,
    /// Positions of the windows that were not seen.
    #[prost(uint32, repeated, tag = "4")]
    pub unseen: Vec<u32>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Gpus {
    #[prost(message, repeated, tag = "1")]
    pub gpus: Vec<Gpu>,
    #[prost(string, optional, tag = "2")]
    pub nothing: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Gpu {
    #[prost(uint32, tag = "1")]
    pub facts: u32,
    #[prost(sint64, tag = "2")]
    pub after_ns: i64,
    #[prost(uint32, optional, tag = "3")]
    pub busy_percent: Option<u32>,
    #[prost(uint64, optional, tag = "4")]
    pub memory_used_bytes: Option<u64>,
    #[prost(uint64, optional, tag = "5")]
    pub memory_total_bytes: Option<u64>,
    #[prost(uint32, optional, tag = "6")]
    pub celsius: Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    pub milliwatts: Option<u32>,
    /// As many as the facts have.
    #[prost(message, repeated, tag = "8")]
    pub nvlinks: Vec<NvLink>,
    #[prost(uint64, tag = "9")]
    pub span_ns: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct NvLink {
    #[prost(uint64, optional, tag = "1")]
    pub tx_bytes: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    pub rx_bytes: Option<u64>,
}

/// `to` alone: added. `from` alone: removed. Both: renamed.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Change {
    #[prost(string, optional, tag = "1")]
    pub from: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub to: Option<String>,
}

// What dictionary records hold.

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Desc {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(uint32, tag = "2")]
    pub kind: u32,
    /// Of a saturating counter.
    #[prost(uint32, tag = "3")]
    pub bits: u32,
    #[prost(uint32, tag = "4")]
    pub class: u32,
    #[prost(uint32, tag = "5")]
    pub unit: u32,
    #[prost(uint32, tag = "6")]
    pub feeds: u32,
    #[prost(string, tag = "7")]
    pub help: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Shape {
    #[prost(uint32, repeated, tag = "1")]
    pub descs: Vec<u32>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct PortFacts {
    #[prost(string, tag = "1")]
    pub device: String,
    #[prost(uint32, tag = "2")]
    pub port: u32,
    #[prost(string, optional, tag = "3")]
    pub driver: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub netdev: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub pci: Option<String>,
    #[prost(uint32, optional, tag = "6")]
    pub numa: Option<u32>,
    #[prost(uint64, optional, tag = "7")]
    pub link_bits_per_s: Option<u64>,
    #[prost(bool, tag = "8")]
    pub link_overridden: bool,
    #[prost(string, optional, tag = "9")]
    pub link_layer: Option<String>,
    #[prost(string, optional, tag = "10")]
    pub state: Option<String>,
    #[prost(string, optional, tag = "11")]
    pub phys_state: Option<String>,
    #[prost(string, optional, tag = "12")]
    pub fw_ver: Option<String>,
    #[prost(string, repeated, tag = "13")]
    pub gpus: Vec<String>,
    #[prost(uint64, tag = "14")]
    pub gpus_in_all: u64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct PageFacts {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub job: String,
    #[prost(string, tag = "3")]
    pub node: String,
    #[prost(uint32, tag = "4")]
    pub pe: u32,
    #[prost(uint32, tag = "5")]
    pub pid: u32,
    #[prost(string, optional, tag = "6")]
    pub gpu: Option<String>,
    #[prost(string, tag = "7")]
    pub command: String,
    #[prost(string, tag = "8")]
    pub provider: String,
    #[prost(string, optional, tag = "9")]
    pub policy: Option<String>,
    #[prost(string, optional, tag = "10")]
    pub rx_source: Option<String>,
    #[prost(message, repeated, tag = "11")]
    pub nics: Vec<PageNicFacts>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct PageNicFacts {
    #[prost(uint64, tag = "1")]
    pub index: u64,
    #[prost(string, tag = "2")]
    pub device: String,
    #[prost(uint32, tag = "3")]
    pub port: u32,
    #[prost(string, optional, tag = "4")]
    pub pci: Option<String>,
    #[prost(uint32, optional, tag = "5")]
    pub numa: Option<u32>,
    #[prost(string, optional, tag = "6")]
    pub netdev: Option<String>,
    #[prost(uint64, optional, tag = "7")]
    pub link_bits_per_s: Option<u64>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Processes {
    #[prost(uint64, tag = "1")]
    pub mono_ns: u64,
    #[prost(message, repeated, tag = "2")]
    pub list: Vec<Process>,
    #[prost(message, repeated, tag = "3")]
    pub kernel_qps: Vec<Qps>,
    #[prost(message, repeated, tag = "4")]
    pub hidden_qps: Vec<Qps>,
    #[prost(string, optional, tag = "5")]
    pub reason: Option<String>,
    #[prost(message, repeated, tag = "6")]
    pub pages: Vec<PageWriter>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct PageWriter {
    #[prost(string, tag = "1")]
    pub page: String,
    #[prost(uint32, tag = "2")]
    pub pid: u32,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Process {
    #[prost(uint32, tag = "1")]
    pub pid: u32,
    #[prost(string, optional, tag = "2")]
    pub user: Option<String>,
    #[prost(uint32, optional, tag = "3")]
    pub uid: Option<u32>,
    #[prost(string, tag = "4")]
    pub command: String,
    #[prost(uint64, optional, tag = "5")]
    pub resident_bytes: Option<u64>,
    #[prost(uint32, optional, tag = "6")]
    pub threads: Option<u32>,
    #[prost(message, repeated, tag = "7")]
    pub qps: Vec<Qps>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Qps {
    #[prost(string, tag = "1")]
    pub device: String,
    #[prost(uint32, tag = "2")]
    pub count: u32,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct GpuFacts {
    #[prost(uint32, tag = "1")]
    pub index: u32,
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub pci: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub reason: Option<String>,
    #[prost(message, repeated, tag = "5")]
    pub nvlinks: Vec<NvLinkFacts>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct NvLinkFacts {
    #[prost(uint32, tag = "1")]
    pub link: u32,
    #[prost(bool, tag = "2")]
    pub active: bool,
    #[prost(string, optional, tag = "3")]
    pub remote: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Missing {
    #[prost(message, repeated, tag = "1")]
    pub counters: Vec<MissingCounter>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct MissingCounter {
    #[prost(string, tag = "1")]
    pub counter: String,
    #[prost(string, optional, tag = "2")]
    pub place: Option<String>,
    #[prost(string, tag = "3")]
    pub reason: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Remarks {
    #[prost(message, repeated, tag = "1")]
    pub notices: Vec<Notice>,
    #[prost(string, repeated, tag = "2")]
    pub nothing: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Notice {
    #[prost(string, tag = "1")]
    pub subject: String,
    #[prost(string, tag = "2")]
    pub text: String,
}
