//! Running the benchmark: layers and numbers of tokens, warm-up, timing, counting, comparing, gathering.

use std::time::{Duration, Instant};

use super::case::{Addresses, Case};
use super::check::Reference;
use super::combine::combine;
use super::device::Device;
use super::dispatch::dispatch;
use super::incoming::Received;
use super::layout::{Layout, Places, Words};
use super::memory::Memory;
use super::options::MoeOptions;
use super::route::Routing;
use super::row::{Measured, MoeRow, PhaseRow};
use super::shape::Shape;
use super::sums::Sums;
use super::token::{self, Token};
use super::traffic::Traffic;
use crate::transport::pe::Pe;
use crate::transport::select::PolicyKind;
use crate::workload::WorkloadError;
use crate::workload::account::{Account, Counted};
use crate::workload::alltoall::{AllToAll, Buffers, Terms, others};
use crate::workload::gather::collect;
use crate::workload::gpu::OpenedGpu;
use crate::workload::options::{Initiator, Scope};
use crate::workload::report::{Progress, Reporter};
use crate::workload::run::no_nic;
use crate::workload::scene::Scene;
use crate::workload::turns::{switch, turns};

/// Runs the benchmark on this PE, by the GPU that was opened for it or by this program. PE 0 reports through `reporter`; the others' is not used.
///
/// # Errors
/// When the transport fails, or data or counters are wrong.
pub fn run(
    pe: &mut Pe,
    gpu: Option<OpenedGpu>,
    options: &MoeOptions,
    reporter: &mut dyn Reporter,
) -> Result<(), WorkloadError> {
    let layout = Layout::of(options, pe.world());
    let mut device = match (options.initiator, gpu) {
        (Initiator::Gpu { threads, heap, .. }, Some(gpu)) => {
            Some(Device::start(pe, options, gpu, threads, heap)?)
        }
        _ => None,
    };
    let places = layout.places(|content, len| match &mut device {
        None => Ok(pe.allocate(len)?),
        Some(device) => device.side.side().allocate(pe, content, len),
    })?;
    let experts = options.shapes.iter().map(|shape| shape.experts).max().unwrap_or(0);
    let words = Words { at: places.words, experts, pes: pe.world() };
    let signals = words.alltoall();
    let alltoall = Buffers { send: places.send, receive: places.slots, signals };
    let mut bench = Bench {
        options,
        device,
        places,
        words,
        sums: Sums::new(&words),
        alltoall: AllToAll::new(alltoall),
        round: 0,
        progress: Progress::new(pe.rank() == 0),
    };
    if let Some(warning) = no_nic(pe, bench.device.as_mut().map(|device| &*device.side.side()))
        && pe.rank() == 0
    {
        eprintln!("railtop: warning: {warning}");
    }
    let scene = Scene::of(pe, bench.device.as_ref().and_then(|device| device.side.name()));
    for policy in turns(&options.policies, options.rounds) {
        bench.policy(pe, &scene, policy, reporter)?;
    }
    bench.device.as_mut().map_or(Ok(()), |device| device.side.side().finish(pe))
}

struct Bench<'a> {
    options: &'a MoeOptions,
    /// The GPU that posts, if one does.
    device: Option<Device>,
    places: Places,
    words: Words,
    sums: Sums,
    alltoall: AllToAll,
    /// Number of the dispatch, over all layers: words that are set say which they speak of.
    round: u64,
    progress: Progress,
}

/// A case with what is kept from one of its iterations to the next.
struct Standing {
    case: Case,
    /// What there is to compare with, when that was asked for.
    reference: Option<Reference>,
    /// The round that this PE's tokens are of, once they are written.
    filled: Option<u64>,
    /// What came last, once the experts have answered.
    rows: Vec<Received>,
    answered: bool,
}

