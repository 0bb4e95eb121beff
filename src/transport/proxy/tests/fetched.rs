//! Old values that fetches have brought. What happened to a word is a chain, in which each change begins with what the one
//! before has left; a change that happened twice, or not at all, leaves a gap.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::transport::atomic::{Atomic, AtomicOp, Width};
use crate::transport::heap::Heap;

/// A word: its PE, its offset and how wide it is.
type Word = (usize, u64, Width);

/// What is known of a word. No two changes may begin with the same value.
#[derive(Debug, Default)]
struct Chain {
    begin: u64,
    /// From the old value to the new one.
    changes: HashMap<u64, u64>,
    /// Values that a compare-and-swap found instead of its comparand.
    met: Vec<u64>,
}

/// All words whose every change is a fetch.
#[derive(Debug, Default)]
pub(super) struct Fetched(HashMap<Word, Chain>);

pub(super) fn locked(fetched: &Arc<Mutex<Fetched>>) -> MutexGuard<'_, Fetched> {
    fetched.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A word as it is now.
pub(super) fn value(heap: &Heap, offset: u64, width: Width) -> u64 {
    let look = Atomic { offset, width, op: AtomicOp::Add, operand: 0, compare: 0 };
    look.apply(heap).unwrap()
}

/// What a word of this width keeps of a number.
pub(super) fn cut(number: u64, width: Width) -> u64 {
    if width == Width::Half { number & 0xffff_ffff } else { number }
}

impl Fetched {
    /// A word has this value before anybody changes it.
    pub(super) fn begin(&mut self, pe: usize, offset: u64, width: Width, begin: u64) {
        self.0.insert((pe, offset, width), Chain { begin, ..Chain::default() });
    }

    /// A fetch of this change has brought `old`.
    pub(super) fn note(&mut self, pe: usize, atomic: &Atomic, old: u64) {
        let &Atomic { offset, width, op, operand, compare } = atomic;
        let chain = self.0.get_mut(&(pe, offset, width)).expect("a word that was made for fetches");
        let new = match op {
            AtomicOp::Add => cut(old.wrapping_add(operand), width),
            AtomicOp::Set => operand,
            AtomicOp::CompareSwap if old == compare => operand,
            AtomicOp::CompareSwap => return chain.met.push(old),
            other => panic!("{other:?} makes no chain"),
        };
        let twice = chain.changes.insert(old, new);
        assert_eq!(twice, None, "two changes of the word at {offset} of PE {pe} have begun with {old}");
    }

    /// Longest chain, and how often a compare-and-swap found another value: without both a test is dull.
    pub(super) fn interest(&self) -> [usize; 2] {
        self.0
            .values()
            .fold([0, 0], |[longest, met], chain| [longest.max(chain.changes.len()), met + chain.met.len()])
    }

    /// At the end: every chain is whole, and ends with what is there.
    pub(super) fn conclude(&self, heaps: &[Arc<Heap>]) {
        // In order, so that a seed fails with the same words each time.
        let chains: BTreeMap<_, _> =
            self.0.iter().map(|(&(pe, offset, width), chain)| ((pe, offset), (width, chain))).collect();
        for ((pe, offset), (width, chain)) in chains {
            let mut at = chain.begin;
            let mut passed = HashSet::from([at]);
            for _ in 0..chain.changes.len() {
                at = *chain.changes.get(&at).unwrap_or_else(|| {
                    panic!("no change of the word at {offset} of PE {pe} has begun with {at}: {chain:?}")
                });
                passed.insert(at);
            }
            let there = value(&heaps[pe], offset, width);
            assert_eq!(there, at, "the word at {offset} of PE {pe} is not what the last change left");
            let strange = chain.met.iter().find(|value| !passed.contains(value));
            assert_eq!(strange, None, "a value that the word at {offset} of PE {pe} never had");
        }
    }
}
