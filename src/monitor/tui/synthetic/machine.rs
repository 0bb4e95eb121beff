//! Made-up machines as sysfs, netlink and NVML would show them: a p5 with 32 EFA NICs, a RoCE box that is congested.

use std::sync::Arc;
use std::time::Duration;

use super::{events, gpus, processes};
use crate::balance::DEFAULT_MAX_OVER_MEAN;
use crate::monitor::counter::{Class, Desc, Health, Kind, PerHealth, Unit};
use crate::monitor::model::group;
use crate::monitor::model::view::{
    CounterView, Flow, GroupKind, GroupView, NicView, Notice, SourceKind, Tally, View,
};

/// A machine with GPUs and the NICs nearest to each.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Time between ticks.
    pub interval: Duration,
    efa: bool,
    gpus: usize,
    nics_per_gpu: usize,
    link_bits_per_s: u64,
}

impl Machine {
    /// A p5: 8 GPUs with 4 EFA NICs of 100 Gb/s each, one of which is slow and retransmits.
    #[must_use]
    pub fn p5(interval: Duration) -> Self {
        Self { interval, efa: true, gpus: 8, nics_per_gpu: 4, link_bits_per_s: 100_000_000_000 }
    }

    /// Eight ConnectX NICs of 400 Gb/s over Ethernet, one congested, one down.
    #[must_use]
    pub fn roce(interval: Duration) -> Self {
        Self { interval, efa: false, gpus: 8, nics_per_gpu: 1, link_bits_per_s: 400_000_000_000 }
    }

    /// The view at `tick`; the first has no rates.
    #[must_use]
    pub fn view(&self, tick: u64) -> View {
        let interval_ns = u64::try_from(self.interval.as_nanos()).unwrap_or(1_000_000_000);
        let mono_ns = 60_000_000_000 + tick * interval_ns;
        let realtime_ns = 1_767_261_600_000_000_000 + i128::from(tick) * i128::from(interval_ns);
        let mut groups: Vec<GroupView> = (0..self.gpus).map(|gpu| self.group(tick, gpu, mono_ns)).collect();
        if !self.efa {
            // One NIC per GPU has nobody to share with: the machine is the group.
            let nics = groups.drain(..).flat_map(|group| group.nics).collect();
            groups.push(self.make_group(tick, GroupKind::Node, None, nics));
        }
        for group in &mut groups {
            group.tx = group::flow(&group.nics, DEFAULT_MAX_OVER_MEAN, |nic| nic.tx);
            group.rx = group::flow(&group.nics, DEFAULT_MAX_OVER_MEAN, |nic| nic.rx);
        }
        let devices: Vec<String> =
            groups.iter().flat_map(|group| &group.nics).map(|nic| nic.device.clone()).collect();
        let notices = if self.efa {
            Vec::new()
        } else {
            vec![Notice {
                subject: "mlx5_7".to_owned(),
                text: "port 1 is DOWN (Polling): nothing answers at the other end of the cable".to_owned(),
            }]
        };
        View {
            realtime_ns,
            mono_ns,
            host: if self.efa { "p5-node-3" } else { "roce-node-1" }.to_owned(),
            interval: self.interval,
            max_over_mean: crate::balance::DEFAULT_MAX_OVER_MEAN,
            groups,
            notices,
            nothing: None,
            processes: Some(processes::make(&devices, tick)),
            gpus: Some(gpus::make(self.gpus, tick)),
            events: events::make(mono_ns, realtime_ns, &devices),
            fleet: None,
        }
    }

    fn group(&self, tick: u64, gpu: usize, mono_ns: u64) -> GroupView {
        let nics = (0..self.nics_per_gpu).map(|nic| self.nic(tick, gpu, nic, mono_ns)).collect();
        self.make_group(tick, GroupKind::Gpu, Some(gpus::pci(gpu)), nics)
    }

    fn make_group(&self, tick: u64, kind: GroupKind, gpu: Option<String>, nics: Vec<NicView>) -> GroupView {
        let idle = group::flow(&[], DEFAULT_MAX_OVER_MEAN, |nic| nic.tx);
        let node = if self.efa { "p5-node-3" } else { "roce-node-1" };
        GroupView {
            key: format!("gpu/{}", gpu.as_deref().unwrap_or("all")),
            kind,
            node: node.to_owned(),
            pe: None,
            gpu,
            numa: None,
            job: None,
            pid: None,
            policy: None,
            rx_source: None,
            tx: idle,
            rx: idle,
            nics,
            counters: Vec::new(),
            marks: if tick == 0 { vec![crate::monitor::model::view::Mark::New] } else { Vec::new() },
        }
    }