impl Bench<'_> {
    /// All layers under one policy, then the sums.
    fn policy(
        &mut self,
        pe: &mut Pe,
        scene: &Scene,
        policy: PolicyKind,
        reporter: &mut dyn Reporter,
    ) -> Result<(), WorkloadError> {
        switch(pe, policy)?;
        if pe.rank() == 0 {
            let checked = self.options.on_gpu() && self.options.verify && self.options.alltoall;
            let note = "the all-to-all's times include filling and checking on the GPU (--verify)";
            reporter.begin(scene, policy, checked.then_some(note))?;
        }
        let mut account = Account::default();
        for &shape in &self.options.shapes {
            for &tokens in &self.options.tokens {
                let measured = self.tokens(pe, shape, tokens, &mut account)?;
                if let Some(pes) = collect(pe, &measured)? {
                    reporter.moe(&self.row(policy, shape, tokens, &pes))?;
                }
            }
        }
        account.conclude(pe, policy, self.options.window, &self.progress, reporter)
    }

    fn row(&self, policy: PolicyKind, shape: Shape, tokens: u32, pes: &[Measured]) -> MoeRow {
        let MoeOptions { initiator, skew, seed, batch, iters, verify, .. } = *self.options;
        let phases = PhaseRow::all(shape, tokens, pes);
        let heap = self.device.as_ref().map(|device| device.side.heap_name());
        let grid = self.device.as_ref().map(Device::grid);
        MoeRow {
            policy,
            initiator,
            heap,
            grid,
            shape,
            tokens,
            skew,
            seed,
            batch,
            iters,
            verified: verify,
            phases,
        }
    }

    /// So many tokens: warm-up, then the timed part between two snapshots of the counters.
    fn tokens(
        &mut self,
        pe: &mut Pe,
        shape: Shape,
        tokens: u32,
        account: &mut Account,
    ) -> Result<Measured, WorkloadError> {
        let MoeOptions { skew, seed, verify, iters, warmup, window, .. } = *self.options;
        let at = Addresses { shape, tokens, world: pe.world(), places: self.places, words: self.words };
        let case = Case::of(self.options, at, pe.rank(), |other| pe.is_local(other));
        let reference =
            verify.then(|| Reference::of(&case, seed, |src| Routing::of(shape, tokens, skew, seed, src)));
        let mut standing = Standing { case, reference, filled: None, rows: Vec::new(), answered: false };
        let mut measured = Measured::default();
        for _ in 0..warmup {
            self.iteration(pe, &mut standing, &mut measured)?;
        }
        let mut measured = Measured::default();
        let counted = Counted::begin(pe, window)?;
        for done in 0..iters {
            self.progress.tick(|| {
                format!("moe: {} experts, {tokens} tokens, iteration {done} of {iters}", shape.experts)
            });
            self.iteration(pe, &mut standing, &mut measured)?;
        }
        let (delta, watch) = counted.end(pe)?;
        let seconds = measured.phases.iter().flat_map(|(seconds, _)| seconds).sum();
        account.add(delta, seconds, &watch, window);
        Ok(measured)
    }

    /// Dispatch, combine and all-to-all, each timed by itself behind a barrier: who is done first must not time how long the
    /// others compute.
    fn iteration(
        &mut self,
        pe: &mut Pe,
        standing: &mut Standing,
        measured: &mut Measured,
    ) -> Result<(), WorkloadError> {
        self.round += 1;
        let round = self.fill(pe, standing)?;
        let [there, back, plain] = &mut measured.phases;
        (there.1, back.1) = (Traffic::default(), Traffic::default());

        let (time, incoming, found) = match &self.device {
            None => {
                pe.barrier()?;
                let begun = Instant::now();
                let incoming = dispatch(pe, &standing.case, self.round, &mut self.sums, &mut there.1)?;
                // Where the rows of a batch lie says the batch alone, so to find them is part of it.
                let find = || incoming.rows(&standing.case, Memory::Host(pe.heap()));
                let found = standing.case.has_batches().then(find).transpose()?;
                (begun.elapsed(), incoming, found)
            }
            Some(device) => {
                let (time, incoming) =
                    device.dispatch(pe, &standing.case, self.round, &mut self.sums, &mut there.1)?;
                (time, incoming, None)
            }
        };
        there.0.push(time.as_secs_f64());

        let memory = self.memory(pe);
        if standing.reference.is_some() || !standing.answered {
            standing.rows = match found {
                Some(rows) => rows,
                None => incoming.rows(&standing.case, memory)?,
            };
            let rows = &standing.rows;
            if let Some(reference) = &standing.reference {
                reference.check_rows(&standing.case, memory, &incoming, rows, round)?;
            }
            answer(&standing.case, memory, rows)?;
            standing.answered = true;
        }

        let time = match &self.device {
            None => {
                pe.barrier()?;
                let begun = Instant::now();
                combine(pe, &standing.case, &incoming, &mut self.sums, &mut back.1)?;
                begun.elapsed()
            }
            Some(device) => {
                device.combine(pe, &standing.case, &standing.rows, &mut self.sums, &mut back.1)?
            }
        };
        back.0.push(time.as_secs_f64());
        if let Some(reference) = &standing.reference {
            reference.check_results(&standing.case, self.memory(pe), round)?;
        }

        if self.options.alltoall {
            let (time, traffic) = self.all_to_all(pe, &standing.case)?;
            plain.0.push(time.as_secs_f64());
            plain.1 = traffic;
        }
        Ok(())
    }

    /// The plain all-to-all.
    fn all_to_all(&mut self, pe: &mut Pe, case: &Case) -> Result<(Duration, Traffic), WorkloadError> {
        let size = case.at.shape.alltoall_bytes(case.at.tokens);
        let (verify, blocks) = (self.options.verify, self.options.blocks());
        let terms = Terms { chunk: None, verify, halves: 1, ctas: u64::from(blocks), apart: blocks };
        let mut traffic = Traffic::default();
        others(pe).for_each(|dst| traffic.count(pe, dst, size / u64::from(case.at.world)));
        pe.barrier()?;
        let spans = match &mut self.device {
            None => self.alltoall.rounds(pe, terms, size, 1, |_| ())?,
            Some(device) => self.alltoall.on_gpu(pe, terms, device.side.side(), Scope::Block, size, 1)?,
        };
        Ok((spans.iter().map(|(_, time)| *time).sum(), traffic))
    }

    /// The heap, for what is not timed.
    fn memory<'b>(&'b self, pe: &'b Pe) -> Memory<'b> {
        match &self.device {
            None => Memory::Host(pe.heap()),
            Some(device) => device.side.memory(pe),
        }
    }

    /// Writes this PE's tokens: new ones in every round that is checked. Says of which round they are.
    fn fill(&self, pe: &Pe, standing: &mut Standing) -> Result<u64, WorkloadError> {
        if let (Some(round), None) = (standing.filled, &standing.reference) {
            return Ok(round);
        }
        let (at, round) = (&standing.case.at, self.round);
        let mut row = Vec::new();
        for token in 0..at.tokens {
            row.clear();
            Token { seed: self.options.seed, pe: pe.rank(), token, round }.write(at.shape, &mut row);
            row.extend(token.to_le_bytes());
            self.memory(pe).write(at.token(token), &row)?;
        }
        standing.filled = Some(round);
        Ok(round)
    }
}

/// What the experts make of what has come.
fn answer(case: &Case, memory: Memory<'_>, rows: &[Received]) -> Result<(), WorkloadError> {
    let (shape, first) = (case.at.shape, case.me * case.at.local());
    let mut row = vec![0; usize::try_from(shape.row_bytes()).unwrap_or(0)];
    let mut answer = Vec::new();
    for received in rows {
        memory.read(received.row, &mut row)?;
        answer.clear();
        token::answer(shape, first + received.expert, &row, &mut answer);
        memory.write(case.at.answer(received.answer), &answer)?;
    }
    Ok(())
}
