//! Who holds queue pairs on which device, for the list.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::monitor::sample::{ProcessSample, Processes, Sample};

/// The holders of queue pairs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct HolderList {
    /// Those with most queue pairs first.
    pub processes: Vec<HolderEntry>,
    /// Queue pairs of the kernel itself, by device.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kernel_qps: BTreeMap<String, u32>,
    /// Queue pairs whose process cannot be seen from here, by device.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hidden_qps: BTreeMap<String, u32>,
    /// Why nothing, or not everything, is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A process that holds queue pairs, under the keys that `log` uses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct HolderEntry {
    /// Process id, in the monitor's own namespace.
    pub pid: u32,
    /// Name of the user it runs as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The user's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Its command line.
    pub command: String,
    /// Resident memory in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
    /// Threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// Queue pairs by device.
    pub qps: BTreeMap<String, u32>,
    /// Bytes by device, where it writes a counter page.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub moved: BTreeMap<String, Moved>,
}

/// Bytes of one process on one device since its counter page began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Moved {
    /// Sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_bytes: Option<u64>,
    /// Received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_bytes: Option<u64>,
}

impl HolderEntry {
    /// Its queue pairs on all devices.
    #[must_use]
    pub fn queue_pairs(&self) -> u32 {
        self.qps.values().fold(0, |sum, &count| sum.saturating_add(count))
    }
}

/// What `sample` saw of them, where it was asked.
pub(super) fn holders(sample: &Sample) -> Option<HolderList> {
    let all = sample.processes.as_ref()?;
    let mut processes: Vec<HolderEntry> = all.processes.iter().map(|one| entry(one, all, sample)).collect();
    processes.sort_by_key(|process| (std::cmp::Reverse(process.queue_pairs()), process.pid));
    Some(HolderList {
        processes,
        kernel_qps: all.kernel_qps.clone(),
        hidden_qps: all.hidden_qps.clone(),
        reason: all.reason.clone(),
    })
}

fn entry(process: &ProcessSample, all: &Processes, sample: &Sample) -> HolderEntry {
    let ProcessSample { pid, user, uid, command, resident_bytes, threads, qps } = process.clone();
    let pages = sample.pages.iter().filter(|page| all.pages.get(&page.key) == Some(&pid));
    let mut moved: BTreeMap<String, Moved> = BTreeMap::new();
    for nic in pages.flat_map(|page| &page.nics) {
        let sum = moved.entry(nic.device.clone()).or_default();
        let traffic = nic.reading.traffic;
        for (sum, more) in [(&mut sum.tx_bytes, traffic.tx_bytes), (&mut sum.rx_bytes, traffic.rx_bytes)] {
            *sum = match (*sum, more) {
                (Some(sum), Some(more)) => Some(sum.saturating_add(more)),
                (known, other) => known.or(other),
            };
        }
    }
    HolderEntry { pid, user, uid, command, resident_bytes, threads, qps, moved }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_with_most_queue_pairs_comes_first_and_nothing_is_made_up() {
        let process = |pid, qps: &[(&str, u32)]| ProcessSample {
            pid,
            command: format!("rank {pid}"),
            qps: qps.iter().map(|&(device, count)| (device.to_owned(), count)).collect(),
            ..ProcessSample::default()
        };
        let processes = Processes {
            processes: vec![process(7, &[("mlx5_0", 1)]), process(9, &[("mlx5_0", 2), ("mlx5_1", 4)])],
            hidden_qps: [("mlx5_1".to_owned(), 3)].into(),
            reason: Some("some are hidden".to_owned()),
            ..Processes::default()
        };
        assert_eq!(holders(&Sample::default()), None, "nobody asked");
        let list = holders(&Sample { processes: Some(processes), ..Sample::default() }).unwrap();
        let told: Vec<_> = list.processes.iter().map(|p| (p.pid, p.queue_pairs())).collect();
        assert_eq!(told, [(9, 6), (7, 1)]);
        let json = serde_json::to_value(&list).unwrap();
        assert_eq!((&json["hidden_qps"]["mlx5_1"], &json["reason"]), (&3.into(), &"some are hidden".into()));
        let first = json["processes"][0].as_object().unwrap();
        assert_eq!((first["qps"]["mlx5_1"].as_u64(), first.contains_key("user")), (Some(4), false));
    }
}
