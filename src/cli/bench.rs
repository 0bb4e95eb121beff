//! `railtop bench`: traffic over the built-in transport.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use libfabric_sys::Libfabric;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::exit::{self, ExitError, output_error};
use super::pe::PeArgs;
use super::source::TextOrJson;
use crate::transport::error::TransportError;
use crate::transport::fabric::FabricError;
use crate::transport::gpu::{Gpu, GpuError};
use crate::transport::heap::RESERVED;
use crate::transport::pe::Pe;
use crate::transport::select::PolicyKind;
use crate::units::{parse_duration, parse_size};
use crate::workload::options::{HeapKind, Initiator, Options, Pattern, Scope};
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
}

/// Who posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum InitiatorArg {
    /// This program.
    #[default]
    Host,
    /// Kernels on a GPU, through a ring that the proxy reads.
    Gpu,
}

/// Which memory kernels use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum HeapArg {
    /// The GPUs' where each reaches every other one's, else the hosts'.
    #[default]
    Auto,
    /// The GPUs'.
    Device,
    /// The hosts', which every NIC reaches.
    Host,
}

impl From<HeapArg> for HeapKind {
    fn from(arg: HeapArg) -> Self {
        match arg {
            HeapArg::Auto => Self::Auto,
            HeapArg::Device => Self::Device,
            HeapArg::Host => Self::Host,
        }
    }
}

/// Bits of an element of `alltoall`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum BitsArg {
    /// 4 bytes.
    #[value(name = "32")]
    Bits32,
    /// 8 bytes.
    #[value(name = "64")]
    Bits64,
    /// Both, one after the other.
    All,
}

/// Flags of a benchmark; letters and defaults are NVSHMEM's.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArgs {
    /// NIC selection: single, round-robin, round-robin-offset, pair-seq, stripe or least-loaded; several, one after another, with commas
    #[arg(long, value_name = "P", default_value = "pair-seq", env = "RAILTOP_POLICY", value_delimiter = ',')]
    pub policy: Vec<PolicyKind>,
    /// Smallest size in bytes (K, M, G: powers of 1024)
    #[arg(short = 'b', long = "min_size", visible_alias = "min-size", value_name = "SIZE", default_value = "4", value_parser = parse_size)]
    pub min_size: u64,
    /// Largest size in bytes
    #[arg(short = 'e', long = "max_size", visible_alias = "max-size", value_name = "SIZE", default_value = "4M", value_parser = parse_size)]
    pub max_size: u64,
    /// Factor from one size to the next
    #[arg(short = 'f', long = "step", value_name = "FACTOR", default_value_t = 2, value_parser = clap::value_parser!(u64).range(2..))]
    pub step: u64,
    /// Timed iterations of each size
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub iters: u64,
    /// Iterations before them, not timed
    #[arg(
        short = 'w',
        long = "warmup_iters",
        visible_alias = "warmup-iters",
        value_name = "COUNT",
        default_value_t = 5
    )]
    pub warmup: u64,
    /// Puts per iteration of `put`, by a CTA each (default: 32); with `--initiator gpu` most CTAs of `alltoall`, too (default: 1, as NVSHMEM's)
    #[arg(short = 'c', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub ctas: Option<u64>,
    /// Threads per CTA with `--initiator gpu`; the host posts from one thread
    #[arg(
        short = 't',
        long = "threads_per_cta",
        visible_alias = "threads-per-cta",
        value_name = "COUNT",
        default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(1..=1024)
    )]
    pub threads: u32,
    /// Who joins in a put with `--initiator gpu`: thread, warp or block (all: block in `put`, a table each in `alltoall`); the host has only its own
    #[arg(short = 's', long, value_name = "SCOPE", default_value = "all")]
    pub scope: String,
    /// Bits of an element of `alltoall`: sizes are whole elements for each PE (default: 32; with `--initiator gpu` all, a table each)
    #[arg(long, value_enum, value_name = "BITS")]
    pub bits: Option<BitsArg>,
    /// Who posts: this program, or kernels on a GPU
    #[arg(long, value_enum, default_value_t)]
    pub initiator: InitiatorArg,
    /// GPU that posts, as CUDA numbers them; else the PEs of a node share theirs out
    #[arg(long, value_name = "N")]
    pub gpu: Option<usize>,
    /// Memory in which the heap lies with `--initiator gpu`
    #[arg(long, value_enum, default_value_t)]
    pub heap: HeapArg,
    /// Both PEs of `put` send
    #[arg(long)]
    pub bidir: bool,
    /// Most bytes of one put of `alltoall`, so that a peer is reached over several NICs at once; else a block is one put, as NVSHMEM's
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub chunk: Option<u64>,
    /// Fill with patterns and check every byte at the receiver
    #[arg(long)]
    pub verify: bool,
    /// Run each size this long instead of a number of iterations
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Run the policies this many times over
    #[arg(long, value_name = "COUNT", default_value_t = 1, hide = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// How the results look
    #[arg(long, value_enum, default_value_t)]
    pub format: TextOrJson,
    /// Who this PE is.
    #[command(flatten)]
    pub job: PeArgs,
}