    fn nic(&self, tick: u64, gpu: usize, nic: usize, mono_ns: u64) -> NicView {
        let number = gpu * self.nics_per_gpu + nic;
        let line = self.link_bits_per_s as f64 / 8.0;
        let slow = self.efa && (gpu, nic) == (2, 1);
        let down = !self.efa && number == 7;
        let share = match (slow, down) {
            (_, true) => 0.0,
            (true, _) => 0.27,
            _ => 0.88 + ((tick as f64 * 1.3 + number as f64 * 2.1).sin()) * 0.06,
        };
        let seconds = tick as f64 * self.interval.as_secs_f64();
        let flow = |share: f64| {
            let rate = share * line;
            Flow {
                bytes: Some(whole(rate * seconds)),
                ops: Some(whole(rate * seconds / 8_192.0)),
                bytes_per_s: (tick > 0).then_some(rate),
                ops_per_s: (tick > 0).then_some(rate / 8_192.0),
            }
        };
        let (tx, rx) = (flow(share), flow(share * 0.99));
        let device =
            if self.efa { format!("rdmap{}s0", 79 + gpu * 17 + nic) } else { format!("mlx5_{number}") };
        let faults = if slow { 120.0 } else { 0.0 };
        let congested = if !self.efa && number == 2 { 5_400.0 } else { 0.0 };
        let mut health = PerHealth::<Tally>::default();
        for (quantity, rate) in [
            (Health::Drops, 0.0),
            (Health::Retransmits, faults),
            (Health::Timeouts, 0.0),
            (Health::Congestion, congested),
        ] {
            if self.efa && quantity == Health::Congestion {
                continue;
            }
            let total = Some(whole(rate * seconds));
            health[quantity] = Tally { total, per_s: (tick > 0).then_some(rate) };
        }
        NicView {
            key: format!("{device}/1"),
            port: 1,
            driver: if self.efa { "efa" } else { "mlx5_core" }.to_owned(),
            netdev: (!self.efa).then(|| format!("ens{number}f0np0")),
            pci: Some(format!("0000:{:02x}:00.0", 0x4f + number)),
            numa: Some(u16::from(gpu >= self.gpus / 2)),
            link_bits_per_s: Some(self.link_bits_per_s),
            link_overridden: self.efa,
            link_layer: Some(if self.efa { "Unspecified" } else { "Ethernet" }.to_owned()),
            phys_state: Some(if down { "Polling" } else { "LinkUp" }.to_owned()),
            fw_ver: Some(if self.efa { "0.0.0.0" } else { "28.39.1002" }.to_owned()),
            gpus: vec![gpus::pci(gpu)],
            state: Some(if down { "DOWN" } else { "ACTIVE" }.to_owned()),
            source: SourceKind::Sysfs,
            counters: self.counters(tick, [&tx, &rx], faults, congested, seconds),
            tx,
            rx,
            health,
            in_flight_bytes: None,
            rx_windows: None,
            kernel: None,
            marks: if tick == 0 { vec![crate::monitor::model::view::Mark::New] } else { Vec::new() },
            reason: None,
            mono_ns,
            span_ns: 0,
            incarnation: 0,
            dt: (tick > 0).then_some(self.interval),
            device,
        }
    }

    fn counters(
        &self,
        tick: u64,
        [tx, rx]: [&Flow; 2],
        faults: f64,
        congested: f64,
        seconds: f64,
    ) -> Vec<CounterView> {
        let rate = |rate: Option<f64>| rate.filter(|_| tick > 0);
        let counter = |(name, class, kind, help): (&'static str, Class, Kind, &'static str), value, per_s| {
            CounterView {
                desc: Arc::new(Desc {
                    class,
                    kind,
                    unit: Unit::Count,
                    help: help.into(),
                    ..Desc::unknown(name)
                }),
                value,
                per_s: rate(per_s),
                saturated: kind.maximum() == Some(value),
            }
        };
        let traffic = |name| (name, Class::Traffic, Kind::Monotonic64, "Work that was done.");
        let mut all = vec![
            counter(traffic("tx_bytes"), tx.bytes.unwrap_or(0), tx.bytes_per_s),
            counter(traffic("tx_pkts"), tx.ops.unwrap_or(0), tx.ops_per_s),
            counter(traffic("rx_bytes"), rx.bytes.unwrap_or(0), rx.bytes_per_s),
            counter(traffic("rx_pkts"), rx.ops.unwrap_or(0), rx.ops_per_s),
        ];
        let sent_again = "Packets sent again because no acknowledgement came in time.";
        let not_read =
            "Receive buffers were missing when packets came: the program does not post enough of them.";
        if self.efa {
            all.extend([
                counter(("rx_drops", Class::Loss, Kind::Monotonic64, not_read), 0, Some(0.0)),
                counter(
                    ("retrans_pkts", Class::Loss, Kind::Monotonic64, sent_again),
                    whole(faults * seconds),
                    Some(faults),
                ),
                counter(
                    ("rdma_read_wr_err", Class::Error, Kind::Monotonic64, "Reads that failed."),
                    0,
                    Some(0.0),
                ),
                counter(
                    (
                        "lifespan",
                        Class::Neutral,
                        Kind::Setting,
                        "For how long the kernel keeps values, in ms.",
                    ),
                    10,
                    None,
                ),
            ]);
        } else {
            let asked = "The other end asked this NIC to slow down.";
            all.extend([
                counter(("out_of_buffer", Class::Loss, Kind::Monotonic64, not_read), 17, Some(0.0)),
                counter(
                    ("rp_cnp_handled", Class::Congestion, Kind::Monotonic64, asked),
                    whole(congested * seconds),
                    Some(congested),
                ),
                counter(
                    ("symbol_error", Class::Error, Kind::Saturating(16), "Errors on the cable."),
                    65_535,
                    Some(0.0),
                ),
            ]);
        }
        all
    }
}

fn whole(value: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
    let whole = value as u64;
    whole
}
