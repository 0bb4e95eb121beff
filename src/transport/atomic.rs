//! Atomic changes of words in a symmetric heap, carried out by the target's proxy (or by this process, on its own node).

use std::sync::atomic::Ordering;

use super::heap::{Heap, HeapError};
use super::signal::{Signal, SignalOp};

/// How wide the word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Width {
    /// 32 bits, at a multiple of 4.
    Half,
    /// 64 bits, at a multiple of 8.
    Word,
}

/// What happens to the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AtomicOp {
    /// It becomes the operand.
    Set,
    /// The operand is added (wrapping).
    Add,
    /// It becomes the operand if it equals the comparand.
    CompareSwap,
    /// Bitwise and with the operand.
    And,
    /// Bitwise or with the operand.
    Or,
    /// Bitwise exclusive or with the operand.
    Xor,
}

impl AtomicOp {
    /// All operations; the position is the code on the wire.
    pub const ALL: [Self; 6] = [Self::Set, Self::Add, Self::CompareSwap, Self::And, Self::Or, Self::Xor];

    /// The code on the wire and in the command ring.
    #[must_use]
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Set => 0,
            Self::Add => 1,
            Self::CompareSwap => 2,
            Self::And => 3,
            Self::Or => 4,
            Self::Xor => 5,
        }
    }
}

/// Changes a word of either width and gives what it was: the atomics of the two share no trait.
macro_rules! change {
    ($op:expr, $word:expr, $operand:expr, $compare:expr) => {{
        let (word, operand, order) = ($word, $operand, Ordering::AcqRel);
        match $op {
            AtomicOp::Set => word.swap(operand, order),
            AtomicOp::Add => word.fetch_add(operand, order),
            AtomicOp::And => word.fetch_and(operand, order),
            AtomicOp::Or => word.fetch_or(operand, order),
            AtomicOp::Xor => word.fetch_xor(operand, order),
            AtomicOp::CompareSwap => {
                let (Ok(old) | Err(old)) = word.compare_exchange($compare, operand, order, Ordering::Acquire);
                old
            }
        }
    }};
}

/// One change of one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Atomic {
    /// Offset of the word in the symmetric heap, a multiple of its width.
    pub offset: u64,
    /// How wide it is.
    pub width: Width,
    /// What happens to it.
    pub op: AtomicOp,
    /// The operand; of a 32-bit word the low half.
    pub operand: u64,
    /// What the word must equal, for [`AtomicOp::CompareSwap`]; else 0.
    pub compare: u64,
}

impl From<Signal> for Atomic {
    fn from(signal: Signal) -> Self {
        let op = match signal.op {
            SignalOp::Set => AtomicOp::Set,
            SignalOp::Add => AtomicOp::Add,
        };
        Self { offset: signal.offset, width: Width::Word, op, operand: signal.value, compare: 0 }
    }
}

impl Atomic {
    /// Checks that the word is there.
    ///
    /// # Errors
    /// When it lies outside the heap or is not aligned.
    pub fn check(&self, heap: &Heap) -> Result<(), HeapError> {
        match self.width {
            Width::Word => heap.word(self.offset).map(|_| ()),
            Width::Half => heap.half_word(self.offset).map(|_| ()),
        }
    }

    /// Changes the word and returns what it was. Released, so that whoever acquires the new value sees the data it speaks
    /// of, and acquired, so that a fetch sees what the last writer did.
    ///
    /// # Errors
    /// When the word lies outside the heap or is not aligned.
    pub fn apply(&self, heap: &Heap) -> Result<u64, HeapError> {
        match self.width {
            Width::Word => Ok(change!(self.op, heap.word(self.offset)?, self.operand, self.compare)),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a 32-bit word takes the low half of its operands"
            )]
            Width::Half => {
                let (operand, compare) = (self.operand as u32, self.compare as u32);
                Ok(change!(self.op, heap.half_word(self.offset)?, operand, compare).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test]
    fn codes_are_positions() {
        for (position, op) in AtomicOp::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(op.code()), position);
        }
    }

    #[test_case(AtomicOp::Set, 5, 0, 5; "set")]
    #[test_case(AtomicOp::Add, u64::MAX, 0, 11; "add wraps")]
    #[test_case(AtomicOp::CompareSwap, 5, 12, 5; "compare and swap")]
    #[test_case(AtomicOp::CompareSwap, 5, 11, 12; "compare and do not swap")]
    #[test_case(AtomicOp::And, 6, 0, 4; "and")]
    #[test_case(AtomicOp::Or, 3, 0, 15; "or")]
    #[test_case(AtomicOp::Xor, 5, 0, 9; "xor")]
    fn words_of_both_widths(op: AtomicOp, operand: u64, compare: u64, expected: u64) {
        let heap = Heap::create(4096).unwrap();
        for (width, offset) in [(Width::Word, 128), (Width::Half, 260)] {
            let set = Atomic { offset, width, op: AtomicOp::Set, operand: 12, compare: 0 };
            assert_eq!(set.apply(&heap).unwrap(), 0);
            assert_eq!(Atomic { op, operand, compare, ..set }.apply(&heap).unwrap(), 12);
            assert_eq!(Atomic { op: AtomicOp::Add, operand: 0, ..set }.apply(&heap).unwrap(), expected);
        }
        assert_eq!(
            heap.word(256).unwrap().load(Ordering::Relaxed) & 0xffff_ffff,
            0,
            "the neighbour is untouched"
        );
    }

    #[test]
    fn words_that_are_not_there_are_refused() {
        let heap = Heap::create(4096).unwrap();
        let at = |offset, width| Atomic { offset, width, op: AtomicOp::Set, operand: 1, compare: 0 };
        for bad in
            [at(4096, Width::Word), at(4, Width::Word), at(2, Width::Half), at(u64::MAX - 7, Width::Half)]
        {
            assert!(bad.check(&heap).is_err() && bad.apply(&heap).is_err(), "{bad:?}");
        }
    }
}
