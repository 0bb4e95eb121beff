//! What a tally makes of ticks that a test writes.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::monitor::model::Model;
use crate::monitor::sample::{PageState, PortFacts, PortSample, RawCounter, Reading, Sample, Traffic, made};

const MB: u64 = 1 << 20;

/// A port: device, driver, incarnation, bytes sent.
type Port = (&'static str, &'static str, u64, Option<u64>);

/// What is said of these ticks, a second apart.
fn judge(ticks: &[&[Port]]) -> Result<Report, String> {
    let mut model = Model::new("h".to_owned());
    let mut tally = Tally::new(None);
    for (mono_ns, ports) in (1..).map(|second| second * 1_000_000_000).zip(ticks) {
        let port = |&(device, driver, incarnation, tx_bytes): &Port| PortSample {
            facts: Arc::new(PortFacts {
                device: device.to_owned(),
                driver: Some(driver.to_owned()),
                port: 1,
                ..PortFacts::default()
            }),
            source: SourceKind::Sysfs,
            reading: Ok(Reading {
                mono_ns,
                incarnation,
                traffic: Traffic { tx_bytes, tx_ops: Some(mono_ns), ..Traffic::default() },
                ..Reading::default()
            }),
        };
        let sample = Sample { mono_ns, ports: ports.iter().map(port).collect(), ..Sample::default() };
        let derived = model.update(&sample, Duration::from_secs(1));
        tally.add(&derived);
    }
    tally.judge(1.25, &[Direction::Tx])
}

#[test]
fn a_nic_whose_driver_counts_no_bytes_is_left_out_and_named() {
    let tick =
        |a, b| [("cxgb4_0", "cxgb4", 0, None), ("mlx5_0", "mlx5_core", 0, a), ("mlx5_1", "mlx5_core", 0, b)];
    let report = judge(&[&tick(Some(0), Some(0)), &tick(Some(900 * MB), Some(900 * MB))]).unwrap();
    let group = &report.groups[0];
    assert_eq!((report.verdict, group.nics, group.unread_nics), (Word::Balanced, 2, 0));
    assert_eq!(group.left_out, ["cxgb4_0"]);
    let report = judge(&[&tick(Some(0), Some(0)), &tick(Some(900 * MB), Some(0))]).unwrap();
    assert_eq!((report.verdict, &report.groups[0].busiest[..]), (Word::Skewed, &["mlx5_0".to_owned()][..]));
    // One that does count and cannot be read is another matter.
    let report = judge(&[&tick(Some(0), None), &tick(Some(900 * MB), None)]);
    assert!(report.unwrap_err().contains("cannot read mlx5_1 of 2 NICs"));
}

#[test]
fn where_no_driver_counts_bytes_nothing_can_be_judged() {
    let tick = [("cxgb4_0", "cxgb4", 0, None), ("cxgb4_1", "cxgb4", 0, None)];
    let reason = judge(&[&tick, &tick]).unwrap_err();
    assert!(reason.contains("cannot read cxgb4_0, cxgb4_1 of 2 NICs"), "{reason}");
}

#[test]
fn between_two_devices_of_one_name_nothing_moved() {
    let tick = |run, a, b| [("mlx5_0", "mlx5_core", run, Some(a)), ("mlx5_1", "mlx5_core", 0, Some(b))];
    let report = judge(&[
        &tick(0, 0, 0),
        &tick(0, 100 * MB, 110 * MB),
        &tick(1, 5_000_000 * MB, 110 * MB),
        &tick(1, 5_000_010 * MB, 110 * MB),
    ]);
    let report = report.unwrap();
    assert_eq!((report.verdict, report.groups[0].bytes), (Word::Balanced, 220 * MB));
}

/// What is said of a PE with three NICs that all moved as much, of which the last was down at some of the looks.
fn judge_page(state: PageState, down: &[u64]) -> GroupReport {
    let mut model = Model::new("h".to_owned());
    let mut tally = Tally::new(None);
    for (mono_ns, &down) in (1..).map(|second| second * 1_000_000_000).zip(down) {
        let nic = |index| {
            let reading = Reading {
                mono_ns,
                traffic: Traffic { tx_bytes: Some(mono_ns), tx_ops: Some(mono_ns), ..Traffic::default() },
                counters: vec![RawCounter::unknown("down", if index == 2 { down } else { 0 })],
                ..Reading::default()
            };
            made::nic(index, reading)
        };
        let page = made::page(state, (0..3).map(nic).collect());
        let sample = Sample { mono_ns, pages: vec![page], ..Sample::default() };
        let derived = model.update(&sample, Duration::from_secs(1));
        tally.add(&derived);
    }
    tally.judge(1.25, &[Direction::Tx]).unwrap().groups.remove(0)
}

#[test]
fn a_nic_that_is_down_is_told_from_one_that_was() {
    let told = |state, down: &[u64]| {
        let group = judge_page(state, down);
        (group.down.join(","), group.was_down.join(","))
    };
    let nic2 = || "nic2".to_owned();
    assert_eq!(told(PageState::Alive, &[0, 1, 1]), (nic2(), String::new()));
    assert_eq!(told(PageState::Alive, &[0, 1, 0]), (String::new(), nic2()));
    assert_eq!(told(PageState::Alive, &[0, 0, 0]), (String::new(), String::new()));
}

#[test]
fn who_answered_only_once_is_not_idle() {
    let tick = |bytes| [("mlx5_0", "mlx5_core", 0, bytes), ("mlx5_1", "mlx5_core", 0, bytes)];
    let reason = judge(&[&tick(None), &tick(Some(900 * MB))]).unwrap_err();
    assert!(reason.contains("cannot read mlx5_0, mlx5_1 of 2 NICs"), "{reason}");
    assert!(reason.contains("it has answered only once"), "{reason}");
}
