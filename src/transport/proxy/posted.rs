//! What a GPU has posted: checked as a caller's operations are, and carried out at once where no NIC is needed.

use super::Proxy;
use crate::transport::event::signal_here;
use crate::transport::heap::HeapError;
use crate::transport::nic::Nic;
use crate::transport::ring::{Command, Put};
use crate::transport::signal::Signal;

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
    /// The next thing that a GPU has posted.
    pub(super) fn posted(&mut self) -> Result<Posted, String> {
        let Some(command) = self.rings.pop()? else { return Ok(Posted::Nothing) };
        let (dst, bytes, signal) = match command {
            Command::Put(Put { dst, len, signal, .. }) => (dst, len, signal),
            Command::Signal { dst, signal } => (dst, 0, Some(signal)),
            _ => return Ok(Posted::Command(command)),
        };
        if dst >= self.place.pes {
            return Err(format!("a kernel posted to PE {dst} in a job of {}", self.place.pes));
        }
        self.check_posted(command, signal).map_err(|why| format!("a kernel posted to PE {dst}: {why}"))?;
        let kept = self.keep_on_node(dst, command, signal)?;
        Ok(if kept { Posted::Kept(bytes) } else { Posted::Command(command) })
    }

    /// Whether everything lies within the heaps, which are of one size.
    fn check_posted(&self, command: Command, signal: Option<Signal>) -> Result<(), String> {
        if let Command::Put(put) = command {
            self.heap.check(put.local, put.len).map_err(|error| error.to_string())?;
            self.heap.check(put.remote, put.len).map_err(|error| error.to_string())?;
        }
        signal
            .map_or(Ok(()), |signal| self.heap.word(signal.offset).map(|_| ()))
            .map_err(|error| error.to_string())
    }

    /// Carries out what goes to a heap that this process reaches by itself; `false` if it does not.
    fn keep_on_node(&mut self, dst: u32, command: Command, signal: Option<Signal>) -> Result<bool, String> {
        let Some(target) = self.rings.local(dst) else { return Ok(false) };
        let failed = |error: HeapError| error.to_string();
        if let Command::Put(put) = command {
            self.heap.copy_to(put.local, target, put.remote, put.len).map_err(failed)?;
            self.shared.count_local(put.len);
        }
        if let Some(signal) = signal {
            signal_here(target, signal).map_err(failed)?;
        }
        Ok(true)
    }
}
