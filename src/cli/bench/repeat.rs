//! Flags of every benchmark: under which policies, and how often.

use crate::transport::select::PolicyKind;

/// Which policies, and how often each thing is done.
#[derive(Debug, Clone, clap::Args)]
pub struct RepeatArgs {
    /// NIC selection: single, round-robin, round-robin-offset, pair-seq, stripe or least-loaded; several, one after another, with commas
    #[arg(long, value_name = "P", default_value = "pair-seq", env = "RAILTOP_POLICY", value_delimiter = ',')]
    pub policy: Vec<PolicyKind>,
    /// Timed iterations for each row of results
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
    /// Run the policies this many times over
    #[arg(long, value_name = "COUNT", default_value_t = 1, hide = true, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

impl RepeatArgs {
    /// How often the policies are gone through.
    pub(super) fn rounds(&self) -> usize {
        usize::try_from(self.rounds).unwrap_or(usize::MAX)
    }
}
