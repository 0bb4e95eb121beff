//! Where `log` writes to, in which format, and how it ends.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use assert_cmd::assert::OutputAssertExt as _;

use crate::support::{fixture, railtop, stdout_of};

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
