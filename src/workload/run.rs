//! Running a benchmark: sizes, warm-up, timing, counting, gathering.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::WorkloadError;
use super::account::{Account, Counted};
use super::alltoall::{self, AllToAll, Terms};
use super::gather::{collect, share};
use super::gpu::{GpuSide, OpenedGpu};
use super::meter::Watch;
use super::options::{Initiator, Options, Pattern, Table};
use super::plan::{Content, Layout, block_bytes, put_bytes};
use super::put;
use super::report::{Progress, Reporter, Row};
use super::scene::Scene;
use super::turns::{switch, turns};
use crate::stats::Quantiles;
use crate::transport::pe::Pe;
use crate::transport::select::PolicyKind;

/// How long a batch of iterations runs when a size runs for a time: between batches PE 0 says whether to go on.
const BATCH: Duration = Duration::from_millis(300);

/// Runs the benchmark on this PE, by the GPU that was opened for it or by this program. PE 0 reports through `reporter`; the others' is not used.
///
/// # Errors
/// When the job cannot do it, the transport fails, or data or counters are wrong.
pub fn run(
    pe: &mut Pe,
    gpu: Option<OpenedGpu>,
    options: &Options,
    reporter: &mut dyn Reporter,
) -> Result<(), WorkloadError> {
    let world = pe.world();
    options.fits(world)?;
    let layout = Layout::of(options, world);
    let mut gpu = match (options.initiator, gpu) {
        (Initiator::Gpu { threads, heap, .. }, Some(gpu)) => {
            Some(GpuSide::start(pe, gpu, threads, heap, options.verify)?)
        }
        _ => None,
    };
    let mut allocate = |content, len| match &mut gpu {
        None => Ok(pe.allocate(len)?),
        Some(gpu) => gpu.allocate(pe, content, len),
    };
    let (send, receive) = (allocate(Content::Data, layout.send)?, allocate(Content::Data, layout.receive)?);
    let signals = allocate(Content::Words, layout.signals)?;
    let mut bench = Bench {
        options,
        gpu,
        put: put::Buffers { send, receive },
        alltoall: AllToAll::new(alltoall::Buffers { send, receive, signals }),
        round: 0,
        progress: Progress::new(pe.rank() == 0),
    };
    if pe.rank() == 0
        && let Some(warning) = warning(pe, options, bench.gpu.as_ref())
    {
        eprintln!("railtop: warning: {warning}");
    }
    let scene = Scene::of(pe, bench.gpu.as_ref().and_then(GpuSide::name));
    for policy in turns(&options.policies, options.rounds) {
        bench.policy(pe, &scene, policy, reporter)?;
    }
    bench.gpu.as_mut().map_or(Ok(()), |gpu| gpu.finish(pe))
}

/// What would make the rows say less than they seem to.
fn warning(pe: &Pe, options: &Options, gpu: Option<&GpuSide>) -> Option<String> {
    if let Some(warning) = no_nic(pe, gpu) {
        return Some(warning);
    }
    let table = options.tables().first().copied().unwrap_or_default();
    let empty = options
        .sizes(pe.world(), table)
        .filter(|&size| options.pattern == Pattern::Put && put_bytes(size, options.parts()) == 0);
    let largest = empty.max()?;
    Some(format!(
        "sizes up to {largest} move no data: split over {} puts (-c; with a GPU -t and -s, too) they leave less than 8 bytes each (as in shmem_put_bw)",
        options.parts()
    ))
}

/// What to say where all PEs reach each other without a NIC.
pub(super) fn no_nic(pe: &Pe, gpu: Option<&GpuSide>) -> Option<String> {
    let near = |other| pe.is_local(other) || gpu.is_some_and(|gpu| gpu.reaches(pe, other));
    if !(1..pe.world()).all(near) {
        return None;
    }
    let how = match gpu {
        Some(gpu) if gpu.reaches_all(pe) => {
            format!("their GPUs store into each other's heap ({})", gpu.heap_name())
        }
        _ => "they copy through shared memory".into(),
    };
    let node = pe.node_of(0);
    Some(format!("all PEs are on {node}: {how} and no NIC carries anything (--intra-node nic)"))
}

struct Bench<'a> {
    options: &'a Options,
    /// The GPU that posts, if one does.
    gpu: Option<GpuSide>,
    put: put::Buffers,
    alltoall: AllToAll,
    /// Number of the block pattern.
    round: u64,
    progress: Progress,
}

/// What one size took on one PE.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Timing {
    iters: u64,
    seconds: f64,
    /// Seconds of single iterations.
    spread: Option<(f64, f64, f64)>,
}

