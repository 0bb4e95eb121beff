//! Made-up views that tell the article's story, for tests, screenshots and work on the screen itself.
//!
//! Every number follows from the tick: no clock, no random source, the same screen every time.

mod events;
mod gpus;
mod machine;
mod processes;
mod source;

use std::sync::Arc;
use std::time::Duration;

pub use machine::Machine;
pub use source::SyntheticSource;

use super::handles::CaptionHandle;
use crate::balance::DEFAULT_MAX_OVER_MEAN;
use crate::counters::{Field, FieldKind, PeCounts};
use crate::monitor::counter::{Desc, Kind, PerHealth};
use crate::monitor::model::group;
use crate::monitor::model::view::{
    CounterView, Flow, GroupKind, GroupView, KernelView, Mark, NicView, Notice, SourceKind, Together, View,
};
use crate::monitor::sample::Windows;

/// What can be made up for the whole screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Scene {
    /// A job that goes through the NIC selection policies.
    Story,
    /// A p5: 32 EFA NICs, 8 GPUs, processes, events.
    P5,
    /// Eight ConnectX NICs over Ethernet, one congested, one down.
    Roce,
}

impl Scene {
    /// A source of it. The story is that of `cluster` and sets `caption`.
    #[must_use]
    pub fn source(self, cluster: Cluster, ticks_per_shape: u64, caption: CaptionHandle) -> SyntheticSource {
        match self {
            Self::Story => SyntheticSource::new(cluster, ticks_per_shape, caption),
            Self::P5 => SyntheticSource::machine(Machine::p5(cluster.interval)),
            Self::Roce => SyntheticSource::machine(Machine::roce(cluster.interval)),
        }
    }
}

/// How an all-to-all's traffic falls onto the NICs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Nothing moves.
    Idle,
    /// NIC 0 does everything.
    Single,
    /// All NICs send; what a PE receives lands on one of them.
    RoundRobin,
    /// All NICs work, the first far more than the others.
    Skewed,
    /// All NICs send and receive alike over a second, but all senders meet on one NIC at a time.
    Colliding,
    /// All NICs send and receive alike.
    PairSeq,
}

impl Shape {
    /// The policy's name.
    #[must_use]
    pub fn policy(self) -> &'static str {
        match self {
            Self::Idle | Self::Single => "single",
            Self::RoundRobin | Self::Skewed | Self::Colliding => "round-robin",
            Self::PairSeq => "pair-seq",
        }
    }

    /// What to look at.
    #[must_use]
    pub fn caption(self) -> &'static str {
        match self {
            Self::Idle => "Nothing runs yet.",
            Self::Single => "Policy single: one NIC of each PE is busy, the others wait.",
            Self::RoundRobin => {
                "Policy round-robin: all NICs send, yet each PE receives on one NIC only.\n\
                 Look at Rx: max/mean 4, and no faster than a single NIC."
            }
            Self::Skewed => "The first NIC of each PE carries far more than the others.",
            Self::Colliding => {
                "Totals are even, yet at any moment all senders meet on one NIC: look at the short windows."
            }
            Self::PairSeq => "Policy pair-seq: all NICs send and receive alike, four times the bandwidth.",
        }
    }

    /// Share of line rate of one NIC of one PE, sent and received.
    fn shares(self, pe: usize, nic: usize, nics: usize) -> (f64, f64) {
        match self {
            Self::Idle => (0.0, 0.0),
            Self::Single => {
                let share = if nic == 0 { 0.97 } else { 0.0 };
                (share, share)
            }
            Self::RoundRobin => {
                let receives = pe % nics == nic;
                (0.97 / nics as f64, if receives { 0.97 } else { 0.0 })
            }
            Self::Skewed => {
                let share = if nic == 0 { 0.9 } else { 0.35 };
                (share, share)
            }
            Self::Colliding => (0.24, 0.24),
            Self::PairSeq => (0.96, 0.96),
        }
    }

    /// Bytes received in each of the 10 ms windows of a tick by a NIC that received `rate` bytes per second.
    fn windows(self, rate: f64, nic: usize, nics: usize, mono_ns: u64, interval: Duration) -> Windows {
        const WINDOW_NS: u64 = 10_000_000;
        let count = usize::try_from(interval.as_nanos() / u128::from(WINDOW_NS)).unwrap_or(100).clamp(1, 400);
        let bytes = |window: usize| {
            let share = match self {
                // Four windows on one NIC, then all go on to the next.
                Self::Colliding if window / 4 % nics == nic => nics as f64,
                Self::Colliding => 0.0,
                _ => 1.0 + ((window * 7 + nic * 3) as f64).sin() * 0.04,
            };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
            let bytes = (rate * share * WINDOW_NS as f64 / 1e9) as u64;
            Some(bytes)
        };
        Windows { window_ns: WINDOW_NS, end_mono_ns: mono_ns, bytes: (0..count).map(bytes).collect() }
    }
}

