//! Events among the lines of a log.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use assert_cmd::assert::OutputAssertExt as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{fixture, json_lines, railtop, record_skewed, stdout_of};

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
    // Whole at any moment, as the kernel's are.
    let set_state = |state: &str| {
        fs::write(full.path().join("new"), state).unwrap();
        fs::rename(full.path().join("new"), counters.join("state")).unwrap();
    };
    let log = |flags: &[&str]| {
        let mut log = railtop(full.path());
        // It ends by itself where what is waited for never comes.
        log.args(["log", "-i", "10ms", "-n", "30000"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut log = log.spawn().unwrap();
        let mut lines = BufReader::new(log.stdout.take().unwrap()).lines().map(Result::unwrap);
        // The second record has been written: the device was there.
        let mut all: Vec<String> = lines.by_ref().take(3).collect();
        set_state("1: DOWN");
        // What is to be told of it has been told some records later.
        let mut down = 0;
        while down < 20 {
            let line = lines.next().unwrap();
            down += usize::from(line.contains("\"state\":\"DOWN\""));
            all.push(line);
        }
        kill(Pid::from_raw(log.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        all.extend(lines);
        set_state("4: ACTIVE");
        assert!(log.wait().unwrap().success());
        all
    };
    let of = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|line| line.contains("\"type\":\"event\"")).cloned().collect()
    };
    assert_eq!(of(&log(&[])), [""; 0]);
    let recording = full.path().join("a.rec");
    let recording = recording.to_str().unwrap();
    let all = log(&["--events", "--record", recording]);
    let told = of(&all);
    let event: Value = serde_json::from_str(&told[0]).unwrap();
    assert_eq!((told.len(), &event["kind"], &event["subject"]), (1, &"link_down".into(), &"mlx5_0".into()));
    assert!(event["text"].as_str().unwrap().contains("from ACTIVE to DOWN"), "{event}");

    let replay = |flags: &[&str]| -> Vec<String> {
        let text = stdout_of(railtop(full.path()).args(["replay", recording]).args(flags), 0);
        text.lines().map(str::to_owned).collect()
    };
    assert_eq!(replay(&["--events"]), all, "every line in its place");
    assert_eq!(of(&replay(&["--format", "jsonl"])), [""; 0]);
    let wrong =
        railtop(full.path()).args(["replay", recording, "--events", "--format", "csv"]).assert().code(2);
    assert!(String::from_utf8_lossy(&wrong.get_output().stderr).contains("--events needs --format jsonl"));
}

#[test]
fn a_replay_and_a_trace_follow_the_thresholds_of_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let recording = dir.path().join("a.rec");
    record_skewed(&recording);
    let with = |name: &str, thresholds: &str| {
        let config = dir.path().join(name);
        fs::write(&config, format!("[thresholds]\n{thresholds}\n")).unwrap();
        let mut command = railtop(dir.path());
        command.arg("--config").arg(config);
        command
    };
    for (name, thresholds, told_at) in [
        ("usual", "", Some("2026-11-18T11:06:46.000Z")),
        ("patient", "imbalance-hold = \"20s\"", Some("2026-11-18T11:07:01.000Z")),
        ("lenient", "max-over-mean = 2", None),
    ] {
        let text = stdout_of(with(name, thresholds).args(["replay", "--events"]).arg(&recording), 0);
        let begun: Vec<Value> =
            json_lines(&text).into_iter().filter(|line| line["kind"] == "imbalance_begins").collect();
        let times: Vec<&str> = begun.iter().map(|line| line["ts"].as_str().unwrap()).collect();
        // Sent and received.
        assert_eq!(times, told_at.map_or(vec![], |at| vec![at; 2]), "{name}: {begun:?}");

        let trace =
            with(name, thresholds).args(["export", "--perfetto", "-"]).arg(&recording).output().unwrap();
        assert_eq!(trace.status.code(), Some(0), "{}", String::from_utf8_lossy(&trace.stderr));
        let words = match name {
            "patient" => "have not shared what it sent for 20 s",
            _ => "have not shared what it sent for 5.0 s",
        };
        let told = |words: &str| trace.stdout.windows(words.len()).any(|part| part == words.as_bytes());
        assert_eq!((told("have not shared"), told(words)), (told_at.is_some(), told_at.is_some()), "{name}");
    }
    let broken =
        with("broken", "max-over-mean = 0.5").args(["export", "--perfetto", "-"]).arg(&recording).output();
    assert_eq!(broken.unwrap().status.code(), Some(2));
}

#[test]
fn a_replay_prints_the_processes_that_were_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let recording = dir.path().join("a.rec");
    record_skewed(&recording);
    let replay = |flags: &[&str]| {
        let text =
            stdout_of(railtop(dir.path()).args(["replay", "--processes"]).args(flags).arg(&recording), 0);
        json_lines(&text).into_iter().filter(|line| line["type"] == "process").collect::<Vec<_>>()
    };
    let lines = replay(&[]);
    assert_eq!(lines.len(), 30, "one a tick");
    let expected = serde_json::json!({
        "type": "process",
        "ts": "2026-11-18T11:06:40.000Z",
        "host": "node7",
        "pid": 4711,
        "user": "ana",
        "uid": 1000,
        "command": "train --nodes 2",
        "resident_bytes": 1_048_576,
        "qps": {"rdmap0s0": 4, "rdmap1s0": 5},
    });
    assert_eq!(lines[0], expected);
    assert_eq!(replay(&["--to", "2026-11-18T11:06:41Z", "--source", "netlink"]).len(), 2);
}
