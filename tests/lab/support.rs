//! What the tests share.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use railtop::lab::{Lab, LabCommand, LabError, LabMode, LabSpec, Output, RunOptions};

/// Only a test that has failed waits so long.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// One lab at a time: inode numbers of namespaces are given again as soon as they are free.
pub(crate) fn one_at_a_time() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn spec(nodes: u16, pes_per_node: u16, nics_per_pe: u16) -> LabSpec {
    LabSpec { nodes, pes_per_node, nics_per_pe, ..LabSpec::default() }
}

pub(crate) fn loopback(nodes: u16, pes_per_node: u16, nics_per_pe: u16) -> LabSpec {
    LabSpec { mode: LabMode::Loopback, ..spec(nodes, pes_per_node, nics_per_pe) }
}

/// The lab, or `None` where this machine allows none.
pub(crate) fn up(spec: LabSpec) -> Option<Lab> {
    match Lab::up(spec) {
        Ok(lab) => Some(lab),
        Err(error @ (LabError::NotPermitted { .. } | LabError::ToolMissing(_))) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn shell(script: &str) -> LabCommand {
    LabCommand { program: "sh".into(), args: vec!["-c".into(), script.into()], env: Vec::new() }
}

/// The lines that PEs wrote to stdout, with their ranks.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<(u32, String)>>>);

impl Lines {
    pub(crate) fn output(&self) -> Output {
        let lines = self.0.clone();
        Output::Lines(Box::new(move |pe, line| {
            lines.lock().unwrap().push((pe.rank, String::from_utf8_lossy(line).into_owned()));
        }))
    }

    /// Sorted by rank.
    pub(crate) fn sorted(&self) -> Vec<(u32, String)> {
        let mut lines = self.0.lock().unwrap().clone();
        lines.sort_by_key(|(rank, _)| *rank);
        lines
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Lines into `lines`, few last words, and as long to end by SIGTERM as anybody who does may need.
    pub(crate) fn options(&self) -> RunOptions {
        RunOptions {
            stdout: self.output(),
            stderr: Output::Prefixed,
            last_words: Duration::from_millis(100),
            terminate: LONG,
            ..RunOptions::default()
        }
    }
}

/// Waits for something that must happen; the limit only ends a test that has failed.
pub(crate) fn eventually(what: &str, mut happens: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happens() {
        assert!(start.elapsed() < LONG, "still not: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process lives; a zombie does not.
pub(crate) fn lives(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").trim_start().starts_with('Z'))
}

/// Whether any process lives in the namespace `link` (`net:[4026532000]`) or holds it open.
pub(crate) fn is_in_use(link: &str) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else {
        return false;
    };
    processes.flatten().map(|process| process.path()).any(|process| {
        let is_link = |path: &Path| fs::read_link(path).is_ok_and(|target| target.as_os_str() == link);
        is_link(&process.join("ns/net"))
            || fs::read_dir(process.join("fd")).is_ok_and(|fds| fds.flatten().any(|fd| is_link(&fd.path())))
    })
}
