//! What is wrong is said, with the exit code for it.

use std::path::Path;
use std::process::Command;

use assert_cmd::assert::OutputAssertExt as _;

use crate::support::{fixture, idle_pe, json_lines, railtop, stdout_of};

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
fn a_tree_mounted_elsewhere_needs_only_the_flag() {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("railtop"));
    command.env("RAILTOP_PAGE_DIR", "/nonexistent").arg("--sysfs-root").arg(fixture("mlx5-roce"));
    let text = stdout_of(command.args(["log", "-n", "1", "--device", "mlx5_?"]), 0);
    assert_eq!(json_lines(&text).len(), 1 + 2);
}
