//! How the patterns lay out their memory, so that the heap can be made before the job starts.

use super::options::{Initiator, Options, Pattern};
use crate::transport::heap::heap_size_for;

/// Bytes of the smallest element, as in NVSHMEM's 32-bit tables.
const ELEMENT_BYTES: u64 = 4;

/// Bytes of a block of data that are worth another block of threads.
const PART_BYTES: u64 = 8192;

/// Bytes that a thread loads at once.
const LOAD_BYTES: u64 = 16;

/// What a part of the heap is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Bytes to send or receive.
    Data,
    /// Signal words, which the proxy has to reach unless kernels apply all signals.
    Words,
}

/// The parts of the heap a pattern allocates, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Bytes to send from; all-to-all has two halves when it verifies, used in turn.
    pub send: u64,
    /// Bytes to receive into, halves likewise.
    pub receive: u64,
    /// Bytes of signal words: `put` has one per PE, all-to-all two, used in turn, for each of a PE's blocks of threads.
    pub signals: u64,
}

impl Layout {
    /// For a job of `world` PEs.
    #[must_use]
    pub fn of(options: &Options, world: u32) -> Self {
        let blocks = u64::from(most_blocks(options, world));
        let world = u64::from(world.max(1));
        match options.pattern {
            Pattern::Put => Self { send: options.max_bytes, receive: options.max_bytes, signals: 8 * world },
            Pattern::AllToAll => {
                let block = block_bytes(options.max_bytes, world);
                let all = block.next_multiple_of(8).saturating_mul(world);
                Self {
                    send: all.saturating_mul(halves(options)),
                    receive: all.saturating_mul(halves(options)),
                    signals: 16 * world * blocks,
                }
            }
        }
    }

    /// Bytes of heap for it.
    #[must_use]
    pub fn heap_bytes(&self) -> u64 {
        heap_size_for(&[self.send, self.receive, self.signals])
    }

    /// Bytes of the host's memory for it where data lie in a GPU's.
    #[must_use]
    pub fn word_bytes(&self) -> u64 {
        heap_size_for(&[self.signals])
    }
}

/// Buffers used in turn: with verification the data of one iteration are checked while the next one's arrive.
#[must_use]
pub fn halves(options: &Options) -> u64 {
    if options.verify { 2 } else { 1 }
}

/// Bytes that go to each PE when a PE sends `total` bytes in all, itself included: whole elements, at least one.
#[must_use]
pub fn block_bytes(total: u64, world: u64) -> u64 {
    (total / (world.max(1) * ELEMENT_BYTES)).max(1) * ELEMENT_BYTES
}

/// Blocks of threads, and threads of each, that share an all-to-all's blocks of `len` bytes: at most `ctas` of `threads`. For
/// few bytes few are fastest, since blocks signal by themselves and threads wait for each other.
#[must_use]
pub fn grid_for(len: u64, world: u32, ctas: u64, threads: u32) -> (u32, u32) {
    let blocks = (len / PART_BYTES).clamp(1, ctas.max(1));
    let busy = (len / blocks).div_ceil(LOAD_BYTES).max(u64::from(world)).next_multiple_of(32);
    let threads = u32::try_from(busy).unwrap_or(u32::MAX).min(threads);
    (u32::try_from(blocks).unwrap_or(u32::MAX), threads)
}

/// The most blocks of threads that an all-to-all takes; 1 with the host.
#[must_use]
pub fn most_blocks(options: &Options, world: u32) -> u32 {
    match options.initiator {
        Initiator::Host => 1,
        Initiator::Gpu { threads, .. } => {
            let len = block_bytes(options.max_bytes, u64::from(world));
            grid_for(len, world, options.ctas, threads).0
        }
    }
}

/// Bytes of each of `put`'s messages: `size` split over `ctas`, in whole 8-byte words. 0 when there is less than a word
/// each: then nothing is sent, as in NVSHMEM.
#[must_use]
pub fn message_bytes(size: u64, ctas: u64) -> u64 {
    size / 8 / ctas.max(1) * 8
}

/// Bytes one iteration of `put` moves: all messages together.
#[must_use]
pub fn put_bytes(size: u64, ctas: u64) -> u64 {
    message_bytes(size, ctas) * ctas.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nvshmem_s_splits() {
        assert_eq!(message_bytes(64 << 10, 32), 2048);
        assert_eq!(message_bytes(128, 32), 0, "less than a word each");
        assert_eq!(message_bytes(300, 32), 8, "the rest is not sent");
        assert_eq!(block_bytes(16, 32), 4, "-b 16 with 32 PEs starts at 128 B in all");
        assert_eq!(block_bytes(8 << 20, 8), 1 << 20);
    }

    #[test]
    fn few_bytes_take_few_blocks_and_threads() {
        let grid = |len| grid_for(len, 2, 32, 256);
        let grids = [4, 1024, 4096, 8200, 64 << 10, 8 << 20].map(grid);
        assert_eq!(grids, [(1, 32), (1, 64), (1, 256), (1, 256), (8, 256), (32, 256)]);
        assert_eq!(grid_for(8 << 20, 2, 1, 1024), (1, 1024));
        assert_eq!(grid_for(4, 1000, 32, 256), (1, 256), "a thread for each PE");
        assert_eq!(grid_for(4096, 2, 32, 1), (1, 1), "never more than asked for");
    }
}
