//! A bug in one NIC's reader, without a screen: the NIC says so, and the others go on.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::fault::Fault;
use crate::support::{Tree, railtop};

/// A file that gives more than there is room for, as no kernel does, is where the real reader of the real program panics.
#[test]
fn a_reader_that_panics_marks_its_nic_and_the_others_go_on() {
    let Some(fault) = Fault::new("read", "rdmap1s0/ports/1/hw_counters/tx_bytes") else { return };
    let devices = ["rdmap0s0", "rdmap1s0", "rdmap2s0"];
    let tree = Tree::new(&devices);
    let mut command = railtop(tree.dir.path());
    command.args(["log", "-i", "50ms", "--source", "sysfs"]).envs(fault.environment());
    let mut log = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(log.stdout.take().unwrap()).lines().map(|line| {
        let line = line.unwrap();
        serde_json::from_str::<Value>(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    });
    let has_rate = |record: &Value| record["tx_bytes_per_s"].is_number();
    let is_of = |record: &Value, device: &str| record["dev"] == device;
    let mut until = |wanted: &dyn Fn(&Value) -> bool| {
        let mut seen = Vec::new();
        for record in lines.by_ref() {
            seen.push(record);
            if wanted(&seen[seen.len() - 1]) {
                return seen;
            }
        }
        panic!("the log has ended: {seen:?}");
    };
    let before = until(&|record| is_of(record, "rdmap2s0") && has_rate(record));
    let before = before.iter().rfind(|record| is_of(record, "rdmap1s0")).unwrap();
    assert!(before["driver"].as_str().is_some_and(|driver| !driver.is_empty()), "{before}");
    fs::write(fault.when(), "").unwrap();
    let bug = |record: &Value| {
        record["reason"].as_str().is_some_and(|reason| reason.contains("its reader ended by a bug"))
    };
    until(&|record| bug(record));
    let mut during = Vec::new();
    for _ in 0..5 {
        during.extend(until(&|record| is_of(record, "rdmap1s0")));
    }
    fs::remove_file(fault.when()).unwrap();
    for record in &during {
        if is_of(record, "rdmap1s0") {
            assert!(bug(record), "{record}");
            assert!(record["flags"].as_array().is_some_and(|f| f.iter().any(|f| f == "stale")), "{record}");
            for key in ["port", "driver", "source", "rate_bps", "link_layer"] {
                assert_eq!(record[key], before[key], "{key}, which no reader need tell: {record}");
            }
            for key in ["tx_bytes", "rx_bytes", "tx_bytes_per_s", "rx_bytes_per_s"] {
                assert_eq!(record[key], Value::Null, "a number that nobody read: {record}");
            }
        } else {
            // Their reads may take long on a machine with much to do.
            let unsure = record["flags"] == serde_json::json!(["unsure"]);
            assert!(unsure || (has_rate(record) && record["flags"].is_null()), "{record}");
        }
    }
    let others = during.iter().filter(|record| !is_of(record, "rdmap1s0")).count();
    assert!(others >= 8, "{during:?}");
    // Its next reader reads it again, after a while.
    until(&|record| is_of(record, "rdmap1s0") && has_rate(record));
    kill(Pid::from_raw(log.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    // What is still in the pipe must not stop it.
    assert!(lines.by_ref().count() < 10_000);
    let mut said = String::new();
    log.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("thread 'reader'") && said.contains("panicked at"), "{said}");
    assert_eq!(log.wait().unwrap().code(), Some(0), "{said}");
}