impl Bench<'_> {
    /// All sizes under one policy, then the sums.
    fn policy(
        &mut self,
        pe: &mut Pe,
        scene: &Scene,
        policy: PolicyKind,
        reporter: &mut dyn Reporter,
    ) -> Result<(), WorkloadError> {
        switch(pe, policy)?;
        if pe.rank() == 0 {
            reporter.begin(scene, policy, self.options.note())?;
        }
        let mut account = Account::default();
        for table in self.options.tables() {
            if pe.rank() == 0 {
                reporter.table(self.options, table, self.heap())?;
            }
            for size in self.options.sizes(pe.world(), table) {
                let timing = self.size(pe, table, size, &mut account)?;
                if let Some(timings) = collect(pe, &timing)? {
                    reporter.row(&Row {
                        policy,
                        table,
                        grid: self.grid(pe, table, size),
                        heap: self.heap(),
                        ..self.row(pe, size, &timings)
                    })?;
                }
            }
        }
        account.conclude(pe, policy, self.options.window, &self.progress, reporter)
    }

    /// Which memory the heap of kernels lies in.
    fn heap(&self) -> Option<&'static str> {
        self.gpu.as_ref().map(GpuSide::heap_name)
    }

    /// Blocks of threads, and threads of each, of a size.
    fn grid(&self, pe: &Pe, table: Table, size: u64) -> Option<(u32, u32)> {
        let (Initiator::Gpu { threads, .. }, Some(gpu)) = (self.options.initiator, &self.gpu) else {
            return None;
        };
        let ctas = self.options.ctas;
        Some(match (self.options.pattern, table.scope) {
            (Pattern::AllToAll, Some(scope)) => {
                let len = block_bytes(size, u64::from(pe.world()));
                gpu.grid(len, pe.world(), ctas, scope)
            }
            _ => (u32::try_from(ctas).unwrap_or(u32::MAX), threads),
        })
    }

    /// One size: warm-up, then the timed part between two snapshots of the counters.
    fn size(
        &mut self,
        pe: &mut Pe,
        table: Table,
        size: u64,
        account: &mut Account,
    ) -> Result<Timing, WorkloadError> {
        self.iterate(pe, table, size, self.options.warmup)?;
        self.round += 1;
        if self.options.verify && self.options.pattern == Pattern::Put {
            // What the warm-up puts is still under way to who only receives.
            pe.barrier()?;
            put::prepare(pe, self.options, self.gpu.as_ref(), self.put, size, self.round)?;
        }
        let counted = Counted::begin(pe, self.options.window)?;
        let spans = self.timed(pe, table, size)?;
        let (delta, watch) = counted.end(pe)?;
        if self.options.verify && self.options.pattern == Pattern::Put {
            put::check(pe, self.options, self.gpu.as_mut(), self.put, size, self.round)?;
        }
        let seconds = spans.iter().map(|(_, span)| span.as_secs_f64()).sum();
        account.add(delta, seconds, &watch, self.options.window);
        let iters = spans.iter().map(|(iters, _)| iters).sum();
        let single: Vec<_> = match self.options.pattern {
            Pattern::AllToAll => {
                // A kernel that goes round and round tells no single one; until everything has landed is none.
                let each_alone = spans.iter().all(|(iters, _)| *iters <= 1);
                let single = spans.iter().filter(|(iters, _)| each_alone && *iters == 1);
                single.map(|(_, span)| span.as_secs_f64()).collect()
            }
            Pattern::Put => {
                put_iterations(&watch, put_bytes(size, self.options.parts()), self.options.window)
            }
        };
        let spread = Quantiles::of(&single).map(|q| (q.min, q.median, q.max));
        Ok(Timing { iters, seconds, spread })
    }

    /// The timed iterations: a number of them, or as many as fit a time.
    fn timed(&mut self, pe: &mut Pe, table: Table, size: u64) -> Result<Vec<(u64, Duration)>, WorkloadError> {
        let Some(limit) = self.options.duration else {
            return self.iterate(pe, table, size, self.options.iters);
        };
        let begun = Instant::now();
        let mut spans = Vec::new();
        let mut batch = 1;
        while batch > 0 {
            let started = Instant::now();
            spans.extend(self.iterate(pe, table, size, batch)?);
            let took = started.elapsed().as_secs_f64().max(1e-6);
            // PE 0 decides for all: how many next, 0 to stop.
            let left = limit.saturating_sub(begun.elapsed());
            let next = BATCH.min(left).as_secs_f64() / took * batch as f64;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to few")]
            let next = if left.is_zero() { 0 } else { next.clamp(1.0, 1e6) as u64 };
            batch = share(pe, &next)?.first().copied().unwrap_or(0);
        }
        Ok(spans)
    }

    /// Runs iterations; returns (iterations, time) for each span that was timed by itself.
    fn iterate(
        &mut self,
        pe: &mut Pe,
        table: Table,
        size: u64,
        iters: u64,
    ) -> Result<Vec<(u64, Duration)>, WorkloadError> {
        let label = self.options.pattern.name();
        match self.options.pattern {
            Pattern::Put => {
                self.progress.tick(|| format!("{label}: {size} bytes, {iters} iterations under way"));
                let time = put::iterate(pe, self.options, self.gpu.as_ref(), self.put, size, iters)?;
                Ok(vec![(iters, time)])
            }
            Pattern::AllToAll => {
                let terms = Terms::of(self.options, pe.world());
                let progress = &mut self.progress;
                let mut tick =
                    |done| progress.tick(|| format!("{label}: {size} bytes, iteration {done} of {iters}"));
                let (Some(gpu), Some(scope)) = (&mut self.gpu, table.scope) else {
                    return self.alltoall.rounds(pe, terms, size, iters, tick);
                };
                tick(0);
                self.alltoall.on_gpu(pe, terms, gpu, scope, size, iters)
            }
        }
    }

    /// The row of a size, from every PE's timing.
    fn row(&self, pe: &Pe, size: u64, timings: &[Timing]) -> Row {
        match self.options.pattern {
            Pattern::Put => {
                let bytes = put_bytes(size, self.options.parts());
                let senders = if self.options.bidir { 2 } else { 1 };
                let rate = |timing: &Timing| bytes as f64 * timing.iters as f64 / timing.seconds / 1e9;
                let bandwidth = (bytes > 0).then(|| timings.iter().take(senders).map(rate).sum());
                // The receiver sees single iterations; the sender only posts.
                let spread = timings
                    .last()
                    .and_then(|timing| timing.spread)
                    .filter(|_| bytes > 0 && !self.options.bidir);
                let gb = |seconds: f64| bytes as f64 / seconds / 1e9;
                Row {
                    bench: self.options.pattern,
                    initiator: self.options.initiator,
                    size,
                    iters: timings.first().map_or(0, |timing| timing.iters),
                    verified: self.options.verify,
                    bidir: self.options.bidir,
                    bw_gb_per_s: bandwidth,
                    bw_spread: spread.map(|(min, median, max)| Quantiles {
                        min: gb(max),
                        median: gb(median),
                        max: gb(min),
                    }),
                    ..Row::default()
                }
            }
            Pattern::AllToAll => {
                let world = u64::from(pe.world());
                let total = block_bytes(size, world) * world;
                let mean = |timing: &Timing| timing.seconds / timing.iters.max(1) as f64;
                let slowest = timings.iter().max_by(|a, b| mean(a).total_cmp(&mean(b)));
                let latency = slowest.map(mean).filter(|&seconds| seconds > 0.0);
                let algbw = latency.map(|seconds| total as f64 / seconds / 1e9);
                let us = |(min, median, max): (f64, f64, f64)| Quantiles {
                    min: min * 1e6,
                    median: median * 1e6,
                    max: max * 1e6,
                };
                Row {
                    bench: self.options.pattern,
                    initiator: self.options.initiator,
                    size: total,
                    // One that cuts nothing makes no difference.
                    chunk: self.options.chunk.filter(|&chunk| chunk < block_bytes(size, world)),
                    iters: slowest.map_or(0, |timing| timing.iters),
                    verified: self.options.verify,
                    latency_us: latency.map(|seconds| seconds * 1e6),
                    latency_spread: slowest.and_then(|timing| timing.spread).map(us),
                    algbw_gb_per_s: algbw,
                    busbw_gb_per_s: algbw.map(|bw| bw * (world - 1) as f64 / world as f64),
                    ..Row::default()
                }
            }
        }
    }
}

/// Seconds of each iteration of `put` as the receiver saw its bytes come in; empty when iterations are shorter than the
/// meter's interval, because then it could not tell them apart.
fn put_iterations(watch: &Watch, bytes: u64, interval: Duration) -> Vec<f64> {
    let (Some(first), true) = (watch.rx_total.first(), bytes > 0) else { return Vec::new() };
    let times = (1..).map_while(|k| watch.rx_total.time_of(first.checked_add(bytes.checked_mul(k)?)?));
    let mut last = watch.from_ns as f64;
    let seconds: Vec<_> = times.map(|at| (at - std::mem::replace(&mut last, at)) / 1e9).collect();
    let long_enough = Quantiles::of(&seconds).is_some_and(|q| q.median >= interval.as_secs_f64());
    if long_enough { seconds } else { Vec::new() }
}
