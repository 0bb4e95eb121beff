//! Flags of the benchmarks that step through sizes, and what they say.

use std::time::Duration;

use super::WINDOW;
use super::poster::{InitiatorArg, PosterArgs};
use super::repeat::RepeatArgs;
use crate::cli::exit::ExitError;
use crate::cli::pe::PeArgs;
use crate::cli::source::TextOrJson;
use crate::units::{parse_duration, parse_size};
use crate::workload::options::{Initiator, Options, Pattern, Scope};

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
    /// Under which policies, and how often.
    #[command(flatten)]
    pub repeat: RepeatArgs,
    /// Smallest size in bytes (K, M, G: powers of 1024)
    #[arg(short = 'b', long = "min_size", visible_alias = "min-size", value_name = "SIZE", default_value = "4", value_parser = parse_size)]
    pub min_size: u64,
    /// Largest size in bytes
    #[arg(short = 'e', long = "max_size", visible_alias = "max-size", value_name = "SIZE", default_value = "4M", value_parser = parse_size)]
    pub max_size: u64,
    /// Factor from one size to the next
    #[arg(short = 'f', long = "step", value_name = "FACTOR", default_value_t = 2, value_parser = clap::value_parser!(u64).range(2..))]
    pub step: u64,
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
    /// Who posts.
    #[command(flatten)]
    pub poster: PosterArgs,
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
    /// How the results look
    #[arg(long, value_enum, default_value_t)]
    pub format: TextOrJson,
    /// Who this PE is.
    #[command(flatten)]
    pub job: PeArgs,
}

impl RunArgs {
    /// What the flags say, as if the host posted.
    pub(super) fn options(&self, pattern: Pattern) -> Result<Options, ExitError> {
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
        if self.chunk.is_some() && self.poster.initiator == InitiatorArg::Gpu {
            return Err(ExitError::Usage(
                "--chunk is for --initiator host: a kernel puts a block at once".into(),
            ));
        }
        if self.bits.is_some() && pattern != Pattern::AllToAll {
            return Err(ExitError::Usage("--bits is a flag of `bench alltoall`".into()));
        }
        let gpu = self.poster.initiator == InitiatorArg::Gpu;
        let bits = self.bits.unwrap_or(if gpu { BitsArg::All } else { BitsArg::Bits32 });
        let ctas = self.ctas.unwrap_or(if gpu && pattern == Pattern::AllToAll { 1 } else { 32 });
        Ok(Options {
            pattern,
            initiator: Initiator::Host,
            policies: self.repeat.policy.clone(),
            rounds: self.repeat.rounds(),
            min_bytes: self.min_size,
            max_bytes: self.max_size,
            step: self.step,
            iters: self.repeat.iters,
            warmup: self.repeat.warmup,
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
}
