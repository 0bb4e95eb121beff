//! A job's counter pages, looked at from another process.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use railtop::counters::{NicCounts, NicIdentity, PageDir, PageSpec, PageWriter, RxSource, monotonic_ns};
use serde_json::Value;

use crate::look::{AHEAD_NS, look, reads_pages_of};
use crate::support::{fixture, railtop, stdout_of};

#[test]
fn another_process_sees_a_pe_and_finds_its_one_busy_receiver() {
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("pages");
    let spec = PageSpec {
        node: "node1".to_owned(),
        job: "all\u{1b}[2J".to_owned(),
        provider: "tcp;ofi_rxm".to_owned(),
        rank: 5,
        policy: "round-robin".to_owned(),
        rx_source: RxSource::ImmLen,
        nics: (0..4).map(|i| NicIdentity { device: format!("rail{i}"), ..NicIdentity::default() }).collect(),
        threads: 1,
        ..PageSpec::default()
    };
    let mut writer = PageWriter::create(&PageDir::create(&pages).unwrap(), &spec).unwrap();
    let mut blocks: Vec<_> = (0..4).map(|nic| writer.nic_block(0, nic).unwrap()).collect();
    let (done, steps) = (AtomicBool::new(false), AtomicU64::new(0));
    let command = |args: &[&str]| {
        let mut command = railtop(&fixture("no-module"));
        command.env("RAILTOP_PAGE_DIR", &pages).args(args);
        command
    };
    let run = |args: &[&str], code| stdout_of(&mut command(args), code);
    // Until something has moved over the last NIC between two ticks; where that never is, it ends by itself.
    let log = || {
        let mut log = command(&["log", "-i", "50ms", "-n", "6000"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines: Vec<Value> = Vec::new();
        for line in BufReader::new(log.stdout.take().unwrap()).lines() {
            lines.push(serde_json::from_str(&line.unwrap()).unwrap());
            let last = &lines[lines.len() - 1];
            if last["dev"] == "rail3" && last["tx_bytes_per_s"].as_f64() > Some(0.0) {
                break;
            }
        }
        log.kill().unwrap();
        log.wait().unwrap();
        lines
    };
    let check =
        || look(&mut command(&["check", "--format", "json"]), |id| reads_pages_of(id, &pages), &steps);
    let (log, check) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while !done.load(Ordering::Relaxed) {
                n += 1;
                steps.store(n, Ordering::Relaxed);
                for (i, block) in blocks.iter_mut().enumerate() {
                    let rx_bytes = if i == 1 { 4000 * n } else { 0 };
                    let sent = NicCounts {
                        tx_posted_bytes: 1000 * n,
                        tx_done_bytes: 1000 * n,
                        rx_bytes,
                        ..NicCounts::default()
                    };
                    block.publish(monotonic_ns() + AHEAD_NS, &sent);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let log = std::panic::catch_unwind(log);
        let check = std::panic::catch_unwind(check);
        done.store(true, Ordering::Relaxed);
        (log.unwrap(), check.unwrap())
    });
    let devices: Vec<_> = log[1..].iter().map(|line| line["dev"].as_str().unwrap()).collect();
    assert!(devices.len() >= 2 * 4 && devices.len().is_multiple_of(4), "{log:?}");
    assert!(devices.chunks(4).all(|tick| tick == ["rail0", "rail1", "rail2", "rail3"]), "{devices:?}");
    let last = &log[log.len() - 1];
    assert_eq!((&last["dev"], &last["source"], &last["pe"]), (&"rail3".into(), &"page".into(), &5.into()));
    assert_eq!((&last["node"], &last["policy"]), (&"node1".into(), &"round-robin".into()));
    assert!(last["tx_bytes_per_s"].as_f64().unwrap() > 0.0);
    assert!(last.get("tx_ops").is_some() && last.get("tx_pkts").is_none());

    assert_eq!(check.status.code(), Some(1), "{check:?}");
    let report: Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!(report["groups"][0]["verdict"], "balanced");
    assert_eq!(
        (&report["groups"][1]["verdict"], &report["groups"][1]["busiest"][0]),
        (&"skewed".into(), &"rail1".into())
    );
    assert_eq!(report["groups"][1]["max_over_mean"], 4.0);
    assert!(run(&["list"], 0).contains("node1"));
    let inventory: Value = serde_json::from_str(&run(&["list", "--format", "json"], 0)).unwrap();
    let rail = &inventory["nics"][3];
    assert_eq!((&rail["dev"], &rail["source"], &rail["pe"]), (&"rail3".into(), &"page".into(), &5.into()));
    assert_eq!((&rail["node"], &rail["driver"]), (&"node1".into(), &"tcp;ofi_rxm".into()));
}
