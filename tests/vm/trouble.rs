//! Devices that do not answer, or answer with an error, beside others that do.

use serde_json::Value;

use crate::machine::Machine;
use crate::report::{assert_near, flagged, median_rate, number, of, watch};

/// Four devices that move 1 GB/s each.
const FOUR: &str = "use_mock efa_0:efa,efa_1:efa,efa_2:efa,efa_3:efa
    for d in 0 1 2 3; do echo 1000000000 >$mock/efa_$d/port/tx_bytes.per_s; done";

/// Logs while `trouble` begins, lasts for six ticks and is undone.
fn log_around(machine: &mut Machine, trouble: &str, undo: &str) -> Vec<Value> {
    machine.ok(FOUR);
    let log = watch(
        machine,
        "--source sysfs -i 250ms --device 'efa_?'",
        // Enough of them afterwards that a read which lasted until the trouble was over, and so has no moment of its own, does not count.
        &format!("{trouble}; log_ticks 6; {undo}; log_ticks 14"),
    );
    machine.ok("use_mock ''");
    log
}

/// A rate in every record. One look may be torn apart by a busy host, between the counter and the clock; most are not, over all of
/// them nothing is lost, and nothing is several times as much.
fn right(device: &str, records: &[&Value]) {
    assert_near(device, median_rate(records, "tx_bytes_per_s"), 1e9, 0.1);
    let time: f64 = records.iter().map(|r| number(r, "dt_s")).sum();
    let moved: f64 = records.iter().map(|r| number(r, "tx_bytes_per_s") * number(r, "dt_s")).sum();
    assert_near(device, moved / time, 1e9, 0.1);
    for record in records {
        assert!(number(record, "tx_bytes_per_s") < 2e9, "a spike: {record}");
    }
}

fn others_are_unaffected(log: &[Value]) {
    for device in ["efa_0", "efa_1", "efa_3"] {
        let records = of(log, device, "sysfs");
        assert!(records.len() >= 10, "{device}: {records:?}");
        right(device, &records);
    }
}

/// The device in trouble is shown, without a rate, and with the reason; afterwards its rate is right at once.
fn the_one_says_why(log: &[Value], why: &str) {
    let records = of(log, "efa_2", "sysfs");
    assert_eq!(records.len(), of(log, "efa_1", "sysfs").len(), "it stays in the list");
    let silent: Vec<_> = records.iter().filter(|r| flagged(r, "stale")).collect();
    assert!(silent.len() >= 4, "{records:?}");
    for record in &silent {
        assert_eq!(record["tx_bytes_per_s"], Value::Null, "a rate that nobody read: {record}");
        assert_eq!(record["tx_bytes"], Value::Null, "a value that nobody read: {record}");
        let reason = record["reason"].as_str().unwrap_or_default();
        assert!(reason.contains(why), "{record}");
    }
    for rate in records.iter().filter_map(|r| r["tx_bytes_per_s"].as_f64()) {
        assert!(rate < 2e9, "a spike: {rate}");
    }
    let troubled = records.iter().rposition(|r| flagged(r, "stale")).expect("records of the trouble");
    let answers: Vec<_> =
        records[troubled + 1..].iter().copied().filter(|r| r["tx_bytes_per_s"].is_number()).collect();
    assert!(answers.len() >= 2, "it answers again: {records:?}");
    right("it answers again", &answers);
}

pub fn a_device_that_answers_einval_is_marked_and_the_others_go_on(machine: &mut Machine) {
    let log = log_around(machine, "echo 22 >$mock/efa_2/fail", "echo 0 >$mock/efa_2/fail");
    others_are_unaffected(&log);
    the_one_says_why(&log, "EINVAL");
}

pub fn a_device_that_hangs_is_marked_and_the_others_go_on(machine: &mut Machine) {
    let log = log_around(machine, "echo 30000 >$mock/efa_2/stall_ms", "echo 0 >$mock/efa_2/stall_ms");
    others_are_unaffected(&log);
    the_one_says_why(&log, "");
}
