//! `railtop log`, `check` and `list` as a user runs them, on trees in `tests/fixtures/sys` and on trees the test drives.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails, fails the test")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use assert_cmd::assert::OutputAssertExt as _;
use railtop::counters::{
    NicBlock, NicCounts, NicIdentity, PageDir, PageSpec, PageState, PageWriter, RxSource, monotonic_ns,
};
use serde_json::Value;

/// The program, with nothing of the machine it runs on: no counter pages, no sysfs but `root`.
fn railtop(root: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("railtop"));
    command
        .env("RAILTOP_PAGE_DIR", root.join("no-pages"))
        .env("RAILTOP_SYSFS_ROOT", root)
        .stdin(Stdio::null());
    command
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sys").join(name)
}

fn stdout_of(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "stderr: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// A log of a fixture without its header.
fn log_of(name: &str) -> Vec<Value> {
    let text = stdout_of(railtop(&fixture(name)).args(["log", "-n", "2", "-i", "50ms"]), 0);
    let lines = json_lines(&text);
    assert_eq!(lines[0]["type"], "header");
    lines[1..].to_vec()
}

/// A tree with EFA devices whose counters a test sets.
struct Tree {
    dir: tempfile::TempDir,
}

impl Tree {
    fn new(devices: &[&str]) -> Self {
        let tree = Self { dir: tempfile::tempdir().unwrap() };
        for device in devices {
            tree.set(device, 0, 0);
            fs::create_dir_all(tree.path(device, "device")).unwrap();
            fs::write(tree.path(device, "device/uevent"), "DRIVER=efa\n").unwrap();
        }
        tree
    }

    fn path(&self, device: &str, rest: &str) -> PathBuf {
        self.dir.path().join("class/infiniband").join(device).join(rest)
    }

    /// Sets the byte counters. Renamed into place, so that no reader sees half a write.
    fn set(&self, device: &str, tx_bytes: u64, rx_bytes: u64) {
        let dir = self.path(device, "ports/1/hw_counters");
        fs::create_dir_all(&dir).unwrap();
        for (name, value) in [("tx_bytes", tx_bytes), ("rx_bytes", rx_bytes)] {
            let new = self.dir.path().join(format!("new-{device}-{name}"));
            fs::write(&new, format!("{value}\n")).unwrap();
            fs::rename(new, dir.join(name)).unwrap();
        }
    }
}

#[test]
fn an_efa_node_shows_every_nic_with_its_own_values() {
    let lines = log_of("efa-p5");
    assert_eq!(lines.len(), 16);
    let devices: Vec<&str> = lines[..8].iter().map(|l| l["dev"].as_str().unwrap()).collect();
    assert_eq!(
        devices,
        [
            "rdmap79s0",
            "rdmap80s0",
            "rdmap81s0",
            "rdmap82s0",
            "rdmap96s0",
            "rdmap97s0",
            "rdmap98s0",
            "rdmap99s0"
        ]
    );
    for (i, line) in lines.iter().enumerate() {
        let hw = fixture("efa-p5")
            .join("class/infiniband")
            .join(line["dev"].as_str().unwrap())
            .join("ports/1/hw_counters");
        // The device's own counters, which are not the port's, come along.
        let of_device = hw.join("../../../hw_counters");
        let place = |name: &str| if hw.join(name).exists() { hw.join(name) } else { of_device.join(name) };
        let file = |name: &str| fs::read_to_string(place(name)).unwrap().trim().parse::<u64>().unwrap();
        for name in ["tx_bytes", "rx_bytes", "tx_pkts", "rx_pkts"] {
            assert_eq!(line[name], file(name), "{name}");
        }
        let counters = line["counters"].as_object().unwrap();
        assert_eq!(counters.len(), 22 + of_device.read_dir().unwrap().count());
        assert!(counters.iter().all(|(name, value)| *value == file(name)));
        assert!(!counters.contains_key("lifespan"), "a setting is no counter");
        assert_eq!(
            (&line["driver"], &line["port"], &line["source"]),
            (&"efa".into(), &1.into(), &"sysfs".into())
        );
        assert_eq!(line["rate_bps"], 100_000_000_000_u64);
        assert_eq!(line["state"], "ACTIVE");
        // The first tick has no rate; the second has one, and nothing moves.
        assert_eq!(line.get("tx_bytes_per_s").map(|v| v == 0.0), (i >= 8).then_some(true));
        assert_eq!(line.get("dt_s").is_some(), i >= 8);
        assert_eq!(line.get("flags").is_some(), i < 8);
    }
}

#[test]
fn connectx_counts_in_words_of_four_bytes() {
    let lines = log_of("mlx5-roce");
    let names: Vec<&str> = lines[..3].iter().map(|l| l["dev"].as_str().unwrap()).collect();
    assert_eq!(names, ["mlx5_0", "mlx5_2", "mlx5_10"]);
    let first = &lines[0];
    assert_eq!(
        (&first["tx_bytes"], &first["rx_bytes"]),
        (&8_000_000_000_u64.into(), &4_000_000_000_u64.into())
    );
    // Under the kernel's own name the value is the kernel's own.
    assert_eq!(first["counters"]["port_xmit_data"], 2_000_000_000_u64);
    assert_eq!(first["counters"]["np_cnp_sent"], 1234);
    assert_eq!(first["netdev"], "ens0f0np0");
    assert_eq!(lines[2]["tx_bytes"], 0, "zero is a number");
}

#[test]
fn what_cannot_be_read_is_absent_with_its_reason_and_the_rest_is_shown() {
    let lines = log_of("damage");
    let line = |dev: &str| lines.iter().find(|l| l["dev"] == dev).unwrap();
    let reason = |dev: &str| line(dev)["reason"].as_str().unwrap().to_owned();
    assert_eq!(lines.len(), 24);
    assert_eq!((&line("efa_0")["tx_bytes"], line("efa_0").get("reason")), (&1000.into(), None));
    for (dev, expected) in [
        ("efa_1", "tx_bytes: not a regular file"),
        ("efa_2", "tx_bytes: the file is empty"),
        ("efa_3", "rx_bytes, rx_pkts: the file does not exist"),
        ("efa_6", "the device shows no port"),
        ("efa_8", "there is no hw_counters directory"),
        ("mlx5_0", "the file says \"N/A (no PMA)\""),
        ("mlx5_1", "longer than 4 KiB"),
    ] {
        assert!(reason(dev).contains(expected), "{dev}: {}", reason(dev));
    }
    for dev in ["efa_1", "efa_2", "efa_4"] {
        assert_eq!(line(dev).get("tx_bytes"), None, "{dev}");
        assert_eq!(line(dev)["rx_pkts"], 20, "{dev}");
    }
    assert!(reason("efa_4").contains("does not fit into 64 bits"));
    assert_eq!(line("mlx5_1").get("tx_bytes"), None, "four times that is beyond 64 bits");
    assert_eq!(line("mlx5_1")["rx_bytes"], 100);
    // The driver comes from a link that leads nowhere, and that is enough.
    assert_eq!(line("efa_9")["driver"], "efa");
}

#[test]
fn a_name_in_both_directories_is_the_drivers_and_the_other_keeps_its_place() {
    let tree = Tree::new(&["efa_0"]);
    fs::create_dir_all(tree.path("efa_0", "ports/1/counters")).unwrap();
    fs::write(tree.path("efa_0", "ports/1/counters/tx_bytes"), "5\n").unwrap();
    tree.set("efa_0", 7, 0);
    let text = stdout_of(railtop(tree.dir.path()).args(["log", "-n", "1"]), 0);
    let line = &json_lines(&text)[1];
    assert_eq!((&line["tx_bytes"], &line["counters"]["tx_bytes"]), (&7.into(), &7.into()));
    assert_eq!(line["counters"]["counters/tx_bytes"], 5);
}

#[test]
fn only_what_the_kernel_calls_a_port_is_one() {
    let tree = Tree::new(&["efa_0", "efa_1"]);
    for name in ["01", "+1", "256", "x"] {
        fs::create_dir_all(tree.path("efa_0", "ports").join(name)).unwrap();
    }
    fs::remove_dir_all(tree.path("efa_1", "ports")).unwrap();
    fs::write(tree.path("efa_1", "ports"), "").unwrap();
    let text = stdout_of(railtop(tree.dir.path()).args(["log", "-n", "1"]), 0);
    let lines = json_lines(&text);
    assert_eq!(lines.len(), 1 + 2);
    assert_eq!((&lines[1]["port"], lines[1].get("tx_bytes").is_some()), (&1.into(), true));
    let reason = lines[2]["reason"].as_str().unwrap();
    assert!(reason.contains("cannot list the ports") && reason.contains("os error 20"), "{reason}");
}

#[test]
fn control_characters_reach_no_terminal() {
    for args in
        [&["log", "-n", "1", "--format", "table"][..], &["log", "-n", "1", "--format", "csv"], &["list"]]
    {
        let text = stdout_of(railtop(&fixture("damage")).args(args), 0);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\r'), "{args:?}");
    }
}

#[test]
fn nothing_to_measure_is_exit_3_and_says_why_for_both_sources() {
    for (tree, why) in [("empty", "is empty"), ("no-module", "does not exist (no RDMA driver is loaded")] {
        for args in [&["log", "-n", "1"][..], &["check", "--duration", "20ms"], &["list"]] {
            let assert = railtop(&fixture(tree)).args(args).assert().code(3);
            let output = assert.get_output();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.stdout.is_empty());
            assert!(stderr.contains(why) && stderr.contains("no counter page in"), "{args:?}: {stderr}");
        }
    }
    let no_match = railtop(&fixture("efa-p5")).args(["list", "--device", "mlx5_*"]).assert().code(3);
    assert!(
        String::from_utf8_lossy(&no_match.get_output().stderr).contains("no RDMA device matches --device")
    );
}

