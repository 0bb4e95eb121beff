//! Families of groups: NICs that should share one load, and whether they do.
//!
//! These are gauges over the time since the read before, which is the scrape before where one scraper asks: a ratio of
//! rates cannot be made from one read, and which NICs belong together only railtop knows.

use std::collections::HashSet;

use super::family::{Families, Labels, Meta, gauge, gauge_in};
use super::{Options, pes};
use crate::balance::Verdict;
use crate::monitor::Tick;
use crate::monitor::model::group;
use crate::monitor::model::view::{GroupFlow, GroupKind, GroupView};

const IMBALANCE: Meta = gauge_in(
    "rdma_group_imbalance_ratio",
    "ratio",
    "Busiest NIC of the group over the mean of all, since the read before: 1 is even, N is one NIC of N. None while a NIC is unread.",
);
const ACTIVE: Meta =
    gauge("rdma_group_active_nics", "NICs of the group that carried traffic since the read before.");
const NICS: Meta = gauge("rdma_group_nics", "NICs of the group.");
const UNREAD: Meta = gauge(
    "rdma_group_unread_nics",
    "NICs of the group whose traffic since the read before is not known; while there is one, nothing is said of the whole group.",
);
const THROUGHPUT: Meta = gauge_in(
    "rdma_group_throughput_bytes_per_second",
    "bytes_per_second",
    "What the group moved per second since the read before; an imbalance of next to nothing means nothing. None while a NIC is unread.",
);

/// Adds the families of all groups.
pub(super) fn add(out: &mut Families, tick: &Tick, options: &Options) {
    for group in pes::exported(tick, options).chain(&devices(tick, options)) {
        let labels = labels(group);
        out.add(&NICS, &labels, Some(group.nics.len() as u64));
        for (direction, flow) in [("transmit", &group.tx), ("receive", &group.rx)] {
            one(out, &labels.clone().and("direction", direction), flow);
        }
    }
}

/// The groups of all devices but those that an exported PE shows. A page that is left out, or whose writer has died,
/// takes none out of its group.
fn devices(tick: &Tick, options: &Options) -> Vec<GroupView> {
    let keys: HashSet<&str> =
        pes::exported(tick, options).flat_map(|pe| &pe.nics).map(|nic| nic.key.as_str()).collect();
    let of_pes = tick.kernel_rows.iter().filter(|row| keys.contains(row.key.as_str()));
    let shown: HashSet<_> = of_pes.map(|row| (row.device.as_str(), row.port)).collect();
    let mut groups: Vec<GroupView> =
        tick.view.groups.iter().filter(|group| group.kind != GroupKind::Pe).cloned().collect();
    for covered in &tick.covered {
        let others = covered.nics.iter().filter(|nic| !shown.contains(&(nic.device.as_str(), nic.port)));
        let others: Vec<_> = others.cloned().collect();
        if others.is_empty() {
            continue;
        }
        let empty = || GroupView { nics: Vec::new(), ..covered.clone() };
        let place = groups.iter().position(|group| group.key == covered.key);
        let base = place.map_or_else(empty, |at| groups.swap_remove(at));
        groups.push(group::with(&base, others, tick.view.max_over_mean));
    }
    groups
}

fn one(out: &mut Families, labels: &Labels, flow: &GroupFlow) {
    out.add(&UNREAD, labels, Some(flow.unread as u64));
    // A part is neither the sum nor the mean of all.
    if flow.unread > 0 {
        return;
    }
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
    if group.kind == GroupKind::Pe { pes::named(labels, group) } else { labels }
}
