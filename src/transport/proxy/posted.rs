//! What a GPU has posted: checked as a caller's operations are, and carried out at once where no NIC is needed.

use super::Proxy;
use super::quiet::Asker;
use crate::transport::gpu::Rings;
use crate::transport::heap::HeapError;
use crate::transport::nic::Nic;
use crate::transport::ring::Command;

/// What a GPU's rings have.
pub(super) enum Posted {
    /// Nothing.
    Nothing,
    /// Something that has been done by now: so many bytes were copied.
    Kept(u64),
    /// Something for the NICs.
    Command(Command),
}

impl<N: Nic> Proxy<N> {
    /// Takes commands from a GPU's rings from now on, too; `false` while others are in use.
    pub(super) fn attach(&mut self, rings: Rings) -> bool {
        let asked = self.quiet.as_ref().is_some_and(|quiet| matches!(quiet.asker, Asker::Ring { .. }));
        let free = self.rings.is_empty() && self.stalled.is_none() && !asked;
        if free {
            self.rings = rings;
        }
        free
    }

    /// The next thing that a GPU has posted.
    pub(super) fn posted(&mut self) -> Result<Posted, String> {
        let Some(command) = self.rings.pop()? else { return Ok(Posted::Nothing) };
        let dst = match command {
            Command::Put(put) => put.dst,
            Command::Signal { dst, .. } => dst,
            _ => return Ok(Posted::Command(command)),
        };
        if dst >= self.place.pes {
            return Err(format!("a kernel posted to PE {dst} in a job of {}", self.place.pes));
        }
        let kept = self.keep_on_node(dst, command);
        let kept = kept.map_err(|why| format!("a kernel posted to PE {dst}: {why}"))?;
        Ok(kept.map_or(Posted::Command(command), Posted::Kept))
    }

    /// Checks an operation, and carries it out if it goes to a heap that this process reaches by itself: then the bytes that
    /// were copied.
    fn keep_on_node(&self, dst: u32, command: Command) -> Result<Option<u64>, HeapError> {
        let target = self.rings.local(dst);
        match command {
            Command::Put(put) => {
                put.check(&self.heap)?;
                let Some(target) = target else { return Ok(None) };
                put.copy(&self.heap, target)?;
                self.shared.count_local(put.len);
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
