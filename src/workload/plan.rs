//! How the patterns lay out their memory, so that the heap can be made before the job starts.

use super::options::{Options, Pattern};
use crate::transport::heap::heap_size_for;

/// Bytes of the smallest element, as in NVSHMEM's 32-bit tables.
const ELEMENT_BYTES: u64 = 4;

/// Bytes of a block of data that are worth another block of threads.
const PART_BYTES: u64 = 4096;

/// The parts of the heap a pattern allocates, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Bytes to send from.
    pub send: u64,
    /// Bytes to receive into; all-to-all has two halves when it verifies, used in turn.
    pub receive: u64,
    /// Bytes of signal words, one per PE.
    pub signals: u64,
}

impl Layout {
    /// For a job of `world` PEs.
    #[must_use]
    pub fn of(options: &Options, world: u32) -> Self {
        let world = u64::from(world.max(1));
        match options.pattern {
            Pattern::Put => Self { send: options.max_bytes, receive: options.max_bytes, signals: 8 * world },
            Pattern::AllToAll => {
                let block = block_bytes(options.max_bytes, world);
                let all = block.next_multiple_of(8).saturating_mul(world);
                Self {
                    send: all.saturating_mul(halves(options)),
                    receive: all.saturating_mul(halves(options)),
                    signals: 8 * world,
                }
            }
        }
    }

    /// Bytes of heap for it.
    #[must_use]
    pub fn heap_bytes(&self) -> u64 {
        heap_size_for(&[self.send, self.receive, self.signals])
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

/// Blocks of threads that share an all-to-all's blocks of `len` bytes, at most `ctas`: for few bytes one is fastest, since
/// each signals by itself.
#[must_use]
pub fn blocks_for(len: u64, ctas: u64) -> u32 {
    u32::try_from((len / PART_BYTES).clamp(1, ctas.max(1))).unwrap_or(u32::MAX)
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
        let blocks: Vec<_> = [4, 4096, 64 << 10, 8 << 20].map(|len| blocks_for(len, 32)).into();
        assert_eq!(blocks, [1, 1, 16, 32]);
        assert_eq!(blocks_for(8 << 20, 1), 1);
    }
}