#[test]
fn rates_are_the_exact_change_over_the_reported_time() {
    let tree = Tree::new(&["efa_0", "efa_1"]);
    let done = AtomicBool::new(false);
    let text = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut step = 0;
            while !done.load(Ordering::Relaxed) {
                step += 1;
                tree.set("efa_0", step * 1_000_003, step * 17);
                tree.set("efa_1", 1_u64 << 60, u64::MAX - 1000 + step.min(1000));
                std::thread::sleep(Duration::from_millis(3));
            }
        });
        let text = stdout_of(railtop(tree.dir.path()).args(["log", "-n", "8", "-i", "100ms"]), 0);
        done.store(true, Ordering::Relaxed);
        text
    });
    let lines = json_lines(&text);
    assert_eq!(lines.len(), 1 + 8 * 2);
    for dev in ["efa_0", "efa_1"] {
        // On a machine that stalls a read may come too late or after a gap; then there is no rate to check.
        let of: Vec<&Value> =
            lines.iter().filter(|l| l["dev"] == dev && l.get("tx_bytes").is_some()).collect();
        for pair in of.windows(2).filter(|pair| pair[1].get("dt_s").is_some()) {
            let number = |line: &Value, key: &str| line[key].as_u64().unwrap();
            let elapsed_ns = number(pair[1], "mono_ns") - number(pair[0], "mono_ns");
            let dt_s = pair[1]["dt_s"].as_f64().unwrap();
            assert!((dt_s - elapsed_ns as f64 / 1e9).abs() < 1e-12);
            for (total, rate) in [("tx_bytes", "tx_bytes_per_s"), ("rx_bytes", "rx_bytes_per_s")] {
                let delta = number(pair[1], total) - number(pair[0], total);
                let expected = delta as f64 / dt_s;
                let shown = pair[1][rate].as_f64().unwrap();
                assert!((shown - expected).abs() <= expected.abs() * 1e-12, "{shown} {expected}");
            }
        }
    }
    let moved = lines.iter().rfind(|l| l["dev"] == "efa_0").unwrap()["tx_bytes"].as_u64().unwrap();
    assert!(moved > 0 && moved % 1_000_003 == 0, "the bytes are the counter's own: {moved}");
}