/// The size of the made-up machine.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Nodes.
    pub nodes: usize,
    /// PEs on each node.
    pub pes_per_node: usize,
    /// NICs of each PE.
    pub nics: usize,
    /// Line rate of a NIC in bits per second.
    pub link_bits_per_s: Option<u64>,
    /// Time between ticks.
    pub interval: Duration,
    /// Show every mark and some notices.
    pub troubles: bool,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            nodes: 2,
            pes_per_node: 4,
            nics: 4,
            link_bits_per_s: Some(200_000_000),
            interval: Duration::from_secs(1),
            troubles: false,
        }
    }
}

impl Cluster {
    /// The view at `tick` under `shape`. The first tick has no rates, as in real life.
    #[must_use]
    pub fn view(&self, shape: Shape, tick: u64) -> View {
        let interval_ns = u64::try_from(self.interval.as_nanos()).unwrap_or(1_000_000_000);
        let mono_ns = 60_000_000_000 + tick * interval_ns;
        let mut groups: Vec<GroupView> =
            (0..self.nodes * self.pes_per_node).map(|pe| self.group(shape, tick, pe, mono_ns)).collect();
        let mut notices = Vec::new();
        if self.troubles {
            troubles(&mut groups, &mut notices);
        }
        for group in &mut groups {
            group.tx = group::flow(&group.nics, DEFAULT_MAX_OVER_MEAN, |nic| nic.tx);
            group.rx = group::flow(&group.nics, DEFAULT_MAX_OVER_MEAN, |nic| nic.rx);
        }
        View {
            realtime_ns: 1_767_261_600_000_000_000 + i128::from(tick) * i128::from(interval_ns),
            max_over_mean: DEFAULT_MAX_OVER_MEAN,
            mono_ns,
            host: "gpu-node-7".to_owned(),
            interval: self.interval,
            groups,
            notices,
            nothing: None,
            processes: None,
            gpus: None,
            events: Arc::new([]),
            fleet: None,
        }
    }

    fn group(&self, shape: Shape, tick: u64, pe: usize, mono_ns: u64) -> GroupView {
        let nics: Vec<NicView> = (0..self.nics).map(|nic| self.nic(shape, tick, pe, nic, mono_ns)).collect();
        let idle = group::flow(&[], DEFAULT_MAX_OVER_MEAN, |nic| nic.tx);
        GroupView {
            key: format!("job-1/{pe}"),
            kind: GroupKind::Pe,
            node: format!("node{}", pe / self.pes_per_node),
            pe: u32::try_from(pe).ok(),
            gpu: None,
            numa: None,
            job: Some("alltoall-1".to_owned()),
            pid: u32::try_from(4200 + pe).ok(),
            policy: Some(shape.policy().to_owned()),
            rx_source: Some("LEDGER".to_owned()),
            tx: idle,
            rx: idle,
            nics,
            counters: pe_counters(tick, self.interval),
            marks: if tick == 0 { vec![Mark::New] } else { Vec::new() },
        }
    }

    fn nic(&self, shape: Shape, tick: u64, pe: usize, nic: usize, mono_ns: u64) -> NicView {
        let line = self.link_bits_per_s.unwrap_or(200_000_000) as f64 / 8.0;
        let (tx, rx) = shape.shares(pe, nic, self.nics);
        // A percent of jitter, in a pattern that never repeats on the screen.
        let wobble = 1.0 + ((tick as f64 * 1.7 + pe as f64 * 2.3 + nic as f64).sin()) * 0.01;
        let since = tick as f64 * self.interval.as_secs_f64();
        let flow = |share: f64, overhead: f64| {
            let rate = share * line * wobble * overhead;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
            let (bytes, ops) =
                ((share * line * overhead * since) as u64, (share * line * since / 65_536.0) as u64);
            Flow {
                bytes: Some(bytes),
                ops: Some(ops),
                bytes_per_s: (tick > 0).then_some(rate),
                ops_per_s: (tick > 0).then_some(rate / 65_536.0),
            }
        };
        let (tx_flow, rx_flow) = (flow(tx, 1.0), flow(rx, 1.0));
        let counter = |name: &'static str, value: Option<u64>, per_s: Option<f64>| CounterView {
            desc: Arc::new(Desc::unknown(name)),
            value: value.unwrap_or(0),
            per_s,
            saturated: false,
        };
        NicView {
            key: format!("nic{nic}"),
            device: format!("nic{nic}"),
            port: 1,
            driver: "tcp".to_owned(),
            netdev: Some(format!("p{pe}n{nic}")),
            pci: None,
            numa: None,
            link_bits_per_s: self.link_bits_per_s,
            link_overridden: false,
            link_layer: None,
            phys_state: None,
            fw_ver: None,
            gpus: Vec::new(),
            state: None,
            source: SourceKind::Page,
            counters: vec![
                counter("tx_bytes", tx_flow.bytes, tx_flow.bytes_per_s),
                counter("tx_ops", tx_flow.ops, tx_flow.ops_per_s),
                counter("rx_bytes", rx_flow.bytes, rx_flow.bytes_per_s),
                counter("rx_ops", rx_flow.ops, rx_flow.ops_per_s),
                counter("eagain", Some(tick * 3), (tick > 0).then_some(3.0)),
                counter("errors", Some(0), (tick > 0).then_some(0.0)),
            ],
            tx: tx_flow,
            rx: rx_flow,
            health: PerHealth::default(),
            rx_windows: rx_flow
                .bytes_per_s
                .map(|rate| shape.windows(rate, nic, self.nics, mono_ns, self.interval)),
            in_flight_bytes: Some(if tx > 0.0 { 262_144 } else { 0 }),
            kernel: Some(Box::new(KernelView {
                source: SourceKind::Netdev,
                tx: flow(tx, 1.02),
                rx: flow(rx, 1.02),
                together: Together {
                    tx: tx_flow.bytes.zip(flow(tx, 1.02).bytes),
                    rx: rx_flow.bytes.zip(flow(rx, 1.02).bytes),
                },
            })),
            marks: if tick == 0 { vec![Mark::New] } else { Vec::new() },
            reason: None,
            mono_ns,
            span_ns: 0,
            incarnation: 0,
            dt: (tick > 0).then_some(self.interval),
        }
    }
}

