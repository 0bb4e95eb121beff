//! Devices that do not answer, or answer with an error, beside others that do.

use serde_json::Value;

use crate::machine::Machine;
use crate::report::{assert_near, assert_whole, flagged, number, of, watch, with_rates};

/// Four devices that move 1 GB/s each.
const FOUR: &str = "use_mock efa_0:efa,efa_1:efa,efa_2:efa,efa_3:efa
    for d in 0 1 2 3; do echo 1000000000 >$mock/efa_$d/port/tx_bytes.per_s; done";

/// Logs while `trouble` begins, lasts for six ticks and is undone.
fn log_around(machine: &mut Machine, trouble: &str, undo: &str) -> Vec<Value> {
    machine.ok(FOUR);
    let log = watch(
        machine,
        "--source sysfs -i 250ms --device 'efa_?'",
        &format!("{trouble}; log_ticks 6; {undo}; log_ticks 4"),
    );
    machine.ok("use_mock ''");
    log
}

/// Every rate is that of the device: the time it is over is known to 5 %, or there is no rate. The kernel's numbers may have been of up to
/// `kept_s` before the read.
fn right(device: &str, records: &[&Value], kept_s: f64) {
    for record in with_rates(records) {
        let bound = 0.05 + kept_s / number(record, "dt_s");
        assert_near(&format!("{device}: {record}"), number(record, "tx_bytes_per_s"), 1e9, bound);
    }
}

fn others_are_unaffected(log: &[Value]) {
    for device in ["efa_0", "efa_1", "efa_3"] {
        let records = of(log, device, "sysfs");
        assert!(records.len() >= 10, "{device}: {records:?}");
        right(device, &records, 0.0);
        assert_whole(device, &records, 1e9);
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
    let rated: Vec<_> = records.iter().copied().filter(|r| r["tx_bytes_per_s"].is_number()).collect();
    // It is asked again as soon as it answers, and the kernel asks it only every 10 ms (`RDMA_HW_STATS_DEFAULT_LIFESPAN` in its
    // `rdma/ib_verbs.h`), in jiffies.
    right("efa_2", &rated, 0.02);
    let troubled = records.iter().rposition(|r| flagged(r, "stale")).expect("records of the trouble");
    let answers = &records[troubled + 1..];
    assert!(flagged(answers[0], "new"), "no rate over the gap: {}", answers[0]);
    assert!(with_rates(&answers[1..]).len() >= 2, "it answers again: {records:?}");
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
