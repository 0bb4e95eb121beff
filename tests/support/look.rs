//! `railtop check` for as long as a test says: what it shall see is counted, not timed.

#![allow(clippy::expect_used, clippy::panic, reason = "a helper that cannot go on fails its test")]

use std::cell::OnceCell;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Only a test that has failed waits so long.
const LIMIT: Duration = Duration::from_secs(120);

/// How many steps a `check` sees at least: what one device or page is read a step later than another is next to nothing then.
const STEPS: u64 = 200;

/// How far ahead of time a test's PE publishes: one whose thread gets no turn for a while does not stand still for that.
pub const AHEAD_NS: u64 = 600_000_000_000;

/// Runs a `check` without a duration of its own: it has begun to look when `looks` says so of its process id, and is interrupted,
/// which makes it judge what it has seen, [`STEPS`] later, as somebody else counts them.
pub fn look(command: &mut Command, looks: impl Fn(u32) -> bool, steps: &AtomicU64) -> Output {
    command.args(["--duration", "1h"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program");
    let (id, begun) = (child.id(), Instant::now());
    let first = OnceCell::new();
    let enough = || {
        let now = steps.load(Ordering::Acquire);
        now >= first.get_or_init(|| now) + STEPS
    };
    for (what, holds) in [("it looks", &(|| looks(id)) as &dyn Fn() -> bool), ("enough to see", &enough)] {
        // One that ends by itself has something to say.
        while child.try_wait().expect("our child").is_none() && !holds() {
            if begun.elapsed() > LIMIT {
                let _ended = child.kill();
                panic!("still not: {what}");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    // As Ctrl-C does, but that a shell may have had ignored for what it runs in the background. Not to a number that may be another's by now.
    if child.try_wait().expect("our child").is_none() {
        let _ended = kill(Pid::from_raw(i32::try_from(id).expect("a process id")), Signal::SIGTERM);
    }
    child.wait_with_output().expect("our child")
}

/// Whether the threads that read devices are there, which the first look starts.
pub fn reads_devices(id: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let mut names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.any(|name| name == "reader\n")
}

/// Whether a counter page of this directory is open.
pub fn reads_pages_of(id: u32, dir: &Path) -> bool {
    let files = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
    let mut paths = files.filter_map(|file| fs::read_link(file.path()).ok());
    paths.any(|path| path.parent() == Some(dir))
}
