//! An exporter's page as a [`Sample`]: what the monitor on that node has read, as if it had been read here.
//!
//! So rates, resets, gaps, groups and events are made by the very model that makes them on the node, from counters and
//! from the time that the page itself says they were read at. Families: `export/ports.rs` and `export/pes.rs`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::openmetrics::Line;
use crate::monitor::counter::{Class, Desc, Health, Kind, Unit};
use crate::monitor::model::remote::SATURATED;
use crate::monitor::model::view::SourceKind;
use crate::monitor::natural;
use crate::monitor::sample::{
    PageNic, PageSample, PageState, PortFacts, PortSample, RawCounter, Reading, Sample, Traffic,
};
use crate::text::printable;

/// Most lines of a page that are looked at.
const MAX_LINES: usize = 200_000;
/// Most ports, PEs, NICs of a PE, and counters of one of them that are taken.
const MAX_PORTS: usize = 256;
const MAX_PES: usize = 1024;
const MAX_RAILS: usize = 256;
const MAX_COUNTERS: usize = 64;

/// What stands behind a name in the page of something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// There is not a single line of `railtop`'s on it.
    #[error("what answers there is no railtop exporter")]
    Foreign,
    /// It does not say when it was read.
    #[error("the page does not say when the counters were read (railtop_last_read_timestamp_seconds)")]
    NoTime,
}

/// Descriptions of counters, which are the same on all pages. Bounded, since names come from outside.
#[derive(Debug, Default)]
pub struct Descs(HashMap<(String, Option<Health>), Arc<Desc>>);

/// Most descriptions that are kept; beyond, each counter has one of its own.
const MAX_DESCS: usize = 4096;

impl Descs {
    /// The description of a counter of this name.
    pub(super) fn get(&mut self, name: &str, feeds: Option<Health>, gauge: bool) -> Arc<Desc> {
        if let Some(desc) = self.0.get(&(name.to_owned(), feeds)) {
            return Arc::clone(desc);
        }
        let class = match feeds {
            None => Class::Neutral,
            Some(Health::Congestion) => Class::Congestion,
            Some(Health::Timeouts) => Class::Error,
            Some(Health::Drops | Health::Retransmits) => Class::Loss,
        };
        let kind = if gauge { Kind::Gauge } else { Kind::Monotonic64 };
        let desc = Desc { kind, class, unit: Unit::Count, feeds, ..Desc::unknown(printable(name)) };
        let desc = Arc::new(desc);
        if self.0.len() < MAX_DESCS {
            self.0.insert((name.to_owned(), feeds), Arc::clone(&desc));
        }
        desc
    }
}

/// A port as far as it has been read.
#[derive(Debug, Default)]
struct Port {
    facts: PortFacts,
    source: Option<SourceKind>,
    readable: Option<bool>,
    traffic: Traffic,
    counters: Vec<RawCounter>,
}

/// A PE as far as it has been read.
#[derive(Debug, Default)]
struct Pe {
    policy: Option<String>,
    rx_source: Option<String>,
    provider: String,
    gpu: Option<String>,
    /// By rail.
    nics: BTreeMap<usize, Nic>,
}

#[derive(Debug, Default)]
struct Nic {
    device: String,
    traffic: Traffic,
    in_flight_bytes: Option<u64>,
    counters: Vec<RawCounter>,
}

/// What is read of a page.
#[derive(Debug, Default)]
struct Reader {
    at_s: Option<f64>,
    /// Whether some line is an exporter's.
    ours: bool,
    ports: Vec<((String, u8), Port)>,
    /// By job, node and number.
    pes: BTreeMap<(String, String, u32), Pe>,
    /// GPUs that have a group of their own.
    gpu_groups: HashSet<String>,
}

/// Parses a page.
///
/// # Errors
/// When it is no exporter's, or does not say of when it is.
pub fn parse(text: &str, descs: &mut Descs) -> Result<Sample, PageError> {
    let mut reader = Reader::default();
    for line in text.lines().take(MAX_LINES) {
        // The longest part of a page, and not shown: its labels are not even looked at.
        if line.starts_with("rdma_port_hw_") {
            continue;
        }
        if let Some(line) = Line::parse(line) {
            reader.take(&line, descs);
        }
    }
    reader.finish()
}

