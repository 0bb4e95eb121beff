//! Families of RDMA devices' ports: the device's own counters, all processes together.

use std::collections::HashSet;

use super::Options;
use super::family::{Families, Labels, Meta, bytes, counter, gauge, gauge_in, info};
use crate::monitor::Tick;
use crate::monitor::counter::{Class, Health, Kind, Unit};
use crate::monitor::model::view::{CounterView, Mark, NicView, SourceKind};

const TX_BYTES: Meta =
    bytes("rdma_port_transmit_bytes", "Bytes that the port has sent, as its driver counts them.");
const RX_BYTES: Meta =
    bytes("rdma_port_receive_bytes", "Bytes that the port has received, as its driver counts them.");
const TX_PACKETS: Meta = counter("rdma_port_transmit_packets", "Packets that the port has sent.");
const RX_PACKETS: Meta =
    counter("rdma_port_receive_packets", "Packets (on some devices messages) that the port has received.");
const DROPS: Meta = counter("rdma_port_dropped_packets", "Packets dropped, by the driver's counter of them.");
const RETRANSMITS: Meta = counter(
    "rdma_port_retransmit_packets",
    "Packets or requests sent again, or seen out of order, by the driver's counter of them.",
);
const RETRANSMIT_BYTES: Meta =
    bytes("rdma_port_retransmit_bytes", "Bytes sent again, by the driver's counter of them.");
const TIMEOUTS: Meta =
    counter("rdma_port_timeouts", "Times a peer did not answer in time, by the driver's counter of them.");
const CONGESTION: Meta = counter(
    "rdma_port_congestion_notifications",
    "Congestion notifications and marks, sent and received, by the driver's counter of them.",
);
const RAW: Meta = counter(
    "rdma_port_hw_counters",
    "Every counter of the port under the kernel's own name and in its own unit, unmodified.",
);
const RAW_VALUES: Meta = gauge(
    "rdma_port_hw_values",
    "What lies among the port's counters and goes up and down, or is a setting, unmodified.",
);
const SATURATED: Meta = gauge(
    "rdma_port_saturated_counters",
    "Counters of the port that stand at their maximum and count no more until somebody clears them.",
);
const LINK_RATE: Meta = gauge_in(
    "rdma_port_link_rate_bytes_per_second",
    "bytes_per_second",
    "Line rate of the port in each direction.",
);
const STATE: Meta = gauge(
    "rdma_port_state",
    "Logical state of the port: 1 down, 2 init, 3 armed, 4 active, 5 active with deferred errors.",
);
const PHYSICAL_STATE: Meta = gauge(
    "rdma_port_physical_state",
    "Physical state: 1 sleep, 2 polling, 3 disabled, 4 training, 5 link up, 6 error recovery, 7 test.",
);
const READABLE: Meta = gauge(
    "rdma_port_readable",
    "1 where the last read of the port gave its numbers, 0 where it failed or the device is gone, for as long as that is news.",
);
const DEVICE: Meta = info("rdma_device", "What is known about a device, for each of its ports.");

/// The rows of ports that are there, each once, those included that a counter page shows.
pub(super) fn rows(tick: &Tick) -> impl Iterator<Item = &NicView> {
    known(tick).filter(|row| !is_gone(row))
}

/// The same, and those that went away lately.
fn known(tick: &Tick) -> impl Iterator<Item = &NicView> {
    let groups = tick.view.groups.iter().flat_map(|group| &group.nics);
    let mut seen = HashSet::new();
    groups
        .chain(&tick.kernel_rows)
        // Interfaces below a page's NICs are in namespaces of their own, and no RDMA devices.
        .filter(|row| row.source != SourceKind::Page && !is_interface(row))
        .filter(move |row| seen.insert((row.device.as_str(), row.port)))
}

fn is_gone(row: &NicView) -> bool {
    row.marks.contains(&Mark::Gone)
}

/// Software RDMA's bytes are its interface's too, but it has a port with a state.
fn is_interface(row: &NicView) -> bool {
    row.source == SourceKind::Netdev && row.state.is_none() && row.link_layer.is_none()
}

/// Whether the row's numbers are of this read.
pub(super) fn is_live(row: &NicView) -> bool {
    !row.marks.iter().any(|mark| matches!(mark, Mark::Stale | Mark::Gone))
}

/// The labels of a row's port.
pub(super) fn labels(row: &NicView) -> Labels {
    labels_of(&row.device, row.port)
}

