//! What a benchmark is asked to do. Names and defaults are those of NVSHMEM's perftest.

use std::time::Duration;

use super::WorkloadError;
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
        /// Which memory the heap lies in.
        heap: HeapKind,
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

pub use crate::transport::gpu::{HeapKind, Scope};

impl Scope {
    /// All of them, in the order of NVSHMEM's tables.
    pub const ALL: [Self; 3] = [Self::Thread, Self::Warp, Self::Block];

    /// As NVSHMEM's perftest takes it (`-s`): whatever is none of the three means all.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == text)
    }

    /// The name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Thread => "thread",
            Self::Warp => "warp",
            Self::Block => "block",
        }
    }

    /// Threads, warps or blocks that put in a block of `threads`.
    #[must_use]
    pub fn workers(self, threads: u32) -> u32 {
        match self {
            Self::Thread => threads.max(1),
            Self::Warp => threads.div_ceil(32).max(1),
            Self::Block => 1,
        }
    }

    /// Threads of a block of `threads` that join in an all-to-all.
    #[must_use]
    pub fn joined(self, threads: u32) -> u32 {
        match self {
            Self::Thread => 1,
            Self::Warp => threads.clamp(1, 32),
            Self::Block => threads.max(1),
        }
    }

    /// Elements for each PE up to which NVSHMEM's all-to-all has a table, when it has one for every scope: few threads take
    /// long over more.
    fn most_elements(self) -> u64 {
        match self {
            Self::Thread => 511,
            Self::Warp => 4095,
            Self::Block => u64::MAX,
        }
    }
}

/// What the rows of a table have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Table {
    /// Which of a GPU's threads join; `None` with the host.
    pub scope: Option<Scope>,
    /// Bits of an element: every size of an all-to-all is a whole number of elements for each PE.
    pub bits: u32,
}

impl Table {
    /// Bytes of an element.
    #[must_use]
    pub fn element_bytes(self) -> u64 {
        u64::from((self.bits / 8).max(1))
    }