/// What a PE whose GPU posts counts as a whole: 400,000 posts a second, of 130 ns each in the proxy.
fn pe_counters(tick: u64, interval: Duration) -> Vec<CounterView> {
    let millis = tick * u64::try_from(interval.as_millis()).unwrap_or(1000);
    let counter = |field: &Field| {
        let per_s: u64 = match field.name {
            "gpu_posts" => 400_000,
            "gpu_post_ns" => 400_000 * 130,
            "gpu_stalls" => 2,
            "local_ops" => 100_000,
            "local_bytes" => 1_000_000_000,
            "proxy_loops" => 1_000_000,
            _ => 0,
        };
        let value = match field.name {
            "gpu_ring_used" => 37,
            "gpu_ring_size" => 16_384,
            _ => per_s * millis / 1000,
        };
        let kind = if field.kind == FieldKind::Counter { Kind::Monotonic64 } else { Kind::Gauge };
        let desc = Desc { kind, help: field.help.into(), ..Desc::unknown(field.name) };
        let per_s = (tick > 0 && kind == Kind::Monotonic64).then_some(per_s as f64);
        CounterView { desc: Arc::new(desc), value, per_s, saturated: false }
    };
    PeCounts::FIELDS.iter().map(counter).collect()
}

/// Takes the rates away, as a failed read does.
fn without_rates(nic: &mut NicView) {
    for flow in [&mut nic.tx, &mut nic.rx] {
        flow.bytes_per_s = None;
        flow.ops_per_s = None;
    }
    for counter in &mut nic.counters {
        counter.per_s = None;
    }
}

/// One of everything that can go wrong.
fn troubles(groups: &mut [GroupView], notices: &mut Vec<Notice>) {
    for (group, mark) in
        groups.iter_mut().zip([None, Some(Mark::Stale), Some(Mark::Dead), Some(Mark::Stalled)])
    {
        let Some(mark) = mark else {
            if let [first, second, third, ..] = group.nics.as_mut_slice() {
                first.marks = vec![Mark::Reset];
                without_rates(first);
                without_rates(second);
                second.marks = vec![Mark::Stale];
                second.reason = Some("cannot read hw_counters/tx_bytes: Invalid argument".to_owned());
                third.link_bits_per_s = None;
                if let Some(kernel) = &mut third.kernel {
                    kernel.tx.bytes_per_s = Some(0.0);
                    kernel.together.tx = Some((1_000_000_000, 0));
                    kernel.together.rx = Some((1_000_000_000, 1_600_000_000));
                    kernel.rx.bytes_per_s = third.rx.bytes_per_s.map(|rate| rate * 1.5 + 1e6);
                }
            }
            continue;
        };
        group.marks = vec![mark];
        if let (Mark::Stale, Some(nic)) = (mark, group.nics.last_mut()) {
            nic.state = Some("DOWN".to_owned());
        }
        for nic in &mut group.nics {
            nic.marks = vec![mark];
            without_rates(nic);
        }
    }
    notices.push(Notice {
        subject: "mlx5_1".to_owned(),
        text: "cannot read ports/1/counters/port_xmit_data: Permission denied; run as a user who may, or mount /sys"
            .to_owned(),
    });
    notices.push(Notice {
        subject: "/dev/shm/railtop-4711".to_owned(),
        text: "is no counter page: the magic number is missing".to_owned(),
    });
}