/// The labels of a port.
pub(super) fn labels_of(device: &str, port: u8) -> Labels {
    Labels::none().and("device", device).and("port", &port.to_string())
}

/// Adds the families of all ports.
pub(super) fn add(out: &mut Families, tick: &Tick, options: &Options) {
    for row in known(tick) {
        out.add(&READABLE, &labels(row), Some(is_live(row)));
        if !is_gone(row) {
            port(out, row, options);
        }
    }
}

fn port(out: &mut Families, row: &NicView, options: &Options) {
    let labels = labels(row);
    let device = labels
        .clone()
        .and("driver", &row.driver)
        .and_some("pci", row.pci.as_deref())
        .and_some("numa", row.numa.map(|numa| numa.to_string()).as_deref())
        .and_some("fw", row.fw_ver.as_deref())
        .and_some("link_layer", row.link_layer.as_deref())
        .and_some("netdev", row.netdev.as_deref())
        .and("gpu", &row.gpus.join(","))
        .and("source", row.source.name());
    out.add(&DEVICE, &device, Some(1_u64));
    // What a device that does not answer had before is not its state now.
    if !is_live(row) {
        return;
    }
    out.add(&STATE, &labels, row.state.as_deref().and_then(state));
    out.add(&PHYSICAL_STATE, &labels, row.phys_state.as_deref().and_then(physical_state));
    out.add(&LINK_RATE, &labels, row.link_bits_per_s.map(|bits| bits / 8));
    out.add(&TX_BYTES, &labels, row.tx.bytes);
    out.add(&RX_BYTES, &labels, row.rx.bytes);
    out.add(&TX_PACKETS, &labels, row.tx.ops);
    out.add(&RX_PACKETS, &labels, row.rx.ops);
    let saturated = row.counters.iter().filter(|c| c.saturated).count() as u64;
    out.add(&SATURATED, &labels, (!row.counters.is_empty()).then_some(saturated));
    for counter in &row.counters {
        one(out, &labels.clone().and("counter", counter.name()), counter, options);
    }
}

/// A counter under the quantity it feeds, and under its own name. Sums over counters are left to the query: when one of
/// them wraps or is cleared, a sum looks as if all had begun again, and a rate over it would have a spike.
fn one(out: &mut Families, labels: &Labels, counter: &CounterView, options: &Options) {
    let (desc, value) = (&counter.desc, Some(counter.value));
    match desc.feeds {
        Some(Health::Drops) => out.add(&DROPS, labels, value),
        Some(Health::Retransmits) => out.add(&RETRANSMITS, labels, value),
        Some(Health::Timeouts) => out.add(&TIMEOUTS, labels, value),
        Some(Health::Congestion) => out.add(&CONGESTION, labels, value),
        None if desc.class == Class::Loss && desc.unit == Unit::Bytes => {
            out.add(&RETRANSMIT_BYTES, labels, value);
        }
        None => {}
    }
    if options.raw {
        let raw = if matches!(desc.kind, Kind::Gauge | Kind::Setting) { &RAW_VALUES } else { &RAW };
        out.add(raw, labels, value);
    }
}

/// The number of a logical port state. Source: `enum ib_port_state` in the kernel's `rdma/ib_verbs.h`.
pub(super) fn state(name: &str) -> Option<u64> {
    position(&["NOP", "DOWN", "INIT", "ARMED", "ACTIVE", "ACTIVE_DEFER"], name)
}

/// The number of a physical port state. Source: `phys_state_to_str` in the kernel's `core/sysfs.c`.
pub(super) fn physical_state(name: &str) -> Option<u64> {
    let names = [
        "<unknown>",
        "Sleep",
        "Polling",
        "Disabled",
        "PortConfigurationTraining",
        "LinkUp",
        "LinkErrorRecovery",
        "Phy Test",
    ];
    position(&names, name).filter(|&number| number > 0)
}

fn position(names: &[&str], name: &str) -> Option<u64> {
    names.iter().position(|known| *known == name).map(|at| at as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_the_kernels_numbers() {
        assert_eq!((state("ACTIVE"), state("DOWN"), state("active")), (Some(4), Some(1), None));
        assert_eq!((physical_state("LinkUp"), physical_state("Disabled")), (Some(5), Some(3)));
        assert_eq!(physical_state("<unknown>"), None);
    }
}
