//! Pages made of samples, as a whole.

use std::sync::Arc;
use std::time::Duration;

use super::text::{Format, page};
use super::*;
use crate::monitor::counter::Desc;
use crate::monitor::model::Model;
use crate::monitor::model::view::SourceKind;
use crate::monitor::sample::made;
use crate::monitor::sample::{
    PageNic, PageState, PortFacts, PortSample, RawCounter, Reading, Sample, Traffic,
};
use crate::monitor::table::{self, Dir};

const SECOND: Duration = Duration::from_secs(1);

/// Bytes and packets sent and received, with these counters.
fn reading(tick: u64, tx: u64, rx: Option<u64>, counters: Vec<RawCounter>) -> Reading {
    Reading {
        mono_ns: (10 + tick) * 1_000_000_000,
        traffic: Traffic { tx_bytes: Some(tx), rx_bytes: rx, tx_ops: Some(tx / 1000), rx_ops: None },
        counters,
        ..Reading::default()
    }
}

fn port(device: &str, driver: &str, reading: Result<Reading, String>) -> PortSample {
    let facts = PortFacts {
        device: device.to_owned(),
        port: 1,
        driver: Some(driver.to_owned()),
        pci: Some("0000:4f:00.0".to_owned()),
        numa: Some(0),
        link_bits_per_s: Some(100_000_000_000),
        link_layer: Some("InfiniBand".to_owned()),
        state: Some("ACTIVE".to_owned()),
        phys_state: Some("LinkUp".to_owned()),
        fw_ver: Some("28.1".to_owned()),
        ..PortFacts::default()
    };
    PortSample { facts: Arc::new(facts), source: SourceKind::Sysfs, reading }
}

fn counter(driver: &str, dir: Dir, name: &str, value: u64) -> RawCounter {
    RawCounter { desc: table::of(Some(driver)).desc(dir, name), value }
}

/// A NIC of a PE that has sent and received so much.
fn nic(index: usize, tick: u64, tx: u64, rx: u64) -> PageNic {
    let counters = [("tx_errors", tick), ("down", 0), ("failures", 0), ("not exported", 5)];
    let counters = counters.map(|(name, value)| RawCounter::unknown(name, value)).to_vec();
    PageNic { in_flight_bytes: Some(65_536), ..made::nic(index, reading(tick, tx, Some(rx), counters)) }
}

/// A ConnectX, an EFA that stops to answer, and a PE whose two NICs share what they send and not what they receive.
fn sample(tick: u64) -> Sample {
    let mlx5 = vec![
        counter("mlx5_core", Dir::Counters, "port_xmit_data", 3_000_000_000 * tick / 4),
        counter("mlx5_core", Dir::Counters, "symbol_error", 65_535),
        counter("mlx5_core", Dir::HwCounters, "out_of_sequence", 7 * tick),
        counter("mlx5_core", Dir::HwCounters, "np_cnp_sent", 3),
        counter("mlx5_core", Dir::HwCounters, "lifespan", 10),
    ];
    let efa = vec![
        counter("efa", Dir::HwCounters, "retrans_bytes", 99),
        counter("efa", Dir::HwCounters, "rx_drops", 1),
        RawCounter { desc: Arc::new(Desc::unknown("odd\" name\n".to_owned())), value: 4 },
    ];
    let efa = if tick == 0 { Ok(reading(tick, 5, Some(6), efa)) } else { Err("does not answer".to_owned()) };
    let share = 10_000_000 * tick;
    Sample {
        realtime_ns: 1_795_000_000_250_000_000 + i128::from(tick) * 1_000_000_000,
        mono_ns: (10 + tick) * 1_000_000_000,
        ports: vec![
            port("mlx5_0", "mlx5_core", Ok(reading(tick, 3_000_000_000 * tick, None, mlx5))),
            port("rdmap79s0", "efa", efa),
        ],
        pages: vec![made::page(
            PageState::Alive,
            vec![nic(0, tick, share, 2 * share), nic(1, tick, share, 0)],
        )],
        ..Sample::default()
    }
}

/// The page after these samples, a second apart.
fn exported(samples: &[Sample], options: &Options, format: Format) -> String {
    let mut model = Model::new("node-a".to_owned());
    let mut tally = Tally::default();
    let mut all = Families::default();
    for sample in samples {
        let tick = model.update(sample, SECOND);
        tally.count(&tick, Duration::from_millis(2));
        all = families(&tick, &tally, options);
    }
    page(&all.finish(), format)
}

fn lines<'a>(page: &'a str, start: &str) -> Vec<&'a str> {
    page.lines().filter(|line| line.starts_with(start)).collect()
}

