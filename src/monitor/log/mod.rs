//! Headless output: one record per tick and port, in one file per format.

mod csv;
mod jsonl;
mod record;
mod table;

use std::io::{self, Write};

pub use record::{Record, records};

use super::model::view::{Event, ProcessView, View};

/// What the start of a log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Version of the tool.
    pub version: String,
    /// Host name.
    pub host: String,
    /// Boot id, where the kernel tells.
    pub boot_id: Option<String>,
    /// Nominal interval in milliseconds.
    pub interval_ms: u64,
    /// Wall clock at the start, nanoseconds since 1970.
    pub started_ns: i128,
}

/// A log format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// One JSON object per line, a header object first.
    #[default]
    Jsonl,
    /// One row per tick and port under one line of names; empty = missing.
    Csv,
    /// For reading: two comment lines with names and units; `-` = missing.
    Table,
}

impl Format {
    /// Writes what comes before the first record.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn begin(self, out: &mut impl Write, header: &Header) -> io::Result<()> {
        match self {
            Self::Jsonl => jsonl::begin(out, header),
            Self::Csv => csv::begin(out),
            Self::Table => table::begin(out),
        }
    }

    /// Writes one record.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn record(self, out: &mut impl Write, record: &Record<'_>) -> io::Result<()> {
        match self {
            Self::Jsonl => jsonl::record(out, record),
            Self::Csv => csv::record(out, record),
            Self::Table => table::record(out, record),
        }
    }

    /// Writes a process that holds queue pairs; nothing in the formats that are tables of NICs.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn process(self, out: &mut impl Write, view: &View, process: &ProcessView) -> io::Result<()> {
        match self {
            Self::Jsonl => jsonl::process(out, view, process),
            Self::Csv | Self::Table => Ok(()),
        }
    }
}

/// The events that a tick brought, oldest first.
pub fn new_events(view: &View) -> impl Iterator<Item = &Event> {
    let new = view.events.iter().rev().take_while(|event| event.mono_ns == view.mono_ns).count();
    view.events[view.events.len() - new..].iter()
}

/// Writes an event as a line of JSON: [`Format::Jsonl`] alone has a place for them.
///
/// # Errors
/// When `out` cannot be written.
pub fn event(out: &mut impl Write, event: &Event) -> io::Result<()> {
    jsonl::event(out, event)
}