/// Runs `check` while a thread adds `step[i]` (tx, rx) to device `i` over and over.
fn check_while(steps: &[(u64, u64)], args: &[&str]) -> (Option<i32>, String) {
    let names: Vec<String> = (0..steps.len()).map(|i| format!("efa_{i}")).collect();
    let tree = Tree::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while !done.load(Ordering::Relaxed) {
                n += 1;
                for (name, (tx, rx)) in names.iter().zip(steps) {
                    tree.set(name, tx * n, rx * n);
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let output =
            railtop(tree.dir.path()).args(["check", "--duration", "700ms"]).args(args).output().unwrap();
        done.store(true, Ordering::Relaxed);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    })
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
fn check_with_unread(unread: usize, pages: &Path) -> std::process::Output {
    let names: Vec<String> = (0..4).map(|i| format!("efa_{i}")).collect();
    let tree = Tree::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for name in names.iter().rev().take(unread) {
        for counter in ["tx_bytes", "rx_bytes"] {
            fs::write(tree.path(name, "ports/1/hw_counters").join(counter), "N/A (no PMA)\n").unwrap();
        }
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while !done.load(Ordering::Relaxed) {
                n += 1;
                names.iter().take(4 - unread).for_each(|name| tree.set(name, 1000 * n, 1000 * n));
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let output = railtop(tree.dir.path())
            .env("RAILTOP_PAGE_DIR", pages)
            .args(["check", "--duration", "300ms", "--format", "json"])
            .output()
            .unwrap();
        done.store(true, Ordering::Relaxed);
        output
    })
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

/// A PE with two NICs on which nothing moves.
fn idle_pe(pages: &Path, rank: u32) -> (PageWriter, Vec<NicBlock>) {
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
    let blocks = (0..2).map(|nic| writer.nic_block(0, nic).unwrap()).collect();
    (writer, blocks)
}

#[test]
fn a_wrong_sysfs_root_is_said_even_where_pages_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let (_writer, _blocks) = idle_pe(dir.path(), 0);
    for args in [&["log", "-n", "1"][..], &["check", "--duration", "20ms"], &["list"]] {
        let mut command = railtop(Path::new("/nonexistent/sys"));
        let output = command.env("RAILTOP_PAGE_DIR", dir.path()).args(args).output().unwrap();
        let all =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{args:?}: {all}");
        assert!(all.contains("there is no directory /nonexistent/sys"), "{args:?}: {all}");
    }
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

#[test]
fn csv_has_one_header_the_same_columns_everywhere_and_appends_without_a_second_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("log.csv");
    for _ in 0..2 {
        let mut command = railtop(&fixture("damage"));
        command.args(["log", "-n", "1", "--format", "csv", "-o"]).arg(&file).assert().code(0).stdout("");
    }
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 1 + 2 * 12);
    assert_eq!(lines.iter().filter(|l| l.starts_with("ts,")).count(), 1);
    let columns = |line: &str| {
        let mut quoted = false;
        1 + line
            .chars()
            .filter(|&c| {
                quoted ^= c == '"';
                c == ',' && !quoted
            })
            .count()
    };
    assert!(lines.iter().all(|l| columns(l) == columns(lines[0])), "{text}");
}