impl Reader {
    fn take(&mut self, line: &Line<'_>, descs: &mut Descs) {
        if let Some(of_port) = line.name.strip_prefix("rdma_port_") {
            self.port_line(of_port, line, descs);
        } else if let Some(of_pe) = line.name.strip_prefix("rdma_pe_") {
            self.pe_line(of_pe, line, descs);
        } else {
            match line.name {
                "rdma_device_info" => self.device(line),
                "railtop_build_info" => self.ours = true,
                "railtop_last_read_timestamp_seconds" => (self.ours, self.at_s) = (true, line.real()),
                "rdma_group_nics" => {
                    let group = line.label("group");
                    if let Some(gpu) = group.as_deref().and_then(|group| group.strip_prefix("GPU "))
                        && self.gpu_groups.len() < MAX_PORTS
                    {
                        self.gpu_groups.insert(gpu.to_owned());
                    }
                }
                _ => {}
            }
        }
    }

    /// The port that a line is of; `None` when it names none, or when there are too many.
    fn port(&mut self, line: &Line<'_>) -> Option<&mut Port> {
        let (mut device, mut port) = (None, None);
        for (name, value) in line.labels() {
            match name {
                "device" => device = Some(value),
                "port" => port = value.parse().ok(),
                _ => {}
            }
        }
        let (device, port): (Cow<'_, str>, u8) = (device?, port?);
        // Few, and lines of the same family come in the same order.
        let known = self.ports.iter().position(|((d, p), _)| *p == port && *d == *device);
        let at = match known {
            Some(at) => at,
            None if self.ports.len() >= MAX_PORTS => return None,
            None => {
                self.ports.push(((device.into_owned(), port), Port::default()));
                self.ports.len() - 1
            }
        };
        self.ports.get_mut(at).map(|(_, port)| port)
    }

    fn port_line(&mut self, what: &str, line: &Line<'_>, descs: &mut Descs) {
        let feeds = match what {
            "dropped_packets_total" => Some(Health::Drops),
            "retransmit_packets_total" => Some(Health::Retransmits),
            "timeouts_total" => Some(Health::Timeouts),
            "congestion_notifications_total" => Some(Health::Congestion),
            _ => None,
        };
        let count = line.count();
        let Some(port) = self.port(line) else { return };
        match what {
            "transmit_bytes_total" => port.traffic.tx_bytes = count,
            "receive_bytes_total" => port.traffic.rx_bytes = count,
            "transmit_packets_total" => port.traffic.tx_ops = count,
            "receive_packets_total" => port.traffic.rx_ops = count,
            // Which of them those are it does not say.
            "saturated_counters" => {
                if let Some(value) = count {
                    put(&mut port.counters, RawCounter { desc: descs.get(SATURATED, None, true), value });
                }
            }
            "readable" => port.readable = count.map(|count| count > 0),
            "link_rate_bytes_per_second" => {
                port.facts.link_bits_per_s = count.and_then(|bytes| bytes.checked_mul(8));
            }
            "state" => {
                const NAMES: [&str; 6] = ["NOP", "DOWN", "INIT", "ARMED", "ACTIVE", "ACTIVE_DEFER"];
                let name = count.and_then(|count| NAMES.get(usize::try_from(count).ok()?));
                port.facts.state = name.map(|&name| name.to_owned());
            }
            _ => {
                if let (Some(feeds), Some(value), Some(name)) = (feeds, count, line.label("counter")) {
                    let desc = descs.get(&name, Some(feeds), false);
                    put(&mut port.counters, RawCounter { desc, value });
                }
            }
        }
    }

    fn device(&mut self, line: &Line<'_>) {
        let Some(port) = self.port(line) else { return };
        for (name, value) in line.labels() {
            let text = || Some(printable(&value)).filter(|text| !text.is_empty());
            match name {
                "driver" => port.facts.driver = text(),
                "pci" => port.facts.pci = text(),
                "numa" => port.facts.numa = value.parse().ok(),
                "fw" => port.facts.fw_ver = text(),
                "link_layer" => port.facts.link_layer = text(),
                "netdev" => port.facts.netdev = text(),
                "gpu" => {
                    let gpus = value.split(',').filter(|gpu| !gpu.is_empty()).take(MAX_RAILS);
                    port.facts.gpus = gpus.map(printable).collect();
                }
                "source" => {
                    let all = [SourceKind::Sysfs, SourceKind::Netlink, SourceKind::Netdev];
                    port.source = all.into_iter().find(|source| source.name() == value);
                }
                _ => {}
            }
        }
    }

    fn pe_line(&mut self, what: &str, line: &Line<'_>, descs: &mut Descs) {
        let (mut job, mut node, mut pe) = (String::new(), None, None);
        let (mut rail, mut device) = (None, None);
        let mut about: [Option<String>; 4] = Default::default();
        for (name, value) in line.labels() {
            match name {
                "job_name" => job = printable(&value),
                "node_name" => node = Some(printable(&value)),
                "pe" => pe = value.parse().ok(),
                "rail" => rail = value.parse().ok().filter(|&rail: &usize| rail < MAX_RAILS),
                "device" => device = Some(value),
                "policy" => about[0] = Some(printable(&value)),
                "rx_source" => about[1] = Some(printable(&value)),
                "provider" => about[2] = Some(printable(&value)),
                "gpu" => about[3] = Some(printable(&value)),
                _ => {}
            }
        }
        let (Some(node), Some(pe)) = (node, pe) else { return };
        let key = (job, node, pe);
        if self.pes.len() >= MAX_PES && !self.pes.contains_key(&key) {
            return;
        }
        let pe = self.pes.entry(key).or_default();
        if what == "info" {
            let [policy, rx_source, provider, gpu] = about;
            (pe.policy, pe.rx_source, pe.gpu) = (policy, rx_source, gpu);
            pe.provider = provider.unwrap_or_default();
            return;
        }
        let (Some(rail), Some(device), Some(count)) = (rail, device, line.count()) else { return };
        let nic = pe.nics.entry(rail).or_default();
        if nic.device.is_empty() {
            nic.device = printable(&device);
        }
        let counter = match what {
            "transmit_bytes_total" => return nic.traffic.tx_bytes = Some(count),
            "receive_bytes_total" => return nic.traffic.rx_bytes = Some(count),
            "transmit_operations_total" => return nic.traffic.tx_ops = Some(count),
            "receive_operations_total" => return nic.traffic.rx_ops = Some(count),
            "in_flight_bytes" => return nic.in_flight_bytes = Some(count),
            "nic_down" => crate::monitor::failover::DOWN,
            "nic_failures_total" => crate::monitor::failover::FAILURES,
            "transmit_errors_total" => "tx_errors",
            "receive_errors_total" => "rx_errors",
            "resent_bytes_total" => "resent_bytes",
            _ => return,
        };
        let desc = descs.get(counter, None, what == "nic_down");
        put(&mut nic.counters, RawCounter { desc, value: count });
    }

    fn finish(self) -> Result<Sample, PageError> {
        if !self.ours {
            return Err(PageError::Foreign);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "milliseconds of a sane time"
        )]
        let at_ms = self.at_s.filter(|at| (0.0..1e11).contains(at)).map(|at| (at * 1e3).round() as u64);
        let mono_ns = at_ms.ok_or(PageError::NoTime)?.saturating_mul(1_000_000);
        let all: HashSet<&String> = self.ports.iter().flat_map(|(_, port)| &port.facts.gpus).collect();
        let in_all = all.len();
        let mut ports: Vec<PortSample> = Vec::new();
        for ((device, number), port) in self.ports {
            // What went away lately has no facts any more.
            let Some(source) = port.source else { continue };
            // The node's own grouping decides: a GPU that has a group there tells NICs apart.
            let grouped = self.gpu_groups.contains(&port.facts.gpus.join(","));
            let gpus_in_all = if grouped { in_all.max(port.facts.gpus.len() + 1) } else { in_all };
            let facts = PortFacts { device: printable(&device), port: number, gpus_in_all, ..port.facts };
            let reading = match port.readable {
                Some(false) => Err("its node could not read it".to_owned()),
                _ => Ok(Reading {
                    mono_ns,
                    traffic: port.traffic,
                    counters: port.counters,
                    ..Reading::default()
                }),
            };
            ports.push(PortSample { facts: Arc::new(facts), source, reading });
        }
        ports.sort_by(|a, b| {
            natural::compare(&a.facts.device, &b.facts.device).then(a.facts.port.cmp(&b.facts.port))
        });
        let pages =
            self.pes.into_iter().map(|((job, node, number), pe)| page(mono_ns, job, node, number, pe));
        let nothing = vec!["its exporter sees no RDMA device and no counter page".to_owned()];
        Ok(Sample {
            realtime_ns: i128::from(mono_ns),
            mono_ns,
            ports,
            pages: pages.collect(),
            nothing,
            ..Sample::default()
        })
    }
}

