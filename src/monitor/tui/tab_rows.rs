//! The rows of the tabs that are tables: groups, processes, events, GPUs.

use std::cmp::Reverse;

use super::rows::{self, Row, RowKey, RowKind, Sort};
use super::summary::Direction;
use crate::monitor::model::remote::{self, Badness, Entry};
use crate::monitor::model::view::{Event, Flow, GpuView, ProcessView, View};

/// Two lines per group, one a direction, always together.
pub(super) fn groups(view: &View, sort: Sort, filter: &str) -> Vec<Row> {
    let of = |row: Row| match row.kind {
        RowKind::Group { group, .. } => Some(group),
        _ => None,
    };
    rows::build(view, sort, filter, |_| true)
        .into_iter()
        .filter_map(of)
        .flat_map(|group| {
            [Direction::Tx, Direction::Rx].map(|direction| Row {
                key: RowKey::Way(view.groups[group].key.clone(), direction),
                kind: RowKind::Way { group, direction },
            })
        })
        .collect()
}

/// A line per group of every node, and one for each node that has none.
pub(super) fn fleet(view: &View, sort: Sort, filter: &str) -> Vec<Row> {
    let Some(nodes) = &view.fleet else { return Vec::new() };
    let needle = filter.trim().to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&needle);
    let mut found: Vec<(Badness, [Option<f64>; 3], Row)> = Vec::new();
    for (badness, entry) in remote::entries(view) {
        let (Entry::Node(at) | Entry::Group(at, _)) = entry;
        let node = &nodes[at];
        let named = has(&node.name) || has(&node.place) || has(node.state.word());
        let (matches, values, row) = match entry {
            Entry::Node(at) => {
                let row = Row { key: RowKey::Remote(node.name.clone()), kind: RowKind::Remote(at) };
                (node.reason.as_deref().is_some_and(has), [None; 3], row)
            }
            Entry::Group(_, index) => {
                let group = &view.groups[index];
                let ratio = remote::worst_ratio(group).map(|(ratio, _)| ratio);
                let kind = RowKind::Group { group: index, folded: true };
                let row = Row { key: RowKey::Group(group.key.clone()), kind };
                let matches = has(&remote::words(group)) || rows::matching(group, &needle).is_some();
                (matches, [group.tx.bytes_per_s, group.rx.bytes_per_s, ratio], row)
            }
        };
        if needle.is_empty() || named || matches {
            found.push((badness, values, row));
        }
    }
    // Stable: rows that are alike stay in the order of the nodes.
    let by = |values: &[Option<f64>; 3], which: usize| values[which].unwrap_or(-1.0);
    match sort {
        Sort::Natural => {}
        Sort::Tx => found.sort_by(|a, b| by(&b.1, 0).total_cmp(&by(&a.1, 0))),
        Sort::Rx => found.sort_by(|a, b| by(&b.1, 1).total_cmp(&by(&a.1, 1))),
        Sort::Imbalance => found.sort_by(|a, b| by(&b.1, 2).total_cmp(&by(&a.1, 2))),
        _ => found.sort_by_key(|(badness, ..)| *badness),
    }
    found.into_iter().map(|(.., row)| row).collect()
}

/// A line per process.
pub(super) fn processes(view: &View, sort: Sort, filter: &str) -> Vec<Row> {
    let Some(all) = &view.processes else { return Vec::new() };
    let mut found = select(&all.processes, filter, |process, has| {
        let sample = &process.sample;
        has(&sample.pid.to_string())
            || has(&sample.command)
            || sample.user.as_deref().is_some_and(has)
            || sample.qps.keys().any(|device| has(device))
    });
    match sort {
        Sort::Pid => found.sort_by_key(|(_, process)| process.sample.pid),
        Sort::Memory => found.sort_by_key(|(_, process)| Reverse(process.sample.resident_bytes)),
        Sort::Tx => descending(&mut found, |process| total(process, Direction::Tx).bytes_per_s),
        Sort::Rx => descending(&mut found, |process| total(process, Direction::Rx).bytes_per_s),
        _ => found.sort_by_key(|(_, process)| Reverse(queue_pairs(process))),
    }
    let row = |(index, process): (usize, &ProcessView)| Row {
        key: RowKey::Process(process.sample.pid),
        kind: RowKind::Process(index),
    };
    found.into_iter().map(row).collect()
}

