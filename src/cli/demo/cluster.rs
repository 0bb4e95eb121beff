//! The cluster behind the demo: a lab that runs our own all-to-all.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;

use super::DemoArgs;
use crate::counters::PageDir;
use crate::lab::{Ended, Lab, LabCommand, LabMode, Output, Pe, RunOptions, RunOutcome, StopHandle};

/// Lines of the PEs' stderr that are kept for an error.
const LAST_WORDS: usize = 8;

/// A line PE 0 printed.
pub(super) type LineFunction = Box<dyn FnMut(&str) + Send>;

/// A lab at work on a thread of its own.
pub(super) struct Cluster {
    pub(super) mode: LabMode,
    stop: StopHandle,
    thread: Option<JoinHandle<anyhow::Result<RunOutcome>>>,
    stderr: Arc<Mutex<VecDeque<String>>>,
}

impl Cluster {
    /// Builds the lab, or its substitute on loopback, and starts the all-to-all: each policy for `scene`, the whole
    /// sequence `rounds` times.
    pub(super) fn start(
        args: &DemoArgs,
        scene: Duration,
        rounds: usize,
        mut on_line: LineFunction,
    ) -> anyhow::Result<Self> {
        let mut spec = args.spec();
        let mut lab = Lab::up(spec.clone());
        if lab.as_ref().is_err_and(crate::lab::LabError::is_cured_by_loopback) {
            spec.mode = LabMode::Loopback;
            spec.nic_rate = None;
            lab = Lab::up(spec.clone());
        }
        let mut lab = lab?;
        let command = command(args, scene, rounds)?;
        let stop = StopHandle::new().context("cannot make a pipe")?;
        let stderr = Arc::new(Mutex::new(VecDeque::new()));
        let kept = Arc::clone(&stderr);
        let options = RunOptions {
            stdout: Output::Lines(Box::new(move |_, line| on_line(&String::from_utf8_lossy(line)))),
            stderr: Output::Lines(Box::new(move |pe, line| keep(&kept, pe, line))),
            stop: Some(stop.clone()),
            page_dir: Some(PageDir::default_path()),
            ..RunOptions::default()
        };
        // The PEs die with the thread that started them, so it lives until they have ended.
        let thread = std::thread::Builder::new()
            .name("lab".into())
            .spawn(move || Ok(lab.run(&command, options)?))
            .context("cannot start a thread")?;
        Ok(Self { mode: spec.mode, stop, thread: Some(thread), stderr })
    }

    /// Whether all PEs have ended.
    pub(super) fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// A way to ask what the PEs said last.
    pub(super) fn last_words(&self) -> Box<dyn Fn() -> Option<String>> {
        let stderr = Arc::clone(&self.stderr);
        Box::new(move || {
            stderr.lock().unwrap_or_else(PoisonError::into_inner).back().map(|line| line.trim().to_owned())
        })
    }

    /// Ends the PEs if need be, and waits until nothing of the lab is left. An error holds what the PEs said last.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        self.stop.stop();
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let outcome = thread.join().map_err(|_| anyhow::anyhow!("the lab's thread panicked"))??;
        match outcome.ended {
            Ended::Failed(pe, exit) => {
                let words = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
                let words: Vec<_> = words.iter().map(String::as_str).collect();
                anyhow::bail!("PE {} {exit}:\n{}", pe.rank, words.join("\n"))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The all-to-all, by this very program.
fn command(args: &DemoArgs, scene: Duration, rounds: usize) -> anyhow::Result<LabCommand> {
    let program = std::env::current_exe().context("cannot find the own program file")?;
    let names: Vec<_> = args.policy.iter().map(|policy| policy.name()).collect();
    let (policies, rounds) = (names.join(","), rounds.to_string());
    let size = args.size.to_string();
    let scene = format!("{}ms", scene.as_millis());
    let pe_timeout = format!("{}ms", args.pe_timeout.as_millis());
    let words = [
        "bench",
        "alltoall",
        "--policy",
        &policies,
        "-b",
        &size,
        "-e",
        &size,
        "-w",
        "1",
        "--duration",
        &scene,
        "--rounds",
        &rounds,
    ];
    let args = words.into_iter().chain(["--format", "json"]).map(OsString::from).collect();
    // The screen lives on the PEs' pages, whatever the caller's environment says.
    let env =
        vec![("RAILTOP_NO_PAGE".into(), "false".into()), ("RAILTOP_PE_TIMEOUT".into(), pe_timeout.into())];
    Ok(LabCommand { program: program.into(), args, env })
}

fn keep(kept: &Mutex<VecDeque<String>>, pe: Pe, line: &[u8]) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() == LAST_WORDS {
        kept.pop_front();
    }
    let line = crate::text::printable(&String::from_utf8_lossy(line));
    kept.push_back(format!("  [pe {}] {line}", pe.rank));
}
