//! What `railtop log --format jsonl` prints on a node, line by line, as [`Sample`]s. Its keys: `log/record.rs`.
//!
//! A line comes from another machine: it is bounded, what does not parse is left out, and names are made printable.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::page::Descs;
use crate::monitor::counter::Health;
use crate::monitor::failover::DOWN;
use crate::monitor::model::view::SourceKind;
use crate::monitor::sample::{
    PageNic, PageSample, PageState, PortFacts, PortSample, RawCounter, Reading, Sample, Traffic,
};
use crate::text::printable;

/// Most NICs of a tick that are taken.
const MAX_RECORDS: usize = 4096;

/// One NIC at one tick, as far as it is shown. Every other key, the counters' among them, is passed over.
#[derive(Debug, Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    ts: Cow<'a, str>,
    mono_ns: Option<u64>,
    #[serde(default)]
    span_ns: u64,
    #[serde(borrow)]
    dev: Cow<'a, str>,
    port: u8,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    job: Option<Cow<'a, str>>,
    #[serde(borrow)]
    node: Option<Cow<'a, str>>,
    pe: Option<u32>,
    #[serde(borrow)]
    policy: Option<Cow<'a, str>>,
    #[serde(borrow)]
    rx_source: Option<Cow<'a, str>>,
    #[serde(borrow)]
    driver: Cow<'a, str>,
    rate_bps: Option<u64>,
    tx_bytes: Option<u64>,
    rx_bytes: Option<u64>,
    #[serde(default, borrow)]
    flags: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    state: Option<Cow<'a, str>>,
    drops: Option<u64>,
    retransmits: Option<u64>,
    timeouts: Option<u64>,
    congestion: Option<u64>,
    down: Option<bool>,
}

/// Puts the lines of a tick together.
#[derive(Debug, Default)]
pub struct Collector {
    ts: String,
    /// The tick that was given last. What comes of it later is too late: it would be another tick, without the others.
    given: String,
    /// A tick whose monotonic time was told: its wall clock's, and that one.
    clock: Option<(i128, u64)>,
    ports: Vec<PortSample>,
    pages: BTreeMap<(String, String, u32), PageSample>,
    records: usize,
    mono_ns: u64,
}

impl Collector {
    /// Takes a line; gives the tick before when it is the first of the next.
    pub fn take(&mut self, line: &str, descs: &mut Descs) -> Option<Sample> {
        // The header, and lines of other kinds, have no NIC.
        let record: Line<'_> = serde_json::from_str(line).ok()?;
        let ts: String = record.ts.chars().take(64).collect();
        if ts == self.given {
            return None;
        }
        let finished = if ts == self.ts { None } else { self.finish() };
        self.ts = ts;
        if self.records < MAX_RECORDS {
            self.records += 1;
            self.add(&record, descs);
        }
        finished
    }

