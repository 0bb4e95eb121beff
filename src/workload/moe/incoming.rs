//! What has come to a PE in a round, and where the answers lie.

use super::announce::Announced;
use super::case::{Addresses, Case};
use super::memory::Memory;
use crate::workload::WorkloadError;

/// Rows that have come, by source and expert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    local: u32,
    world: u32,
    /// What each source has announced to each expert, source by source.
    announced: Vec<Announced>,
}

/// One row that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Its source.
    pub src: u32,
    /// The expert it is for, counted on this PE.
    pub expert: u32,
    /// How many of the same source are for the expert before it.
    pub nth: u32,
    /// Offset of the row.
    pub row: u64,
    /// Number of its answer among those of this PE.
    pub answer: u64,
    /// Slot at the source for the answer.
    pub back: u32,
}

impl Incoming {
    /// Nothing so far.
    #[must_use]
    pub fn new(case: &Case) -> Self {
        let (local, world) = (case.at.local(), case.at.world);
        let all = local as usize * world as usize;
        Self { local, world, announced: vec![Announced { count: 0, back: 0 }; all] }
    }

    fn index(&self, src: u32, expert: u32) -> usize {
        src as usize * self.local as usize + expert as usize
    }

    /// Writes down what a source has announced to an expert.
    pub fn announce(&mut self, src: u32, expert: u32, announced: Announced) {
        let index = self.index(src, expert);
        if let Some(place) = self.announced.get_mut(index) {
            *place = announced;
        }
    }

    /// What it was.
    #[must_use]
    pub fn of(&self, src: u32, expert: u32) -> Announced {
        let none = Announced { count: 0, back: 0 };
        self.announced.get(self.index(src, expert)).copied().unwrap_or(none)
    }

    /// Reads from the heap what has been announced: by kernels, or in front of batches.
    ///
    /// # Errors
    /// When the heap cannot be read.
    pub fn read(&mut self, case: &Case, memory: Memory<'_>, by_kernels: bool) -> Result<(), WorkloadError> {
        for src in 0..self.world {
            let together = case.is_together(src);
            for expert in 0..self.local {
                let at = if together {
                    case.at.landing(src) + 8 * u64::from(expert)
                } else if by_kernels {
                    case.at.words.count(src, expert, self.local)
                } else {
                    continue;
                };
                self.announce(src, expert, Announced::of(memory.word(at)?));
            }
        }
        Ok(())
    }

    /// By expert and then by source, as a grouped matrix product leaves its results: the number of the first answer, and how
    /// many there are.
    pub fn groups(&self) -> impl Iterator<Item = Group> + '_ {
        let mut next = 0;
        let pairs = (0..self.local).flat_map(|expert| (0..self.world).map(move |src| (src, expert)));
        pairs.map(move |(src, expert)| {
            let Announced { count, back } = self.of(src, expert);
            let first = next;
            next += u64::from(count);
            Group { src, expert, first, count, back }
        })
    }

    /// Every row, in that order.
    ///
    /// # Errors
    /// When a batch cannot be read, or does not hold what was announced.
    pub fn rows(&self, case: &Case, memory: Memory<'_>) -> Result<Vec<Received>, WorkloadError> {
        let batches = self.batches(case, memory)?;
        let mut rows = Vec::new();
        for Group { src, expert, first, count, back } in self.groups() {
            let batch = batches.get(src as usize).and_then(|batch| batch.get(expert as usize));
            let in_batch = batch.filter(|_| case.is_together(src));
            if let Some(found) = in_batch.map(Vec::len).filter(|&found| found != count as usize) {
                return Err(WorkloadError::Corrupt(format!(
                    "the batch of PE {src} has {found} rows for expert {expert} of PE {}, and announces {count}",
                    case.me
                )));
            }
            for nth in 0..count {
                let row = in_batch.map_or(case.at.slot(src, expert, nth), |rows| {
                    rows.get(nth as usize).copied().unwrap_or_default()
                });
                let answer = first + u64::from(nth);
                rows.push(Received { src, expert, nth, row, answer, back: back + nth });
            }
        }
        Ok(rows)
    }

    /// By source and expert: the offsets of the rows of its batch.
    fn batches(&self, case: &Case, memory: Memory<'_>) -> Result<Vec<Vec<Vec<u64>>>, WorkloadError> {
        let at = &case.at;
        let mut trailer = vec![0; 4 + 2 * at.shape.most_of_one(at.world) as usize];
        let mut batches = Vec::new();
        for src in 0..self.world {
            let mut batch = vec![Vec::new(); self.local as usize];
            if case.is_together(src) {
                let head = Announced::of(memory.word(at.words.head(src))?);
                for index in 0..u64::from(head.back) + u64::from(head.count) {
                    let row = at.record(at.landing(src), index);
                    memory.read(row + at.shape.row_bytes(), &mut trailer)?;
                    for expert in Addresses::experts(&trailer) {
                        if let Some(rows) = batch.get_mut(expert as usize) {
                            rows.push(row);
                        }
                    }
                }
            }
            batches.push(batch);
        }
        Ok(batches)
    }
}

/// The rows of one source for one expert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// The source.
    pub src: u32,
    /// The expert, counted on this PE.
    pub expert: u32,
    /// Number of the first one's answer among those of this PE.
    pub first: u64,
    /// How many.
    pub count: u32,
    /// Slot at the source for the first one's answer.
    pub back: u32,
}
