//! Operation contexts: what libfabric may write into while an operation is in flight, and what we remember of it.

use std::ffi::c_void;

use libfabric_sys::fid::fi_context2;

use super::peers::PathId;
use crate::transport::nic::PeerNic;

/// What an operation in flight is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing is in flight.
    Free,
    /// A piece of a put.
    Piece {
        /// Its length.
        bytes: u64,
        /// Its target.
        to: PeerNic,
        /// The way it went.
        path: PathId,
    },
    /// A control frame, sent from the buffer of this slot.
    Frame {
        /// Its target.
        to: PeerNic,
        /// The way it went.
        path: PathId,
    },
    /// An operation that was reported failed when its path was replaced, and that the provider still holds.
    GivenUp {
        /// The way it went.
        path: PathId,
    },
    /// A posted receive into the buffer of this slot.
    Receive,
    /// A receive that is not posted: its endpoint is closed, or the queue was full.
    Idle,
}

/// `FI_CONTEXT2` comes first, so that the operation's context is the slot's address.
#[repr(C)]
struct Slot {
    context: fi_context2,
    kind: Kind,
}

/// A fixed set of slots at fixed addresses.
pub(super) struct Slots {
    slots: Box<[Slot]>,
    free: Vec<usize>,
}

// SAFETY: the pointers in the contexts are the provider's scratch space; slots are used by one thread at a time.
unsafe impl Send for Slots {}

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        let slot =
            |_| Slot { context: fi_context2 { internal: [std::ptr::null_mut(); 8] }, kind: Kind::Free };
        Self { slots: (0..count).map(slot).collect(), free: (0..count).rev().collect() }
    }

    /// Takes a free slot for `kind`: its number and its context.
    pub(super) fn take(&mut self, kind: Kind) -> Option<(usize, *mut c_void)> {
        let index = self.free.pop()?;
        let slot = self.slots.get_mut(index)?;
        slot.kind = kind;
        Some((index, (&raw mut slot.context).cast()))
    }

    /// The context of a slot that is in use, to post it again.
    pub(super) fn context(&mut self, index: usize) -> *mut c_void {
        self.slots.get_mut(index).map_or(std::ptr::null_mut(), |slot| (&raw mut slot.context).cast())
    }

    /// Says what a slot in use is from now on.
    pub(super) fn set(&mut self, index: usize, kind: Kind) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.kind = kind;
        }
    }

    /// Gives a slot back.
    pub(super) fn release(&mut self, index: usize) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.kind = Kind::Free;
            self.free.push(index);
        }
    }

    /// Every slot with what it is.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, Kind)> {
        self.slots.iter().map(|slot| slot.kind).enumerate()
    }

    /// Slots that nothing uses.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    /// The slot a completion belongs to; `None` when the context is not one of ours (target completions have none).
    pub(super) fn find(&self, context: *const c_void) -> Option<(usize, Kind)> {
        let offset = (context as usize).checked_sub(self.slots.as_ptr() as usize)?;
        let size = size_of::<Slot>();
        if offset % size != 0 {
            return None;
        }
        let slot = self.slots.get(offset / size)?;
        (slot.kind != Kind::Free).then_some((offset / size, slot.kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_lead_back_to_their_slots() {
        let mut slots = Slots::new(3);
        let (index, context) = slots.take(Kind::Receive).unwrap();
        assert_eq!(slots.find(context), Some((index, Kind::Receive)));
        assert_eq!(slots.find(std::ptr::null()), None);
        assert_eq!(slots.find(context.wrapping_byte_add(8)), None);
        assert_eq!(slots.find(context.wrapping_byte_add(1 << 30)), None);
        slots.release(index);
        assert_eq!(slots.find(context), None, "a free slot has no completion");
    }

    #[test]
    fn slots_run_out_and_come_back() {
        let mut slots = Slots::new(1);
        let (index, _) = slots.take(Kind::Receive).unwrap();
        assert!(slots.take(Kind::Receive).is_none());
        slots.release(index);
        assert!(slots.take(Kind::Receive).is_some());
    }
}
