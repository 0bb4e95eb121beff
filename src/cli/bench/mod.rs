//! `railtop bench`: traffic over the built-in transport.

mod moe;
mod poster;
mod repeat;
mod sizes;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use libfabric_sys::Libfabric;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use sizes::RunArgs;

use super::exit::{self, ExitError, output_error};
use super::pe::PeArgs;
use super::source::TextOrJson;
use crate::transport::error::TransportError;
use crate::transport::fabric::FabricError;
use crate::transport::gpu::{Gpu, GpuError};
use crate::transport::pe::Pe;
use crate::transport::ranks::Ranks;
use crate::transport::select::PolicyKind;
use crate::workload::gpu::OpenedGpu;
use crate::workload::options::{HeapKind, Initiator, Pattern};
use crate::workload::plan::Layout;
use crate::workload::report::{Json, Reporter, Text};
use crate::workload::{WorkloadError, run as workload};

/// Length of the short windows in which balance is judged.
const WINDOW: Duration = Duration::from_millis(10);

/// Signals within this time count as one.
const TOGETHER: Duration = Duration::from_millis(500);

/// Generate traffic over all NICs and report bandwidth, bytes per NIC and balance
#[derive(Debug, Clone, clap::Args)]
pub struct BenchArgs {
    /// What to run.
    #[command(subcommand)]
    pub pattern: PatternArgs,
}

/// The patterns.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum PatternArgs {
    /// PE 0 writes to PE 1: bandwidth per size, as NVSHMEM's `shmem_put_bw`
    Put(RunArgs),
    /// Every PE writes to every other one: latency and bandwidth per size, as NVSHMEM's `alltoall_latency`
    Alltoall(RunArgs),
    /// Tokens to their experts and back, as a mixture of experts: latency and bandwidth of dispatch, combine and a plain all-to-all, as pplx-kernels' `bench_all_to_all`
    Moe(moe::MoeArgs),
}

/// Runs the benchmark on this PE.
///
/// # Errors
/// With exit code 2 when flags or environment make no sense, 3 without libfabric or NICs, 1 when the job fails.
pub fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    match &args.pattern {
        PatternArgs::Put(args) => sized(args, Pattern::Put),
        PatternArgs::Alltoall(args) => sized(args, Pattern::AllToAll),
        PatternArgs::Moe(args) => moe::run(args),
    }
}

/// A benchmark that steps through sizes.
fn sized(args: &RunArgs, pattern: Pattern) -> anyhow::Result<ExitCode> {
    let mut options = args.options(pattern)?;
    let ranks = args.job.ranks()?;
    options.initiator = args.poster.initiator(ranks.local_rank.unwrap_or(ranks.rank), args.threads)?;
    options.fits(ranks.world).map_err(|error| unfit(&error))?;
    let layout = Layout::of(&options, ranks.world);
    let (heap_bytes, word_bytes) = (layout.heap_bytes(), layout.word_bytes());
    let job =
        Job { args: &args.job, format: args.format, initiator: options.initiator, heap_bytes, word_bytes };
    job.run(ranks, &options.policies, |pe, gpu, reporter| workload::run(pe, gpu, &options, reporter))
}

/// The job cannot run it: known before any PE waits for another. But without libfabric, that is the first thing to say.
fn unfit(error: &WorkloadError) -> anyhow::Error {
    match Libfabric::load() {
        Err(error) => transport(FabricError::Load(error).into()),
        Ok(_) => ExitError::Usage(error.to_string()).into(),
    }
}

/// A PE of a job that runs a benchmark.
struct Job<'a> {
    args: &'a PeArgs,
    format: TextOrJson,
    initiator: Initiator,
    /// Bytes of the heap, in whichever memory it lies.
    heap_bytes: u64,
    /// Those of signal words.
    word_bytes: u64,
}

