//! `check`: balanced, skewed, idle, or not to be judged.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use assert_cmd::assert::OutputAssertExt as _;
use railtop::counters::PageState;
use serde_json::Value;

use crate::look::{look, reads_devices};
use crate::support::{Tree, fixture, idle_pe, railtop};

/// Runs `check` while another thread does `step` with 1, 2, 3, … every 2 ms.
fn while_it_steps(step: impl Fn(u64) + Sync, check: &mut Command) -> Output {
    let (done, steps) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                step(steps.load(Ordering::Relaxed) + 1);
                steps.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let output =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| look(check, reads_devices, &steps)));
        done.store(true, Ordering::Relaxed);
        output.unwrap()
    })
}

/// Runs `check` while a thread adds `step[i]` (tx, rx) to device `i` over and over.
fn check_while(steps: &[(u64, u64)], args: &[&str]) -> (Option<i32>, String) {
    let names: Vec<String> = (0..steps.len()).map(|i| format!("efa_{i}")).collect();
    let tree = Tree::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let step = |n| names.iter().zip(steps).for_each(|(name, (tx, rx))| tree.set(name, tx * n, rx * n));
    let output = while_it_steps(step, railtop(tree.dir.path()).arg("check").args(args));
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn check_tells_balanced_from_skewed() {
    let even_tx_one_rx = [(1000, 4000), (1000, 0), (1000, 0), (1000, 0)];
    let (code, text) = check_while(&even_tx_one_rx, &["--format", "json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, Some(1));
    assert_eq!(report["verdict"], "skewed");
    let [sent, received] = report["groups"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!(
        (&sent["direction"], &sent["verdict"], &sent["active_nics"]),
        (&"tx".into(), &"balanced".into(), &4.into())
    );
    assert_eq!(
        (&received["direction"], &received["verdict"], &received["nics"]),
        (&"rx".into(), &"skewed".into(), &4.into())
    );
    assert_eq!((&received["max_over_mean"], &received["active_nics"]), (&4.0.into(), &1.into()));

    assert_eq!(check_while(&even_tx_one_rx, &["--direction", "tx"]).0, Some(0));
    assert_eq!(check_while(&even_tx_one_rx, &["--max-over-mean", "4"]).0, Some(0));

    let (code, text) = check_while(&even_tx_one_rx, &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("all is received by efa_0, one NIC of 4"), "{text}");
}

#[test]
fn chatter_in_the_other_direction_is_no_load() {
    let (code, text) = check_while(&[(100_000, 3), (100_000, 0)], &["--format", "json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &report["verdict"]), (Some(0), &"balanced".into()));
    assert_eq!(report["groups"][1]["verdict"], "idle");
    assert_eq!(report["groups"][1].get("max_over_mean"), None);
}

#[test]
fn one_nic_cannot_be_skewed_and_none_moving_is_idle() {
    let (code, text) = check_while(&[(1000, 1000)], &["--format", "json"]);
    assert_eq!((code, text.contains("\"verdict\":\"balanced\"")), (Some(0), true), "{text}");
    let assert = railtop(&fixture("efa-p5"))
        .args(["check", "--duration", "50ms", "--format", "json"])
        .assert()
        .code(0);
    let output = assert.get_output();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("{\"verdict\":\"idle\""));
    assert!(String::from_utf8_lossy(&output.stderr).contains("idle"));
}

/// Runs `check` on `efa_0` to `efa_3` while all move alike, but with `unread` of them saying what has no number.
fn check_with_unread(unread: usize, pages: &Path) -> Output {
    let names: Vec<String> = (0..4).map(|i| format!("efa_{i}")).collect();
    let tree = Tree::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for name in names.iter().rev().take(unread) {
        for counter in ["tx_bytes", "rx_bytes"] {
            fs::write(tree.path(name, "ports/1/hw_counters").join(counter), "N/A (no PMA)\n").unwrap();
        }
    }
    let step = |n| names.iter().take(4 - unread).for_each(|name| tree.set(name, 1000 * n, 1000 * n));
    let mut check = railtop(tree.dir.path());
    while_it_steps(step, check.env("RAILTOP_PAGE_DIR", pages).args(["check", "--format", "json"]))
}

#[test]
fn a_group_with_nics_that_cannot_be_read_is_not_judged() {
    let no_pages = Path::new("/nonexistent");
    let output = check_with_unread(3, no_pages);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{stderr}");
    assert!(stderr.contains("cannot read efa_1, efa_2, efa_3 of 4 NICs"), "{stderr}");
    assert!(stderr.contains("N/A (no PMA)"), "{stderr}");

    // Another group can be judged: that one is, and the other is named on stderr.
    let dir = tempfile::tempdir().unwrap();
    let (_writer, _blocks) = idle_pe(dir.path(), 0);
    let output = check_with_unread(1, dir.path());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("is not judged: cannot read efa_3"), "{stderr}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let groups = report["groups"].as_array().unwrap();
    let node = groups.iter().find(|g| g["group"].as_str().unwrap().starts_with("node:")).unwrap();
    assert_eq!((node.get("verdict"), node.get("max_over_mean")), (None, None));
    assert_eq!((&node["nics"], &node["unread_nics"]), (&4.into(), &1.into()));
    assert!(node["reason"].as_str().unwrap().contains("efa_3"));
}

#[test]
fn dead_pes_alone_are_nothing_to_measure_and_beside_others_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, blocks) = idle_pe(dir.path(), 0);
    writer.set_state(PageState::Aborted);
    drop((blocks, writer));
    let check = || {
        let mut command = railtop(&fixture("empty"));
        command.env("RAILTOP_PAGE_DIR", dir.path()).args(["check", "--duration", "50ms", "--format", "json"]);
        command.output().unwrap()
    };
    let output = check();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("all PEs are dead"));

    let (_writer, _blocks) = idle_pe(dir.path(), 1);
    let output = check();
    assert_eq!(output.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["verdict"], &report["groups"][0]["state"]), (&"idle".into(), &"dead".into()));
    assert_eq!((report["groups"][0].get("verdict"), &report["groups"][2]["verdict"]), (None, &"idle".into()));
}