#[test]
fn the_page_is_what_it_was() {
    let samples = [sample(0), sample(1)];
    let all = Options { compat: vec![Compat::NodeInfiniband, Compat::NodeAmazonefa], ..Options::default() };
    let version = env!("CARGO_PKG_VERSION");
    insta::assert_snapshot!(
        "first",
        exported(&samples[..1], &all, Format::Prometheus).replace(version, "VERSION")
    );
    let second = exported(&samples, &Options::default(), Format::OpenMetrics);
    insta::assert_snapshot!("second", second.replace(version, "VERSION"));
}

#[test]
fn a_reset_shows_as_it_is_and_is_counted() {
    let port_at = |tick, tx| Sample {
        mono_ns: (10 + tick) * 1_000_000_000,
        ports: vec![port("mlx5_0", "mlx5_core", Ok(reading(tick, tx, Some(tx), Vec::new())))],
        ..Sample::default()
    };
    let silent = |tick| Sample {
        ports: vec![port("mlx5_0", "mlx5_core", Err("does not answer".to_owned()))],
        ..port_at(tick, 0)
    };
    // The second one happens while the device does not answer.
    let samples = [port_at(0, 500), port_at(1, 20), silent(2), silent(3), port_at(4, 10), port_at(5, 30)];
    let page = exported(&samples, &Options::default(), Format::Prometheus);
    assert_eq!(
        lines(&page, "rdma_port_transmit_bytes_total"),
        ["rdma_port_transmit_bytes_total{device=\"mlx5_0\",port=\"1\"} 30"]
    );
    assert_eq!(
        lines(&page, "railtop_resets_total"),
        ["railtop_resets_total{device=\"mlx5_0\",port=\"1\"} 2"]
    );
}

#[test]
fn a_driver_that_is_loaded_again_is_a_reset_and_its_device_is_said_to_be_gone() {
    let at = |tick, ports| Sample { mono_ns: (10 + tick) * 1_000_000_000, ports, ..Sample::default() };
    let there =
        |tick, tx| at(tick, vec![port("mlx5_0", "mlx5_core", Ok(reading(tick, tx, Some(tx), Vec::new())))]);
    let gone = exported(&[there(0, 500), at(1, Vec::new())], &Options::default(), Format::Prometheus);
    assert_eq!(lines(&gone, "rdma_port_readable{"), ["rdma_port_readable{device=\"mlx5_0\",port=\"1\"} 0"]);
    for family in ["rdma_port_state{", "rdma_port_link_rate", "rdma_device_info{", "railtop_resets_total{"] {
        assert_eq!(lines(&gone, family), [""; 0], "{family}");
    }
    let samples = [there(0, 500), at(1, Vec::new()), at(60, Vec::new()), there(61, 20)];
    let back = exported(&samples, &Options::default(), Format::Prometheus);
    let resets = "railtop_resets_total{device=\"mlx5_0\",port=\"1\"} 1";
    assert_eq!(lines(&back, "railtop_resets_total{"), [resets]);
}

#[test]
fn ports_that_went_away_are_not_remembered_without_bound() {
    let mut model = Model::new("node-a".to_owned());
    let mut tally = Tally::default();
    for tick in 0..1000 {
        let name = format!("mlx5_{tick}");
        let ports = vec![port(&name, "mlx5_core", Ok(reading(tick, 1, Some(1), Vec::new())))];
        let sample = Sample { mono_ns: (10 + tick) * 1_000_000_000, ports, ..Sample::default() };
        tally.count(&model.update(&sample, SECOND), SECOND);
    }
    assert_eq!(tally.remembered(), 257);
}

/// Two devices of one NUMA node, the second of which a PE's page shows, too.
fn with_a_covered_device(tick: u64, state: PageState, other: Result<Reading, String>) -> Sample {
    let device = nic(0, tick, tick * 1000, tick * 1000);
    let name = device.device.clone();
    let read = |tx| Ok(reading(tick, tx, Some(tx), Vec::new()));
    Sample {
        mono_ns: (10 + tick) * 1_000_000_000,
        ports: vec![port("mlx5_8", "mlx5_core", other), port(&name, "mlx5_core", read(3_000_000 * tick))],
        pages: vec![made::page(state, vec![device])],
        ..Sample::default()
    }
}

