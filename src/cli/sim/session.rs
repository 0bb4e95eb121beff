//! Runs one after another, with a bar that shows how far they are, and an end where the user wants one.

use std::io::{self, IsTerminal as _, Write as _};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::super::exit::{ExitError, output_error};
use super::super::interrupt::Interrupt;
use crate::sim::report::{Reporter, Row, Work};
use crate::sim::traffic::Traffic;
use crate::sim::{Outcome, Scene, Watcher, check_time, memory, run_each};
use crate::transport::select::PolicyKind;

/// All runs of a command.
pub(super) struct Session {
    reporter: Box<dyn Reporter>,
    policies: Vec<PolicyKind>,
    threads: Option<NonZeroUsize>,
    interrupt: Interrupt,
    bar: Bar,
}

impl Session {
    /// With handlers for signals.
    pub(super) fn new(
        reporter: Box<dyn Reporter>,
        policies: Vec<PolicyKind>,
        threads: Option<NonZeroUsize>,
    ) -> io::Result<Self> {
        Ok(Self { reporter, policies, threads, interrupt: Interrupt::install()?, bar: Bar::new() })
    }

    /// One cluster under all policies; [`ControlFlow::Break`] when the user has ended it.
    pub(super) fn all<T: Traffic + Sync>(
        &mut self,
        scene: &Scene,
        traffic: &T,
        work: Work,
        size: u64,
    ) -> anyhow::Result<ControlFlow<()>> {
        check_time(scene, traffic).map_err(|error| ExitError::Usage(error.to_string()))?;
        let each = traffic.about().saturating_mul(scene.iters.into());
        let expected = each.saturating_mul(self.policies.len() as u64);
        let threads = self.threads.unwrap_or_else(|| {
            let fit = usize::try_from(MOST_MEMORY / memory(scene).max(1)).unwrap_or(usize::MAX);
            let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
            NonZeroUsize::new(cores.min(fit)).unwrap_or(NonZeroUsize::MIN)
        });
        let mut rows = Rows {
            reporter: &mut *self.reporter,
            interrupt: &self.interrupt,
            bar: &mut self.bar,
            scene,
            work,
            size,
            expected,
        };
        let ended = run_each(scene, traffic, &self.policies, threads, &mut rows);
        self.bar.clear();
        ended
    }
}

/// What runs together may take, without `--threads`.
const MOST_MEMORY: u64 = 4 << 30;

/// Makes rows of the outcomes of one cluster.
struct Rows<'s> {
    reporter: &'s mut dyn Reporter,
    interrupt: &'s Interrupt,
    bar: &'s mut Bar,
    scene: &'s Scene,
    work: Work,
    size: u64,
    expected: u64,
}

impl Watcher for Rows<'_> {
    type Error = anyhow::Error;

    fn look(&mut self, running: &[PolicyKind], puts: u64) -> anyhow::Result<ControlFlow<()>> {
        self.bar.show(self.scene.nodes, running, puts, self.expected);
        let is_over = self.interrupt.wait_until(Instant::now())?;
        Ok(if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn done(&mut self, outcome: &Outcome) -> anyhow::Result<()> {
        self.bar.clear();
        let row = Row { scene: self.scene, work: self.work, size: self.size, outcome };
        self.reporter.row(&row).map_err(output_error)
    }
}

/// How far a run is, on a terminal's last line.
struct Bar {
    shows: bool,
    next: Instant,
    shown: bool,
}

impl Bar {
    fn new() -> Self {
        Self { shows: io::stderr().is_terminal(), next: Instant::now() + EVERY, shown: false }
    }

    fn show(&mut self, nodes: u32, running: &[PolicyKind], puts: u64, expected: u64) {
        let now = Instant::now();
        if !self.shows || now < self.next {
            return;
        }
        self.next = now + EVERY;
        self.shown = true;
        let percent = (puts.saturating_mul(100) / expected.max(1)).min(100);
        let filled = usize::try_from(percent / 5).unwrap_or(0);
        let bar = "#".repeat(filled) + &".".repeat(20 - filled);
        let more = match running {
            [] => String::new(),
            [policy] => format!(", {policy}"),
            // All of their names would be longer than a line.
            [policy, others @ ..] => format!(", {policy} and {} more", others.len()),
        };
        let _gone = write!(io::stderr().lock(), "\r\x1b[K[{bar}] {percent:>3} %  {nodes} nodes{more}");
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _gone = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// Between two looks of the bar.
const EVERY: Duration = Duration::from_millis(200);
