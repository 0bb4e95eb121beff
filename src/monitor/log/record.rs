//! One line of a log, whatever its format: units are in the names, and what is missing is absent.

use std::collections::BTreeMap;

use serde::Serialize;

use super::timestamp;
use crate::monitor::Tick;
use crate::monitor::counter::{Health as Quantity, Kind, PerHealth};
use crate::monitor::model::view::{CounterView, GroupView, Mark, NicView, SourceKind, Tally};
use crate::monitor::table;

/// One NIC at one tick, by one source. The order of the fields is the order in JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Record<'a> {
    /// Wall clock of the tick, RFC 3339 in UTC with milliseconds.
    pub ts: String,
    /// Middle of this NIC's own read, monotonic clock; absent if it never answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mono_ns: Option<u64>,
    /// Measured time that the rates are over, since this NIC's previous good read; absent where there is none to compare with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dt_s: Option<f64>,
    /// Host the monitor runs on.
    pub host: &'a str,
    /// Device.
    pub dev: &'a str,
    /// Its port.
    pub port: u8,
    /// `page`, `sysfs` or `netdev`.
    pub source: &'static str,
    /// Job of the PE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<&'a str>,
    /// Node of the PE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<&'a str>,
    /// PE number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pe: Option<u32>,
    /// NIC selection policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<&'a str>,
    /// How the PE knows its received bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_source: Option<&'a str>,
    /// Driver, or libfabric provider.
    pub driver: &'a str,
    /// Network interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netdev: Option<&'a str>,
    /// Line rate, bits per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_bps: Option<u64>,
    /// Bytes sent so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_bytes: Option<u64>,
    /// Bytes received so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_bytes: Option<u64>,
    /// Bytes per second sent since the previous read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_bytes_per_s: Option<f64>,
    /// Bytes per second received since the previous read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_bytes_per_s: Option<f64>,
    /// Packets (or, of a page, operations) and their rates.
    #[serde(flatten)]
    pub count: Count,
    /// Bytes posted and not yet done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight_bytes: Option<u64>,
    /// The source's own counters under their own names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<&'a str, u64>,
    /// `new`, `reset`, `unsure`, `stale`, `gone`, `dead`, `stalled`, `torn`, `down`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<&'static str>,
    /// Why something is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// Ticks that were skipped since the previous one because the machine was too busy.
    #[serde(skip_serializing_if = "is_zero")]
    pub missed_ticks: u64,
    /// The port's state: `ACTIVE`, `DOWN`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'a str>,
    /// The port's physical state: `LinkUp`, `Polling`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phys_state: Option<&'a str>,
    /// `InfiniBand`, `Ethernet` or `Unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_layer: Option<&'a str>,
    /// Set where `rate_bps` is not what the kernel says, but set for this device or instance type.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rate_overridden: bool,
    /// How the NIC is: packets dropped, sent again, not answered in time, marked or held up for congestion.
    #[serde(flatten)]
    pub health: Health,
    /// Counters that have reached their maximum and count no more, under their own names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub saturated: Vec<&'a str>,
    /// Whether the PE does without the NIC because it has failed; absent where the page does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down: Option<bool>,
    /// How long the read took of which `mono_ns` is the middle; absent where it took no time that is known.
    #[serde(skip_serializing_if = "is_zero")]
    pub span_ns: u64,
}

/// The quantities that NICs of all drivers have in common: so far, and per second since the previous read.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Health {
    /// Packets dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drops: Option<u64>,
    /// Packets (or requests) sent again, or seen out of order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retransmits: Option<u64>,
    /// Times a peer did not answer in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<u64>,
    /// Congestion notifications and marks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub congestion: Option<u64>,
    /// Per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drops_per_s: Option<f64>,
    /// Per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retransmits_per_s: Option<f64>,
    /// Per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts_per_s: Option<f64>,
    /// Per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub congestion_per_s: Option<f64>,
}

impl Health {
    fn of(health: &PerHealth<Tally>) -> Self {
        let (drops, retransmits) = (health[Quantity::Drops], health[Quantity::Retransmits]);
        let (timeouts, congestion) = (health[Quantity::Timeouts], health[Quantity::Congestion]);
        Self {
            drops: drops.total,
            retransmits: retransmits.total,
            timeouts: timeouts.total,
            congestion: congestion.total,
            drops_per_s: drops.per_s,
            retransmits_per_s: retransmits.per_s,
            timeouts_per_s: timeouts.per_s,
            congestion_per_s: congestion.per_s,
        }
    }
}

