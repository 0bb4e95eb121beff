//! Views with other rates than they came with: averaged ones, and those of a moment of which nothing else is left.

use super::super::rows::RowKey;
use super::Point;
use crate::monitor::model::group;
use crate::monitor::model::view::{Flow, NicView, View};

/// The view with `point`'s rates in place of its own, and groups judged by these.
pub(in super::super) fn with(view: &View, point: impl Fn(&RowKey) -> Option<Point>) -> View {
    let mut view = view.clone();
    let max_over_mean = view.max_over_mean;
    for group in &mut view.groups {
        for nic in &mut group.nics {
            let point = point(&RowKey::Nic(group.key.clone(), nic.key.clone())).unwrap_or_default();
            let (tx_ops, rx_ops) = point.ops();
            set(&mut nic.tx, point.tx(), tx_ops);
            set(&mut nic.rx, point.rx(), rx_ops);
        }
        group.tx = group::flow(&group.nics, max_over_mean, |nic| nic.tx);
        group.rx = group::flow(&group.nics, max_over_mean, |nic| nic.rx);
    }
    view
}

fn set(flow: &mut Flow, bytes_per_s: Option<f32>, ops_per_s: Option<f32>) {
    flow.bytes_per_s = bytes_per_s.map(f64::from);
    flow.ops_per_s = ops_per_s.map(f64::from);
}

/// A view of the moment `mono_ns` that says nothing but `point`'s rates: its facts are those of `later`, whatever else
/// changes from tick to tick is missing.
pub(in super::super) fn alone(later: &View, mono_ns: u64, point: impl Fn(&RowKey) -> Option<Point>) -> View {
    let mut view = with(later, point);
    view.realtime_ns -= i128::from(later.mono_ns) - i128::from(mono_ns);
    view.mono_ns = mono_ns;
    (view.processes, view.gpus) = (None, None);
    view.events = view.events.iter().filter(|event| event.mono_ns <= mono_ns).cloned().collect();
    view.notices.clear();
    for group in &mut view.groups {
        group.marks.clear();
        group.nics.iter_mut().for_each(forget);
    }
    view
}

/// Takes from a NIC what belongs to another moment.
fn forget(nic: &mut NicView) {
    for flow in [&mut nic.tx, &mut nic.rx] {
        (flow.bytes, flow.ops) = (None, None);
    }
    (nic.kernel, nic.in_flight_bytes, nic.rx_windows, nic.dt, nic.state) = (None, None, None, None, None);
    nic.health = crate::monitor::counter::PerHealth::default();
    nic.counters.clear();
    nic.marks.clear();
    nic.reason = Some("of this moment only the rates are kept".to_owned());
}
