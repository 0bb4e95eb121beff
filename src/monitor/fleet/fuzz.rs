//! For `crate::fuzzing`.

use std::cell::{Cell, RefCell};

use super::jsonl::Collector;
use super::page::{Descs, parse};
use super::{process, target};
use crate::monitor::sample::{RawCounter, Sample};
use crate::text::printable;

/// A page of another machine, the same as lines of its log, and the same as a list of nodes.
pub(crate) fn page(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(sample) = parse(&text, &mut Descs::default()) {
        assert_shown(&sample);
    }
    log(bytes, 7);
    // A list may name a file, and no fuzzer is to read those.
    if !text.contains('@') {
        let _ = target::parse(&text, &target::Via::Http);
    }
}

/// What ssh or srun bring, so many bytes at a time; the number of ticks.
fn log(bytes: &[u8], at_a_time: usize) -> usize {
    let ticks = Cell::new(0);
    let tell = |told: Result<Sample, String>| {
        ticks.set(ticks.get() + 1);
        assert_shown(&told.unwrap_or_default());
    };
    let (mut line, mut collector, descs) = (Vec::new(), Collector::default(), RefCell::default());
    for bytes in bytes.chunks(at_a_time) {
        if process::lines(bytes, &mut line, &mut collector, &descs, &tell).is_err() {
            break;
        }
    }
    if let Some(sample) = collector.finish() {
        tell(Ok(sample));
    }
    ticks.get()
}

/// Nothing of the texts of a sample, each of them, needs to be made printable.
fn assert_shown(sample: &Sample) {
    let mut texts: Vec<&str> = sample.nothing.iter().map(String::as_str).collect();
    for port in &sample.ports {
        let facts = &port.facts;
        let some = [
            &facts.driver,
            &facts.netdev,
            &facts.pci,
            &facts.link_layer,
            &facts.state,
            &facts.phys_state,
            &facts.fw_ver,
        ];
        texts.push(&facts.device);
        texts.extend(some.into_iter().flatten().chain(&facts.gpus).map(String::as_str));
        match &port.reading {
            Ok(reading) => texts.extend(reading.counters.iter().map(RawCounter::name)),
            Err(why) => texts.push(why),
        }
    }
    for page in &sample.pages {
        texts.extend([&page.job, &page.node, &page.command, &page.provider].map(String::as_str));
        let some = [&page.gpu, &page.policy, &page.rx_source];
        texts.extend(some.into_iter().flatten().map(String::as_str));
        for nic in &page.nics {
            texts.push(&nic.device);
            texts.extend(nic.pci.iter().chain(&nic.netdev).map(String::as_str));
            texts.extend(nic.reading.counters.iter().map(RawCounter::name));
        }
    }
    for text in texts {
        assert_eq!(text, printable(text), "reaches the screen");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Lines that are right but for their texts, which are any, however they are cut.
        #[test]
        fn any_text_of_a_log_is_printable(
            texts in prop::collection::vec(".{0,20}|[\u{0}-\u{1f}\u{7f}-\u{9f}\u{202a}-\u{202e}]{1,300}", 11),
            seconds in prop::collection::vec(0_u8..4, 1..8),
            at_a_time in 1_usize..400,
        ) {
            let mut ts = Vec::new();
            let mut bytes = Vec::new();
            for second in seconds {
                let time = format!("2026-01-01T00:00:0{second}.000Z");
                let [dev, driver, state, reason, job, node, policy, rx_source, extra, host, gpu] = &texts[..] else {
                    unreachable!("eleven texts")
                };
                let about = json!({ "ts": time, "mono_ns": 1, "dev": dev, "port": 1, "driver": driver, "state": state,
                    "host": host, "gpu": gpu, extra: 1, "retransmits": 2 });
                let kernel = json!({ "source": "sysfs", "flags": ["gone"], "reason": reason });
                let page = json!({ "source": "page", "job": job, "node": node, "pe": 1, "policy": policy,
                    "rx_source": rx_source, "down": true });
                for more in [json!({ "source": "sysfs" }), kernel, page] {
                    let mut line = about.clone();
                    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                    bytes.extend(serde_json::to_vec(&line).unwrap());
                    bytes.push(b'\n');
                }
                if ts.last() != Some(&time) {
                    ts.push(time);
                }
            }
            let ticks = log(&bytes, at_a_time);
            prop_assert!(ticks > 0 && ticks <= ts.len(), "{} ticks of {}", ticks, ts.len());
        }

        /// Damaged lines.
        #[test]
        fn no_log_breaks(bytes in prop::collection::vec(any::<u8>(), 0..400), at_a_time in 1_usize..64) {
            log(&bytes, at_a_time);
        }
    }

    #[test]
    fn a_line_without_an_end_is_an_end() {
        let (mut line, mut collector, descs) = (Vec::new(), Collector::default(), RefCell::default());
        let tell = |_| panic!("no tick");
        let mut take = |bytes: &[u8]| process::lines(bytes, &mut line, &mut collector, &descs, &tell);
        let taken = (0..100).take_while(|_| take(&[b'x'; 1000]).is_ok()).count();
        assert!((60..70).contains(&taken), "{taken} kB");
    }
}
