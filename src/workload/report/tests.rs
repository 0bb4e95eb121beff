//! Both formats on a made-up run.

use std::time::Duration;

use super::*;
use crate::skew::Skew;
use crate::workload::gather::tests::pe;
use crate::workload::moe::{Batch, Latency, MoeRow, Phase, PhaseRow, Shape, Traffic};
use crate::workload::options::tests::options;
use crate::workload::options::{HeapKind, Scope};

fn scene() -> Scene {
    Scene {
        started: "2026-11-29T18:00:00Z".to_owned(),
        version: "0.1.0",
        command: vec!["railtop".to_owned(), "bench".to_owned()],
        host: "node-a".to_owned(),
        kernel: Some("6.18.0".to_owned()),
        cpu: None,
        cores: Some(2),
        gpu: None,
        provider: "net".to_owned(),
        libfabric: Some("1.17".to_owned()),
        nodes: 2,
        pes: 2,
        nics_per_pe: 2,
        nic_bits_per_s: None,
        intra_node: None,
    }
}

fn rows() -> [Row; 2] {
    let put = Row { size: 4096, iters: 10, bw_gb_per_s: Some(0.0987), ..Row::default() };
    let alltoall = Row {
        bench: Pattern::AllToAll,
        size: 8 << 20,
        chunk: Some(256 << 10),
        iters: 10,
        latency_us: Some(350_000.25),
        latency_spread: Some(Quantiles { min: 1.0, median: 2.0, max: 3.0 }),
        algbw_gb_per_s: Some(0.024),
        busbw_gb_per_s: Some(0.021),
        ..Row::default()
    };
    [put, alltoall]
}

fn report(reporter: &mut dyn Reporter) {
    for row in rows() {
        let options = options(row.bench);
        reporter.begin(&scene(), row.policy, None).unwrap();
        reporter.table(&options, row.table, row.heap).unwrap();
        reporter.row(&row).unwrap();
    }
    let empty = Row { size: 8, ..Row::default() };
    reporter.row(&empty).unwrap();
    let pes = [
        pe(0, &[1000, 1000], &[0, 0], vec![vec![0, 0], vec![2000, 0]]),
        pe(1, &[0, 0], &[2000, 0], vec![vec![0, 0], vec![0, 0]]),
    ];
    let summary = Summary { policy: PolicyKind::RoundRobin, window: Duration::from_millis(10), pes: &pes };
    reporter.summary(&summary).unwrap();
}

#[test]
fn text() {
    let mut out = Vec::new();
    report(&mut Text::new(&mut out));
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}

#[test]
fn json() {
    let mut out = Vec::new();
    report(&mut Json::new(&mut out));
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().filter(|line| line["type"] == "row").count(), 3);
    let nothing = lines.iter().rfind(|line| line["type"] == "row").unwrap();
    assert!(nothing.get("bw_gb_per_s").is_none(), "missing is an absent key: {nothing}");
    let nics: Vec<_> = lines.iter().filter(|line| line["type"] == "nic").collect();
    assert_eq!(nics.len(), 4);
    assert!(nics.iter().all(|nic| nic["rx_bytes"] == nic["sent_to_bytes"]));
    let rx = lines.iter().find(|line| line["direction"] == "rx").unwrap();
    assert_eq!((&rx["max_over_mean"], &rx["active_nics"], &rx["nics"]), (&2.0.into(), &1.into(), &2.into()));
    insta::assert_snapshot!(text);
}

/// A row of a kernel's all-to-all, and the options that it belongs to.
fn on_gpu() -> (Options, Row) {
    let initiator = Initiator::Gpu { ordinal: 0, threads: 256, heap: HeapKind::Auto };
    let options = Options { initiator, ..options(Pattern::AllToAll) };
    let row = Row {
        bench: Pattern::AllToAll,
        initiator,
        table: Table { scope: Some(Scope::Warp), bits: 64 },
        grid: Some((1, 32)),
        heap: Some("device"),
        size: 4096,
        iters: 10,
        verified: true,
        latency_us: Some(4.25),
        ..Row::default()
    };
    (options, row)
}

#[test]
fn a_kernel_s_row_says_who_joined_in_it() {
    let (options, row) = on_gpu();
    let mut out = Vec::new();
    Json::new(&mut out).row(&row).unwrap();
    let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
    for (key, value) in [("scope", "warp"), ("heap", "device"), ("initiator", "gpu")] {
        assert_eq!(line[key], value, "{line}");
    }
    for (key, value) in [("bits", 64), ("blocks", 1), ("threads", 32)] {
        assert_eq!(line[key], value, "{line}");
    }
    let mut out = Vec::new();
    let mut text = Text::new(&mut out);
    text.begin(&scene(), row.policy, options.note()).unwrap();
    text.table(&options, row.table, row.heap).unwrap();
    text.row(&row).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("# heap: device; at most 32 blocks of 256 threads\n#alltoall_device\n"), "{text}");
    assert!(text.contains("4096        512       64-bit    warp      4.250000"), "{text}");
    assert!(text.contains("times include filling and checking"), "{text}");
}

/// A layer with 4 tokens of each PE.
fn moe() -> MoeRow {
    let phase = |phase: Phase, mean: f64, puts| PhaseRow {
        phase,
        size: phase.bytes(Shape::E64, 4),
        latency: Latency {
            mean,
            deviation: 12.5,
            spread: Quantiles { min: mean, median: mean + 1.0, max: mean + 30.0 },
        },
        traffic: Traffic { puts, bytes: puts * 2128 },
    };
    MoeRow {
        policy: PolicyKind::PairSeq,
        initiator: Initiator::Host,
        heap: None,
        grid: None,
        shape: Shape::E64,
        tokens: 4,
        skew: Skew::Zipf(1.2),
        seed: 7,
        batch: Batch::Auto,
        iters: 10,
        verified: true,
        phases: vec![phase(Phase::Dispatch, 100.0, 3), phase(Phase::Combine, 0.0, 12)],
    }
}

#[test]
fn a_layer_is_a_line_of_text_and_one_of_json_for_each_phase() {
    let mut out = Vec::new();
    let mut text = Text::new(&mut out);
    for _ in 0..2 {
        text.begin(&scene(), PolicyKind::PairSeq, Some("a note")).unwrap();
        text.moe(&moe()).unwrap();
        text.moe(&moe()).unwrap();
    }
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches("Dispatch_lat").count(), 2, "once for each policy: {text}");
    assert_eq!(text.matches("# a note").count(), 2);
    assert!(!text.contains("Alltoall_lat"), "what was left out has no columns: {text}");
    let row: Vec<_> = text.lines().find(|line| line.starts_with("64 ")).unwrap().split_whitespace().collect();
    let cells = [
        "64",
        "6",
        "4",
        "2048",
        "100.0μs",
        "±",
        "12.5μs",
        "0.507GB/s",
        "50688",
        "0.0μs",
        "±",
        "12.5μs",
        "-",
        "98304",
    ];
    assert_eq!(row, cells);

    let mut out = Vec::new();
    Json::new(&mut out).moe(&moe()).unwrap();
    insta::assert_snapshot!("moe_json", String::from_utf8(out).unwrap());
}
