//! `alltoall`: every PE writes a block to every other one, as NVSHMEM's `alltoall_latency`.
//!
//! Peers are visited in ring order (`me + 1`, `me + 2`, …), one put-signal each; PEs of the same node are reached by
//! plain copies. A GPU's kernels do it in several parts, and check what they verify by themselves. An iteration ends when every block has arrived
//! here; behind the last one comes a quiet, whose time is part of the whole.
//!
//! No other iteration waits for that, although what was sent may be filled again and signals of two rounds may come in any order: a PE
//! sends its round k + 2 when it has everybody's k + 1, and those were sent when all of its own k had landed. So two signal words for each PE,
//! used in turn, never have two rounds under way.
//!
//! With a chunk size ([`Options::chunk`]) a block is several put-signals, and the ring is gone round once for each: the
//! first chunk of every block, then the second. Then a peer is reached over several NICs at once, where a policy gives
//! each put one.

use std::time::{Duration, Instant};

use super::WorkloadError;
use super::gpu::GpuSide;
use super::options::{Options, Scope};
use super::plan::{block_bytes, halves, most_blocks};
use super::verify::Block;
use crate::transport::gpu::Exchange;
use crate::transport::pe::Pe;
use crate::transport::signal::{Signal, SignalOp, Until};

/// Memory of the test, the same on every PE.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buffers {
    pub(super) send: u64,
    pub(super) receive: u64,
    pub(super) signals: u64,
}

/// How the rounds of an all-to-all go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// Most bytes of a put.
    pub(super) chunk: Option<u64>,
    /// Every byte is checked.
    pub(super) verify: bool,
    /// Buffers used in turn, 1 or 2. With one and verification each round is by itself, behind a barrier: one iteration at a time.
    pub(super) halves: u64,
    /// Most blocks of a GPU's threads.
    pub(super) ctas: u64,
    /// Blocks of a GPU's threads that there may be: each has two signal words at every PE.
    pub(super) apart: u32,
}

impl Terms {
    /// Those of `bench alltoall` in a job of `world` PEs.
    pub(super) fn of(options: &Options, world: u32) -> Self {
        let Options { chunk, verify, ctas, .. } = *options;
        Self { chunk, verify, halves: halves(options), ctas, apart: most_blocks(options, world) }
    }

    /// Whether so many iterations may follow each other: what is filled anew must have landed.
    fn overlap(&self, iters: u64) -> bool {
        iters <= 1 || !self.verify || self.halves == 2
    }
}

/// An all-to-all that counts its rounds and what they signal: signals only ever grow.
#[derive(Debug)]
pub(super) struct AllToAll {
    buffers: Buffers,
    rounds: u64,
    /// What every other PE has signalled when all even rounds so far are over, and all odd ones: one for each chunk.
    signalled: [u64; 2],
}

impl AllToAll {
    pub(super) fn new(buffers: Buffers) -> Self {
        Self { buffers, rounds: 0, signalled: [0; 2] }
    }

    /// `iters` iterations; returns (iterations, time) for each span that was timed by itself, the last of no iteration: until everything has
    /// landed. Filling and checking are not timed.
    ///
    /// With verification there are two buffers, used in turn. A PE can be at most one round ahead of another: it starts
    /// round k + 2 only after this PE's signal of round k + 1, which this PE sends after it has checked round k. So the
    /// buffer of round k is free for round k + 2.
    pub(super) fn rounds(
        &mut self,
        pe: &mut Pe,
        terms: Terms,
        size: u64,
        iters: u64,
        mut tick: impl FnMut(u64),
    ) -> Result<Vec<(u64, Duration)>, WorkloadError> {
        debug_assert!(terms.overlap(iters));
        let mut spans = Vec::new();
        for done in 0..iters {
            tick(done);
            let place = self.place(pe, terms, size);
            if terms.verify {
                place.fill(pe)?;
                // Else who is done first would time how long the others fill.
                pe.barrier()?;
            }
            let time = self.exchange(pe, terms.chunk, place)?;
            self.rounds += 1;
            if terms.verify {
                place.check(pe)?;
            }
            spans.push((1, time));
        }
        let begun = Instant::now();
        pe.quiet()?;
        spans.push((0, begun.elapsed()));
        Ok(spans)
    }

    /// The same in one kernel, which goes round and round by itself; its time is until the last round is over, filling and
    /// checking included.
    pub(super) fn on_gpu(
        &mut self,
        pe: &mut Pe,
        terms: Terms,
        gpu: &mut GpuSide,
        scope: Scope,
        size: u64,
        iters: u64,
    ) -> Result<Vec<(u64, Duration)>, WorkloadError> {
        debug_assert!(terms.overlap(iters));
        if iters == 0 {
            return Ok(Vec::new());
        }
        let world = u64::from(pe.world());
        let len = block_bytes(size, world);
        let stride = len.next_multiple_of(8);
        let grid = gpu.grid(len, pe.world(), terms.ctas, scope);
        let Buffers { send, receive, signals } = self.buffers;
        let exchange = Exchange {
            send,
            receive,
            stride,
            len,
            words: signals,
            round: self.rounds + 1,
            half: stride * world * (terms.halves - 1),
            apart: terms.apart,
            own: 0,
            verify: u32::from(terms.verify),
        };
        self.rounds += iters;
        let time = gpu.all_to_all(pe, exchange, grid, iters)?;
        Ok(vec![(iters, time)])
    }

    /// Where the next round's blocks lie.
    fn place(&self, pe: &Pe, terms: Terms, size: u64) -> Place {
        let world = u64::from(pe.world());
        let len = block_bytes(size, world);
        let stride = len.next_multiple_of(8);
        let half = (self.rounds % terms.halves) * stride * world;
        let Buffers { send, receive, .. } = self.buffers;
        Place { send: send + half, receive: receive + half, stride, len, round: self.rounds }
    }

