//! Where everything of a layer lies in the symmetric heap.

use super::options::MoeOptions;
use super::shape::Shape;
use crate::transport::heap::heap_size_for;
use crate::workload::WorkloadError;
use crate::workload::plan::Content;

/// Bytes of the parts of the heap, for the largest of all layers and numbers of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layout {
    /// This PE's tokens, a slot each.
    pub tokens: u64,
    /// Rows that have come, a slot for each source, expert of this PE and count. The all-to-all receives here, too.
    pub slots: u64,
    /// Batches that have come, a block for each source.
    pub landing: u64,
    /// Batches that go out.
    pub stage: u64,
    /// What this PE's experts have made.
    pub answers: u64,
    /// What has come back.
    pub returned: u64,
    /// What the tokens have come to.
    pub results: u64,
    /// What the all-to-all sends.
    pub send: u64,
    /// Signal words: `Words` says which.
    pub words: u64,
}

/// The same, as offsets.
pub type Places = Layout;

impl Layout {
    /// For a job of `world` PEs.
    #[must_use]
    pub fn of(options: &MoeOptions, world: u32) -> Self {
        let tokens = options.tokens.iter().copied().max().unwrap_or(0);
        let one = |shape: &Shape| Self::of_one(*shape, tokens, options, world);
        options.shapes.iter().map(one).fold(Self::default(), Self::max)
    }

    fn of_one(shape: Shape, tokens: u32, options: &MoeOptions, world: u32) -> Self {
        let (count, pes) = (u64::from(tokens), u64::from(world));
        let batch = options.batch == super::batch::Batch::Auto;
        // A PE's block begins at a whole word.
        let part = (shape.alltoall_bytes(tokens) / pes.max(1)).next_multiple_of(8);
        let alltoall = if options.alltoall { pes * part } else { 0 };
        // The most rows that can come to one PE, and how long a batch of them can be.
        let rows = pes * count * u64::from(shape.most_of_one(world));
        let block = batch_block(shape, tokens, world);
        Self {
            tokens: count * shape.slot_bytes(),
            slots: (u64::from(shape.experts) * count * shape.slot_bytes()).max(alltoall),
            landing: if batch { pes * block } else { 0 },
            stage: if batch { (pes * block).max(rows * shape.expert_row_bytes()) } else { 0 },
            answers: rows * shape.expert_row_bytes(),
            returned: count * u64::from(shape.topk) * shape.expert_row_bytes(),
            results: count * shape.expert_row_bytes(),
            send: alltoall,
            words: Words::bytes(shape.experts, world, options.blocks()),
        }
    }

    fn max(self, other: Self) -> Self {
        let mut parts = other.parts();
        for (part, mine) in parts.iter_mut().zip(self.parts()) {
            *part = (*part).max(mine);
        }
        Self::from_parts(parts)
    }

    fn parts(&self) -> [u64; 9] {
        let Self { tokens, slots, landing, stage, answers, returned, results, send, words } = *self;
        [tokens, slots, landing, stage, answers, returned, results, send, words]
    }

    fn from_parts(parts: [u64; 9]) -> Self {
        let [tokens, slots, landing, stage, answers, returned, results, send, words] = parts;
        Self { tokens, slots, landing, stage, answers, returned, results, send, words }
    }

    /// Bytes of heap for it.
    #[must_use]
    pub fn heap_bytes(&self) -> u64 {
        heap_size_for(&self.parts())
    }

    /// Bytes of the host's memory for it where data lie in a GPU's.
    #[must_use]
    pub fn word_bytes(&self) -> u64 {
        heap_size_for(&[self.words])
    }

    /// Allocates every part.
    ///
    /// # Errors
    /// When the heap is full.
    pub fn places(
        &self,
        mut allocate: impl FnMut(Content, u64) -> Result<u64, WorkloadError>,
    ) -> Result<Places, WorkloadError> {
        let mut parts = self.parts();
        let [data @ .., words] = &mut parts;
        for part in data {
            *part = allocate(Content::Data, *part)?;
        }
        *words = allocate(Content::Words, *words)?;
        Ok(Self::from_parts(parts))
    }
}

/// Bytes of the batch of one source for one PE at most: every token once.
#[must_use]
pub fn batch_block(shape: Shape, tokens: u32, world: u32) -> u64 {
    shape.header_bytes(world) + u64::from(tokens) * shape.record_bytes(world)
}

/// The signal words, which only ever grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// The first one's offset.
    pub at: u64,
    /// Experts of the largest layer: what is counted by expert has as many words.
    pub experts: u32,
    /// PEs: what is counted by PE has as many.
    pub pes: u32,
}

impl Words {
    fn bytes(experts: u32, pes: u32, blocks: u32) -> u64 {
        8 * (2 * u64::from(experts) + (3 + 2 * u64::from(blocks)) * u64::from(pes))
    }

    fn word(&self, index: u64) -> u64 {
        self.at + 8 * index
    }

    /// Set: how many rows of source `src` come for expert `expert` of this PE, of `local` experts.
    #[must_use]
    pub fn count(&self, src: u32, expert: u32, local: u32) -> u64 {
        self.word(self.by_expert(src, expert, local))
    }

    /// Added to: those that have.
    #[must_use]
    pub fn arrived(&self, src: u32, expert: u32, local: u32) -> u64 {
        self.word(u64::from(self.experts) + self.by_expert(src, expert, local))
    }

    /// Which of the words by expert it is: never one beyond their end.
    #[must_use]
    pub fn by_expert(&self, src: u32, expert: u32, local: u32) -> u64 {
        (u64::from(src) * u64::from(local) + u64::from(expert)).min(u64::from(self.experts.saturating_sub(1)))
    }

    fn by_pe(&self, kind: u64, pe: u32) -> u64 {
        self.word(2 * u64::from(self.experts) + kind * u64::from(self.pes) + u64::from(pe))
    }

    /// Set: the first part of a batch of `src` is here, and how many rows follow.
    #[must_use]
    pub fn head(&self, src: u32) -> u64 {
        self.by_pe(0, src)
    }

    /// Added to: those that have.
    #[must_use]
    pub fn followed(&self, src: u32) -> u64 {
        self.by_pe(1, src)
    }

    /// Added to: answers of `pe` that have come back.
    #[must_use]
    pub fn returned(&self, pe: u32) -> u64 {
        self.by_pe(2, pe)
    }

    /// The first of the all-to-all's own words, two for each PE and block of a GPU's threads.
    #[must_use]
    pub fn alltoall(&self) -> u64 {
        self.by_pe(3, 0)
    }
}
