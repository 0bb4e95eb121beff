//! `alltoall`: every PE writes a block to every other one, as NVSHMEM's `alltoall_latency`.
//!
//! Peers are visited in ring order (`me + 1`, `me + 2`, …), one put-signal each; PEs of the same node are reached by
//! plain copies. An iteration ends when every block has arrived here and everything sent has landed.
//!
//! With a chunk size ([`Options::chunk`]) a block is several put-signals, and the ring is gone round once for each: the
//! first chunk of every block, then the second. Then a peer is reached over several NICs at once, where a policy gives
//! each put one.

use std::time::{Duration, Instant};

use super::WorkloadError;
use super::options::Options;
use super::plan::{block_bytes, halves};
use super::verify::Block;
use crate::transport::heap::HeapError;
use crate::transport::pe::Pe;
use crate::transport::signal::{Signal, SignalOp, Until};

/// Memory of the test, the same on every PE.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buffers {
    pub(super) send: u64,
    pub(super) receive: u64,
    pub(super) signals: u64,
}

/// An all-to-all that counts its rounds and what they signal: signals only ever grow.
#[derive(Debug)]
pub(super) struct AllToAll {
    buffers: Buffers,
    rounds: u64,
    /// What every other PE has signalled when the round is over: one for each chunk.
    signalled: u64,
}

impl AllToAll {
    pub(super) fn new(buffers: Buffers) -> Self {
        Self { buffers, rounds: 0, signalled: 0 }
    }

    /// One iteration; returns its time. Filling and checking are not timed.
    ///
    /// With verification there are two buffers, used in turn. A PE can be at most one round ahead of another: it starts
    /// round k + 2 only after this PE's signal of round k + 1, which this PE sends after it has checked round k. So the
    /// buffer of round k is free for round k + 2.
    pub(super) fn round(
        &mut self,
        pe: &mut Pe,
        options: &Options,
        size: u64,
    ) -> Result<Duration, WorkloadError> {
        let (me, world) = (pe.rank(), pe.world());
        let len = block_bytes(size, u64::from(world));
        let stride = len.next_multiple_of(8);
        let half = (self.rounds % halves(options)) * stride * u64::from(world);
        let (send, receive) = (self.buffers.send + half, self.buffers.receive + half);
        let round = self.rounds;
        self.rounds += 1;
        let others = || (1..world).map(move |step| (me + step) % world);
        if options.verify {
            for dst in others() {
                let block = Block { src: me, dst, round };
                block.fill(pe.heap(), send + u64::from(dst) * stride, len).map_err(heap)?;
            }
            // Else who is done first would time how long the others fill.
            pe.barrier()?;
        }
        let begun = Instant::now();
        let signal = Signal { offset: self.word(me), op: SignalOp::Add, value: 1 };
        for (offset, len) in chunks(len, options.chunk) {
            for dst in others() {
                let from = send + u64::from(dst) * stride + offset;
                let to = receive + u64::from(me) * stride + offset;
                pe.put_signal(dst, from, to, len, signal)?;
            }
            self.signalled += 1;
        }
        for src in others() {
            pe.wait_until(self.word(src), Until::AtLeast(self.signalled))?;
        }
        pe.quiet()?;
        let time = begun.elapsed();
        if options.verify {
            for src in others() {
                let block = Block { src, dst: me, round };
                let checked = block.check(pe.heap(), receive + u64::from(src) * stride, len).map_err(heap)?;
                checked.map_err(WorkloadError::Corrupt)?;
            }
        }
        Ok(time)
    }

    fn word(&self, pe: u32) -> u64 {
        self.buffers.signals + 8 * u64::from(pe)
    }
}

/// Offset and length of each chunk of a block: `chunk` bytes each but for the last; one when `chunk` is `None`.
fn chunks(len: u64, chunk: Option<u64>) -> impl Iterator<Item = (u64, u64)> {
    let most = chunk.unwrap_or(len).max(1);
    (0..len.div_ceil(most)).map(move |i| (i * most, most.min(len - i * most)))
}

fn heap(error: HeapError) -> WorkloadError {
    WorkloadError::Transport(error.into())
}

#[cfg(test)]
mod tests {
    use super::chunks;

    #[test]
    fn chunks_are_the_block() {
        let of = |len, chunk| chunks(len, chunk).collect::<Vec<_>>();
        assert_eq!(of(100, None), [(0, 100)]);
        assert_eq!(of(100, Some(40)), [(0, 40), (40, 40), (80, 20)]);
        assert_eq!(of(100, Some(50)), [(0, 50), (50, 50)]);
        assert_eq!(of(100, Some(1000)), [(0, 100)]);
    }
}
