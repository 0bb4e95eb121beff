//! Instructions of a program, counted by valgrind: what wall-clock time on a shared machine cannot hold.

use std::path::Path;
use std::process::Command;

/// Why they cannot be counted here.
pub(crate) fn missing() -> Option<&'static str> {
    let version = Command::new("valgrind").arg("--version").output();
    version.is_err().then_some("valgrind is not there to count instructions")
}

/// Those of one run.
pub(crate) fn instructions(program: &Path, args: &[&str]) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(args)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    assert!(output.status.success() && collected.is_some(), "{text}");
    collected.unwrap()
}