/// Takes a counter in: the last line counts of those that are the same, and of too many none.
fn put(counters: &mut Vec<RawCounter>, counter: RawCounter) {
    let same = |known: &&mut RawCounter| {
        known.desc.name == counter.desc.name && known.desc.feeds == counter.desc.feeds
    };
    if let Some(known) = counters.iter_mut().find(same) {
        known.value = counter.value;
    } else if counters.len() < MAX_COUNTERS {
        counters.push(counter);
    }
}

fn page(mono_ns: u64, job: String, node: String, number: u32, pe: Pe) -> PageSample {
    let nic = |(index, nic): (usize, Nic)| PageNic {
        index,
        device: nic.device,
        port: 0,
        pci: None,
        numa: None,
        netdev: None,
        link_bits_per_s: None,
        reading: Reading { mono_ns, traffic: nic.traffic, counters: nic.counters, ..Reading::default() },
        in_flight_bytes: nic.in_flight_bytes,
        torn: false,
        netdev_reading: None,
        rx_windows: None,
    };
    PageSample {
        key: format!("{job}/{node}/{number}"),
        job,
        node,
        pe: number,
        pid: 0,
        gpu: pe.gpu,
        command: String::new(),
        provider: pe.provider,
        policy: pe.policy,
        rx_source: pe.rx_source,
        state: PageState::Alive,
        own: None,
        nics: pe.nics.into_iter().map(nic).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    const PAGE: &str = "\
# HELP rdma_port_transmit_bytes_total Bytes.
# TYPE rdma_port_transmit_bytes_total counter
rdma_port_transmit_bytes_total{device=\"mlx5_10\",port=\"1\"} 18446744073709551615
rdma_port_transmit_bytes_total{device=\"mlx5_2\",port=\"1\"} 7
rdma_port_receive_bytes_total{device=\"mlx5_2\",port=\"1\"} NaN
rdma_port_retransmit_packets_total{device=\"mlx5_2\",port=\"1\",counter=\"packet_seq_err\"} 3
rdma_port_hw_counters_total{device=\"mlx5_2\",port=\"1\",counter=\"packet_seq_err\"} 3
rdma_port_readable{device=\"mlx5_10\",port=\"1\"} 0
rdma_port_readable{device=\"mlx5_2\",port=\"1\"} 1
rdma_port_state{device=\"mlx5_2\",port=\"1\"} 1
rdma_port_link_rate_bytes_per_second{device=\"mlx5_2\",port=\"1\"} 50000000000
rdma_device_info{device=\"mlx5_2\",port=\"1\",driver=\"mlx5_core\",numa=\"1\",gpu=\"0000:0a:00.0\",source=\"sysfs\"} 1
rdma_device_info{device=\"mlx5_10\",port=\"1\",driver=\"mlx5_core\",gpu=\"\",source=\"netlink\"} 1
rdma_port_readable{device=\"gone_0\",port=\"1\"} 0
rdma_pe_transmit_bytes_total{job_name=\"j\",node_name=\"n\",pe=\"3\",rail=\"1\",device=\"mlx5_2\"} 9
rdma_pe_nic_down{job_name=\"j\",node_name=\"n\",pe=\"3\",rail=\"1\",device=\"mlx5_2\"} 1
rdma_pe_info{job_name=\"j\",node_name=\"n\",pe=\"3\",policy=\"pair-seq\",provider=\"efa\"} 1
railtop_last_read_timestamp_seconds 1700000000.125
";

    #[test]
    fn a_page_says_what_was_read_and_when() {
        let sample = parse(PAGE, &mut Descs::default()).unwrap();
        assert_eq!(sample.mono_ns, 1_700_000_000_125_000_000);
        let [two, ten] = &sample.ports[..] else { panic!("two ports: {:?}", sample.ports) };
        assert_eq!((two.facts.device.as_str(), ten.facts.device.as_str()), ("mlx5_2", "mlx5_10"));
        let reading = two.reading.as_ref().unwrap();
        assert_eq!(reading.traffic, Traffic { tx_bytes: Some(7), ..Traffic::default() }, "NaN is not zero");
        assert_eq!(reading.counters.len(), 1, "each once");
        assert_eq!(reading.counters[0].desc.feeds, Some(Health::Retransmits));
        assert_eq!(two.facts.link_bits_per_s, Some(400_000_000_000));
        assert_eq!((two.facts.state.as_deref(), two.facts.numa), (Some("DOWN"), Some(1)));
        assert_eq!((two.source, ten.source), (SourceKind::Sysfs, SourceKind::Netlink));
        assert!(ten.reading.is_err());
        let pe = &sample.pages[0];
        assert_eq!((pe.key.as_str(), pe.pe, pe.policy.as_deref()), ("j/n/3", 3, Some("pair-seq")));
        assert_eq!((pe.nics[0].index, pe.nics[0].is_down()), (1, Some(true)));
    }

    #[test]
    fn lines_that_are_told_twice_are_one_counter_and_those_that_are_full_are_told() {
        let text = "railtop_last_read_timestamp_seconds 1
rdma_device_info{device=\"m\",port=\"1\",source=\"sysfs\"} 1
rdma_port_timeouts_total{device=\"m\",port=\"1\",counter=\"a\"} 3
rdma_port_timeouts_total{device=\"m\",port=\"1\",counter=\"a\"} 4
rdma_port_saturated_counters{device=\"m\",port=\"1\"} 2
";
        let sample = parse(text, &mut Descs::default()).unwrap();
        let counters = &sample.ports[0].reading.as_ref().unwrap().counters;
        let told: Vec<_> = counters.iter().map(|counter| (counter.name(), counter.value)).collect();
        assert_eq!(told, [("a", 4), (SATURATED, 2)]);
    }

    #[test]
    fn what_is_no_exporters_is_said() {
        let mut descs = Descs::default();
        assert_eq!(parse("<html>", &mut descs), Err(PageError::Foreign));
        assert_eq!(parse("node_load1 0.5\n", &mut descs), Err(PageError::Foreign));
        assert_eq!(parse("railtop_build_info{version=\"1\"} 1\n", &mut descs), Err(PageError::NoTime));
        let late = "railtop_last_read_timestamp_seconds 1e300\n";
        assert_eq!(parse(late, &mut descs), Err(PageError::NoTime));
    }

    #[test]
    fn there_is_no_end_of_ports_and_none_of_it_is_taken() {
        let mut text = "railtop_last_read_timestamp_seconds 1\n".to_owned();
        for n in 0..2000 {
            text.extend([
                format!("rdma_device_info{{device=\"d{n}\",port=\"1\",source=\"sysfs\"}} 1\n"),
                format!("rdma_pe_info{{job_name=\"j\",node_name=\"n\",pe=\"{n}\"}} 1\n"),
                format!("rdma_port_timeouts_total{{device=\"d0\",port=\"1\",counter=\"c{n}\"}} 1\n"),
            ]);
        }
        let sample = parse(&text, &mut Descs::default()).unwrap();
        assert_eq!((sample.ports.len(), sample.pages.len()), (MAX_PORTS, MAX_PES));
        assert_eq!(sample.ports[0].reading.as_ref().unwrap().counters.len(), MAX_COUNTERS);
    }

    #[test_case("a\u{1b}[2Jb"; "an escape")]
    #[test_case("a\u{202e}b"; "an override")]
    fn nothing_that_moves_a_cursor_comes_through(name: &str) {
        let text = format!(
            "railtop_last_read_timestamp_seconds 1\nrdma_device_info{{device=\"{name}\",port=\"1\",driver=\"{name}\",source=\"sysfs\"}} 1\n"
        );
        let sample = parse(&text, &mut Descs::default()).unwrap();
        let facts = &sample.ports[0].facts;
        assert_eq!(
            (facts.device.as_str(), facts.driver.as_deref()),
            (&*printable(name), Some(&*printable(name)))
        );
        assert_ne!(facts.device, name);
    }
}