/// All queue pairs of a process.
pub(super) fn queue_pairs(process: &ProcessView) -> u32 {
    process.sample.qps.values().fold(0, |sum, &count| sum.saturating_add(count))
}

/// What a process moves over all its NICs, as far as counter pages tell.
pub(super) fn total(process: &ProcessView, direction: Direction) -> Flow {
    let flows = process.traffic.iter().map(|nic| match direction {
        Direction::Tx => nic.tx,
        Direction::Rx => nic.rx,
    });
    flows.fold(Flow::default(), |sum, flow| Flow {
        bytes: either(sum.bytes, flow.bytes, u64::saturating_add),
        ops: either(sum.ops, flow.ops, u64::saturating_add),
        bytes_per_s: either(sum.bytes_per_s, flow.bytes_per_s, |a, b| a + b),
        ops_per_s: either(sum.ops_per_s, flow.ops_per_s, |a, b| a + b),
    })
}

fn either<T>(a: Option<T>, b: Option<T>, add: fn(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(add(a, b)),
        (a, b) => a.or(b),
    }
}

/// A line per event.
pub(super) fn events(view: &View, sort: Sort, filter: &str) -> Vec<Row> {
    let mut found =
        select(&view.events, filter, |event: &Event, has| has(&event.subject) || has(&event.text));
    match sort {
        Sort::NewestFirst => found.reverse(),
        Sort::Severity => found.sort_by_key(|(index, event)| (Reverse(event.severity), Reverse(*index))),
        _ => {}
    }
    // What happened to the same subject in the same tick is told apart by its words.
    let row = |(index, event): (usize, &Event)| Row {
        key: RowKey::Event(event.mono_ns, format!("{}\n{}", event.subject, event.text)),
        kind: RowKind::Event(index),
    };
    found.into_iter().map(row).collect()
}

/// A line per GPU.
pub(super) fn gpus(view: &View, sort: Sort, filter: &str) -> Vec<Row> {
    let Some(all) = &view.gpus else { return Vec::new() };
    let mut found = select(&all.gpus, filter, |gpu, has| {
        let sample = &gpu.sample;
        has(&format!("GPU {}", sample.index))
            || sample.name.as_deref().is_some_and(has)
            || sample.pci.as_deref().is_some_and(has)
    });
    match sort {
        Sort::Busy => found.sort_by_key(|(_, gpu)| Reverse(gpu.sample.busy_percent)),
        Sort::Memory => found.sort_by_key(|(_, gpu)| Reverse(gpu.sample.memory_used_bytes)),
        Sort::Tx => descending(&mut found, |gpu: &GpuView| gpu.tx.bytes_per_s),
        Sort::Rx => descending(&mut found, |gpu: &GpuView| gpu.rx.bytes_per_s),
        _ => {}
    }
    let row = |(index, gpu): (usize, &GpuView)| Row {
        key: RowKey::Gpu(gpu.sample.index),
        kind: RowKind::Gpu(index),
    };
    found.into_iter().map(row).collect()
}

/// The items that pass the filter, with their positions.
fn select<'a, T>(
    items: &'a [T],
    filter: &str,
    matches: impl Fn(&T, &dyn Fn(&str) -> bool) -> bool,
) -> Vec<(usize, &'a T)> {
    let needle = filter.trim().to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&needle);
    items.iter().enumerate().filter(|(_, item)| needle.is_empty() || matches(item, &has)).collect()
}

/// Largest first, the unknown last; equal ones keep their order.
fn descending<T>(items: &mut [(usize, &T)], value: impl Fn(&T) -> Option<f64>) {
    items.sort_by(|(_, a), (_, b)| value(b).unwrap_or(-1.0).total_cmp(&value(a).unwrap_or(-1.0)));
}
