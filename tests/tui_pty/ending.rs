//! Whatever ends the screen, the terminal is as it was.

use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use portable_pty::{CommandBuilder, NativePtySystem, PtyPair, PtySize, PtySystem as _};
use test_case::test_case;

use crate::session::{PATIENCE, Session, discipline, is_up, program};

#[test_case(b"q"; "q")]
#[test_case(b"\x03"; "ctrl c")]
fn a_key_ends_it_and_the_terminal_is_restored(key: &[u8]) {
    let mut session = Session::start(&["--ticks", "1"]);
    session.wait_for("screen", is_up);
    assert_ne!(discipline(&session.pty), session.cooked, "the screen needs raw mode");
    session.type_keys(key);
    assert_eq!(session.exit_status().exit_code(), 0);
    session.assert_restored("ended: Quit");
}

#[test_case(Signal::SIGTERM, 143)]
#[test_case(Signal::SIGHUP, 129)]
#[test_case(Signal::SIGINT, 130)]
#[test_case(Signal::SIGQUIT, 131)]
fn a_signal_ends_it_and_the_terminal_is_restored(signal: Signal, code: u32) {
    let mut session = Session::start(&["--ticks", "1"]);
    session.wait_for("screen", is_up);
    session.signal(signal);
    assert_eq!(session.exit_status().exit_code(), code);
    session.assert_restored("ended: Signal");
}

/// The real program with libfabric loaded, whose providers take signals for themselves if they are let.
#[test_case(Signal::SIGTERM, 143; "demo, term")]
#[test_case(Signal::SIGINT, 130; "demo, int")]
fn the_demo_ends_with_its_cluster_and_the_terminal_is_restored(signal: Signal, code: u32) {
    if let Err(error) = libfabric_sys::Libfabric::load() {
        return eprintln!("skipped: {error}");
    }
    let pages = tempfile::tempdir().expect("a directory");
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_railtop"));
    command.args(["demo", "--pes-per-node", "1", "--nics-per-pe", "2", "-i", "100ms"]);
    command.env("RAILTOP_PAGE_DIR", pages.path().join("pages"));
    let mut session = Session::start_command(command);
    session.wait_for_text("single (NVSHMEM");
    let pages = pages.path().join("pages");
    session.wait_for("counter pages", |_| std::fs::read_dir(&pages).is_ok_and(|pages| pages.count() > 0));
    session.signal(signal);
    assert_eq!(session.exit_status().exit_code(), code);
    session.assert_restored("");
    let left = std::fs::read_dir(pages).expect("the PEs made it").count();
    assert_eq!(left, 0, "counter pages left behind");
}

#[test]
fn a_panic_in_another_thread_ends_it_with_its_message_readable() {
    let mut session = Session::start(&["--panic-after", "1s"]);
    assert_eq!(session.exit_status().exit_code(), 1);
    session.assert_restored("asked for with --panic-after");
    session.assert_restored("error: a thread of railtop panicked");
}

/// The thread of the source, and the screen's own.
#[test_case(&["--panic-at", "5"], "asked for at tick 5", 1; "source")]
#[test_case(&["--panic-in-screen", "3"], "asked for with --panic-in-screen", 101; "screen")]
fn a_panic_in_any_thread_gives_the_terminal_back(arguments: &[&str], message: &str, code: u32) {
    let mut session = Session::start(arguments);
    assert_eq!(session.exit_status().exit_code(), code);
    session.assert_restored(message);
}

#[test]
fn the_caller_can_stop_it() {
    let mut session = Session::start(&["--stop-after", "500ms"]);
    assert_eq!(session.exit_status().exit_code(), 0);
    session.assert_restored("ended: Stopped");
}

#[test]
fn without_a_terminal_it_says_what_to_run_instead() {
    let output = Command::new(program()).output().expect("the program starts");
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("railtop log"), "{message}");
    assert!(output.stdout.is_empty());
}

/// A terminal that is gone without a signal: no controlling terminal, as below some supervisors. What is to be said
/// about the recording at the end reaches nobody, and that is no panic.
#[test]
fn a_terminal_that_goes_away_ends_it() {
    let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
    let PtyPair { master, slave } = NativePtySystem::default().openpty(size).expect("a pseudo-terminal");
    let name = master.tty_name().expect("its name");
    let terminal = std::fs::File::options()
        .read(true)
        .write(true)
        .custom_flags(nix::libc::O_NOCTTY)
        .open(name)
        .expect("the terminal");
    drop(slave);
    let dir = tempfile::tempdir().expect("a directory");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sys/efa-p5");
    let mut child = Command::new(env!("CARGO_BIN_EXE_railtop"))
        .args(["--config", "", "top", "--interval", "50ms", "--record", "a.rec"])
        .env("RAILTOP_SYSFS_ROOT", root)
        .current_dir(dir.path())
        .env("RAILTOP_PAGE_DIR", dir.path().join("no-pages"))
        .env("TERM", "xterm")
        .stdin(terminal.try_clone().expect("another handle"))
        .stdout(terminal.try_clone().expect("another handle"))
        .stderr(terminal)
        .spawn()
        .expect("the program starts");
    let mut reader = master.try_clone_reader().expect("a reader");
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains("rdmap79s0") {
        let count = reader.read(&mut buffer).expect("it draws");
        seen.extend_from_slice(&buffer[..count]);
    }
    drop((reader, master));
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("our child") {
            break status;
        }
        if begin.elapsed() > PATIENCE {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(129));
}
