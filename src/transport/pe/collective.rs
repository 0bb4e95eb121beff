//! What all PEs do together: barrier, broadcast, all-to-all.

use super::Pe;
use crate::transport::error::TransportError;
use crate::transport::heap::reserved;
use crate::transport::signal::{Signal, SignalOp, Until};

impl Pe {
    /// Quiet, then waits for every PE (dissemination barrier: log2 of the PEs rounds).
    ///
    /// # Errors
    /// As [`Self::quiet`].
    pub fn barrier(&mut self) -> Result<(), TransportError> {
        self.quiet()?;
        self.epoch += 1;
        let (me, world) = (self.rank(), self.world());
        let mut distance = 1;
        let mut offset = reserved::BARRIER;
        while distance < world {
            self.signal((me + distance) % world, Signal { offset, op: SignalOp::Add, value: 1 })?;
            self.wait_until(offset, Until::AtLeast(self.epoch))?;
            offset += 8;
            distance = distance.saturating_mul(2);
        }
        self.shared.count_barrier();
        Ok(())
    }

    /// Gives every PE the `len` bytes at `offset` of `root`'s heap, at the same offset. Every PE must call it; the bytes
    /// are there when it returns. A binomial tree: log2 of the PEs steps.
    ///
    /// # Errors
    /// When there is no such PE or range, the job fails meanwhile, or it takes longer than the wait limit.
    pub fn broadcast(&mut self, root: u32, offset: u64, len: u64) -> Result<(), TransportError> {
        self.check_pe(root)?;
        self.heap.check(offset, len)?;
        self.broadcasts += 1;
        let (me, world, round) = (self.rank(), self.world(), self.broadcasts);
        // Numbered from the root on, a PE hears from the one without its highest bit and tells those with a higher one.
        let place = (me + world - root) % world;
        let mut bit = 1;
        if place > 0 {
            self.wait_until(reserved::BROADCAST, Until::AtLeast(round))?;
            bit = 1_u32.checked_shl(place.ilog2() + 1).unwrap_or(0);
        }
        let signal = Signal { offset: reserved::BROADCAST, op: SignalOp::Add, value: 1 };
        while bit != 0 && u64::from(place) + u64::from(bit) < u64::from(world) {
            self.put_signal((root + place + bit) % world, offset, offset, len, signal)?;
            bit = bit.checked_mul(2).unwrap_or(0);
        }
        if place == 0 {
            // The root has no one to hear from: its word keeps step with the others'.
            signal.apply(&self.heap)?;
        }
        // The source may change when this returns, and nobody is a round ahead of anybody.
        self.barrier()
    }

    /// Every PE gives every PE `block` bytes: from `send + block * dst` here to `receive + block * me` at `dst`. Every PE
    /// must call it; all bytes are there when it returns. Not in a device's memory, where no PE can copy its own block.
    ///
    /// # Errors
    /// When a range lies outside the heap, the job fails meanwhile, or it takes longer than the wait limit.
    pub fn all_to_all(&mut self, send: u64, receive: u64, block: u64) -> Result<(), TransportError> {
        let (me, world) = (self.rank(), self.world());
        let all = block.saturating_mul(u64::from(world));
        self.heap.check(send, all)?;
        self.heap.check(receive, all)?;
        for step in 0..world {
            let dst = (me + step) % world;
            self.put(dst, send + block * u64::from(dst), receive + block * u64::from(me), block)?;
        }
        self.barrier()
    }
}
