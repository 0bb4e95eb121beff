//! The heap, wherever it lies.

use crate::transport::gpu::DeviceMemory;
use crate::transport::heap::Heap;
use crate::workload::WorkloadError;

/// Where this PE's heap lies. Only what is not timed goes this way.
#[derive(Debug, Clone, Copy)]
pub enum Memory<'a> {
    /// In the host's memory.
    Host(&'a Heap),
    /// In a GPU's.
    Device(&'a DeviceMemory),
    /// It begins in the host's memory and continues in a GPU's.
    Both(&'a Heap, &'a DeviceMemory),
}

impl Memory<'_> {
    /// The memory that has an offset, and which offset of that it is.
    fn at(self, offset: u64) -> (Self, u64) {
        match self {
            Self::Both(heap, _) if offset < heap.len() => (Self::Host(heap), offset),
            Self::Both(heap, memory) => (Self::Device(memory), offset - heap.len()),
            one => (one, offset),
        }
    }

    /// Reads into `bytes` from `offset` on.
    ///
    /// # Errors
    /// When they do not lie inside, or the driver refuses.
    pub fn read(self, offset: u64, bytes: &mut [u8]) -> Result<(), WorkloadError> {
        match self.at(offset) {
            (Self::Host(heap) | Self::Both(heap, _), offset) => Ok(heap.read(offset, bytes)?),
            (Self::Device(memory), offset) => Ok(memory.read(offset, bytes)?),
        }
    }

    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn write(self, offset: u64, bytes: &[u8]) -> Result<(), WorkloadError> {
        match self.at(offset) {
            (Self::Host(heap) | Self::Both(heap, _), offset) => Ok(heap.write(offset, bytes)?),
            (Self::Device(memory), offset) => Ok(memory.write(offset, bytes)?),
        }
    }

    /// The word at `offset`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn word(self, offset: u64) -> Result<u64, WorkloadError> {
        let mut bytes = [0; 8];
        self.read(offset, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_beyond_the_end() {
        let heap = Heap::create(8192).unwrap();
        let memory = Memory::Host(&heap);
        memory.write(4096, &7_u64.to_le_bytes()).unwrap();
        assert_eq!(memory.word(4096).unwrap(), 7);
        assert!(memory.write(8190, &[0; 8]).is_err() && memory.word(8192).is_err());
    }
}