/// Packets of a device or operations of a page: different things, so they have different names.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Count {
    /// Of a device or network interface.
    Packets {
        /// Packets sent.
        #[serde(skip_serializing_if = "Option::is_none")]
        tx_pkts: Option<u64>,
        /// Packets received.
        #[serde(skip_serializing_if = "Option::is_none")]
        rx_pkts: Option<u64>,
        /// Packets sent per second.
        #[serde(skip_serializing_if = "Option::is_none")]
        tx_pkts_per_s: Option<f64>,
        /// Packets received per second.
        #[serde(skip_serializing_if = "Option::is_none")]
        rx_pkts_per_s: Option<f64>,
    },
    /// Of a counter page.
    Operations {
        /// Operations done.
        #[serde(skip_serializing_if = "Option::is_none")]
        tx_ops: Option<u64>,
        /// Operations received.
        #[serde(skip_serializing_if = "Option::is_none")]
        rx_ops: Option<u64>,
        /// Operations done per second.
        #[serde(skip_serializing_if = "Option::is_none")]
        tx_ops_per_s: Option<f64>,
        /// Operations received per second.
        #[serde(skip_serializing_if = "Option::is_none")]
        rx_ops_per_s: Option<f64>,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// All records of a tick, those of the kernel beside the page's; only of `source`, if one is asked for.
#[must_use]
pub fn records(tick: &Tick, source: Option<SourceKind>, missed_ticks: u64) -> Vec<Record<'_>> {
    let mut all = Vec::new();
    for group in &tick.view.groups {
        for nic in &group.nics {
            let kernel =
                tick.kernel_rows.iter().filter(|k| nic.source == SourceKind::Page && k.key == nic.key);
            for row in std::iter::once(nic).chain(kernel) {
                if source.is_none_or(|s| comes_from(s, row)) {
                    all.push(Record { missed_ticks, ..Record::new(tick, group, row) });
                }
            }
        }
    }
    all
}

/// Whether a row is of the source asked for. Where an RDMA device's bytes are its network interface's, both are right.
fn comes_from(source: SourceKind, row: &NicView) -> bool {
    let stands_in = row.source == SourceKind::Netdev && table::of(Some(&row.driver)).software;
    row.source == source || (source == SourceKind::Sysfs && stands_in)
}

impl<'a> Record<'a> {
    fn new(tick: &'a Tick, group: &'a GroupView, nic: &'a NicView) -> Self {
        // A stale row's numbers were not read at this tick, so a log has none.
        let live = !nic.marks.iter().any(|m| matches!(m, Mark::Stale | Mark::Gone));
        let (tx, rx) = if live { (nic.tx, nic.rx) } else { Default::default() };
        let count = match nic.source {
            SourceKind::Page => Count::Operations {
                tx_ops: tx.ops,
                rx_ops: rx.ops,
                tx_ops_per_s: tx.ops_per_s,
                rx_ops_per_s: rx.ops_per_s,
            },
            SourceKind::Sysfs | SourceKind::Netlink | SourceKind::Netdev => Count::Packets {
                tx_pkts: tx.ops,
                rx_pkts: rx.ops,
                tx_pkts_per_s: tx.ops_per_s,
                rx_pkts_per_s: rx.ops_per_s,
            },
        };
        // A setting among the counters is none.
        let counters = nic.counters.iter().filter(|c| live && c.desc.kind != Kind::Setting);
        Self {
            ts: timestamp(tick.view.realtime_ns),
            mono_ns: (nic.mono_ns > 0).then_some(nic.mono_ns),
            dt_s: nic.dt.map(|dt| dt.as_secs_f64()),
            host: &tick.view.host,
            dev: &nic.device,
            port: nic.port,
            source: nic.source.name(),
            job: group.job.as_deref(),
            node: group.pe.map(|_| group.node.as_str()),
            pe: group.pe,
            policy: group.policy.as_deref(),
            rx_source: group.rx_source.as_deref(),
            driver: &nic.driver,
            netdev: nic.netdev.as_deref(),
            rate_bps: nic.link_bits_per_s,
            tx_bytes: tx.bytes,
            rx_bytes: rx.bytes,
            tx_bytes_per_s: tx.bytes_per_s,
            rx_bytes_per_s: rx.bytes_per_s,
            count,
            in_flight_bytes: nic.in_flight_bytes.filter(|_| live),
            counters: counters.map(|c| (c.name(), c.value)).collect(),
            flags: nic.marks.iter().map(|&m| flag(m)).collect(),
            reason: nic.reason.as_deref(),
            missed_ticks: 0,
            state: nic.state.as_deref(),
            phys_state: nic.phys_state.as_deref(),
            link_layer: nic.link_layer.as_deref(),
            rate_overridden: nic.link_overridden,
            health: if live { Health::of(&nic.health) } else { Health::default() },
            saturated: nic.counters.iter().filter(|c| live && c.saturated).map(CounterView::name).collect(),
            down: nic.is_down().filter(|_| live),
            span_ns: if live { nic.span_ns } else { 0 },
        }
    }
}

fn flag(mark: Mark) -> &'static str {
    match mark {
        Mark::Reset => "reset",
        Mark::Stale => "stale",
        Mark::Dead => "dead",
        Mark::Stalled => "stalled",
        Mark::Torn => "torn",
        Mark::New => "new",
        Mark::Unsure => "unsure",
        Mark::Gone => "gone",
        Mark::Down => "down",
    }
}
