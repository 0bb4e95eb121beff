//! `railtop bench moe`: flags, and what they say.

use std::ffi::OsString;
use std::process::ExitCode;

use super::poster::{InitiatorArg, PosterArgs};
use super::repeat::RepeatArgs;
use super::{Job, WINDOW, unfit};
use crate::cli::exit::{self, ExitError};
use crate::cli::pe::PeArgs;
use crate::cli::source::TextOrJson;
use crate::skew::Skew;
use crate::workload::moe::{self, Batch, Layout, MOST_TOKENS, MoeOptions, Shape};
use crate::workload::options::Initiator;

/// pplx-kernels' configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ConfigArg {
    /// 64 experts, 6 of them for each token of 2048 values.
    E64,
    /// 256 experts, 8 of them for each token of 7168 values.
    E256,
    /// Both, one after the other.
    #[default]
    All,
}

/// Whether rows may share puts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum BatchArg {
    /// A put for each token and expert, as in pplx-kernels.
    #[default]
    Off,
    /// Few large puts where that is faster.
    Auto,
}

impl From<BatchArg> for Batch {
    fn from(arg: BatchArg) -> Self {
        match arg {
            BatchArg::Off => Self::Off,
            BatchArg::Auto => Self::Auto,
        }
    }
}

/// Flags of `bench moe`.
#[derive(Debug, Clone, clap::Args)]
pub struct MoeArgs {
    /// Experts, how many of them each token goes to, and its length: those of pplx-kernels
    #[arg(long, value_enum, default_value_t)]
    pub config: ConfigArg,
    /// The program's configuration file, which is --config elsewhere: of the two only one can have the name here.
    #[arg(id = "config-file", long, hide = true)]
    pub config_file: Option<OsString>,
    /// Experts over all PEs, in place of --config
    #[arg(long, value_name = "COUNT", requires_all = ["topk", "dim"], conflicts_with = "config")]
    pub experts: Option<u32>,
    /// Experts of each token
    #[arg(long, value_name = "COUNT", requires_all = ["experts", "dim"], conflicts_with = "config")]
    pub topk: Option<u32>,
    /// Values of a token, a multiple of 16
    #[arg(long, value_name = "COUNT", requires_all = ["experts", "topk"], conflicts_with = "config")]
    pub dim: Option<u32>,
    /// Tokens of each PE; several numbers, one after another, with commas
    #[arg(
        long,
        value_name = "LIST",
        default_value = "1,4,8,16,32,64,128",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_TOKENS))
    )]
    pub tokens: Vec<u32>,
    /// How likely the experts are: uniform, or zipf:S (the one in place r in proportion to r to the power of -S)
    #[arg(long, value_name = "SKEW", default_value = "uniform")]
    pub skew: Skew,
    /// Where routing and contents come from: the same number, the same traffic
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Rows for a PE that NICs lead to: a put each, or few large puts where that is faster
    #[arg(long, value_enum, default_value_t)]
    pub batch: BatchArg,
    /// Leave out the plain all-to-all, which moves the most bytes by far
    #[arg(long)]
    pub no_alltoall: bool,
    /// Under which policies, and how often.
    #[command(flatten)]
    pub repeat: RepeatArgs,
    /// Blocks of threads of a kernel with `--initiator gpu` (default: 32)
    #[arg(short = 'c', long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub ctas: Option<u32>,
    /// Threads of each, a multiple of 32, with `--initiator gpu` (default: 256)
    #[arg(short = 't', long = "threads_per_cta", visible_alias = "threads-per-cta", value_name = "COUNT", value_parser = parse_threads)]
    pub threads: Option<u32>,
    /// Who posts.
    #[command(flatten)]
    pub poster: PosterArgs,
    /// Compare every row that arrives and every result with what the seed says
    #[arg(long)]
    pub verify: bool,
    /// How the results look
    #[arg(long, value_enum, default_value_t)]
    pub format: TextOrJson,
    /// Who this PE is.
    #[command(flatten)]
    pub job: PeArgs,
}

/// Whole warps: a put is one's.
fn parse_threads(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(threads @ 32..=1024) if threads % 32 == 0 => Ok(threads),
        _ => Err("a multiple of 32 from 32 to 1024".to_owned()),
    }
}

impl MoeArgs {
    /// What the flags say, as if the host posted.
    fn options(&self) -> Result<MoeOptions, ExitError> {
        if self.poster.initiator == InitiatorArg::Gpu && self.batch == BatchArg::Auto {
            let text = "--batch auto is for --initiator host: a kernel puts each row by itself";
            return Err(ExitError::Usage(text.into()));
        }
        if self.poster.initiator == InitiatorArg::Host && (self.ctas.is_some() || self.threads.is_some()) {
            return Err(ExitError::Usage(
                "-c and -t are for --initiator gpu: the host has one thread".into(),
            ));
        }
        if self.config_file.is_some() {
            let text = "--config is the layer here: name the program's configuration file before `bench`";
            return Err(ExitError::Usage(text.into()));
        }
        let shapes = match (self.experts, self.topk, self.dim) {
            (Some(experts), Some(topk), Some(dim)) => vec![Shape { experts, topk, dim }],
            _ => match self.config {
                ConfigArg::E64 => vec![Shape::E64],
                ConfigArg::E256 => vec![Shape::E256],
                ConfigArg::All => vec![Shape::E64, Shape::E256],
            },
        };
        for shape in &shapes {
            shape.check().map_err(|error| ExitError::Usage(error.to_string()))?;
        }
        Ok(MoeOptions {
            shapes,
            tokens: self.tokens.clone(),
            skew: self.skew,
            seed: self.seed,
            batch: self.batch.into(),
            alltoall: !self.no_alltoall,
            verify: self.verify,
            policies: self.repeat.policy.clone(),
            rounds: self.repeat.rounds(),
            iters: self.repeat.iters,
            warmup: self.repeat.warmup,
            initiator: Initiator::Host,
            ctas: self.ctas.unwrap_or(32),
            window: WINDOW,
        })
    }
}

/// Runs the benchmark on this PE.
pub(super) fn run(args: &MoeArgs) -> anyhow::Result<ExitCode> {
    let mut options = args.options()?;
    let ranks = args.job.ranks()?;
    options.initiator =
        args.poster.initiator(ranks.local_rank.unwrap_or(ranks.rank), args.threads.unwrap_or(256))?;
    let left_out = options.fit(ranks.world).map_err(|error| unfit(&error))?;
    if ranks.rank == 0 {
        for why in &left_out {
            exit::say(&format!("railtop: warning: left out: {why}"));
        }
    }
    let layout = Layout::of(&options, ranks.world);
    let (heap_bytes, word_bytes) = (layout.heap_bytes(), layout.word_bytes());
    let job =
        Job { args: &args.job, format: args.format, initiator: options.initiator, heap_bytes, word_bytes };
    job.run(ranks, &options.policies, |pe, gpu, reporter| moe::run(pe, gpu, &options, reporter))
}
