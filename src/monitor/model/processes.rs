//! Processes with queue pairs, and what they move where a counter page tells.

use super::view::{GroupKind, GroupView, ProcessNic, ProcessView, ProcessesView};
use crate::monitor::sample::{ProcessSample, Processes};

/// The view: most queue pairs first. A process's traffic is that of the pages it writes.
pub(super) fn view(processes: &Processes, groups: &[GroupView]) -> ProcessesView {
    let mut all: Vec<ProcessView> = processes
        .processes
        .iter()
        .map(|sample| ProcessView { sample: sample.clone(), traffic: traffic(sample.pid, processes, groups) })
        .collect();
    all.sort_by_key(|p| (std::cmp::Reverse(queue_pairs(&p.sample)), p.sample.pid));
    ProcessesView {
        processes: all,
        kernel_qps: sum(processes.kernel_qps.values()),
        hidden_qps: sum(processes.hidden_qps.values()),
        reason: processes.reason.clone(),
    }
}

fn traffic(pid: u32, processes: &Processes, groups: &[GroupView]) -> Vec<ProcessNic> {
    groups
        .iter()
        .filter(|group| group.kind == GroupKind::Pe && processes.pages.get(&group.key) == Some(&pid))
        .flat_map(|group| &group.nics)
        .map(|nic| ProcessNic { device: nic.device.clone(), tx: nic.tx, rx: nic.rx })
        .collect()
}

fn queue_pairs(process: &ProcessSample) -> u32 {
    sum(process.qps.values())
}

fn sum<'a>(counts: impl Iterator<Item = &'a u32>) -> u32 {
    counts.fold(0, |sum, &count| sum.saturating_add(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::tui::synthetic::{Cluster, Shape};

    #[test]
    fn the_busiest_comes_first_and_pages_give_its_traffic() {
        let groups = Cluster::default().view(Shape::PairSeq, 3).groups;
        let process = |pid, qps: &[(&str, u32)]| ProcessSample {
            pid,
            qps: qps.iter().map(|&(device, n)| (device.to_owned(), n)).collect(),
            ..ProcessSample::default()
        };
        let processes = Processes {
            processes: vec![
                process(7, &[("a", 1)]),
                process(9, &[("a", 2), ("b", 4)]),
                process(8, &[("a", 6)]),
            ],
            kernel_qps: [("a".to_owned(), 1), ("b".to_owned(), 1)].into(),
            pages: [(groups[0].key.clone(), 9)].into(),
            ..Processes::default()
        };
        let view = view(&processes, &groups);
        assert_eq!(view.processes.iter().map(|p| p.sample.pid).collect::<Vec<_>>(), [8, 9, 7]);
        assert_eq!((view.kernel_qps, view.hidden_qps), (2, 0));
        assert_eq!(view.processes[1].traffic.len(), groups[0].nics.len());
        assert_eq!(view.processes[1].traffic[0].tx, groups[0].nics[0].tx);
        assert!(view.processes[0].traffic.is_empty());
    }
}
