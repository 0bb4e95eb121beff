//! Made-up GPUs: one of eight is throttled and has a link down.

use crate::monitor::model::view::{Flow, GpuView, GpusView, NvLinkView};
use crate::monitor::sample::{GpuSample, NvLinkSample};

/// PCI address of a GPU.
pub(super) fn pci(gpu: usize) -> String {
    format!("0000:{:02x}:00.0", 0x53 + gpu * 17)
}

/// So many GPUs at `tick`.
pub(super) fn make(count: usize, tick: u64) -> GpusView {
    GpusView { gpus: (0..count).map(|index| gpu(index, tick)).collect(), nothing: None }
}

fn gpu(index: usize, tick: u64) -> GpuView {
    let wave = (tick as f64 + index as f64).sin();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
    let around = |middle: f64, by: f64| (middle + wave * by) as u32;
    let hot = index == 5;
    let link = |number: u32| {
        let active = !(hot && number == 17);
        let rate = if active { (20.0 + wave + f64::from(number) * 0.1) * 1e9 } else { 0.0 };
        let flow = |rate: f64| Flow { bytes_per_s: (tick > 0).then_some(rate), ..Flow::default() };
        NvLinkView { link: number, active, tx: flow(rate), rx: flow(rate * 0.98) }
    };
    let nvlinks: Vec<NvLinkView> = (0..18).map(link).collect();
    let total = |way: fn(&NvLinkView) -> Option<f64>| Flow {
        bytes_per_s: nvlinks.iter().map(way).sum(),
        ..Flow::default()
    };
    let sample_link = |link: &NvLinkView| NvLinkSample {
        link: link.link,
        active: link.active,
        remote: Some(format!("0000:{:02x}:00.0", 0xc7 + link.link % 4)),
        ..NvLinkSample::default()
    };
    GpuView {
        sample: GpuSample {
            index: u32::try_from(index).unwrap_or(0),
            name: Some("NVIDIA H100 80GB HBM3".to_owned()),
            pci: Some(pci(index)),
            busy_percent: Some(if hot { 41 } else { around(96.0, 3.0) }),
            memory_used_bytes: Some(71 << 30),
            memory_total_bytes: Some(80 << 30),
            celsius: Some(if hot { 88 } else { around(61.0, 2.0) }),
            milliwatts: Some(if hot { 312_000 } else { around(655_000.0, 20_000.0) }),
            nvlinks: nvlinks.iter().map(sample_link).collect(),
            ..GpuSample::default()
        },
        tx: total(|link| link.tx.bytes_per_s),
        rx: total(|link| link.rx.bytes_per_s),
        nvlinks,
    }
}
