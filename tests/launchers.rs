//! A job's ranks from launchers other than the lab: Open MPI's mpirun, and variables as torchrun sets them. (Slurm's: tests/slurm.)

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "support/port.rs"]
mod port;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use port::Port;
use serde_json::Value;
use tempfile::TempDir;

const RAILTOP: &str = env!("CARGO_BIN_EXE_railtop");

/// Bounded, so that a job that hangs is a failure.
const LIMIT: Duration = Duration::from_secs(300);

/// How long a job that reached the limit has to end in good order.
const GRACE: Duration = Duration::from_secs(10);

/// The same on every PE; nobody else is on this machine's loopback with it.
const SECRET: &str = "ffeeddccbbaa99887766554433221100";

const BENCH: &str =
    "bench alltoall -b 16K -e 16K -n 4 -w 1 --verify --intra-node nic --provider net --format json";

/// Each PE's two NICs are loopback addresses: what is tested is who is who. By the launcher's variable for the local rank.
fn task(local: &str) -> String {
    format!(
        "n=${local}; export RAILTOP_NICS=127.0.4.$((2 * n + 1)),127.0.4.$((2 * n + 2)); exec \"$0\" \"$@\""
    )
}

/// Whether this machine has libfabric; says `skipped` where not.
fn has_libfabric() -> bool {
    libfabric_sys::Libfabric::load().map_err(|error| eprintln!("skipped: {error}")).is_ok()
}

/// With no launcher's variables in it, and what every PE of these jobs gets.
fn command(program: &str, dir: &TempDir) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let foreign = ["SLURM_", "OMPI_", "PMIX_", "MASTER_", "LOCAL_"];
        if ["RANK", "WORLD_SIZE"].contains(&&*text) || foreign.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    let pages = dir.path().join("pages");
    let _ = fs::create_dir(&pages);
    command
        .env("MASTER_PORT", Port::for_good().port().to_string())
        .env("RAILTOP_JOB_SECRET", SECRET)
        .env("RAILTOP_PAGE_DIR", pages)
        .env("TMPDIR", dir.path())
        .stdin(Stdio::null());
    command
}

/// Runs all of a job's processes to their end; what they wrote to stdout, and to stderr.
fn finish(dir: &TempDir, commands: Vec<Command>) -> Vec<(bool, String, String)> {
    let file = |index: usize, end: &str| dir.path().join(format!("{index}.{end}"));
    let children = commands.into_iter().enumerate().map(|(index, mut command)| {
        let out = |end| fs::File::create(file(index, end)).unwrap();
        command.stdout(out("out")).stderr(out("err")).process_group(0).spawn().unwrap()
    });
    let mut children: Vec<_> = children.collect();
    // mpirun puts each PE into a group of its own and ends them all when it is asked to, once; killed, it would leave them.
    let mut signals = [(LIMIT, Signal::SIGTERM), (LIMIT + GRACE, Signal::SIGKILL)].into_iter().peekable();
    let begun = Instant::now();
    while children.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
        if let Some((_, signal)) = signals.next_if(|(limit, _)| begun.elapsed() > *limit) {
            end_groups(&mut children, signal);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let ends = children.iter_mut().enumerate().map(|(index, child)| {
        let read = |end| fs::read_to_string(file(index, end)).unwrap();
        (child.wait().unwrap().success(), read("out"), read("err"))
    });
    ends.collect()
}

/// Sends a signal to the process groups of those that still run.
fn end_groups(children: &mut [Child], signal: Signal) {
    for child in children {
        if child.try_wait().unwrap().is_none() {
            let _ = killpg(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal);
        }
    }
}

/// The lines of a verified all-to-all of so many PEs, two NICs each, with nothing lost and every PE once.
#[track_caller]
fn assert_alltoall(text: &str, pes: u64) {
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).collect::<Vec<_>>();
    assert!(of("run").iter().all(|run| run["intra_node"] == "nic") && !of("run").is_empty(), "{lines:#?}");
    let rows = of("row");
    assert!(rows.len() == 1 && rows[0]["verified"] == true, "{rows:#?}");
    let nics = of("nic");
    let mut ranks: Vec<u64> = nics.iter().map(|nic| nic["pe"].as_u64().unwrap()).collect();
    ranks.sort_unstable();
    let expected: Vec<u64> = (0..pes).flat_map(|pe| [pe, pe]).collect();
    assert_eq!(ranks, expected);
    let sum = |key: &str| nics.iter().map(|nic| nic[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!(sum("tx_bytes"), sum("rx_bytes"));
    // 4 iterations in which each PE sends all but its own share of 16 KiB.
    assert_eq!(sum("tx_bytes"), 4 * pes * (16 << 10) / pes * (pes - 1));
}

#[test]
fn mpirun_starts_a_job() {
    if !has_libfabric() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let version = Command::new("mpirun").arg("--version").output();
    if !version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("Open MPI")) {
        eprintln!("skipped: no mpirun of Open MPI here (package openmpi-bin)");
        return;
    }
    for pes in [2, 4] {
        let mut mpirun = command("mpirun", &dir);
        mpirun
            .args(["--oversubscribe", "--allow-run-as-root", "-n", &pes.to_string()])
            .args(["sh", "-c", &task("OMPI_COMM_WORLD_LOCAL_RANK"), RAILTOP])
            .args(BENCH.split_whitespace());
        let ends = finish(&dir, vec![mpirun]);
        let (succeeded, out, err) = &ends[0];
        assert!(succeeded, "{out}{err}");
        assert_alltoall(out, pes);
    }
}

/// torchrun itself needs torch; this is what it sets, by its documentation, "Environment Variables".
#[test]
fn variables_of_torchrun_start_a_job() {
    if !has_libfabric() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let port = Port::for_good().port().to_string();
    let pes: Vec<Command> = (0..4)
        .map(|rank: u32| {
            let mut pe = command("sh", &dir);
            pe.args(["-c", &task("LOCAL_RANK"), RAILTOP])
                .args(BENCH.split_whitespace())
                .env("RANK", rank.to_string())
                .env("WORLD_SIZE", "4")
                .env("LOCAL_RANK", rank.to_string())
                .env("LOCAL_WORLD_SIZE", "4")
                .env("GROUP_RANK", "0")
                .env("MASTER_ADDR", "localhost")
                .env("MASTER_PORT", &port);
            pe
        })
        .collect();
    let ends = finish(&dir, pes);
    assert!(ends.iter().all(|(succeeded, _, _)| *succeeded), "{ends:#?}");
    assert_alltoall(&ends[0].1, 4);
    assert!(ends[1..].iter().all(|(_, out, _)| out.is_empty()), "PE 0 alone prints");
}

#[test]
fn half_of_a_launchers_variables_is_said_and_nobody_waits() {
    let dir = tempfile::tempdir().unwrap();
    for (set, missing) in [("RANK", "WORLD_SIZE"), ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")] {
        let mut alone = command(RAILTOP, &dir);
        let output = alone.args(BENCH.split_whitespace()).env(set, "0").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(&format!("{set} is set but {missing} is not")), "{text}");
    }
}
