//! How much memory a view takes, near enough to bound what is kept.

use std::mem::size_of;

use crate::monitor::model::view::{
    CounterView, Event, GpuView, GroupView, KernelView, NicView, Notice, NvLinkView, ProcessNic, ProcessView,
    View,
};
use crate::monitor::sample::NvLinkSample;

/// What the allocator adds to a piece, and what it rounds up.
const PIECE: usize = 16;

/// Bytes of a view and all it holds but its [`events`], which views share. What else they share (names and help of
/// counters) counts in each: more is estimated than used.
pub(super) fn of(view: &View) -> usize {
    let notices: usize =
        view.notices.iter().map(|n| size_of::<Notice>() + text(&n.subject) + text(&n.text)).sum();
    let processes = view.processes.iter().flat_map(|all| &all.processes).map(process);
    let gpus = view.gpus.iter().flat_map(|all| &all.gpus).map(gpu);
    size_of::<View>()
        + text(&view.host)
        + view.groups.iter().map(group).sum::<usize>()
        + notices
        + processes.sum::<usize>()
        + gpus.sum::<usize>()
}

/// Bytes of a list of events: a new one is made only when something happens, so most views have that of the one before.
pub(super) fn events(events: &[Event]) -> usize {
    events.iter().map(|e| size_of::<Event>() + text(&e.subject) + text(&e.text)).sum()
}

fn text(text: &str) -> usize {
    text.len() + PIECE
}

fn maybe(text: Option<&String>) -> usize {
    text.map_or(0, |text| text.len() + PIECE)
}

fn group(group: &GroupView) -> usize {
    let texts = [&group.gpu, &group.job, &group.policy, &group.rx_source];
    size_of::<GroupView>()
        + text(&group.key)
        + text(&group.node)
        + texts.into_iter().map(|text| maybe(text.as_ref())).sum::<usize>()
        + group.nics.iter().map(nic).sum::<usize>()
}

fn nic(nic: &NicView) -> usize {
    let texts =
        [&nic.netdev, &nic.pci, &nic.link_layer, &nic.phys_state, &nic.fw_ver, &nic.state, &nic.reason];
    size_of::<NicView>()
        + text(&nic.key)
        + text(&nic.device)
        + text(&nic.driver)
        + texts.into_iter().map(|text| maybe(text.as_ref())).sum::<usize>()
        + nic.gpus.iter().map(|gpu| size_of::<String>() + text(gpu)).sum::<usize>()
        + nic.kernel.as_ref().map_or(0, |_| size_of::<KernelView>() + PIECE)
        + nic.rx_windows.as_ref().map_or(0, |windows| windows.bytes.len() * size_of::<Option<u64>>())
        + nic.counters.len() * size_of::<CounterView>()
        + PIECE * 4
}

fn process(process: &ProcessView) -> usize {
    let sample = &process.sample;
    size_of::<ProcessView>()
        + text(&sample.command)
        + maybe(sample.user.as_ref())
        + sample.qps.keys().map(|device| size_of::<(String, u32)>() + text(device)).sum::<usize>()
        + process.traffic.iter().map(|nic| size_of::<ProcessNic>() + text(&nic.device)).sum::<usize>()
}

fn gpu(gpu: &GpuView) -> usize {
    size_of::<GpuView>()
        + gpu.nvlinks.len() * size_of::<NvLinkView>()
        + gpu
            .sample
            .nvlinks
            .iter()
            .map(|l| size_of::<NvLinkSample>() + maybe(l.remote.as_ref()))
            .sum::<usize>()
        + maybe(gpu.sample.name.as_ref())
        + maybe(gpu.sample.pci.as_ref())
        + maybe(gpu.sample.reason.as_ref())
}
