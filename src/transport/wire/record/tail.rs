//! An action as it lies in a record.

use super::{
    ACTION_ANSWER, ACTION_CHANGE, ACTION_FETCH, ACTION_GET, ACTION_MASK, Action, FLAG_HALF, OP_SHIFT,
};
use crate::transport::atomic::{Atomic, AtomicOp, Width};
use crate::transport::signal::Signal;

/// What ends a record: the flags that say which action it is, and its words. Made once when something is posted, it is
/// remembered as it is and written by copying (telling actions apart for their flags, their length and their words took 45 instructions of a put-signal).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    pub(super) flags: u16,
    len: u8,
    words: [u64; 4],
}

impl Tail {
    /// No action.
    pub const NONE: Self = Self { flags: 0, len: 0, words: [0; 4] };

    /// With `words[..len]`.
    #[inline]
    const fn new(flags: u16, len: u8, words: [u64; 4]) -> Self {
        Self { flags, len, words }
    }

    fn of_atomic(kind: u16, atomic: Atomic) -> Self {
        let half = if atomic.width == Width::Half { FLAG_HALF } else { 0 };
        let flags = kind | u16::from(atomic.op.code()) << OP_SHIFT | half;
        let len = if atomic.op == AtomicOp::CompareSwap { 3 } else { 2 };
        Self::new(flags, len, [atomic.offset, atomic.operand, atomic.compare, 0])
    }

    /// This and one more word.
    fn and(mut self, word: u64) -> Self {
        if let Some(place) = self.words.get_mut(usize::from(self.len)) {
            (*place, self.len) = (word, self.len + 1);
        }
        self
    }

    /// Its words; the first two are there in any case.
    #[inline]
    pub(super) fn words(&self) -> ([u64; 2], &[u64]) {
        let [first, second, ..] = self.words;
        ([first, second], self.words.get(..usize::from(self.len)).unwrap_or_default())
    }

    /// Bytes of its words.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        8 * usize::from(self.len)
    }

    /// Whether it changes a word: gets and answers do not.
    #[must_use]
    #[inline]
    pub fn is_change(&self) -> bool {
        matches!(self.flags & ACTION_MASK, ACTION_CHANGE | ACTION_FETCH)
    }
}

impl From<Signal> for Tail {
    #[inline]
    fn from(signal: Signal) -> Self {
        let Atomic { op, offset, operand, .. } = Atomic::from(signal);
        Self::new(ACTION_CHANGE | u16::from(op.code()) << OP_SHIFT, 2, [offset, operand, 0, 0])
    }
}

impl From<Action> for Tail {
    fn from(action: Action) -> Self {
        match action {
            Action::Change(atomic) => Self::of_atomic(ACTION_CHANGE, atomic),
            Action::Fetch { atomic, tag } => Self::of_atomic(ACTION_FETCH, atomic).and(u64::from(tag)),
            Action::Get { remote, local, len, tag } => {
                Self::new(ACTION_GET, 4, [remote, local, len, u64::from(tag)])
            }
            Action::Answer { tag, value } => Self::new(ACTION_ANSWER, 2, [u64::from(tag), value, 0, 0]),
        }
    }
}

impl From<Option<Action>> for Tail {
    fn from(action: Option<Action>) -> Self {
        action.map_or(Self::NONE, Self::from)
    }
}
