//! `railtop sim` as a user meets it: what it prints, how it ends, and that a report takes it.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails, fails the test")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use test_case::test_case;

fn railtop(args: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("railtop"));
    command.args(args).stdin(Stdio::null());
    command
}

/// What it prints when all is well.
fn stdout(args: &[&str]) -> String {
    let output = railtop(args).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

const SMALL: [&str; 8] = ["sim", "alltoall", "--nodes", "2,4", "--message", "1M", "--format", "json"];

#[test]
fn the_same_flags_print_the_same_bytes() {
    let jitter = [&SMALL[..], &["--jitter", "20%", "--slow-nic", "1:0.5", "--seed", "5"]].concat();
    let first = stdout(&jitter);
    assert_eq!(first, stdout(&jitter));
    assert_ne!(first, stdout(&[&jitter[..jitter.len() - 1], &["6"]].concat()), "another seed is another run");
}

#[test]
fn every_policy_of_every_cluster_has_a_row_and_few_nics() {
    let lines: Vec<Value> = stdout(&SMALL).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).count();
    // 16 PEs are told one by one, of 32 the most and the least even.
    assert_eq!([of("run"), of("row"), of("balance"), of("omitted")], [12, 12, 24, 6]);
    let row = lines.iter().find(|line| line["type"] == "row").unwrap();
    assert_eq!(
        (&row["initiator"], &row["policy"], &row["puts"]),
        (&"sim".into(), &"single".into(), &128.into())
    );
    let omitted = lines.iter().find(|line| line["type"] == "omitted").unwrap();
    let told =
        lines.iter().filter(|line| line["type"] == "nic" && line["policy"] == omitted["policy"]).count();
    assert_eq!(told as u64 + omitted["nics"].as_u64().unwrap(), 16 * 4 + 32 * 4);
    let model = lines[0]["model"].as_array().unwrap();
    assert!(
        model.iter().all(|one| one["source"].as_str().is_some_and(|source| !source.is_empty())),
        "{model:?}"
    );
}

#[test]
fn a_report_shows_it_by_nodes() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("sim.jsonl"), stdout(&SMALL)).unwrap();
    let text = stdout(&["report", dir.path().to_str().unwrap(), "--format", "text"]);
    assert!(text.contains("by nodes: 8 PEs each, 4 NICs each of 100 Gb/s, model efa-p5"), "{text}");
    let page = stdout(&["report", dir.path().to_str().unwrap()]);
    assert!(page.contains("by nodes"));
}

#[test_case(&["put"], &["# put"]; "put")]
#[test_case(&["moe", "--skew", "zipf:1.2", "--put-cost", "0.5us"], &["# moe dispatch", "# moe combine"]; "moe")]
#[test_case(&["moe", "--phase", "combine"], &["# moe combine"]; "one phase")]
fn other_patterns_run(args: &[&str], tables: &[&str]) {
    let text = stdout(&[&["sim"], args, &["--nodes", "2", "--preset", "lab"]].concat());
    let begun: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
    assert!(
        begun.len() == tables.len() && begun.iter().zip(tables).all(|(line, begin)| line.starts_with(begin)),
        "{text}"
    );
    // Headers and six policies each, and a line between tables.
    assert_eq!(text.lines().count(), tables.len() * (2 + 6 + 1) - 1, "{text}");
}

#[test]
fn rows_of_moe_name_their_phase_and_their_bytes() {
    let args = ["sim", "moe", "--nodes", "2", "--policy", "pair-seq", "--format", "json", "--tokens", "16"];
    let text = stdout(&args);
    let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let rows: Vec<_> = rows.iter().filter(|row| row["type"] == "row").collect();
    let told = |key: &str| rows.iter().map(|row| row[key].clone()).collect::<Vec<_>>();
    assert_eq!(told("phase"), ["dispatch", "combine"]);
    assert_eq!(told("size"), [16 * 8 * 7408, 16 * 8 * 14_336]);
    assert_eq!(rows[0]["puts"], rows[1]["puts"]);
}

#[test]
fn threads_change_nothing() {
    let with = |threads| stdout(&[&SMALL[..], &["--threads", threads]].concat());
    assert_eq!(with("1"), with("4"));
}

#[test_case(&["alltoall", "--nodes", "1"], "2 or more"; "a node alone")]
#[test_case(&["alltoall", "--nodes", "100000"], "more than"; "too large")]
#[test_case(&["alltoall", "--policy", "best"], "unknown NIC policy"; "no policy")]
#[test_case(&["alltoall", "--slow-nic", "1:2"], "COUNT:SHARE"; "faster than it is")]
#[test_case(&["alltoall", "--slow-nic", "9999:0.5", "--nodes", "2"], "9999 slow NICs of 64"; "more than there are")]
#[test_case(&["put", "--message", "8"], "no byte"; "nothing to send")]
#[test_case(&["moe", "--skew", "zipf"], "zipf:S"; "no skew")]
#[test_case(&["alltoall", "--jitter", "200%"], "0% to 100%"; "too much jitter")]
#[test_case(&["alltoall", "--nodes", "4096", "--nics-per-pe", "1"], "more than 16384 PEs"; "too many pairs")]
#[test_case(&["put", "--nodes", "2", "--put-cost", "8000h"], "more than a second"; "a put of a year")]
#[test_case(&["put", "--nodes", "2", "--nic-rate", "1mbit", "--message", "64G", "-c", "1", "--slow-nic", "64:0.001"], "53 simulated days"; "years on the wire")]
#[test_case(&["moe", "--nodes", "2", "--message", "1000000T"], "at most 2^36"; "a token too large")]
#[test_case(&["moe", "--phase", "both"], "dispatch, combine"; "no phase")]
fn mistakes_are_named(args: &[&str], why: &str) {
    let output = railtop(&[&["sim"], args].concat()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains(why) && output.stdout.is_empty(), "{text}");
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let mut child = railtop(&SMALL).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!((status.code(), text.as_str()), (Some(0), ""));
}

#[test]
fn an_interrupt_ends_it_and_leaves_what_is_finished() {
    // The first row is soon there, and the last one would take hours.
    let args =
        ["sim", "alltoall", "--nodes", "2,1024", "--message", "64M", "-n", "1000", "--policy", "pair-seq"];
    let mut child = railtop(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first: Vec<String> = lines.by_ref().take(3).map(Result::unwrap).collect();
    assert!(first[2].starts_with("pair-seq"), "{first:?}");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(lines.count(), 0, "nothing half done");
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("ended"), "{text}");
}