#[test]
fn a_page_that_is_dead_or_left_out_takes_no_device_out_of_its_group() {
    let page = |state, max_pes| {
        let one = |tick| {
            let read = Ok(reading(tick, 1_000_000 * tick, Some(0), Vec::new()));
            with_a_covered_device(tick, state, read)
        };
        let options = Options { max_pes, ..Options::default() };
        exported(&[one(0), one(1)], &options, Format::Prometheus)
    };
    let of_node = |page: &str, family: &str| {
        let start = format!("{family}{{group=\"NUMA 0\"");
        let found: Vec<_> =
            lines(page, &start).iter().map(|line| line.split("} ").nth(1).unwrap().to_owned()).collect();
        found
    };
    let shown = page(PageState::Alive, 64);
    assert_eq!(of_node(&shown, "rdma_group_nics"), ["1"], "{shown}");
    for page in [page(PageState::Dead, 64), page(PageState::Alive, 0)] {
        assert_eq!(of_node(&page, "rdma_group_nics"), ["2"], "{page}");
        assert_eq!(of_node(&page, "rdma_group_throughput_bytes_per_second"), ["4000000", "3000000"]);
        assert_eq!(of_node(&page, "rdma_group_imbalance_ratio"), ["1.5", "2"]);
        assert_eq!(of_node(&page, "rdma_group_unread_nics"), ["0", "0"]);
    }
}

#[test]
fn a_group_with_an_unread_nic_says_nothing_of_the_whole() {
    let read = |tick| Ok(reading(tick, 1_000_000 * tick, Some(0), Vec::new()));
    let samples = [
        with_a_covered_device(0, PageState::Dead, read(0)),
        with_a_covered_device(1, PageState::Dead, Err("does not answer".to_owned())),
    ];
    let page = exported(&samples, &Options::default(), Format::Prometheus);
    assert_eq!(
        lines(&page, "rdma_group_unread_nics{"),
        [
            "rdma_group_unread_nics{group=\"NUMA 0\",direction=\"transmit\"} 1",
            "rdma_group_unread_nics{group=\"NUMA 0\",direction=\"receive\"} 1"
        ]
    );
    for family in ["rdma_group_throughput", "rdma_group_imbalance", "rdma_group_active"] {
        assert_eq!(lines(&page, family), [""; 0], "{family}");
    }
}

#[test]
fn pes_are_bounded_and_dead_ones_are_dropped() {
    let with_pe = |pe, state| {
        let page = made::page(state, vec![nic(0, 0, 1, 1)]);
        crate::monitor::sample::PageSample { key: format!("job/node0/{pe}"), pe, ..page }
    };
    let pages: Vec<_> =
        (0..5).map(|pe| with_pe(pe, if pe == 1 { PageState::Dead } else { PageState::Alive })).collect();
    let samples = [Sample { pages, ..Sample::default() }];
    let options = Options { max_pes: 2, raw: false, ..Options::default() };
    let page = exported(&samples, &options, Format::Prometheus);
    let pes: Vec<_> = lines(&page, "rdma_pe_info")
        .iter()
        .map(|line| line.split("pe=\"").nth(1).unwrap().chars().next())
        .collect();
    assert_eq!(pes, [Some('0'), Some('2')]);
    assert_eq!(lines(&page, "railtop_pes_left_out"), ["railtop_pes_left_out 2"]);
    assert_eq!(
        lines(&page, "railtop_pes{"),
        [
            "railtop_pes{state=\"alive\"} 4",
            "railtop_pes{state=\"stalled\"} 0",
            "railtop_pes{state=\"dead\"} 1"
        ]
    );
    // Groups of PEs that are left out are too.
    assert_eq!(lines(&page, "rdma_group_nics").len(), 2);
}

#[test]
fn what_names_hold_does_not_get_out() {
    let hostile = "a\"\\\n\u{1b}]0;x\u{7}} 1\n# EOF\nrdma_device_info{device=\"b";
    let mut sample = sample(0);
    sample.ports =
        vec![port(hostile, hostile, Ok(reading(0, 1, Some(1), vec![RawCounter::unknown(hostile, 1)])))];
    let page = sample.pages.first_mut().unwrap();
    (page.job, page.node, page.provider) = (hostile.to_owned(), hostile.to_owned(), hostile.to_owned());
    (page.policy, page.gpu) = (Some(hostile.repeat(100)), Some(hostile.to_owned()));
    page.nics[0].device = hostile.to_owned();
    for format in [Format::Prometheus, Format::OpenMetrics] {
        let text = exported(
            std::slice::from_ref(&sample),
            &Options { compat: vec![Compat::NodeInfiniband], ..Options::default() },
            format,
        );
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
        assert!(text.lines().all(|line| line.chars().count() < 2000));
        let of_b = lines(&text, "rdma_device_info")
            .into_iter()
            .filter(|line| line.starts_with("rdma_device_info{device=\"b"));
        assert_eq!(of_b.count(), 0);
        assert_eq!(lines(&text, "# EOF").len(), usize::from(format == Format::OpenMetrics));
        assert_eq!(lines(&text, "rdma_port_transmit_bytes_total{").len(), 1);
    }
}
