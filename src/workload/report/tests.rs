//! Both formats on a made-up run.

use std::time::Duration;

use super::*;
use crate::workload::gather::tests::pe;
use crate::workload::options::tests::options;

fn rows() -> [Row; 2] {
    let put = Row { size: 4096, iters: 10, bw_gb_per_s: Some(0.0987), ..Row::default() };
    let alltoall = Row {
        bench: Pattern::AllToAll,
        size: 8 << 20,
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
        reporter.begin(&options, row.policy).unwrap();
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
    let nothing = &lines[2];
    assert!(nothing.get("bw_gb_per_s").is_none(), "missing is an absent key: {nothing}");
    let nics: Vec<_> = lines.iter().filter(|line| line["type"] == "nic").collect();
    assert_eq!(nics.len(), 4);
    assert!(nics.iter().all(|nic| nic["rx_bytes"] == nic["sent_to_bytes"]));
    let rx = lines.iter().find(|line| line["direction"] == "rx").unwrap();
    assert_eq!((&rx["max_over_mean"], &rx["active_nics"], &rx["nics"]), (&2.0.into(), &1.into(), &2.into()));
    insta::assert_snapshot!(text);
}
