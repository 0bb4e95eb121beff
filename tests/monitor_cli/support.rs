//! The program on a tree, trees that a test drives, and what it prints.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use railtop::counters::{
    NicBlock, NicCounts, NicIdentity, PageDir, PageSpec, PageWriter, RxSource, monotonic_ns,
};
use railtop::monitor::log::Header;
use railtop::monitor::model::view::SourceKind;
use railtop::monitor::record::{About, Recorder};
use railtop::monitor::sample::{
    PortFacts, PortSample, ProcessSample, Processes, RawCounter, Reading, Sample, Traffic,
};
use serde_json::Value;

use crate::look::AHEAD_NS;

pub(crate) use crate::program::railtop;

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sys").join(name)
}

pub(crate) fn stdout_of(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "stderr: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// A log of a fixture without its header.
///
/// A log waits so long for the threads that read devices, and no longer. Where the machine has given one of them no turn in
/// that time it says so of the device, which says nothing of the fixture: then there is another.
pub(crate) fn log_of(name: &str) -> Vec<Value> {
    log_of_tree(&fixture(name), &["-n", "2", "-i", "50ms"])
}

/// The same of any tree, with these flags.
pub(crate) fn log_of_tree(root: &Path, flags: &[&str]) -> Vec<Value> {
    let log = || {
        let text = stdout_of(railtop(root).arg("log").args(flags), 0);
        let lines = json_lines(&text);
        assert_eq!(lines[0]["type"], "header");
        lines[1..].to_vec()
    };
    let late = |line: &Value| {
        let flags = line["flags"].as_array().is_some_and(|flags| flags.contains(&"stale".into()));
        flags || line["reason"].as_str().is_some_and(|reason| reason.contains("has not answered for"))
    };
    (0..20).map(|_| log()).find(|lines| !lines.iter().any(late)).expect("a log of what all devices say")
}

/// A tree with EFA devices whose counters a test sets.
pub(crate) struct Tree {
    pub(crate) dir: tempfile::TempDir,
}

impl Tree {
    pub(crate) fn new(devices: &[&str]) -> Self {
        let tree = Self { dir: tempfile::tempdir().unwrap() };
        for device in devices {
            tree.set(device, 0, 0);
            fs::create_dir_all(tree.path(device, "device")).unwrap();
            fs::write(tree.path(device, "device/uevent"), "DRIVER=efa\n").unwrap();
        }
        tree
    }

    pub(crate) fn path(&self, device: &str, rest: &str) -> PathBuf {
        self.dir.path().join("class/infiniband").join(device).join(rest)
    }

    /// Sets the byte counters. Renamed into place, so that no reader sees half a write.
    pub(crate) fn set(&self, device: &str, tx_bytes: u64, rx_bytes: u64) {
        let dir = self.path(device, "ports/1/hw_counters");
        fs::create_dir_all(&dir).unwrap();
        for (name, value) in [("tx_bytes", tx_bytes), ("rx_bytes", rx_bytes)] {
            let new = self.dir.path().join(format!("new-{device}-{name}"));
            fs::write(&new, format!("{value}\n")).unwrap();
            fs::rename(new, dir.join(name)).unwrap();
        }
    }
}

/// A PE with two NICs on which nothing moves.
pub(crate) fn idle_pe(pages: &Path, rank: u32) -> (PageWriter, Vec<NicBlock>) {
    let spec = PageSpec {
        node: "node0".to_owned(),
        job: "idle".to_owned(),
        rank,
        rx_source: RxSource::ImmLen,
        nics: (0..2).map(|i| NicIdentity { device: format!("rail{i}"), ..NicIdentity::default() }).collect(),
        threads: 1,
        ..PageSpec::default()
    };
    fs::set_permissions(pages, fs::Permissions::from_mode(0o700)).unwrap();
    let mut writer = PageWriter::create(&PageDir::create(pages).unwrap(), &spec).unwrap();
    let mut blocks: Vec<_> = (0..2).map(|nic| writer.nic_block(0, nic).unwrap()).collect();
    for block in &mut blocks {
        block.publish(monotonic_ns() + AHEAD_NS, &NicCounts::default());
    }
    (writer, blocks)
}

/// Records 30 s of two NICs, one of which sends four times as much as the other (max/mean 1.6), and of a process on them.
pub(crate) fn record_skewed(path: &Path) {
    const STARTED_NS: i128 = 1_795_000_000_000_000_000;
    let about = About {
        log: Header {
            version: "0.0.0".to_owned(),
            host: "node7".to_owned(),
            boot_id: None,
            interval_ms: 1_000,
            started_ns: STARTED_NS,
        },
        source: None,
        device: None,
        mono_ns: (0, 0),
    };
    let mut recorder = Recorder::open(path, &about).unwrap();
    for tick in 0..30_u64 {
        let mono_ns = tick * 1_000_000_000;
        let port = |(device, bytes): (&str, u64)| PortSample {
            facts: Arc::new(PortFacts {
                device: device.to_owned(),
                port: 1,
                driver: Some("efa".to_owned()),
                ..PortFacts::default()
            }),
            source: SourceKind::Netlink,
            reading: Ok(Reading {
                mono_ns,
                traffic: Traffic { tx_bytes: Some(bytes), rx_bytes: Some(bytes), ..Traffic::default() },
                counters: vec![RawCounter::unknown("tx_bytes", bytes)],
                ..Reading::default()
            }),
        };
        let process = ProcessSample {
            pid: 4711,
            user: Some("ana".to_owned()),
            uid: Some(1000),
            command: "train --nodes 2".to_owned(),
            resident_bytes: Some(1_048_576),
            threads: None,
            qps: [("rdmap0s0".to_owned(), 4), ("rdmap1s0".to_owned(), 5)].into(),
        };
        let sample = Sample {
            realtime_ns: STARTED_NS + i128::from(mono_ns),
            mono_ns,
            ports: [("rdmap0s0", tick * 8_000_000_000), ("rdmap1s0", tick * 2_000_000_000)].map(port).into(),
            processes: Some(Processes { mono_ns, processes: vec![process], ..Processes::default() }),
            ..Sample::default()
        };
        recorder.add(sample, Duration::from_secs(1), 0).unwrap();
    }
}
