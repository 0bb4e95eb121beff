//! A panic in each thread of the real program: the terminal is given back, the message can be read, the exit code says it.
//! How a thread is made to panic that has no bug is said in `tests/support/fault.rs`.
//!
//! Whatever thread it is, the screen ends: what it shows from then on would be old, and a bug that nobody sees is not
//! reported. (`railtop log` goes on: see `tests/monitor_cli/panics.rs`.)

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use portable_pty::CommandBuilder;
use test_case::test_case;

use crate::fault::Fault;
use crate::session::{Session, in_fixture, railtop_in};
use crate::sources::sources;

/// The threads of the monitor's screen, and where each is made to panic. Keys are read on the screen's own, the main one;
/// recordings are written on the sampler's; what netlink tells of devices is read on `netlink`.
const THREADS: [&str; 9] =
    ["sampler", "reader", "gpus", "windows", "replay", "netlink", "processes", "fleet", "railtop"];

/// The line that the screen leaves behind when a thread has panicked.
const REPORT: &str = "a thread of railtop panicked (message above); please report it";

/// Lets the program run into a fault once it strikes.
fn bring_about(fault: &Fault, command: &mut CommandBuilder) {
    for (name, value) in fault.environment() {
        command.env(name, value);
    }
}

/// The program on a recording of the fixture.
fn replay(dir: &Path) -> CommandBuilder {
    let recorded = Command::new(env!("CARGO_BIN_EXE_railtop"))
        .args(["--config", "", "log", "-n", "3", "-i", "50ms", "-o", "/dev/null", "--record", "a.rec"])
        .env("RAILTOP_SYSFS_ROOT", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sys/efa-p5"))
        .env("RAILTOP_PAGE_DIR", dir.join("no-pages"))
        .current_dir(dir)
        .status()
        .expect("the program starts");
    assert!(recorded.success());
    let mut command = railtop_in(dir);
    command.args(["replay", "a.rec"]);
    command
}

/// `keys` bring the thread to life, and `then`, after the fault, to the place where it strikes.
#[test_case("sampler", b"", b""; "sampler")]
#[test_case("reader", b"", b""; "reader")]
#[test_case("gpus", b"5", b""; "gpus")]
#[test_case("windows", b"H", b""; "windows")]
#[test_case("replay", b"", b"\x1b[H"; "replay")]
#[test_case("railtop", b"", b""; "screen")]
fn a_panic_in_each_thread_gives_the_terminal_back(thread: &str, keys: &[u8], then: &[u8]) {
    let Some(fault) = Fault::new("clock", thread) else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = if thread == "replay" { replay(dir.path()) } else { railtop_in(dir.path()) };
    bring_about(&fault, &mut command);
    let mut session = Session::start_command(command);
    session.wait_for_text("rdmap79s0");
    session.type_keys(keys);
    session.wait_for("thread", |_| threads(&session).contains(thread));
    let known = |name: &String| THREADS.contains(&name.as_str());
    assert!(threads(&session).iter().all(known), "{:?}", threads(&session));
    fs::write(fault.when(), "").expect("a file");
    session.type_keys(then);
    // The screen's own thread has nobody who could say more than its message.
    let code = if thread == "railtop" { 101 } else { 1 };
    assert_eq!(session.exit_status().exit_code(), code);
    session.assert_restored(&format!("thread '{}'", if thread == "railtop" { "main" } else { thread }));
    session.assert_restored("panicked at");
    if code == 1 {
        session.assert_restored(REPORT);
    }
}

/// The thread that asks other nodes. Where it waits, it looks at the clock.
#[test]
fn a_panic_in_the_thread_that_asks_other_nodes_gives_the_terminal_back() {
    let Some(fault) = Fault::new("clock", "fleet") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let node = crate::exporters::Node::even(2, 1e9);
    let mut command = crate::fleet::top(dir.path(), "100ms", &[&node]);
    bring_about(&fault, &mut command);
    let mut session = Session::start_command(command);
    session.wait_for_text("balanced");
    let known = |name: &String| THREADS.contains(&name.as_str());
    assert!(threads(&session).iter().all(known), "{:?}", threads(&session));
    fs::write(fault.when(), "").expect("a file");
    assert_eq!(session.exit_status().exit_code(), 1);
    session.assert_restored("thread 'fleet'");
    session.assert_restored(REPORT);
}

/// The program where RDMA is loaded and has no device, which is when netlink is asked: in a mount namespace with a `/sys/class` of
/// its own. `None`, and said, where that cannot be had.
fn without_devices(dir: &Path) -> Option<CommandBuilder> {
    const CLASS: &str = "mount -t tmpfs class /sys/class && mkdir /sys/class/infiniband";
    let tried = Command::new("unshare").args(["-rm", "sh", "-c", CLASS]).output();
    if !tried.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no mount namespace with a /sys/class of its own: {tried:?}");
        return None;
    }
    let mut command = CommandBuilder::new("unshare");
    in_fixture(&mut command, dir);
    command.env("RAILTOP_SYSFS_ROOT", "/sys");
    command.args(["-rm", "sh", "-c", &format!("{CLASS} && exec \"$0\""), env!("CARGO_BIN_EXE_railtop")]);
    Some(command)
}

