//! `railtop log --record`, `replay` and `export` as a user runs them.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails, fails the test")]

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use test_case::test_case;

#[path = "support/program.rs"]
mod program;

fn railtop() -> Command {
    program::railtop(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sys/efa-p5"))
}

fn run(args: &[&str]) -> Output {
    railtop().args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test_case("jsonl")]
#[test_case("csv")]
#[test_case("table")]
fn a_replay_prints_what_the_log_printed(format: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.rec");
    let file = file.to_str().unwrap();
    let log = stdout(&run(&["log", "-n", "5", "-i", "20ms", "--format", format, "--record", file]));
    assert!(log.lines().count() > 5 * 8);
    assert_eq!(stdout(&run(&["replay", file, "--format", format])), log);
    // Another run behind it, as in a log that is appended to.
    let more = stdout(&run(&["log", "-n", "2", "-i", "20ms", "--format", "jsonl", "--record", file]));
    if format == "jsonl" {
        assert_eq!(stdout(&run(&["replay", file, "--format", format])), log + &more);
    }
}

#[test]
fn killed_in_the_middle_it_lacks_nothing_but_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.rec");
    let mut child = railtop()
        .args(["log", "-i", "10ms", "--record", file.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = vec![0; 400_000];
    child.stdout.as_mut().unwrap().read_exact(&mut log).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let replay = run(&["replay", file.to_str().unwrap(), "--format", "jsonl"]);
    assert!(stdout(&replay).as_bytes().starts_with(&log), "every tick that was printed is in the recording");
}

#[test]
fn what_is_no_recording_is_said_and_nothing_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("text"), "dear diary").unwrap();
    std::fs::write(at("empty"), "").unwrap();
    std::fs::write(at("newer"), b"\x89railtop-rec\r\n\x1a\x02").unwrap();
    nix::unistd::mkfifo(at("fifo").as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (name, code, words) in [
        ("text", 1, "not a recording"),
        (".", 1, "a directory"),
        ("fifo", 1, "no regular file"),
        ("gone", 1, "No such file"),
        ("newer", 1, "newer railtop"),
        ("empty", 3, "holds no tick"),
    ] {
        for args in [&["replay", "--format", "csv"][..], &["export", "--perfetto", "-"]] {
            let output = railtop().args(args).arg(at(name)).output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{name}: {error}");
            assert!(error.contains(words) && output.stdout.is_empty(), "{name}: {error}");
        }
    }
}

#[test]
fn wrong_use_is_exit_2() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.rec");
    let file = file.to_str().unwrap();
    stdout(&run(&["log", "-n", "2", "-i", "10ms", "-o", "/dev/null", "--record", file]));
    let before = std::fs::read(file).unwrap();
    for args in [
        &["replay", file][..],
        &["replay", file, "-o", file],
        &["export", file],
        &["export", "--listen", ":9090"],
        &["export", file, "--perfetto", file, "--force"],
        &["log", "-n", "1", "--record", file, "-o", file],
        &["replay"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(std::fs::read(file).unwrap(), before);
    let output = run(&["replay", file, "--format", "csv", "--from", "2100-01-01T00:00:00Z"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("it goes from 20"));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.rec");
    let file = file.to_str().unwrap();
    stdout(&run(&["log", "-n", "40", "-i", "10ms", "-o", "/dev/null", "--record", file]));
    for args in [&["replay", file, "--format", "jsonl"][..], &["export", file, "--perfetto", "-"]] {
        let mut child = railtop().args(args).stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}");
    }
}

/// What Perfetto's own Python classes, generated from the published format, find in a trace.
const PYTHON: &str = r#"
import sys
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent
trace = Trace()
trace.ParseFromString(open(sys.argv[1], "rb").read())
tracks = {p.track_descriptor.uuid: p.track_descriptor for p in trace.packet if p.HasField("track_descriptor")}
for p in trace.packet:
    assert p.trusted_packet_sequence_id == 1
    if p.HasField("track_event"):
        track = tracks[p.track_event.track_uuid]
        counter = p.track_event.type == TrackEvent.TYPE_COUNTER
        assert track.HasField("counter") == counter and p.timestamp_clock_id == 1 and p.timestamp > 1.7e18
for t in tracks.values():
    assert t.parent_uuid in tracks or not t.HasField("parent_uuid")
assert any(p.clock_snapshot.primary_trace_clock == 1 for p in trace.packet)
print(sorted(t.name + " " + t.counter.unit_name for t in tracks.values() if t.counter.unit_name == "bit/s")[0::8])
"#;

#[test]
fn perfettos_own_classes_read_the_trace() {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/perfetto-0.59.1");
    let python = venv.join("bin/python");
    if !venv.join("ready").exists() {
        let run = |program: &Path, args: &[&str]| {
            Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
        };
        let made = run(Path::new("python3"), &["-m", "venv", venv.to_str().unwrap()])
            && run(
                &python,
                &["-m", "pip", "install", "-q", "--retries", "1", "perfetto==0.59.1", "protobuf==7.36.2"],
            );
        if !made {
            eprintln!("skipped: cannot install the Python package perfetto");
            return;
        }
        std::fs::write(venv.join("ready"), "").unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (file, trace) = (path("a.rec"), path("a.pftrace"));
    stdout(&run(&["log", "-n", "4", "-i", "20ms", "-o", "/dev/null", "--record", &file]));
    stdout(&run(&["export", &file, "--perfetto", &trace]));
    let again = run(&["export", &file, "--perfetto", &trace]);
    assert_eq!(again.status.code(), Some(1), "an existing file is not replaced unasked");
    let output = Command::new(python).args(["-c", PYTHON, &trace]).output().unwrap();
    assert_eq!(stdout(&output).trim(), "['Rx bit/s', 'Tx bit/s']");
}

#[test]
fn made_up_data_is_not_recorded_beside_the_machine_it_is_shown_on() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.rec");
    let output = run(&["top", "--synthetic", "--record", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be used with"));
    assert!(!file.exists());
}

/// The windows of 10 ms of a page's NIC, in a recording made with these flags.
fn windows_recorded(flags: &[&str]) -> Vec<bool> {
    use railtop::counters::{NicIdentity, PageDir, PageSpec, PageWriter, RxSource};

    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("pages");
    let spec = PageSpec {
        job: "job1".to_owned(),
        node: "node0".to_owned(),
        host: "node0".to_owned(),
        world: 1,
        threads: 1,
        rx_source: RxSource::CqeLen,
        nics: vec![NicIdentity { netdev: "nic0".to_owned(), ..NicIdentity::default() }],
        ..PageSpec::default()
    };
    let _writer = PageWriter::create(&PageDir::create(&pages).unwrap(), &spec).unwrap();
    let file = dir.path().join("a.rec");
    let mut log = railtop();
    log.env("RAILTOP_PAGE_DIR", &pages);
    log.args(["log", "--source", "page", "-n", "10", "-i", "100ms", "--record", file.to_str().unwrap()]);
    stdout(&log.args(flags).output().unwrap());
    let mut recording = railtop::monitor::record::Recording::open(&file).unwrap();
    assert_eq!(recording.len(), 10);
    (0..10).map(|tick| recording.read(tick).unwrap().sample.pages[0].nics[0].rx_windows.is_some()).collect()
}

#[test]
fn short_windows_are_recorded_where_they_are_asked_for() {
    assert_eq!(windows_recorded(&[]), [false; 10]);
    let recorded = windows_recorded(&["--windows"]);
    assert!(recorded[1..].iter().any(|&there| there), "{recorded:?}");
    assert_eq!(
        run(&["log", "--windows", "-n", "1"]).status.code(),
        Some(2),
        "only a recording has a place for them"
    );
}
