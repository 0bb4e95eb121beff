//! Dispatch and combine by a GPU: the tables that tell its kernels of their rows, and what they leave behind.

use std::time::Duration;

use super::announce::{Announced, least};
use super::case::Case;
use super::incoming::{Incoming, Received};
use super::options::MoeOptions;
use super::sums::Sums;
use super::traffic::Traffic;
use crate::transport::gpu::Moe;
use crate::transport::pe::Pe;
use crate::workload::WorkloadError;
use crate::workload::gpu::moe::{MoeSide, Part};
use crate::workload::gpu::{GpuSide, OpenedGpu};

/// A PE's GPU for this benchmark.
pub struct Device {
    pub(super) side: MoeSide,
    grid: (u32, u32),
}

/// Bytes of the longest tables.
fn table_bytes(options: &MoeOptions, world: u32) -> u64 {
    let tokens = u64::from(options.tokens.iter().copied().max().unwrap_or(0));
    let of = |shape: &super::shape::Shape| {
        let rows = tokens * u64::from(shape.topk);
        let answers = u64::from(world) * tokens * u64::from(shape.most_of_one(world));
        let dispatch = 16 * u64::from(shape.experts) + 16 * rows;
        let combine = 8 * u64::from(world) + 16 * answers + 8 * rows;
        dispatch.max(combine)
    };
    options.shapes.iter().map(of).max().unwrap_or(0)
}

impl Device {
    /// With a GPU and its heap.
    pub fn start(
        pe: &mut Pe,
        options: &MoeOptions,
        gpu: OpenedGpu,
        threads: u32,
        kind: crate::transport::gpu::HeapKind,
    ) -> Result<Self, WorkloadError> {
        let side = GpuSide::start(pe, gpu, threads, kind, options.verify)?;
        let side = MoeSide::start(side, table_bytes(options, pe.world()))?;
        Ok(Self { side, grid: (options.ctas, threads) })
    }

    /// Blocks of threads, and threads of each.
    pub fn grid(&self) -> (u32, u32) {
        self.grid
    }

    /// One dispatch; returns how long it took on the GPU, and what has come.
    pub fn dispatch(
        &self,
        pe: &mut Pe,
        case: &Case,
        round: u64,
        sums: &mut Sums,
        traffic: &mut Traffic,
    ) -> Result<(Duration, Incoming), WorkloadError> {
        let (at, words, local) = (&case.at, &case.at.words, case.at.local());
        let mut tables = Tables::default();
        let all = (0..at.world).flat_map(|dst| case.itinerary.to(dst));
        let announced = tables.words(all.map(|&(count, back)| Announced { count, back }.word(round)));
        let pairs = || (0..at.world).flat_map(|src| (0..local).map(move |expert| (src, expert)));
        let before = tables.words(
            pairs()
                .map(|(src, expert)| sums.arrived(words.by_expert(src, expert, local), 0))
                .collect::<Vec<_>>(),
        );
        let trips = tables.quads(case.itinerary.trips().iter().map(|t| [t.token, t.pe, t.expert, t.nth]));
        let address = self.side.write_tables(&tables.0)?;
        let moe = Moe {
            announced: address + announced,
            before: address + before,
            trips: address + trips,
            trip_count: u32::try_from(case.itinerary.trips().len()).unwrap_or(u32::MAX),
            ..arguments(case, round)
        };
        let time = self.side.run(pe, Part::Dispatch, moe, self.grid)?;
        let mut incoming = Incoming::new(case);
        incoming.read(case, self.side.memory(pe), true)?;
        for (src, expert) in pairs() {
            sums.arrived(words.by_expert(src, expert, local), u64::from(incoming.of(src, expert).count));
        }
        for trip in case.itinerary.trips() {
            traffic.add(self.side.posts_to(pe, trip.pe), at.shape.slot_bytes());
        }
        Ok((time, incoming))
    }

