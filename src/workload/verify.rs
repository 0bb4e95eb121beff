//! Patterns by which every byte can be told: who sent it, to whom, in which round, and where it belongs.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::chance::{STEP, mix};
use crate::transport::heap::{Heap, HeapError};

/// What a block that nothing was written to holds.
const POISON: u64 = 0xdead_beef_a5a5_5a5a;

/// Identity of one block of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Sending PE.
    pub src: u32,
    /// Receiving PE.
    pub dst: u32,
    /// Round (size and iteration).
    pub round: u64,
}

impl Block {
    /// The word at `index`: differs from every other word of every other block for all practical purposes.
    fn word(self, index: u64) -> u64 {
        let id = (u64::from(self.src) << 32 | u64::from(self.dst)) ^ self.round.rotate_left(17);
        mix(id.wrapping_mul(STEP).wrapping_add(index))
    }

    /// Fills `len` bytes at `offset`.
    ///
    /// # Errors
    /// When they are not inside the heap.
    pub fn fill(self, heap: &Heap, offset: u64, len: u64) -> Result<(), HeapError> {
        each_word(heap, offset, len, |index, cell, mask| {
            merge(cell, self.word(index), mask);
            true
        })?;
        Ok(())
    }

    /// Checks `len` bytes at `offset`, then poisons them, so that old data cannot pass for new.
    ///
    /// # Errors
    /// When they are not inside the heap. The inner error says which byte is wrong.
    pub fn check(self, heap: &Heap, offset: u64, len: u64) -> Result<Result<(), String>, HeapError> {
        let mut wrong = None;
        each_word(heap, offset, len, |index, cell, mask| {
            let (got, want) = (cell.load(Ordering::Relaxed) & mask, self.word(index) & mask);
            if got != want {
                let state = if got == POISON & mask { " (nothing was written)" } else { "" };
                wrong = Some(format!(
                    "round {}, PE {} to PE {}: the word at byte {} of {len} is {got:#018x}, should be {want:#018x}{state}",
                    self.round,
                    self.src,
                    self.dst,
                    index * 8
                ));
                return false;
            }
            merge(cell, POISON, mask);
            true
        })?;
        Ok(wrong.map_or(Ok(()), Err))
    }
}

/// Poisons `len` bytes at `offset`.
///
/// # Errors
/// When they are not inside the heap.
pub fn poison(heap: &Heap, offset: u64, len: u64) -> Result<(), HeapError> {
    each_word(heap, offset, len, |_, cell, mask| {
        merge(cell, POISON, mask);
        true
    })
}

/// Visits the words of a block that starts at a multiple of 8; the last one with a mask if only its first bytes belong
/// to the block. Stops when told so.
fn each_word(
    heap: &Heap,
    offset: u64,
    len: u64,
    mut visit: impl FnMut(u64, &AtomicU64, u64) -> bool,
) -> Result<(), HeapError> {
    let words = heap.words(offset, len.div_ceil(8))?;
    for (index, cell) in (0..).zip(words) {
        let left = len - index * 8;
        let mask = if left >= 8 { u64::MAX } else { u64::from_le((1 << (left * 8)) - 1) };
        if !visit(index, cell, mask) {
            break;
        }
    }
    Ok(())
}

/// Replaces the bytes of a word that the mask covers.
fn merge(cell: &AtomicU64, value: u64, mask: u64) {
    let kept = if mask == u64::MAX { 0 } else { cell.load(Ordering::Relaxed) & !mask };
    cell.store(kept | value & mask, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_filled_checks_once() {
        let heap = Heap::create(65_536).unwrap();
        let block = Block { src: 1, dst: 2, round: 3 };
        for len in [0, 1, 7, 8, 9, 4095, 4096] {
            block.fill(&heap, 8192, len).unwrap();
            assert_eq!(block.check(&heap, 8192, len).unwrap(), Ok(()));
            if len > 0 {
                let error = block.check(&heap, 8192, len).unwrap().unwrap_err();
                assert!(error.contains("nothing was written"), "{error}");
            }
        }
    }

    #[test]
    fn a_single_wrong_byte_anywhere_is_found() {
        let heap = Heap::create(65_536).unwrap();
        let block = Block { src: 1, dst: 2, round: 3 };
        for byte in 0..37_u64 {
            block.fill(&heap, 8192, 37).unwrap();
            heap.word(8192 + byte / 8 * 8).unwrap().fetch_xor(1 << (byte % 8 * 8), Ordering::Relaxed);
            assert!(block.check(&heap, 8192, 37).unwrap().is_err(), "byte {byte}");
        }
    }

    #[test]
    fn blocks_of_others_do_not_pass() {
        let heap = Heap::create(65_536).unwrap();
        let block = Block { src: 1, dst: 2, round: 3 };
        for other in [Block { src: 2, ..block }, Block { dst: 1, ..block }, Block { round: 4, ..block }] {
            other.fill(&heap, 8192, 64).unwrap();
            assert!(block.check(&heap, 8192, 64).unwrap().is_err());
        }
    }

    #[test]
    fn bytes_behind_the_block_are_left_alone() {
        let heap = Heap::create(65_536).unwrap();
        heap.word(8192).unwrap().store(u64::MAX, Ordering::Relaxed);
        Block { src: 0, dst: 1, round: 0 }.fill(&heap, 8192, 3).unwrap();
        assert_eq!(heap.word(8192).unwrap().load(Ordering::Relaxed) >> 24, u64::MAX >> 24);
    }
}
