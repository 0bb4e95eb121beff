//! Recordings that are begun on the screen.

use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;
use portable_pty::CommandBuilder;
use railtop::monitor::record::Recording;

use crate::session::{Session, in_fixture, railtop_in};

/// The recordings in a directory.
fn recordings(dir: &std::path::Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).expect("it is there").map(|file| file.expect("it is there").path());
    files.filter(|path| path.extension().is_some_and(|ending| ending == "rec")).collect()
}

/// Waits until a recording holds more than one tick: the screen says KiB after the first, which names everything.
fn wait_for_a_second_tick(session: &Session, recording: impl Fn() -> PathBuf) {
    session.wait_for(" REC and its size", |screen| {
        screen.contents().lines().next().is_some_and(|line| line.contains(" REC ") && line.contains("KiB"))
    });
    let recording = recording();
    // A tick may be half written while it is looked at.
    session.wait_for("second tick", |_| Recording::open(&recording).is_ok_and(|open| open.len() > 1));
}

/// How many ticks `replay` finds.
fn ticks(recording: &std::path::Path) -> usize {
    let output = Command::new(env!("CARGO_BIN_EXE_railtop"))
        .args(["--config", "", "replay", "--format", "jsonl"])
        .arg(recording)
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let times: std::collections::BTreeSet<_> =
        text.lines().filter_map(|line| line.split("\"ts\":").nth(1)?.split(',').next()).collect();
    times.len()
}

#[test]
fn a_key_records_and_a_replay_shows_it_with_its_own_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut session = Session::start_command(railtop_in(dir.path()));
    session.wait_for_text("rdmap");
    session.type_keys(b"r");
    session.wait_for_text("recording to ./railtop-");
    wait_for_a_second_tick(&session, || recordings(dir.path()).remove(0));
    session.type_keys(b"r");
    session.wait_for_text("recorded ");
    session.wait_for("end of it", |screen| !screen.contents().contains(" REC "));
    session.type_keys(b"q");
    assert_eq!(session.exit_status().exit_code(), 0);
    let files = recordings(dir.path());
    assert_eq!(files.len(), 1);
    assert!(ticks(&files[0]) > 1);

    let mut command = railtop_in(dir.path());
    command.arg("replay");
    command.arg(&files[0]);
    let mut session = Session::start_command(command);
    session.wait_for_text(" stopped ");
    // Another key for it in the configuration would do as well: these are the table's.
    session.type_keys(b"\x1b[H");
    session.wait_for_text(" 1/");
    session.type_keys(b"\x1b[C");
    session.wait_for_text(" 2/");
    session.type_keys(b"r");
    session.wait_for_text("cannot be recorded");
    session.type_keys(b"q");
    assert_eq!(session.exit_status().exit_code(), 0);
}

/// From the start on, and the number of ticks is said once the screen has gone.
#[test]
fn the_flag_records_from_the_start_and_says_where() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = railtop_in(dir.path());
    command.args(["top", "--record", "a.rec"]);
    let mut session = Session::start_command(command);
    wait_for_a_second_tick(&session, || dir.path().join("a.rec"));
    session.type_keys(b"q");
    assert_eq!(session.exit_status().exit_code(), 0);
    session.assert_restored("bytes recorded in a.rec");
    assert!(ticks(&dir.path().join("a.rec")) > 1);
}

/// What quits while it records leaves the recording whole.
#[test]
fn a_recording_outlives_whatever_ends_the_screen() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut session = Session::start_command(railtop_in(dir.path()));
    session.wait_for_text("rdmap");
    session.type_keys(b"r");
    session.wait_for("some KiB of it", |screen| {
        screen.contents().lines().next().is_some_and(|line| line.contains(" REC ") && line.contains("KiB"))
    });
    session.signal(Signal::SIGKILL);
    session.exit_status();
    assert!(ticks(&recordings(dir.path())[0]) > 0);
}

#[test]
fn a_recording_that_cannot_be_written_is_said_and_stays_said() {
    if !std::path::Path::new("/bin/bash").exists() {
        eprintln!("skipped: no /bin/bash");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = CommandBuilder::new("/bin/bash");
    in_fixture(&mut command, dir.path());
    command.env("PROGRAM", env!("CARGO_BIN_EXE_railtop"));
    // A file may have 8 KiB: the same error as on a full disk, some ticks after the beginning.
    command.args(["--norc", "--noprofile", "-c", "trap '' XFSZ; ulimit -f 8; \"$PROGRAM\""]);
    let mut session = Session::start_command(command);
    session.wait_for_text("rdmap");
    session.type_keys(b"r");
    session.wait_for_text("RECORDING ENDED: cannot write ");
    session.type_keys(b"p");
    session.wait_for("both", |screen| {
        screen.contents().contains("PAUSED") && screen.contents().contains("RECORDING ENDED")
    });
    session.type_keys(b"r");
    session.wait_for("end of it", |screen| !screen.contents().contains("RECORDING ENDED"));
    session.type_keys(b"q");
    assert_eq!(session.exit_status().exit_code(), 0);
    assert!(ticks(&recordings(dir.path())[0]) > 0, "what was written is whole");
}
