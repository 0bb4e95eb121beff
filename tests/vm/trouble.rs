//! Devices that do not answer, or answer with an error, beside others that do.

use serde_json::Value;

use crate::machine::Machine;
use crate::report::{assert_near, flagged, number, of, watch};

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

fn others_are_unaffected(log: &[Value]) {
    for device in ["efa_0", "efa_1", "efa_3"] {
        let records = of(log, device, "sysfs");
        assert!(records.len() >= 10, "{device}: {records:?}");
        for record in &records {
            assert_near(device, number(record, "tx_bytes_per_s"), 1e9, 0.1);
        }
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
    let last = records.last().expect("records");
    assert_near("it answers again", number(last, "tx_bytes_per_s"), 1e9, 0.1);
    for rate in records.iter().filter_map(|r| r["tx_bytes_per_s"].as_f64()) {
        assert!(rate < 1.1e9, "a spike: {rate}");
    }
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
