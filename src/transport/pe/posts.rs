//! A PE whose GPU posts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Pe;
use super::wait::Patience;
use crate::transport::error::TransportError;
use crate::transport::gpu::{RingMemory, Rings};
use crate::transport::heap::Heap;
use crate::transport::on_node::show_life;
use crate::transport::proxy::Turn;

/// Turns of the proxy before others may have the core.
const TURNS: u32 = 64;
/// How often that is between two looks whether kernels have ended, which cost a call into the driver.
const LOOKS: u32 = 4;

impl Pe {
    /// The proxy takes what is posted into these rings, of fresh memory, from now on, in place of any others. To those PEs of this
    /// node for which `near` says so it copies by itself, as to this PE, and to the others it goes over NICs.
    ///
    /// # Errors
    /// When something posted into the others is still to be done.
    pub fn take_from(
        &mut self,
        rings: &RingMemory,
        near: impl Fn(u32) -> bool,
    ) -> Result<(), TransportError> {
        let reached =
            |(pe, heap): (u32, &Option<Arc<Heap>>)| heap.clone().filter(|_| near(pe) || pe == self.rank());
        let locals = (0..).zip(&self.locals).map(reached).collect();
        if self.driver.attach(Rings::new(rings, locals)) {
            return Ok(());
        }
        Err(TransportError::Refused("a GPU's earlier rings are still in use".into()))
    }

    /// Waits for kernels that post, with the proxy's work to do meanwhile: `done` says whether they have ended.
    ///
    /// # Errors
    /// When the job fails meanwhile, or nothing moves for longer than the wait limit.
    pub fn run_for(&mut self, what: &str, mut done: impl FnMut() -> bool) -> Result<(), TransportError> {
        self.run_while(what, || (!done()).then_some(0))
    }

    /// As [`Self::run_for`], for kernels that get on without any NIC, too: `beat` gives `None` when they have ended, and
    /// another number than before whenever they have got on; PEs of this node that wait are told. It never sleeps, since a GPU
    /// wakes nobody.
    ///
    /// # Errors
    /// As [`Self::run_for`].
    pub fn run_while(
        &mut self,
        what: &str,
        mut beat: impl FnMut() -> Option<u64>,
    ) -> Result<(), TransportError> {
        self.streak.store(false, Ordering::Relaxed);
        let driving = self.drive();
        let mut patience = Patience::new(self.wait_limit);
        let mut last = 0;
        while let Some(beat) = beat() {
            if beat != last {
                last = beat;
                // For this PE's own wait, and for who waits for it.
                show_life(&self.heap)?;
            }
            for _ in 0..LOOKS {
                let mut worked = false;
                for _ in 0..TURNS {
                    match driving.turn() {
                        Some(Turn::Worked) => worked = true,
                        _ => std::hint::spin_loop(),
                    }
                }
                if !worked {
                    // With more PEs than cores somebody else may have what this one waits for.
                    std::thread::yield_now();
                }
            }
            if let Some(error) = self.failure() {
                return Err(error);
            }
            let now = Instant::now();
            driving.go_on(now);
            if patience.is_over(self.moved(), now) {
                let what = format!("PE {}: {what}", self.rank());
                return Err(TransportError::Timeout {
                    what,
                    limit: self.wait_limit,
                    waiting_for: Vec::new(),
                });
            }
        }
        Ok(())
    }
}
