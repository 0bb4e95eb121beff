//! Families of counter pages: what one PE moved over each of its NICs.

use super::Options;
use super::family::{Families, Labels, Meta, bytes, counter, gauge, gauge_in, info};
use crate::monitor::Tick;
use crate::monitor::model::view::{CounterView, GroupKind, GroupView, Mark, NicView};

const TX_BYTES: Meta = bytes("rdma_pe_transmit_bytes", "Payload that the PE has sent over the NIC.");
const RX_BYTES: Meta = bytes("rdma_pe_receive_bytes", "Payload that arrived at the PE over the NIC.");
const TX_OPERATIONS: Meta = counter("rdma_pe_transmit_operations", "Puts of the PE over the NIC, done.");
const RX_OPERATIONS: Meta =
    counter("rdma_pe_receive_operations", "Puts that arrived at the PE over the NIC.");
const IN_FLIGHT: Meta = gauge_in("rdma_pe_in_flight_bytes", "bytes", "Payload posted and not yet done.");
const DOWN: Meta =
    gauge("rdma_pe_nic_down", "1 while the PE does without the NIC because it has failed, else 0.");
const PE: Meta = info("rdma_pe", "What is known about a PE of railtop's transport.");
const COUNT: Meta = gauge("railtop_pes", "Counter pages that are there, by how their writers are.");
const LEFT_OUT: Meta =
    gauge("railtop_pes_left_out", "Living PEs that are not exported, since there are more than --max-pes.");

/// Counters of a page's NIC that have a family of their own.
const OF_NIC: [(&str, Meta); 5] = [
    ("tx_errors", counter("rdma_pe_transmit_errors", "Operations of the PE over the NIC that failed.")),
    (
        "rx_errors",
        counter("rdma_pe_receive_errors", "Completions at the target that failed or made no sense."),
    ),
    ("tx_eagain", counter("rdma_pe_queue_full", "Times the provider said that its queue is full.")),
    ("failures", counter("rdma_pe_nic_failures", "Times the NIC failed and its work went over others.")),
    ("resent_bytes", bytes("rdma_pe_resent_bytes", "Payload sent once more, since a NIC had failed.")),
];

/// Counters of the PE as a whole that have one.
const OF_PE: [(&str, Meta); 2] = [
    (
        "local_bytes",
        bytes("rdma_pe_local_bytes", "Payload of puts to PEs of the same node, which pass no NIC."),
    ),
    ("gpu_posts", counter("rdma_pe_gpu_posts", "Puts, signals and quiets that GPU threads have posted.")),
];

/// The PEs to export: those that live, in their order, so that who is left out does not change from read to read.
pub(super) fn exported<'a>(tick: &'a Tick, options: &Options) -> impl Iterator<Item = &'a GroupView> {
    living(tick).take(options.max_pes)
}

fn living(tick: &Tick) -> impl Iterator<Item = &GroupView> {
    let groups = tick.view.groups.iter().filter(|group| group.kind == GroupKind::Pe);
    groups.filter(|group| !group.marks.contains(&Mark::Dead))
}

/// The labels that a PE has everywhere. Not `job` and not `instance`, which belong to the scraper.
fn labels(group: &GroupView) -> Labels {
    named(Labels::none(), group)
}

/// These labels, and with them those of a PE.
pub(super) fn named(labels: Labels, group: &GroupView) -> Labels {
    labels
        .and_some("job_name", group.job.as_deref())
        .and("node_name", &group.node)
        .and_some("pe", group.pe.map(|pe| pe.to_string()).as_deref())
}

/// Adds the families of the exported PEs.
pub(super) fn add(out: &mut Families, tick: &Tick, options: &Options) {
    for group in exported(tick, options) {
        let labels = labels(group);
        let info = labels
            .clone()
            .and_some("policy", group.policy.as_deref())
            .and_some("rx_source", group.rx_source.as_deref())
            .and_some("provider", group.nics.first().map(|nic| nic.driver.as_str()))
            .and_some("gpu", group.gpu.as_deref());
        out.add(&PE, &info, Some(1_u64));
        for (name, meta) in &OF_PE {
            out.add(meta, &labels, value(&group.counters, name));
        }
        for (rail, nic) in group.nics.iter().enumerate() {
            let labels = labels.clone().and("rail", &rail.to_string()).and("device", &nic.device);
            of_nic(out, &labels, nic);
        }
    }
    let pages = || tick.view.groups.iter().filter(|group| group.kind == GroupKind::Pe);
    let marked = |mark| pages().filter(|group| group.marks.contains(&mark)).count() as u64;
    let (dead, stalled) = (marked(Mark::Dead), marked(Mark::Stalled));
    let alive = pages().count() as u64 - dead - stalled;
    for (name, count) in [("alive", alive), ("stalled", stalled), ("dead", dead)] {
        out.add(&COUNT, &Labels::none().and("state", name), Some(count));
    }
    let left_out = living(tick).count().saturating_sub(options.max_pes) as u64;
    out.add(&LEFT_OUT, &Labels::none(), Some(left_out));
}

fn of_nic(out: &mut Families, labels: &Labels, nic: &NicView) {
    out.add(&TX_BYTES, labels, nic.tx.bytes);
    out.add(&RX_BYTES, labels, nic.rx.bytes);
    out.add(&TX_OPERATIONS, labels, nic.tx.ops);
    out.add(&RX_OPERATIONS, labels, nic.rx.ops);
    out.add(&IN_FLIGHT, labels, nic.in_flight_bytes);
    out.add(&DOWN, labels, nic.is_down());
    for (name, meta) in &OF_NIC {
        out.add(meta, labels, value(&nic.counters, name));
    }
}

/// The value of a counter, where it is there.
pub(super) fn value(counters: &[CounterView], name: &str) -> Option<u64> {
    counters.iter().find(|counter| counter.name() == name).map(|counter| counter.value)
}
