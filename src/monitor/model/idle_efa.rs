//! The hint that a job may have fallen back to TCP: GPUs work for long, and no EFA device moves a byte.
//!
//! libfabric and NCCL fall back silently when they cannot use EFA (a container without `/dev/infiniband`, a missing
//! plugin); what can be seen from outside is that the counters stay flat.

use super::view::{GpusView, NicView, Notice};
use super::{events::span, notice};
use crate::monitor::thresholds::Thresholds;

/// EFA's driver.
const DRIVER: &str = "efa";

/// Since when GPUs have been busy and EFA flat.
#[derive(Debug, Default)]
pub(super) struct IdleEfa {
    since_ns: Option<u64>,
}

impl IdleEfa {
    /// Takes a tick in. No hint where there is no EFA, or where the GPUs are not known.
    pub(super) fn update<'a>(
        &mut self,
        now_ns: u64,
        gpus: Option<&GpusView>,
        rows: impl Iterator<Item = &'a NicView>,
        limits: &Thresholds,
    ) -> Option<Notice> {
        let busy: Vec<u32> = gpus
            .into_iter()
            .flat_map(|gpus| &gpus.gpus)
            .filter_map(|gpu| gpu.sample.busy_percent)
            .filter(|&percent| percent >= limits.gpu_busy_percent)
            .collect();
        let mut devices = 0_usize;
        // A rate that is not known may be anything.
        let flat = rows.filter(|row| row.driver == DRIVER).all(|row| {
            devices += 1;
            row.tx.bytes_per_s == Some(0.0) && row.rx.bytes_per_s == Some(0.0)
        });
        if busy.is_empty() || !flat || devices == 0 {
            self.since_ns = None;
            return None;
        }
        let held = now_ns.saturating_sub(*self.since_ns.get_or_insert(now_ns));
        if u128::from(held) < limits.idle_efa_after.as_nanos() {
            return None;
        }
        let text = format!(
            "{} GPUs have been busy for {} and none of {devices} EFA ports has moved a byte: a job that spans nodes may \
             have fallen back to TCP (see what FI_PROVIDER and NCCL_DEBUG=INFO say about its network)",
            busy.len(),
            span(held),
        );
        Some(notice("EFA", &text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::model::view::{Flow, GpuView};
    use crate::monitor::sample::GpuSample;
    use crate::monitor::tui::synthetic::{Cluster, Shape};

    const S: u64 = 1_000_000_000;

    fn row(driver: &str, per_s: Option<f64>) -> NicView {
        let view = Cluster::default().view(Shape::PairSeq, 1);
        let mut row = view.groups[0].nics[0].clone();
        driver.clone_into(&mut row.driver);
        row.tx = Flow { bytes_per_s: per_s, ..Flow::default() };
        row.rx = row.tx;
        row
    }

    fn gpus(busy_percent: Option<u32>) -> GpusView {
        let sample = GpuSample { busy_percent, ..GpuSample::default() };
        let gpu = GpuView { sample, tx: Flow::default(), rx: Flow::default(), nvlinks: Vec::new() };
        GpusView { gpus: vec![gpu.clone(), gpu], nothing: None }
    }

    /// In which second the hint comes, of a minute of this.
    fn hint(gpus: Option<&GpusView>, rows: &[NicView]) -> Option<(u64, String)> {
        let mut idle = IdleEfa::default();
        (0..60).find_map(|second| {
            let notice = idle.update(second * S, gpus, rows.iter(), &Thresholds::default())?;
            Some((second, notice.text))
        })
    }

    #[test]
    fn busy_gpus_and_flat_counters_are_a_hint_after_a_while() {
        let rows = [row("efa", Some(0.0)), row("efa", Some(0.0)), row("mlx5_core", Some(9e9))];
        let (second, text) = hint(Some(&gpus(Some(97))), &rows).unwrap();
        assert_eq!(second, 30);
        assert!(text.starts_with("2 GPUs have been busy for 30 s and none of 2 EFA ports"), "{text}");
    }

    #[test]
    fn nothing_is_said_without_cause() {
        let flat = [row("efa", Some(0.0))];
        assert_eq!(hint(None, &flat), None, "GPUs are not known");
        assert_eq!(hint(Some(&gpus(None)), &flat), None, "nor whether they work");
        assert_eq!(hint(Some(&gpus(Some(3))), &flat), None, "idle");
        assert_eq!(hint(Some(&gpus(Some(97))), &[row("efa", Some(1.0))]), None, "EFA moves");
        assert_eq!(hint(Some(&gpus(Some(97))), &[row("efa", None)]), None, "not known");
        assert_eq!(hint(Some(&gpus(Some(97))), &[row("mlx5_core", Some(0.0))]), None, "no EFA");
    }
}