/// A moment as RFC 3339 in UTC with milliseconds; 1970 if it is beyond year 9999.
#[must_use]
pub fn timestamp(realtime_ns: i128) -> String {
    let moment = jiff::Timestamp::from_nanosecond(realtime_ns).unwrap_or_default();
    format!("{moment:.3}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::monitor::model::Model;
    use crate::monitor::model::view::SourceKind;
    use crate::monitor::sample::{
        Missing, PageNic, PageSample, PageState, PortFacts, PortSample, RawCounter, Reading, Sample, Traffic,
    };

    fn reading(mono_ns: u64, tx_bytes: u64, rx_bytes: Option<u64>) -> Reading {
        let why = "the file says \"N/A\", twice".to_owned();
        let missing = Missing { counter: "rx_bytes".to_owned(), place: None, reason: why };
        Reading {
            mono_ns,
            traffic: Traffic {
                tx_bytes: Some(tx_bytes),
                rx_bytes,
                tx_ops: Some(tx_bytes / 1000),
                rx_ops: None,
            },
            counters: vec![RawCounter::unknown("tx_bytes", tx_bytes)],
            missing: if rx_bytes.is_none() { vec![missing] } else { Vec::new() },
            ..Reading::default()
        }
    }

    /// Two devices, of which one stops to answer, and a page with its network interface beside it.
    fn sample(tick: u64) -> Sample {
        let now = 5_000_000_000 + tick * 1_000_000_000;
        let port = |device: &str, reading| PortSample {
            facts: Arc::new(PortFacts {
                device: device.to_owned(),
                port: 1,
                driver: Some("efa".to_owned()),
                link_bits_per_s: Some(100_000_000_000),
                state: Some(if device.ends_with("79s0") { "ACTIVE" } else { "DOWN" }.to_owned()),
                ..PortFacts::default()
            }),
            source: SourceKind::Sysfs,
            reading,
        };
        let slow = if tick == 0 {
            Ok(reading(now, 7, Some(7)))
        } else {
            Err("has not answered for 1.0 s".to_owned())
        };
        Sample {
            realtime_ns: 1_795_000_000_123_456_789 + i128::from(tick) * 1_000_000_000,
            mono_ns: now,
            ports: vec![
                port("rdmap79s0", Ok(reading(now + 250_000_000 * tick, 12_500_000_000 * tick, None))),
                port("rdmap80s0", slow),
            ],
            pages: vec![PageSample {
                key: "job/node0/2".to_owned(),
                job: "job".to_owned(),
                node: "node0".to_owned(),
                pe: 2,
                pid: 42,
                gpu: None,
                command: "bench put".to_owned(),
                provider: "tcp;ofi_rxm".to_owned(),
                policy: Some("pair-seq".to_owned()),
                rx_source: Some("IMM_LEN".to_owned()),
                state: PageState::Alive,
                own: None,
                nics: vec![PageNic {
                    index: 0,
                    device: "nic0".to_owned(),
                    port: 0,
                    pci: None,
                    numa: None,
                    netdev: Some("nic0".to_owned()),
                    link_bits_per_s: Some(200_000_000),
                    reading: reading(now + 5, 25_000_000 * tick, Some(0)),
                    in_flight_bytes: Some(65_536),
                    torn: tick > 0,
                    rx_windows: None,
                    netdev_reading: Some(Ok(reading(now + 9, 25_900_000 * tick, Some(100 * tick)))),
                }],
            }],
            ..Sample::default()
        }
    }

    fn log(format: Format) -> String {
        let header = Header {
            version: "0.0.0".to_owned(),
            host: "node-a".to_owned(),
            boot_id: Some("00000000-0000-0000-0000-000000000000".to_owned()),
            interval_ms: 1000,
            started_ns: 1_795_000_000_000_000_000,
        };
        let mut model = Model::new("node-a".to_owned());
        let mut out = Vec::new();
        format.begin(&mut out, &header).unwrap();
        for n in 0..2 {
            let tick = model.update(&sample(n), Duration::from_secs(1));
            for record in records(&tick, None, n) {
                format.record(&mut out, &record).unwrap();
            }
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn formats_are_what_they_were() {
        insta::assert_snapshot!("jsonl", log(Format::Jsonl));
        insta::assert_snapshot!("csv", log(Format::Csv).replace("\r\n", "\n"));
        insta::assert_snapshot!("table", log(Format::Table));
    }

    #[test]
    fn events_are_lines_of_their_own() {
        let mut model = Model::new("node-a".to_owned());
        let mut out = Vec::new();
        for n in 0..8 {
            let tick = model.update(&sample(n), Duration::from_secs(1));
            for happened in new_events(&tick.view) {
                event(&mut out, happened).unwrap();
            }
        }
        let expected = r#"{"type":"event","ts":"2026-11-18T11:06:43.123Z","mono_ns":8000000000,"kind":"silent","severity":"bad","subject":"rdmap80s0","text":"rdmap80s0 has given no numbers for 2.0 s: has not answered for 1.0 s."}"#;
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn one_source_alone() {
        let mut model = Model::new("node-a".to_owned());
        let tick = model.update(&sample(0), Duration::from_secs(1));
        let sources = |source| records(&tick, source, 0).iter().map(|r| r.source).collect::<Vec<_>>();
        assert_eq!(sources(None), ["page", "netdev", "sysfs", "sysfs"]);
        assert_eq!(sources(Some(SourceKind::Netdev)), ["netdev"]);
    }

    #[test]
    fn times_are_utc_with_milliseconds() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(timestamp(1_795_000_000_123_999_999), "2026-11-18T11:06:40.123Z");
        assert_eq!(timestamp(i128::MAX), "1970-01-01T00:00:00.000Z");
    }
}
