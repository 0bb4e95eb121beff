//! What a benchmark is asked to do. Names and defaults are those of NVSHMEM's perftest.

use std::time::Duration;

use super::WorkloadError;
use super::plan::ELEMENT_BYTES;
use crate::transport::select::PolicyKind;

/// The traffic pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// PE 0 writes to PE 1 (`shmem_put_bw`).
    Put,
    /// Every PE writes to every other one (`alltoall_latency`).
    AllToAll,
}

impl Pattern {
    /// The name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::AllToAll => "alltoall",
        }
    }
}

/// Who posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initiator {
    /// The program.
    Host,
    /// Kernels on the GPU of this number; each thread that posts puts a part of its own.
    Gpu {
        /// Number of the GPU, as CUDA counts them.
        ordinal: usize,
        /// Threads of a block.
        threads: u32,
        /// Which of them post in `put`.
        scope: Scope,
    },
}

impl Initiator {
    /// The name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Gpu { .. } => "gpu",
        }
    }
}

/// How many threads join in a put (`-s`).
pub use crate::transport::gpu::Scope;

impl Scope {
    /// As NVSHMEM's perftest takes it: whatever is none of the three means a block's puts.
    #[must_use]
    pub fn of(text: &str) -> Self {
        match text {
            "thread" => Self::Thread,
            "warp" => Self::Warp,
            _ => Self::Block,
        }
    }

    /// Threads that post in a block of `threads`.
    #[must_use]
    pub fn workers(self, threads: u32) -> u32 {
        match self {
            Self::Thread => threads.max(1),
            Self::Warp => threads.div_ceil(32).max(1),
            Self::Block => 1,
        }
    }
}

/// A benchmark to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The pattern.
    pub pattern: Pattern,
    /// Who posts.
    pub initiator: Initiator,
    /// Policies, one after another over the same connections.
    pub policies: Vec<PolicyKind>,
    /// How often the sequence of policies is run.
    pub rounds: usize,
    /// Smallest size in bytes (`-b`).
    pub min_bytes: u64,
    /// Largest size in bytes (`-e`).
    pub max_bytes: u64,
    /// Factor from size to size (`-f`), at least 2.
    pub step: u64,
    /// Timed iterations of each size (`-n`).
    pub iters: u64,
    /// Iterations before them (`-w`).
    pub warmup: u64,
    /// Puts per iteration of `put` (`-c`; NVSHMEM's CTAs).
    pub ctas: u64,
    /// Both PEs of `put` send (`--bidir`).
    pub bidir: bool,
    /// Most bytes of one put of `alltoall` (`--chunk`); `None` = a block is one put, as NVSHMEM's.
    pub chunk: Option<u64>,
    /// Fill with patterns and check every byte.
    pub verify: bool,
    /// Run each size this long instead of [`Self::iters`] times.
    pub duration: Option<Duration>,
    /// How often the meter looks, and the length of the windows in which balance is judged.
    pub window: Duration,
}

impl Options {
    /// Whether a job of `world` PEs can run the pattern. Every PE can tell by itself, before any waits for another.
    ///
    /// # Errors
    /// When it cannot, with what it needs.
    pub fn fits(&self, world: u32) -> Result<(), WorkloadError> {
        match self.pattern {
            Pattern::Put if world != 2 => {
                Err(WorkloadError::Usage(format!("`bench put` needs exactly 2 PEs, this job has {world}")))
            }
            Pattern::AllToAll if world < 2 => {
                let hint = "start it with `railtop lab -- railtop bench alltoall`, or any launcher that sets RANK and WORLD_SIZE";
                Err(WorkloadError::Usage(format!("an all-to-all needs at least 2 PEs: {hint}")))
            }
            _ if self.sizes(world).next().is_none() => {
                let unit = self.unit(world);
                Err(WorkloadError::Usage(format!(
                    "no size to run: -e {} is below {unit} bytes, the smallest size here",
                    self.max_bytes
                )))
            }
            _ => Ok(()),
        }
    }

    /// Puts of one iteration of `put`: one for each CTA, and with a GPU for each of its threads that posts.
    #[must_use]
    pub fn parts(&self) -> u64 {
        match self.initiator {
            Initiator::Host => self.ctas,
            Initiator::Gpu { threads, scope, .. } => self.ctas * u64::from(scope.workers(threads)),
        }
    }

    /// Every size is a multiple of it: an element for each PE in an all-to-all.
    fn unit(&self, world: u32) -> u64 {
        match self.pattern {
            Pattern::Put => 1,
            Pattern::AllToAll => u64::from(world.max(1)) * ELEMENT_BYTES,
        }
    }

    /// The sizes in a job of `world` PEs, as NVSHMEM's tests step through them. Of `put`: from the smallest, by the
    /// factor, up to the largest. Of `alltoall`: elements per PE are stepped, so the size is always a whole number of
    /// elements for each PE, and starts at one element each.
    pub fn sizes(&self, world: u32) -> impl Iterator<Item = u64> {
        let unit = self.unit(world);
        let (max, step) = (self.max_bytes / unit, self.step.max(2));
        std::iter::successors(Some((self.min_bytes / unit).max(1)), move |size| size.checked_mul(step))
            .take_while(move |&size| size <= max)
            .map(move |size| size * unit)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Options of a small run.
    pub(crate) fn options(pattern: Pattern) -> Options {
        Options {
            pattern,
            initiator: Initiator::Host,
            policies: vec![PolicyKind::PairSeq],
            rounds: 1,
            min_bytes: 4,
            max_bytes: 64,
            step: 2,
            iters: 10,
            warmup: 5,
            ctas: 32,
            bidir: false,
            chunk: None,
            verify: true,
            duration: None,
            window: Duration::from_millis(10),
        }
    }

    #[test]
    fn sizes_of_put_go_from_smallest_to_largest() {
        let options = options(Pattern::Put);
        assert_eq!(options.sizes(2).collect::<Vec<_>>(), [4, 8, 16, 32, 64]);
        let odd = Options { min_bytes: 0, max_bytes: 10, step: 3, ..options };
        assert_eq!(odd.sizes(2).collect::<Vec<_>>(), [1, 3, 9]);
    }

    #[test]
    fn sizes_of_alltoall_are_whole_elements_for_each_pe() {
        let options = Options { min_bytes: 4, max_bytes: 128, ..options(Pattern::AllToAll) };
        assert_eq!(options.sizes(8).collect::<Vec<_>>(), [32, 64, 128]);
        assert_eq!(options.sizes(6).collect::<Vec<_>>(), [24, 48, 96]);
        assert_eq!(options.sizes(64).count(), 0, "not even one element each");
    }
}