/// That for processes panics where it begins, and if that is before the screen is there, once more when it is started again.
#[test_case("netlink", "clock", true; "netlink")]
#[test_case("processes", "random", false; "processes")]
fn a_panic_in_a_thread_that_asks_netlink_gives_the_terminal_back(thread: &str, kind: &'static str, up: bool) {
    let dir = tempfile::tempdir().expect("a directory");
    let (Some(fault), Some(mut command)) = (Fault::new(kind, thread), without_devices(dir.path())) else {
        return;
    };
    bring_about(&fault, &mut command);
    let strike = || fs::write(fault.when(), "").expect("a file");
    if !up {
        strike();
    }
    let mut session = Session::start_command(command);
    session.type_keys(b"3");
    if up {
        session.wait_for_text("3 Processes");
        strike();
    }
    assert_eq!(session.exit_status().exit_code(), 1);
    session.assert_restored(&format!("thread '{thread}'"));
    session.assert_restored(REPORT);
}

/// Before the screen is there its message would vanish behind the screen, and what the thread was to show would be missing.
#[test_case("sampler"; "who samples")]
#[test_case("reader"; "who reads a device")]
fn a_panic_before_the_screen_is_there_ends_it_too(thread: &str) {
    let Some(fault) = Fault::new("clock", thread) else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = railtop_in(dir.path());
    bring_about(&fault, &mut command);
    fs::write(fault.when(), "").expect("a file");
    let mut session = Session::start_command(command);
    assert_eq!(session.exit_status().exit_code(), 1);
    session.assert_restored(&format!("thread '{thread}'"));
    session.assert_restored("a thread of railtop panicked");
}

/// The demo's own: its cluster ends as well, whether the screen is there already or not.
#[test_case(true; "behind the screen")]
#[test_case(false; "before the screen")]
fn a_panic_in_the_demos_thread_ends_its_cluster_too(up: bool) {
    if let Err(error) = libfabric_sys::Libfabric::load() {
        return eprintln!("skipped: {error}");
    }
    let Some(fault) = Fault::new("sleep", "watch") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let pages = dir.path().join("pages");
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_railtop"));
    command.args(["demo", "--pes-per-node", "1", "--nics-per-pe", "2", "-i", "100ms"]);
    command.env("RAILTOP_PAGE_DIR", &pages);
    bring_about(&fault, &mut command);
    let strike = || fs::write(fault.when(), "").expect("a file");
    if !up {
        strike();
    }
    let mut session = Session::start_command(command);
    if up {
        session.wait_for_text("single (NVSHMEM");
        strike();
    }
    assert_eq!(session.exit_status().exit_code(), 1);
    session.assert_restored("thread 'watch'");
    session.assert_restored("railtop: a thread of the demo panicked");
    let left = fs::read_dir(&pages).map_or(0, Iterator::count);
    assert_eq!(left, 0, "counter pages left behind");
}

/// The names of the program's threads.
fn threads(session: &Session) -> BTreeSet<String> {
    let id = session.child.process_id().expect("it runs");
    let tasks = fs::read_dir(format!("/proc/{id}/task")).expect("its threads");
    let names = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.map(|name| name.trim_end().to_owned()).collect()
}

/// Whoever starts another thread makes it panic too. The exporter's server panics in `tests/monitor_cli/export.rs`.
#[test]
fn there_are_no_other_threads() {
    let code = sources("src/monitor");
    let starts = |what: &str| code.matches(what).count();
    let given: Vec<&str> = ["thread::Builder::new().name(\"", "Errand::start(\""]
        .into_iter()
        .flat_map(|start| code.split(start).skip(1))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let names: BTreeSet<&str> = given.iter().copied().filter(|name| *name != "test").collect();
    let mut known = BTreeSet::from(THREADS);
    known.remove("railtop");
    known.insert("http");
    assert_eq!(names, known);
    // The rest: the one place that starts errands, the thread of made-up data, those that take squeue's answer before there is a
    // screen, and one in a unit test.
    let errands = starts("thread::Builder::new().name(name.to_owned())");
    assert_eq!(errands, 1);
    assert_eq!(
        starts("thread::Builder::new()"),
        starts("thread::Builder::new().name(\"") + errands,
        "without a name"
    );
    assert_eq!(starts("thread::spawn("), 3, "synthetic data, squeue, and a test of windows");
    assert_eq!(starts("spawn_scoped(") + starts("thread::scope("), 1, "a test of sysfs");
}
