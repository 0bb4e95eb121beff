//! Events among the lines of a log.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use assert_cmd::assert::OutputAssertExt as _;
use serde_json::Value;

use crate::support::{fixture, railtop, stdout_of};

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
    let log = |flags: &[&str]| {
        let mut log = railtop(full.path());
        log.args(["log", "-n", "400", "-i", "10ms"]).args(flags).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut log = log.spawn().unwrap();
        let mut lines = BufReader::new(log.stdout.take().unwrap()).lines();
        // The second record has been written: the device was there.
        let mut all: Vec<String> = lines.by_ref().take(3).map(Result::unwrap).collect();
        let state = counters.join("state");
        fs::write(&state, "1: DOWN").unwrap();
        all.extend(lines.map(Result::unwrap));
        fs::write(&state, "4: ACTIVE").unwrap();
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
