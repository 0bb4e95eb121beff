//! What a GPU has posted: checked as a caller's operations are, and carried out at once where no NIC is needed.

use super::Proxy;
use crate::transport::gpu::{RingFigures, Rings};
use crate::transport::heap::HeapError;
use crate::transport::nic::Nic;
use crate::transport::on_node::show_life;
use crate::transport::ring::Command;

impl<N: Nic> Proxy<N> {
    /// Takes commands from a GPU's rings from now on, too; `false` while others are in use.
    pub(super) fn attach(&mut self, rings: Rings) -> bool {
        let free = self.rings.is_empty() && !self.held.is_stalled() && !self.quiets.are_asked_by_rings();
        if free {
            self.count_posts();
            self.rings = rings;
            (self.earlier.posts, self.earlier.stalls) = (self.counts.gpu_posts, self.counts.gpu_stalls);
        }
        free
    }

    /// Brings the counters of what GPUs post up to date.
    pub(super) fn count_posts(&mut self) {
        let RingFigures { posts, stalls, used, size } = self.rings.figures();
        self.counts.gpu_posts = self.earlier.posts + posts;
        // Of two threads of the GPU that count at once the one with less may store last: a counter never goes back.
        self.counts.gpu_stalls = self.counts.gpu_stalls.max(self.earlier.stalls + stalls);
        (self.counts.gpu_ring_used, self.counts.gpu_ring_size) = (used, size);
    }

    /// Checks what a GPU has posted, and carries it out if it goes to a heap that this process reaches by itself: then the
    /// bytes that were copied.
    #[inline]
    pub(super) fn keep_on_node(&self, command: &Command) -> Result<Option<u64>, String> {
        let dst = match command {
            Command::Put(put) => put.dst,
            Command::Signal { dst, .. } => *dst,
            _ => return Ok(None),
        };
        if dst >= self.place.pes {
            return Err(format!("a kernel posted to PE {dst} in a job of {}", self.place.pes));
        }
        self.check_or_keep(dst, command).map_err(|why| format!("a kernel posted to PE {dst}: {why}"))
    }

    fn check_or_keep(&self, dst: u32, command: &Command) -> Result<Option<u64>, HeapError> {
        let target = self.rings.local(dst);
        match command {
            Command::Put(put) => {
                put.check(&self.heap)?;
                let Some(target) = target else { return Ok(None) };
                if dst != self.place.me && !put.is_for_cpu(&self.heap) {
                    return Ok(None);
                }
                put.copy(&self.heap, target)?;
                self.shared.count_local(put.len);
                show_life(&self.heap)?;
                Ok(Some(put.len))
            }
            Command::Signal { signal, .. } => {
                signal.check(&self.heap)?;
                let Some(target) = target else { return Ok(None) };
                signal.apply(target)?;
                Ok(Some(0))
            }
            _ => Ok(None),
        }
    }
}
