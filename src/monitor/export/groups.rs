//! Families of groups: NICs that should share one load, and whether they do.
//!
//! These are gauges over the time since the read before, which is the scrape before where one scraper asks: a ratio of
//! rates cannot be made from one read, and which NICs belong together only railtop knows.

use super::family::{Families, Labels, Meta, gauge, gauge_in};
use super::{Options, pes};
use crate::balance::Verdict;
use crate::monitor::Tick;
use crate::monitor::model::view::{GroupFlow, GroupKind, GroupView};

const IMBALANCE: Meta = gauge_in(
    "rdma_group_imbalance_ratio",
    "ratio",
    "Busiest NIC of the group over the mean of all, since the read before: 1 is even, N is one NIC of N.",
);
const ACTIVE: Meta =
    gauge("rdma_group_active_nics", "NICs of the group that carried traffic since the read before.");
const NICS: Meta = gauge("rdma_group_nics", "NICs of the group.");
const THROUGHPUT: Meta = gauge_in(
    "rdma_group_throughput_bytes_per_second",
    "bytes_per_second",
    "What the group moved per second since the read before; an imbalance of next to nothing means nothing.",
);

/// Adds the families of all groups.
pub(super) fn add(out: &mut Families, tick: &Tick, options: &Options) {
    let devices = tick.view.groups.iter().filter(|group| group.kind != GroupKind::Pe);
    for group in pes::exported(tick, options).chain(devices) {
        let labels = labels(group);
        out.add(&NICS, &labels, Some(group.nics.len() as u64));
        for (direction, flow) in [("transmit", &group.tx), ("receive", &group.rx)] {
            one(out, &labels.clone().and("direction", direction), flow);
        }
    }
}

fn one(out: &mut Families, labels: &Labels, flow: &GroupFlow) {
    out.add(&IMBALANCE, labels, flow.spread.max_over_mean);
    out.add(&THROUGHPUT, labels, flow.bytes_per_s);
    let known = flow.spread.verdict != Verdict::Unknown;
    out.add(&ACTIVE, labels, known.then_some(flow.spread.active_nics as u64));
}

/// A group has the same labels on every read, and the host is the scraper's `instance`.
fn labels(group: &GroupView) -> Labels {
    let name = match (group.kind, group.pe, &group.gpu, group.numa) {
        (GroupKind::Pe, Some(pe), ..) => format!("PE {pe}"),
        (GroupKind::Gpu, _, Some(gpu), _) => format!("GPU {gpu}"),
        (GroupKind::Numa, .., Some(numa)) => format!("NUMA {numa}"),
        _ => "node".to_owned(),
    };
    let labels = Labels::none().and("group", &name);
    if group.kind != GroupKind::Pe {
        return labels;
    }
    labels
        .and_some("job_name", group.job.as_deref())
        .and("node_name", &group.node)
        .and_some("pe", group.pe.map(|pe| pe.to_string()).as_deref())
}