    /// One round, posted by the host; returns its time.
    fn exchange(&mut self, pe: &mut Pe, chunk: Option<u64>, place: Place) -> Result<Duration, WorkloadError> {
        let me = pe.rank();
        let begun = Instant::now();
        let signal = Signal { offset: self.word(me), op: SignalOp::Add, value: 1 };
        let [even, odd] = &mut self.signalled;
        let signalled = if self.rounds.is_multiple_of(2) { even } else { odd };
        for (offset, len) in chunks(place.len, chunk) {
            for dst in others(pe) {
                let from = place.send + u64::from(dst) * place.stride + offset;
                let to = place.receive + u64::from(me) * place.stride + offset;
                pe.put_signal(dst, from, to, len, signal)?;
            }
            *signalled += 1;
        }
        let all = Until::AtLeast(*signalled);
        for src in others(pe) {
            pe.wait_until(self.word(src), all)?;
        }
        Ok(begun.elapsed())
    }

    /// The word of this round that a PE signals.
    fn word(&self, pe: u32) -> u64 {
        self.buffers.signals + 8 * (2 * u64::from(pe) + self.rounds % 2)
    }
}

/// Where the blocks of a round lie.
#[derive(Debug, Clone, Copy)]
struct Place {
    send: u64,
    receive: u64,
    /// Bytes from one PE's block to the next.
    stride: u64,
    /// Bytes of a block.
    len: u64,
    round: u64,
}

impl Place {
    fn fill(self, pe: &Pe) -> Result<(), WorkloadError> {
        others(pe).try_for_each(|dst| {
            let block = Block { src: pe.rank(), dst, round: self.round };
            Ok(block.fill(pe.heap(), self.send + u64::from(dst) * self.stride, self.len)?)
        })
    }

    fn check(self, pe: &Pe) -> Result<(), WorkloadError> {
        others(pe).try_for_each(|src| {
            let block = Block { src, dst: pe.rank(), round: self.round };
            let at = self.receive + u64::from(src) * self.stride;
            block.check(pe.heap(), at, self.len)?.map_err(WorkloadError::Corrupt)
        })
    }
}

/// Everybody else, in ring order.
pub(super) fn others(pe: &Pe) -> impl Iterator<Item = u32> + use<> {
    let (me, world) = (pe.rank(), pe.world());
    (1..world).map(move |step| (me + step) % world)
}

/// Offset and length of each chunk of a block: `chunk` bytes each but for the last; one when `chunk` is `None`.
fn chunks(len: u64, chunk: Option<u64>) -> impl Iterator<Item = (u64, u64)> {
    let most = chunk.unwrap_or(len).max(1);
    (0..len.div_ceil(most)).map(move |i| (i * most, most.min(len - i * most)))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::chunks;

    /// PEs of the model below.
    const PES: usize = 3;

    /// A signal under way.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    struct Sent {
        from: usize,
        to: usize,
        round: usize,
    }

    /// A PE: the round it is in, and what others have signalled by word.
    #[derive(Debug, Clone, Default)]
    struct Party {
        round: usize,
        words: BTreeMap<(usize, usize), usize>,
    }

    proptest! {
        /// Whatever order signals come in, a word never has two rounds under way, and nobody ends a round before all of it is there: with
        /// words that are added to (the host's) and with words that are set (the kernels').
        #[test]
        fn two_words_in_turn_are_enough(picks in prop::collection::vec(any::<prop::sample::Index>(), 200), set: bool) {
            let mut parties = vec![Party::default(); PES];
            let mut under_way: Vec<Sent> = Vec::new();
            let mut landed = BTreeSet::new();
            let send = |under_way: &mut Vec<Sent>, from: usize, round: usize| {
                let to = (0..PES).filter(|&to| to != from);
                under_way.extend(to.map(|to| Sent { from, to, round }));
            };
            (0..PES).for_each(|from| send(&mut under_way, from, 0));
            for pick in picks {
                let sent = under_way.swap_remove(pick.index(under_way.len()));
                let Sent { from, to, round } = sent;
                let alike = |other: &&Sent| other.from == from && other.to == to && other.round % 2 == round % 2;
                prop_assert_eq!(under_way.iter().find(alike), None, "beside {:?}", sent);
                landed.insert(sent);
                let party = &mut parties[to];
                let word = party.words.entry((from, round % 2)).or_default();
                *word = if set { round + 1 } else { *word + 1 };
                // All PEs but itself have signalled this round's words as often as there were rounds of their parity.
                loop {
                    let Party { round, words } = &parties[to];
                    let wanted = if set { round + 1 } else { round / 2 + 1 };
                    let over = |from: usize| words.get(&(from, round % 2)).is_some_and(|&word| word >= wanted);
                    if !(0..PES).filter(|&from| from != to).all(over) {
                        break;
                    }
                    for from in (0..PES).filter(|&from| from != to) {
                        let all = landed.contains(&Sent { from, to, round: *round });
                        prop_assert!(all, "PE {} ends round {} without PE {}'s", to, round, from);
                    }
                    let next = round + 1;
                    parties[to].round = next;
                    send(&mut under_way, to, next);
                }
            }
            prop_assert!(parties.iter().any(|party| party.round > 20));
        }
    }

    #[test]
    fn chunks_are_the_block() {
        let of = |len, chunk| chunks(len, chunk).collect::<Vec<_>>();
        assert_eq!(of(100, None), [(0, 100)]);
        assert_eq!(of(100, Some(40)), [(0, 40), (40, 40), (80, 20)]);
        assert_eq!(of(100, Some(50)), [(0, 50), (50, 50)]);
        assert_eq!(of(100, Some(1000)), [(0, 100)]);
    }
}