    /// Whether nothing of a tick has come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The tick as it is, when no more of it can be expected.
    pub fn finish(&mut self) -> Option<Sample> {
        if self.records == 0 {
            return None;
        }
        let clock = self.clock;
        let all = std::mem::replace(self, Self { clock, ..Self::default() });
        let realtime_ns = all.ts.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_nanosecond);
        self.given = all.ts;
        // A tick of which nothing could be read does not say when it was; it is later than those before all the same.
        let mono_ns = match clock {
            _ if all.mono_ns > 0 => all.mono_ns,
            Some((then, mono_ns)) => {
                mono_ns.saturating_add(u64::try_from(realtime_ns - then).unwrap_or(0).max(1))
            }
            None => u64::try_from(realtime_ns).unwrap_or(0),
        };
        self.clock = Some((realtime_ns, mono_ns)).filter(|_| all.mono_ns > 0 || clock.is_some());
        let pages = all.pages.into_values().collect();
        Some(Sample { realtime_ns, mono_ns, ports: all.ports, pages, ..Sample::default() })
    }

    fn add(&mut self, record: &Line<'_>, descs: &mut Descs) {
        let mono_ns = record.mono_ns.unwrap_or(0);
        self.mono_ns = self.mono_ns.max(mono_ns);
        let text = |text: &Option<Cow<'_, str>>| text.as_deref().map(printable);
        let health = [
            (Health::Drops, record.drops),
            (Health::Retransmits, record.retransmits),
            (Health::Timeouts, record.timeouts),
            (Health::Congestion, record.congestion),
        ];
        let mut counters: Vec<RawCounter> = health
            .into_iter()
            .filter_map(|(feeds, value)| {
                Some(RawCounter { desc: descs.get(feeds.name(), Some(feeds), false), value: value? })
            })
            .collect();
        let traffic = Traffic { tx_bytes: record.tx_bytes, rx_bytes: record.rx_bytes, ..Traffic::default() };
        if let (Some(pe), Some(node), "page") = (record.pe, text(&record.node), &*record.source) {
            counters.extend(
                record.down.map(|down| RawCounter { desc: descs.get(DOWN, None, true), value: down.into() }),
            );
            let reading =
                Reading { mono_ns, span_ns: record.span_ns, traffic, counters, ..Reading::default() };
            self.nic(record, pe, node, reading);
            return;
        }
        let kernel = [SourceKind::Sysfs, SourceKind::Netlink, SourceKind::Netdev];
        let Some(source) = kernel.into_iter().find(|source| source.name() == record.source) else { return };
        // An interface below a PE's NIC is no device, and has been told as the NIC.
        if source == SourceKind::Netdev && record.pe.is_some() {
            return;
        }
        let facts = PortFacts {
            device: printable(&record.dev),
            port: record.port,
            driver: Some(printable(&record.driver)),
            link_bits_per_s: record.rate_bps,
            state: text(&record.state),
            ..PortFacts::default()
        };
        let unread = record.flags.iter().any(|flag| matches!(&**flag, "stale" | "gone"));
        let reading = if unread || record.mono_ns.is_none() {
            Err(text(&record.reason).unwrap_or_else(|| "its node could not read it".to_owned()))
        } else {
            Ok(Reading { mono_ns, span_ns: record.span_ns, traffic, counters, ..Reading::default() })
        };
        self.ports.push(PortSample { facts: Arc::new(facts), source, reading });
    }

    fn nic(&mut self, record: &Line<'_>, pe: u32, node: String, reading: Reading) {
        let text = |text: &Option<Cow<'_, str>>| text.as_deref().map(printable);
        let job = text(&record.job).unwrap_or_default();
        let has = |flag: &str| record.flags.iter().any(|f| f == flag);
        let page = self.pages.entry((job.clone(), node.clone(), pe)).or_insert_with(|| PageSample {
            key: format!("{job}/{node}/{pe}"),
            job,
            node,
            pe,
            pid: 0,
            gpu: None,
            command: String::new(),
            provider: printable(&record.driver),
            policy: text(&record.policy),
            rx_source: text(&record.rx_source),
            state: match (has("dead"), has("stalled")) {
                (true, _) => PageState::Dead,
                (false, true) => PageState::Stalled,
                (false, false) => PageState::Alive,
            },
            own: None,
            nics: Vec::new(),
        });
        page.nics.push(PageNic {
            index: page.nics.len(),
            device: printable(&record.dev),
            port: 0,
            pci: None,
            numa: None,
            netdev: None,
            link_bits_per_s: record.rate_bps,
            reading,
            in_flight_bytes: None,
            torn: false,
            netdev_reading: None,
            rx_windows: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_tick_are_a_sample() {
        let lines = [
            r#"{"type":"header","schema":1,"tool":"railtop","host":"h"}"#,
            r#"{"ts":"2026-01-01T00:00:01.000Z","mono_ns":5,"host":"h","dev":"m0","port":1,"source":"sysfs","driver":"efa","rate_bps":100,"tx_bytes":7,"counters":{"a":1},"retransmits":2,"state":"DOWN"}"#,
            r#"{"ts":"2026-01-01T00:00:01.000Z","host":"h","dev":"m\u001b1","port":1,"source":"sysfs","driver":"efa","flags":["gone"],"reason":"away"}"#,
            "no JSON",
            r#"{"ts":"2026-01-01T00:00:01.000Z","mono_ns":6,"host":"h","dev":"n0","port":0,"source":"page","job":"j","node":"x","pe":3,"driver":"tcp","tx_bytes":9,"rx_bytes":0,"down":true}"#,
            r#"{"ts":"2026-01-01T00:00:02.000Z","mono_ns":7,"host":"h","dev":"m0","port":1,"source":"sysfs","driver":"efa"}"#,
        ];
        let (mut collector, mut descs) = (Collector::default(), Descs::default());
        let ticks: Vec<Sample> = lines.iter().filter_map(|line| collector.take(line, &mut descs)).collect();
        let [tick] = &ticks[..] else { panic!("one tick is whole: {ticks:?}") };
        assert_eq!((tick.mono_ns, tick.realtime_ns), (6, 1_767_225_601_000_000_000));
        let first = tick.ports[0].reading.as_ref().unwrap();
        assert_eq!((first.traffic.tx_bytes, first.traffic.rx_bytes), (Some(7), None), "missing is not zero");
        assert_eq!(first.counters[0].desc.feeds, Some(Health::Retransmits));
        assert_eq!(
            (tick.ports[1].reading.as_ref().unwrap_err().as_str(), &*tick.ports[1].facts.device),
            ("away", "m\u{fffd}1")
        );
        assert_eq!((tick.pages[0].key.as_str(), tick.pages[0].nics[0].is_down()), ("j/x/3", Some(true)));
        assert_eq!(collector.finish().map(|tick| tick.mono_ns), Some(7));
        assert_eq!(collector.finish(), None);
    }

    #[test]
    fn what_comes_late_of_a_tick_is_no_other_one() {
        let line = |second: u64, dev: &str, mono_ns: &str| {
            format!(
                r#"{{"ts":"2026-01-01T00:00:0{second}.000Z",{mono_ns}"dev":"{dev}","port":1,"source":"sysfs","driver":"efa"}}"#
            )
        };
        let (mut collector, mut descs) = (Collector::default(), Descs::default());
        let mut take = |collector: &mut Collector, text: &str| collector.take(text, &mut descs);
        assert_eq!(take(&mut collector, &line(1, "m0", "\"mono_ns\":1000,")), None);
        assert_eq!(collector.finish().map(|tick| tick.ports.len()), Some(1), "there was a pause");
        assert_eq!(take(&mut collector, &line(1, "m1", "\"mono_ns\":1000,")), None);
        assert!(collector.is_empty());
        // Of the next tick nothing could be read, and it is later all the same.
        assert_eq!(take(&mut collector, &line(2, "m0", "")), None);
        assert_eq!(collector.finish().map(|tick| tick.mono_ns), Some(1_000_001_000));
        assert_eq!(take(&mut collector, &line(3, "m0", "\"mono_ns\":2000001000,")), None);
        assert_eq!(collector.finish().map(|tick| tick.mono_ns), Some(2_000_001_000));
    }
}
