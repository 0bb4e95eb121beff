//! Operations between heaps that this process reaches by itself: no NIC is needed. The caller carries them out, or the
//! proxy for a GPU.

use std::sync::atomic::Ordering;

use super::atomic::Atomic;
use super::event::Event;
use super::heap::{Heap, HeapError, reserved};
use super::ring::Put;
use super::signal::Signal;

/// How PEs of a node reach each other (`--intra-node`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IntraNode {
    /// By loads and stores: processes through shared memory, GPUs through it or each other's.
    #[default]
    Direct,
    /// Over NICs, as PEs of other nodes.
    Nic,
}

/// Says that a PE gets on, in its own heap.
pub(super) fn show_life(own: &Heap) -> Result<(), HeapError> {
    own.word(reserved::LIFE)?.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// A number that changes whenever the PE says so whose heap this is.
pub(super) fn signs_of_life(of: &Heap) -> u64 {
    of.word(reserved::LIFE).map_or(0, |word| word.load(Ordering::Relaxed))
}

impl Put {
    /// Checks that source, destination and signal lie within a heap; all PEs' are of one size.
    ///
    /// # Errors
    /// When one does not, or the signal's word is not aligned.
    pub(super) fn check(&self, heap: &Heap) -> Result<(), HeapError> {
        heap.check(self.local, self.len)?;
        heap.check(self.remote, self.len)?;
        self.signal.map_or(Ok(()), |signal| signal.check(heap))
    }

    /// Whether the CPU reaches both its source and its destination; NICs do anyway.
    pub(super) fn is_for_cpu(&self, heap: &Heap) -> bool {
        heap.device().is_none() || self.local.max(self.remote) < heap.len()
    }

    /// Copies from heap to heap, and signals then.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(super) fn copy(&self, source: &Heap, target: &Heap) -> Result<(), HeapError> {
        source.copy_to(self.local, target, self.remote, self.len)?;
        self.signal.map_or(Ok(()), |signal| signal.apply(target))
    }
}

impl Signal {
    /// Checks that the word lies within a heap.
    ///
    /// # Errors
    /// When it does not, or is not aligned.
    pub(super) fn check(&self, heap: &Heap) -> Result<(), HeapError> {
        heap.word(self.offset).map(|_| ())
    }

    /// Changes the word and wakes whoever waits there.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(super) fn apply(&self, heap: &Heap) -> Result<(), HeapError> {
        Atomic::from(*self).apply(heap)?;
        Event::of(heap)?.notify();
        Ok(())
    }
}