    /// The name of the scope in results.
    #[must_use]
    pub fn scope_name(self) -> &'static str {
        self.scope.map_or("host", Scope::name)
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
    /// Puts per iteration of `put`, most blocks of threads of a GPU's all-to-all (`-c`; NVSHMEM's CTAs).
    pub ctas: u64,
    /// Which of a GPU's threads join in a put (`-s`); `None` = a block's in `put`, each kind in turn in `alltoall`.
    pub scope: Option<Scope>,
    /// Bits of an element of `alltoall`: a table each (`--bits`).
    pub bits: Vec<u32>,
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
            _ if self.tables().iter().all(|&table| self.sizes(world, table).next().is_none()) => {
                let units = self.tables().into_iter().map(|table| self.unit(world, table));
                let unit = units.min().unwrap_or(1);
                Err(WorkloadError::Usage(format!(
                    "no size to run: -e {} is below {unit} bytes, the smallest size here",
                    self.max_bytes
                )))
            }
            _ => Ok(()),
        }
    }

    /// What has to be known of all rows of a policy.
    #[must_use]
    pub fn note(&self) -> Option<&'static str> {
        let on_gpu = self.initiator != Initiator::Host;
        (on_gpu && self.verify && self.pattern == Pattern::AllToAll)
            .then_some("the times include filling and checking on the GPU (--verify)")
    }

    /// Puts of one iteration of `put`: one for each CTA, and with a GPU for each of its threads that posts.
    #[must_use]
    pub fn parts(&self) -> u64 {
        match self.initiator {
            Initiator::Host => self.ctas,
            Initiator::Gpu { threads, .. } => self.ctas * u64::from(self.put_scope().workers(threads)),
        }
    }

    /// Who joins in a put of `put`.
    #[must_use]
    pub fn put_scope(&self) -> Scope {
        self.scope.unwrap_or(Scope::Block)
    }

    /// The tables, in NVSHMEM's order.
    #[must_use]
    pub fn tables(&self) -> Vec<Table> {
        let scopes = match (self.initiator, self.pattern) {
            (Initiator::Host, _) => vec![None],
            (_, Pattern::Put) => vec![Some(self.put_scope())],
            (_, Pattern::AllToAll) => {
                self.scope.map_or(Scope::ALL.map(Some).to_vec(), |scope| vec![Some(scope)])
            }
        };
        let bits = if self.pattern == Pattern::Put { &[64][..] } else { &self.bits };
        bits.iter().flat_map(|&bits| scopes.iter().map(move |&scope| Table { scope, bits })).collect()
    }

    /// Every size is a multiple of it: an element for each PE in an all-to-all.
    fn unit(&self, world: u32, table: Table) -> u64 {
        match self.pattern {
            Pattern::Put => 1,
            Pattern::AllToAll => u64::from(world.max(1)) * table.element_bytes(),
        }
    }

    /// The sizes of a table in a job of `world` PEs, as NVSHMEM's tests step through them. Of `put`: from the smallest, by
    /// the factor, up to the largest. Of `alltoall`: elements per PE are stepped, so the size is always a whole number of
    /// elements for each PE, and starts at one element each; with a table for each scope, those of few threads end early.
    pub fn sizes(&self, world: u32, table: Table) -> impl Iterator<Item = u64> + use<> {
        let unit = self.unit(world, table);
        let (max, step) = (self.max_bytes / unit, self.step.max(2));
        let most = match (self.pattern, self.scope, table.scope) {
            (Pattern::AllToAll, None, Some(scope)) => scope.most_elements(),
            _ => u64::MAX,
        };
        std::iter::successors(Some((self.min_bytes / unit).max(1)), move |size| size.checked_mul(step))
            .take_while(move |&size| size <= max.min(most))
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
            scope: None,
            bits: vec![32],
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
        let table = Table { scope: None, bits: 64 };
        assert_eq!(options.tables(), [table]);
        assert_eq!(options.sizes(2, table).collect::<Vec<_>>(), [4, 8, 16, 32, 64]);
        let odd = Options { min_bytes: 0, max_bytes: 10, step: 3, ..options };
        assert_eq!(odd.sizes(2, table).collect::<Vec<_>>(), [1, 3, 9]);
    }

    #[test]
    fn sizes_of_alltoall_are_whole_elements_for_each_pe() {
        let options = Options { min_bytes: 4, max_bytes: 128, ..options(Pattern::AllToAll) };
        let sizes = |world, bits| options.sizes(world, Table { scope: None, bits }).collect::<Vec<_>>();
        assert_eq!(sizes(8, 32), [32, 64, 128]);
        assert_eq!(sizes(6, 32), [24, 48, 96]);
        assert_eq!(sizes(8, 64), [64, 128]);
        assert!(sizes(64, 32).is_empty(), "not even one element each");
    }

    #[test]
    fn a_gpu_s_alltoall_has_nvshmem_s_six_tables() {
        let initiator = Initiator::Gpu { ordinal: 0, threads: 256, heap: HeapKind::Auto };
        let all = Options { initiator, max_bytes: 1 << 20, bits: vec![32, 64], ..options(Pattern::AllToAll) };
        let names: Vec<_> =
            all.tables().iter().map(|table| format!("{} {}", table.bits, table.scope_name())).collect();
        assert_eq!(names, ["32 thread", "32 warp", "32 block", "64 thread", "64 warp", "64 block"]);
        let last = |options: &Options, table| options.sizes(2, table).last().unwrap();
        let lasts: Vec<_> = all.tables().into_iter().map(|table| last(&all, table)).collect();
        assert_eq!(lasts, [256 * 8, 2048 * 8, 1 << 20, 256 * 16, 2048 * 16, 1 << 20]);
        let one = Options { scope: Scope::of("thread"), bits: vec![32], ..all };
        assert_eq!(one.tables().len(), 1);
        assert_eq!(last(&one, one.tables()[0]), 1 << 20, "who asks for one scope gets all of it");
        assert_eq!(Scope::of("all"), None);
    }
}
