//! GPUs with the rates of their NVLinks.

use std::collections::HashMap;
use std::time::Duration;

use super::view::{Flow, GpuView, GpusView, NvLinkView};
use crate::monitor::moment::Moment;
use crate::monitor::sample::{GpuSample, Gpus, NvLinkSample};

/// The last reading of each GPU, by index.
#[derive(Debug, Default)]
pub(super) struct GpuTracks {
    gpus: HashMap<u32, Track>,
}

#[derive(Debug)]
struct Track {
    read: Moment,
    /// Which GPU had this index: after a reset of one they may be counted anew.
    pci: Option<String>,
    /// Bytes sent and received by link.
    links: HashMap<u32, (Option<u64>, Option<u64>)>,
    shown: Vec<NvLinkView>,
}

impl GpuTracks {
    /// Takes the GPUs of a tick in. GPUs are read at their own pace: until there is a newer reading, the rates of the
    /// last one stand.
    pub(super) fn update(&mut self, gpus: &Gpus, interval: Duration) -> GpusView {
        let longest = (interval * 3).max(interval + Duration::from_secs(2));
        let views = gpus.gpus.iter().map(|gpu| self.gpu(gpu, longest)).collect();
        self.gpus.retain(|index, _| gpus.gpus.iter().any(|gpu| gpu.index == *index));
        GpusView { gpus: views, nothing: gpus.nothing.clone() }
    }

    fn gpu(&mut self, gpu: &GpuSample, longest: Duration) -> GpuView {
        let read = Moment { at_ns: gpu.mono_ns, span_ns: gpu.span_ns };
        let before = self.gpus.get(&gpu.index).filter(|track| track.pci == gpu.pci);
        let nvlinks = match before {
            Some(track) if track.read.at_ns == gpu.mono_ns => track.shown.clone(),
            _ => {
                let sure = before.filter(|track| track.read.is_sure_until(read, 0));
                let dt = sure.map(|track| track.read.until(read));
                let dt = dt.filter(|dt| !dt.is_zero() && *dt <= longest);
                gpu.nvlinks.iter().map(|link| rates(link, before.zip(dt))).collect()
            }
        };
        self.gpus.insert(
            gpu.index,
            Track {
                read,
                pci: gpu.pci.clone(),
                links: gpu.nvlinks.iter().map(|l| (l.link, (l.tx_bytes, l.rx_bytes))).collect(),
                shown: nvlinks.clone(),
            },
        );
        GpuView {
            sample: gpu.clone(),
            tx: sum(nvlinks.iter().map(|l| l.tx)),
            rx: sum(nvlinks.iter().map(|l| l.rx)),
            nvlinks,
        }
    }
}

fn rates(link: &NvLinkSample, before: Option<(&Track, Duration)>) -> NvLinkView {
    let then = before.and_then(|(track, _)| track.links.get(&link.link)).copied().unwrap_or_default();
    let flow = |now: Option<u64>, then: Option<u64>| Flow {
        bytes: now,
        // A smaller value: the counter began again.
        bytes_per_s: before.and_then(|(_, dt)| Some(now?.checked_sub(then?)? as f64 / dt.as_secs_f64())),
        ..Flow::default()
    };
    NvLinkView {
        link: link.link,
        active: link.active,
        tx: flow(link.tx_bytes, then.0),
        rx: flow(link.rx_bytes, then.1),
    }
}

/// Over the links whose numbers are known; `None` when none is.
fn sum(flows: impl Iterator<Item = Flow>) -> Flow {
    let mut sum = Flow::default();
    for flow in flows {
        sum.bytes = sum.bytes.map_or(flow.bytes, |s| Some(s.saturating_add(flow.bytes.unwrap_or(0))));
        sum.bytes_per_s =
            sum.bytes_per_s.map_or(flow.bytes_per_s, |s| Some(s + flow.bytes_per_s.unwrap_or(0.0)));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;
    const SECOND: Duration = Duration::from_secs(1);

    fn gpus(mono_ns: u64, bytes: [Option<u64>; 2]) -> Gpus {
        let link = |link, tx_bytes: Option<u64>| NvLinkSample {
            link,
            active: true,
            tx_bytes,
            rx_bytes: tx_bytes.map(|b| 2 * b),
            remote: None,
        };
        let nvlinks = vec![link(0, bytes[0]), link(1, bytes[1])];
        Gpus { gpus: vec![GpuSample { mono_ns, nvlinks, ..GpuSample::default() }], nothing: None }
    }

    /// Rates of both links and their sum, sent.
    fn sent(view: &GpusView) -> (Option<f64>, Option<f64>, Option<f64>) {
        let gpu = &view.gpus[0];
        (gpu.nvlinks[0].tx.bytes_per_s, gpu.nvlinks[1].tx.bytes_per_s, gpu.tx.bytes_per_s)
    }

    #[test]
    fn rates_come_from_the_gpus_own_times() {
        let mut tracks = GpuTracks::default();
        let mut at = |ns, a, b| tracks.update(&gpus(ns, [a, b]), SECOND);
        assert_eq!(sent(&at(S, Some(1 << 50), Some(0))), (None, None, None), "first sight");
        let view = at(S + S / 2, Some((1 << 50) + 500), Some(250));
        assert_eq!(sent(&view), (Some(1000.0), Some(500.0), Some(1500.0)));
        assert_eq!(view.gpus[0].rx.bytes_per_s, Some(3000.0));
        let view = at(S + S / 2, Some((1 << 50) + 500), Some(250));
        assert_eq!(sent(&view), (Some(1000.0), Some(500.0), Some(1500.0)), "the same reading once more");
        assert_eq!(sent(&at(2 * S + S / 2, Some(7), Some(350))), (None, Some(100.0), Some(100.0)), "a reset");
        assert_eq!(sent(&at(3 * S + S / 2, None, Some(450))), (None, Some(100.0), Some(100.0)), "missing");
        assert_eq!(sent(&at(60 * S, Some(9), Some(900))), (None, None, None), "a gap");
    }

    #[test]
    fn another_gpu_under_the_same_index_begins_anew() {
        let mut tracks = GpuTracks::default();
        tracks.update(&gpus(S, [Some(0), Some(0)]), SECOND);
        let mut other = gpus(2 * S, [Some(100), Some(100)]);
        other.gpus[0].pci = Some("0000:53:00.0".to_owned());
        assert_eq!(sent(&tracks.update(&other, SECOND)), (None, None, None));
    }
}
