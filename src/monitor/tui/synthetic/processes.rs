//! Made-up processes: eight ranks with a counter page, a benchmark without, the kernel, and some that are hidden.

use std::collections::BTreeMap;

use crate::monitor::model::view::{Flow, ProcessNic, ProcessView, ProcessesView};
use crate::monitor::sample::ProcessSample;

/// Who uses `devices` at `tick`.
pub(super) fn make(devices: &[String], tick: u64) -> ProcessesView {
    let per_rank = devices.len().div_ceil(8).max(1);
    let mut processes: Vec<ProcessView> = devices
        .chunks(per_rank)
        .enumerate()
        .map(|(rank, near)| this_rank(rank, near, devices, tick))
        .collect();
    let qps: BTreeMap<String, u32> = devices.iter().take(1).map(|device| (device.clone(), 4)).collect();
    processes.push(ProcessView {
        sample: ProcessSample {
            pid: 50_211,
            user: None,
            uid: Some(0),
            command: format!(
                "ib_write_bw -d {} --run_infinitely",
                devices.first().map_or("", String::as_str)
            ),
            resident_bytes: Some(12 << 20),
            threads: Some(1),
            qps,
        },
        traffic: Vec::new(),
    });
    ProcessesView { processes, kernel_qps: 32, hidden_qps: 8, reason: None }
}

fn this_rank(rank: usize, near: &[String], all: &[String], tick: u64) -> ProcessView {
    let flow = |rate: f64| Flow {
        bytes: Some(tick * 11_000_000_000),
        bytes_per_s: (tick > 0).then_some(rate),
        ..Flow::default()
    };
    let traffic = |device: &String| ProcessNic { device: device.clone(), tx: flow(11e9), rx: flow(10.9e9) };
    ProcessView {
        sample: ProcessSample {
            pid: 48_210 + u32::try_from(rank).unwrap_or(0),
            user: Some("alice".to_owned()),
            uid: Some(1000),
            command: format!("python train.py --config moe-64.yaml --rank {rank}"),
            resident_bytes: Some(81 << 30),
            threads: Some(212),
            qps: all.iter().map(|device| (device.clone(), 8)).collect(),
        },
        traffic: near.iter().map(traffic).collect(),
    }
}
