//! What is missing or asked wrongly: said in a sentence, with the contract's exit codes.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::Stdio;

use test_case::test_case;

use crate::support::Site;

#[test]
fn without_libfabric_only_the_traffic_is_missing() {
    let site = Site::new();
    let without = || {
        let mut command = site.railtop();
        command.env("RAILTOP_LIBFABRIC", "/nonexistent");
        command
    };
    for pattern in ["put", "alltoall"] {
        let outcome = site.run(without().args(["bench", pattern])).code(3);
        assert!(outcome.stdout.is_empty());
        for part in ["/nonexistent", "apt-get install libfabric1"] {
            assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
        }
    }
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sys/efa-p5");
    let lines =
        site.run(without().args(["log", "-n", "2", "-i", "50ms", "--sysfs-root"]).arg(&tree)).code(0).lines();
    assert_eq!(lines.len(), 1 + 2 * 8);
    let list =
        site.run(without().args(["list", "--format", "json", "--sysfs-root"]).arg(&tree)).code(0).json();
    assert_eq!(list["nics"].as_array().unwrap().len(), 8);
    let check = site.run(without().args(["check", "--duration", "50ms", "--sysfs-root"]).arg(&tree)).code(0);
    assert!(check.stdout.ends_with("idle\n"), "{check:#?}");
}

#[test]
fn nothing_to_measure_says_why() {
    let site = Site::new();
    for words in ["log -n 1", "list", "check --duration 50ms"] {
        let outcome = site.run(site.railtop().args(words.split(' '))).code(3);
        assert!(outcome.stdout.is_empty(), "{outcome:#?}");
        for part in ["nothing to measure", "no RDMA device", "no counter page"] {
            assert!(outcome.stderr.contains(part), "{words}: {}", outcome.stderr);
        }
    }
}

#[test_case("bench put --policy fastest", "round-robin-offset"; "an unknown policy names those there are")]
#[test_case("bench put -b 8M -e 4M", "larger than"; "sizes upside down")]
#[test_case("bench put -b lots", "lots"; "no size")]
#[test_case("bench put -f 1", "--step"; "a factor that never ends")]
#[test_case("bench put -n 0", "--iters"; "no iteration")]
#[test_case("bench alltoall --bidir", "bench put"; "both ways is a flag of put")]
#[test_case("bench alltoall", "at least 2 PEs"; "an all-to-all alone")]
#[test_case("bench", "alltoall"; "no pattern")]
#[test_case("bench get", "get"; "an unknown pattern")]
#[test_case("lab --nodes 0 -- true", "--nodes"; "a lab without nodes")]
#[test_case("lab --nic-rate 7parsecs -- true", "7parsecs"; "a rate that is none")]
#[test_case("lab", "CMD"; "a lab without a command")]
#[test_case("log -i 1ms", "10ms"; "too short an interval")]
#[test_case("check --max-over-mean 0.5", "from 1"; "a ratio below even")]
#[test_case("--no-such-flag", "--no-such-flag"; "an unknown flag")]
fn a_wrong_command_line_is_usage(words: &str, named: &str) {
    let site = Site::new();
    let mut command = site.railtop();
    command.args(words.split(' '));
    let outcome = site.run(&mut command).code(2);
    assert!(outcome.stdout.is_empty() && outcome.stderr.contains(named), "{outcome:#?}");
}

#[test]
fn the_screen_without_a_terminal_names_what_needs_none() {
    let site = Site::new();
    for words in [&[][..], &["top"]] {
        let outcome = site.run(site.railtop().args(words)).code(2);
        assert!(outcome.stdout.is_empty());
        for command in ["railtop log", "railtop check", "railtop list", "railtop demo --headless"] {
            assert!(outcome.stderr.contains(command), "{}", outcome.stderr);
        }
    }
}

/// `railtop log | head -1`.
#[test]
fn a_reader_that_has_enough_is_no_error() {
    let site = Site::new();
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sys/efa-p5");
    let mut command = site.railtop();
    command.args(["log", "-i", "10ms", "--sysfs-root"]).arg(&tree);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("\"header\""), "{line}");
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}

/// `railtop --sysfs-root DIR log` and `railtop log --sysfs-root DIR` are the same.
#[test]
fn global_flags_go_before_and_after_the_command() {
    let site = Site::new();
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sys/efa-p5");
    for words in [&["log", "-n", "1"][..], &["list"], &["check", "--duration", "50ms"]] {
        site.run(site.railtop().args(words).arg("--sysfs-root").arg(&tree)).code(0);
        site.run(site.railtop().arg("--sysfs-root").arg(&tree).args(words)).code(0);
    }
    // What belongs to the screen alone does not pass silently before another command.
    site.run(site.railtop().args(["--ascii", "list"])).code(2);
}