impl Job<'_> {
    /// Starts the PE, runs `work` on it, and ends it in good order or says why not.
    fn run(
        self,
        ranks: Ranks,
        policies: &[PolicyKind],
        work: impl FnOnce(&mut Pe, Option<OpenedGpu>, &mut dyn Reporter) -> Result<(), WorkloadError>,
    ) -> anyhow::Result<ExitCode> {
        let first = policies.first().copied().unwrap_or(PolicyKind::PairSeq);
        // Of what lies in the GPUs' memory signals alone need room in the host's.
        let on_gpu = matches!(self.initiator, Initiator::Gpu { heap: HeapKind::Device, .. });
        let heap_bytes = if on_gpu { self.word_bytes } else { self.heap_bytes };
        let mut config = self.args.config(ranks, heap_bytes, first)?;
        if let Initiator::Gpu { ordinal, .. } = self.initiator {
            // Only shown: what goes wrong is said when the GPU is opened.
            config.gpu = Gpu::pci_address(ordinal).ok();
        }
        let started = OpenedGpu::start_pe(&config, self.initiator, self.heap_bytes);
        let (mut pe, gpu) = started.map_err(transport)?;
        let ended = end_on_signal(&pe)?;
        let incidents = tell_of_incidents(&pe)?;
        let out = io::BufWriter::new(io::stdout().lock());
        let mut reporter: Box<dyn Reporter> = match self.format {
            TextOrJson::Text => Box::new(Text::new(out)),
            TextOrJson::Json => Box::new(Json::new(out)),
        };
        // A PE that leaves in good order does so inside; one that is dropped takes its counter page along, so that a job that
        // was ended on purpose leaves none behind.
        let outcome = work(&mut pe, gpu, reporter.as_mut())
            .inspect_err(|error| pe.abort(&error.to_string()))
            .and_then(|()| pe.finish().map_err(WorkloadError::Transport));
        // The PE is gone, and with it what could happen to its NICs.
        let _ = incidents.join();
        let Err(error) = outcome else {
            io::stdout().flush().map_err(output_error)?;
            return Ok(ExitCode::SUCCESS);
        };
        if let signal @ 1.. = ended.load(Ordering::Acquire) {
            super::exit::say(&format!("railtop: {error}"));
            return Ok(ExitCode::from(u8::try_from(128 + signal).unwrap_or(1)));
        }
        Err(match error {
            WorkloadError::Usage(text) => ExitError::Usage(text).into(),
            WorkloadError::Output(source) => output_error(source),
            WorkloadError::Transport(error) => transport(error),
            WorkloadError::Gpu(error @ GpuError::TooLarge { .. }) => {
                ExitError::Usage(error.to_string()).into()
            }
            WorkloadError::Gpu(error) if error.is_absent() => ExitError::Nothing(error.to_string()).into(),
            other => other.into(),
        })
    }
}

/// Lets SIGINT, SIGTERM and SIGHUP end the job with its other PEs told why. The number that came is in what is returned,
/// 0 before. A second one ends the process at once, unless it comes together with the first: a launcher may send to the
/// process and to its group, and so does a terminal.
fn end_on_signal(pe: &Pe) -> anyhow::Result<Arc<AtomicI32>> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let (fault, came) = (pe.fault(), Arc::new(AtomicI32::new(0)));
    let seen = Arc::clone(&came);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut first = None;
        for number in signals.forever() {
            let came = *first.get_or_insert_with(Instant::now);
            if came.elapsed() > TOGETHER {
                std::process::exit(i32::from(exit::INTERRUPTED));
            }
            seen.store(number, Ordering::Release);
            fault.raise(format!("ended by signal {number}"));
        }
    })?;
    Ok(came)
}

/// Says on standard error what happens to the PE's NICs that the job survives. By a thread of its own: neither the proxy nor what is
/// measured waits for who reads that. It ends when the PE does.
fn tell_of_incidents(pe: &Pe) -> io::Result<JoinHandle<()>> {
    let incidents = pe.incidents();
    std::thread::Builder::new().name("incidents".into()).spawn(move || {
        for incident in incidents.iter().flatten() {
            exit::say(&format!("railtop: {incident}"));
        }
    })
}

/// Without libfabric or NICs there is nothing to measure with.
fn transport(error: TransportError) -> anyhow::Error {
    match error {
        TransportError::Fabric(error @ (FabricError::Load(_) | FabricError::NoProvider { .. })) => {
            ExitError::Nothing(error.to_string()).into()
        }
        other => other.into(),
    }
}