    /// One combine of the rows that have come; returns how long it took on the GPU.
    pub fn combine(
        &self,
        pe: &mut Pe,
        case: &Case,
        rows: &[Received],
        sums: &mut Sums,
        traffic: &mut Traffic,
    ) -> Result<Duration, WorkloadError> {
        let at = &case.at;
        let mut tables = Tables::default();
        let due = tables.words(
            (0..at.world)
                .map(|from| sums.returned(from, case.itinerary.answers_of(from)))
                .collect::<Vec<_>>(),
        );
        let number = |row: &Received| u32::try_from(row.answer).unwrap_or(u32::MAX);
        let ways = tables.quads(rows.iter().map(|row| [row.src, row.back, number(row), 0]));
        let choices = case.itinerary.trips().iter().zip(case.routing.choices());
        let parts = tables.pairs(choices.map(|(trip, choice)| [trip.back, choice.weight.to_bits()]));
        let address = self.side.write_tables(&tables.0)?;
        let moe = Moe {
            due: address + due,
            ways: address + ways,
            parts: address + parts,
            answer_count: u32::try_from(rows.len()).unwrap_or(u32::MAX),
            ..arguments(case, 0)
        };
        let time = self.side.run(pe, Part::Combine, moe, self.grid)?;
        for row in rows {
            traffic.add(self.side.posts_to(pe, row.src), at.shape.expert_row_bytes());
        }
        Ok(time)
    }
}

/// What both kernels are told.
fn arguments(case: &Case, round: u64) -> Moe {
    let (at, local) = (&case.at, case.at.local());
    Moe {
        tokens: at.token(0),
        slots: at.slot(0, 0, 0),
        answers: at.answer(0),
        returned: at.returned(0),
        results: at.result(0),
        counts: at.words.count(0, 0, local),
        arrived: at.words.arrived(0, 0, local),
        back: at.words.returned(0),
        slot_bytes: at.shape.slot_bytes(),
        answer_bytes: at.shape.expert_row_bytes(),
        least: least(round),
        token_count: at.tokens,
        topk: at.shape.topk,
        local,
        experts: at.shape.experts,
        dim: at.shape.dim,
        ..Moe::default()
    }
}

/// Tables one behind the other; each begins at a multiple of 8.
#[derive(Debug, Default)]
struct Tables(Vec<u8>);

impl Tables {
    /// A table of words; returns its offset, as the others do.
    fn words(&mut self, words: impl IntoIterator<Item = u64>) -> u64 {
        self.add(words.into_iter().map(u64::to_le_bytes))
    }

    fn quads(&mut self, quads: impl IntoIterator<Item = [u32; 4]>) -> u64 {
        self.add(quads.into_iter().flatten().map(u32::to_le_bytes))
    }

    fn pairs(&mut self, pairs: impl IntoIterator<Item = [u32; 2]>) -> u64 {
        self.add(pairs.into_iter().flatten().map(u32::to_le_bytes))
    }

    fn add<const N: usize>(&mut self, parts: impl Iterator<Item = [u8; N]>) -> u64 {
        let offset = self.0.len() as u64;
        self.0.extend(parts.flatten());
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_lie_one_behind_the_other() {
        let mut tables = Tables::default();
        assert_eq!(tables.words([1, 2]), 0);
        assert_eq!(tables.quads([[3, 4, 5, 6]]), 16);
        assert_eq!(tables.pairs([[7, 8], [9, 10]]), 32);
        assert_eq!(tables.0.len(), 48);
        assert_eq!(tables.0[16..20], 3_u32.to_le_bytes());
    }

    #[test]
    fn the_longest_tables_have_room() {
        let options = MoeOptions { tokens: vec![4], ..super::super::options::tests::options() };
        // 256 experts in two tables of words, and 4 tokens to 8 of them.
        assert_eq!(table_bytes(&options, 4), 16 * 256 + 16 * 32);
        // With many tokens it is the 4 PEs' words, 4 * 64 * 8 answers and 64 * 8 parts.
        let many = MoeOptions { tokens: vec![64], ..options };
        assert_eq!(table_bytes(&many, 4), 32 + 16 * 2048 + 8 * 512);
    }
}