impl RunArgs {
    /// What the flags say, as if the host posted.
    fn options(&self, pattern: Pattern) -> Result<Options, ExitError> {
        if self.min_size > self.max_size {
            return Err(ExitError::Usage(format!(
                "-b {} is larger than -e {}",
                self.min_size, self.max_size
            )));
        }
        if self.bidir && pattern != Pattern::Put {
            return Err(ExitError::Usage(
                "--bidir is a flag of `bench put`; an all-to-all sends in both directions anyway".into(),
            ));
        }
        if self.chunk == Some(0) {
            return Err(ExitError::Usage(
                "--chunk 0: a put has at least 1 byte; leave it out for one put per block".into(),
            ));
        }
        if self.chunk.is_some() && pattern != Pattern::AllToAll {
            return Err(ExitError::Usage(
                "--chunk is a flag of `bench alltoall`; `bench put` splits by -c".into(),
            ));
        }
        if self.chunk.is_some() && self.initiator == InitiatorArg::Gpu {
            return Err(ExitError::Usage(
                "--chunk is for --initiator host: a kernel puts a block at once".into(),
            ));
        }
        if self.bits.is_some() && pattern != Pattern::AllToAll {
            return Err(ExitError::Usage("--bits is a flag of `bench alltoall`".into()));
        }
        let gpu = self.initiator == InitiatorArg::Gpu;
        let bits = self.bits.unwrap_or(if gpu { BitsArg::All } else { BitsArg::Bits32 });
        let ctas = self.ctas.unwrap_or(if gpu && pattern == Pattern::AllToAll { 1 } else { 32 });
        Ok(Options {
            pattern,
            initiator: Initiator::Host,
            policies: self.policy.clone(),
            rounds: usize::try_from(self.rounds).unwrap_or(usize::MAX),
            min_bytes: self.min_size,
            max_bytes: self.max_size,
            step: self.step,
            iters: self.iters,
            warmup: self.warmup,
            ctas,
            scope: Scope::of(&self.scope),
            bits: match bits {
                BitsArg::Bits32 => vec![32],
                BitsArg::Bits64 => vec![64],
                BitsArg::All => vec![32, 64],
            },
            bidir: self.bidir,
            chunk: self.chunk,
            verify: self.verify,
            duration: self.duration,
            window: WINDOW,
        })
    }

    /// Who posts, and that it can.
    fn initiator(&self, local_rank: u32) -> anyhow::Result<Initiator> {
        if self.initiator == InitiatorArg::Host {
            if self.gpu.is_some() {
                return Err(ExitError::Usage("--gpu is for --initiator gpu".into()).into());
            }
            if self.heap == HeapArg::Device {
                let text = "--heap device is for --initiator gpu: the host puts from its own memory";
                return Err(ExitError::Usage(text.into()).into());
            }
            return Ok(Initiator::Host);
        }
        let ordinal = Gpu::count().and_then(|count| {
            let ordinal = self.gpu.unwrap_or(local_rank as usize % count.max(1));
            if ordinal < count { Ok(ordinal) } else { Err(GpuError::NoDevice { ordinal, count }) }
        });
        let ordinal = ordinal.map_err(|error| match error {
            absent if absent.is_absent() => ExitError::Nothing(absent.to_string()).into(),
            error => anyhow::Error::from(error),
        })?;
        Ok(Initiator::Gpu { ordinal, threads: self.threads, heap: self.heap.into() })
    }
}

/// Runs the benchmark on this PE.
///
/// # Errors
/// With exit code 2 when flags or environment make no sense, 3 without libfabric or NICs, 1 when the job fails.
pub fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let (pattern, args) = match &args.pattern {
        PatternArgs::Put(args) => (Pattern::Put, args),
        PatternArgs::Alltoall(args) => (Pattern::AllToAll, args),
    };
    let mut options = args.options(pattern)?;
    let ranks = args.job.ranks()?;
    options.initiator = args.initiator(ranks.local_rank.unwrap_or(ranks.rank))?;
    if let Err(error) = options.fits(ranks.world) {
        // Known before any PE waits for another; but without libfabric, that is the first thing to say.
        Libfabric::load().map_err(|error| transport(FabricError::Load(error).into()))?;
        return Err(ExitError::Usage(error.to_string()).into());
    }
    let layout = Layout::of(&options, ranks.world);
    let first = options.policies.first().copied().unwrap_or(PolicyKind::PairSeq);
    // What lies in the GPUs' memory needs no room in the host's.
    let on_gpu = matches!(options.initiator, Initiator::Gpu { heap: HeapKind::Device, .. });
    let heap_bytes = if on_gpu { RESERVED } else { layout.heap_bytes() };
    let mut config = args.job.config(ranks, heap_bytes, first)?;
    if let Initiator::Gpu { ordinal, .. } = options.initiator {
        // Only shown: what goes wrong is said when the GPU is opened.
        config.gpu = Gpu::pci_address(ordinal).ok();
    }
    let mut pe = Pe::start(&config).map_err(transport)?;
    let ended = end_on_signal(&pe)?;
    let out = io::BufWriter::new(io::stdout().lock());
    let mut reporter: Box<dyn Reporter> = match args.format {
        TextOrJson::Text => Box::new(Text::new(out)),
        TextOrJson::Json => Box::new(Json::new(out)),
    };
    // A PE that leaves in good order does so inside; one that is dropped takes its counter page along, so that a job that
    // was ended on purpose leaves none behind.
    let outcome = workload::run(&mut pe, &options, reporter.as_mut())
        .inspect_err(|error| pe.abort(&error.to_string()))
        .and_then(|()| pe.finish().map_err(WorkloadError::Transport));
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
        WorkloadError::Gpu(error @ GpuError::TooLarge { .. }) => ExitError::Usage(error.to_string()).into(),
        WorkloadError::Gpu(error) if error.is_absent() => ExitError::Nothing(error.to_string()).into(),
        other => other.into(),
    })
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

/// Without libfabric or NICs there is nothing to measure with.
fn transport(error: TransportError) -> anyhow::Error {
    match error {
        TransportError::Fabric(error @ (FabricError::Load(_) | FabricError::NoProvider { .. })) => {
            ExitError::Nothing(error.to_string()).into()
        }
        other => other.into(),
    }
}