#[test]
fn an_output_that_is_a_symbolic_link_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(dir.path().join("target"), &link).unwrap();
    let assert = railtop(&fixture("efa-p5")).args(["log", "-n", "1", "-o"]).arg(&link).assert().code(1);
    assert!(String::from_utf8_lossy(&assert.get_output().stderr).contains("symbolic link"));
    assert!(!dir.path().join("target").exists());
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = railtop(&fixture("efa-p5"))
        .args(["log", "-i", "10ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("\"header\""));
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_request_to_end_ends_a_log_cleanly() {
    let mut child =
        railtop(&fixture("efa-p5")).args(["log", "-i", "1h"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    for _ in 0..9 {
        out.read_line(&mut line).unwrap();
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn without_a_terminal_the_screen_names_what_works_without_one() {
    let assert = railtop(&fixture("efa-p5")).assert().code(2).stdout("");
    let stderr = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    for command in ["railtop log", "railtop check", "railtop list", "railtop demo --headless"] {
        assert!(stderr.contains(command), "{stderr}");
    }
}

#[test]
fn wrong_usage_is_exit_2() {
    for args in [
        &["log", "-i", "1ms"][..],
        &["log", "-n", "0"],
        &["log", "--format", "xml"],
        &["check", "--max-over-mean", "0.5"],
        &["check", "--duration", "0"],
        &["list", "--device", ""],
        &["frobnicate"],
    ] {
        railtop(&fixture("efa-p5")).args(args).assert().code(2).stdout("");
    }
}

#[test]
fn list_says_where_each_nic_is_and_why_a_counter_is_missing() {
    let list = |name: &str| stdout_of(railtop(&fixture(name)).arg("list"), 0);
    insta::assert_snapshot!("list@efa-p5", list("efa-p5"));
    insta::assert_snapshot!("list@mlx5-roce", list("mlx5-roce"));
    insta::assert_snapshot!("list@damage", list("damage"));
}

#[test]
fn list_as_json_has_no_key_for_what_is_missing() {
    let text = stdout_of(railtop(&fixture("efa-p5")).args(["list", "--format", "json"]), 0);
    let list: Value = serde_json::from_str(&text).unwrap();
    let nic = &list["nics"][4];
    assert_eq!((&nic["dev"], &nic["pci"]), (&"rdmap96s0".into(), &"0000:60:00.0".into()));
    assert_eq!((&nic["numa"], &nic["gpu"][0]), (&0.into(), &"0000:64:00.0".into()));
    assert_eq!((nic.get("netdev"), nic.get("missing")), (None, None));
    assert_eq!(nic["rate_bps"], 100_000_000_000_u64);
}

#[test]
fn list_tells_who_holds_queue_pairs_where_that_is_asked_for() {
    // A copied tree is not the kernel that could be asked, and that is said, not an empty list.
    let list = |args: &[&str]| stdout_of(railtop(&fixture("efa-p5")).arg("list").args(args), 0);
    let inventory: Value = serde_json::from_str(&list(&["--format", "json", "--processes"])).unwrap();
    assert_eq!(inventory["holders"]["processes"], Value::Array(Vec::new()));
    let reason = inventory["holders"]["reason"].as_str().unwrap();
    assert!(list(&["--processes"]).contains(&format!("processes: {reason}")));
    let without: Value = serde_json::from_str(&list(&["--format", "json"])).unwrap();
    assert!(without.get("holders").is_none());
}

#[test]
fn list_as_json_has_the_gpus_with_their_nearest_nics() {
    let text = stdout_of(railtop(&fixture("efa-p5")).args(["list", "--format", "json"]), 0);
    let list: Value = serde_json::from_str(&text).unwrap();
    let gpus = list["gpus"].as_array().unwrap();
    let gpu = gpus.iter().find(|gpu| gpu["pci"] == "0000:64:00.0").unwrap();
    assert!(gpu["nics"].as_array().unwrap().contains(&"rdmap96s0".into()), "{gpu}");
    // Without a driver: no name, no memory, and why.
    if gpu.get("index").is_none() {
        assert_eq!((gpu.get("name"), gpu.get("memory_total_bytes")), (None, None));
    }
    let text = stdout_of(railtop(&fixture("mlx5-roce")).args(["list", "--format", "json"]), 0);
    assert!(!text.contains("gpus_reason"), "nobody misses GPUs where there are none");
}

#[test]
fn events_are_lines_only_where_they_are_asked_for() {
    let wrong =
        railtop(&fixture("efa-p5")).args(["log", "-n", "1", "--events", "--format", "csv"]).assert().code(2);
    let stderr = String::from_utf8_lossy(&wrong.get_output().stderr).into_owned();
    assert!(stderr.contains("--events needs --format jsonl"), "{stderr}");
    let full = tempfile::tempdir().unwrap();
    let counters = full.path().join("class/infiniband/mlx5_0/ports/1");
    for (file, value) in
        [("hw_counters/tx_bytes", "5"), ("state", "4: ACTIVE"), ("counters/port_xmit_data", "5")]
    {
        fs::create_dir_all(counters.join(file).parent().unwrap()).unwrap();
        fs::write(counters.join(file), value).unwrap();
    }
    let events = |flag: &[&str]| {
        let mut log = railtop(full.path());
        log.args(["log", "-n", "400", "-i", "10ms"]).args(flag).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut log = log.spawn().unwrap();
        let mut lines = BufReader::new(log.stdout.take().unwrap()).lines();
        // The second record has been written: the device was there.
        for _ in 0..3 {
            lines.next().unwrap().unwrap();
        }
        let state = counters.join("state");
        fs::write(&state, "1: DOWN").unwrap();
        let rest: Vec<String> =
            lines.map(Result::unwrap).filter(|line| line.contains("\"type\":\"event\"")).collect();
        fs::write(&state, "4: ACTIVE").unwrap();
        assert!(log.wait().unwrap().success());
        rest
    };
    assert_eq!(events(&[]), [""; 0]);
    let told = events(&["--events"]);
    let event: Value = serde_json::from_str(&told[0]).unwrap();
    assert_eq!((told.len(), &event["kind"], &event["subject"]), (1, &"link_down".into(), &"mlx5_0".into()));
    assert!(event["text"].as_str().unwrap().contains("from ACTIVE to DOWN"), "{event}");
}

#[test]
fn a_tree_mounted_elsewhere_needs_only_the_flag() {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("railtop"));
    command.env("RAILTOP_PAGE_DIR", "/nonexistent").arg("--sysfs-root").arg(fixture("mlx5-roce"));
    let text = stdout_of(command.args(["log", "-n", "1", "--device", "mlx5_?"]), 0);
    assert_eq!(json_lines(&text).len(), 1 + 2);
}

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
    let done = AtomicBool::new(false);
    let run = |args: &[&str], code| {
        let mut command = railtop(&fixture("no-module"));
        stdout_of(command.env("RAILTOP_PAGE_DIR", &pages).args(args), code)
    };
    let (log, check) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while !done.load(Ordering::Relaxed) {
                n += 1;
                for (i, block) in blocks.iter_mut().enumerate() {
                    let rx_bytes = if i == 1 { 4000 * n } else { 0 };
                    let sent = NicCounts {
                        tx_posted_bytes: 1000 * n,
                        tx_done_bytes: 1000 * n,
                        rx_bytes,
                        ..NicCounts::default()
                    };
                    block.publish(monotonic_ns(), &sent);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let log = std::panic::catch_unwind(|| run(&["log", "-n", "3", "-i", "50ms"], 0));
        let check =
            std::panic::catch_unwind(|| run(&["check", "--duration", "500ms", "--format", "json"], 1));
        done.store(true, Ordering::Relaxed);
        (log.unwrap(), check.unwrap())
    });
    let lines = json_lines(&log);
    assert_eq!(lines.len(), 1 + 3 * 4);
    let last = &lines[12];
    assert_eq!((&last["dev"], &last["source"], &last["pe"]), (&"rail3".into(), &"page".into(), &5.into()));
    assert_eq!((&last["node"], &last["policy"]), (&"node1".into(), &"round-robin".into()));
    assert!(last["tx_bytes_per_s"].as_f64().unwrap() > 0.0);
    assert!(last.get("tx_ops").is_some() && last.get("tx_pkts").is_none());

    let report: Value = serde_json::from_str(&check).unwrap();
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
