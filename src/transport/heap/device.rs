//! Memory of a device that continues a heap: NICs and kernels reach it, the CPU does not.

#![expect(unsafe_code, reason = "whose memory NICs may write to, nothing can check")]

use std::any::Any;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use super::{Heap, HeapError};

/// Whose memory it is, for the registration with a NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// A GPU's, by the number that CUDA gives it in this process.
    Cuda(i32),
    /// The host's, but not of the heap's own mapping.
    Host,
}

/// Makes what NICs have written visible to the device before it is told; an error in words.
pub type Flush = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The part of a heap that lies in a device's memory: its offsets follow those of the part in the host's.
#[derive(Clone)]
pub struct DevicePart {
    address: u64,
    len: u64,
    kind: DeviceKind,
    /// What has to be done before a signal that follows bytes written by a NIC, if anything.
    pub(in crate::transport) flush: Option<Flush>,
    _keep: Arc<dyn Any + Send + Sync>,
}

impl DevicePart {
    /// The `len` bytes at `address`, as the device sees it; `len` is the same on every PE. `flush` is what has to be done before a
    /// signal that follows bytes written by a NIC, if anything.
    ///
    /// # Safety
    /// They are memory of this kind, and stay that as long as `keep` or a clone of it does. Until then NICs read and write them at
    /// any time, so nobody may have a reference to them that rules that out.
    #[must_use]
    pub unsafe fn new(
        address: u64,
        len: u64,
        kind: DeviceKind,
        flush: Option<Flush>,
        keep: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        Self { address, len, kind, flush, _keep: keep }
    }

    /// Where the device sees its first byte.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Bytes, the same on every PE.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whose memory it is.
    #[must_use]
    pub fn kind(&self) -> DeviceKind {
        self.kind
    }
}

impl fmt::Debug for DevicePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, len, kind, flush, .. } = self;
        write!(f, "DevicePart({len} bytes at {address:#x}, {kind:?}, flush: {})", flush.is_some())
    }
}

/// Where a range of a heap lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the host's part.
    Host(NonNull<u8>),
    /// In the device's, at this address of its.
    Device(NonNull<u8>),
}

impl Heap {
    /// Continues the heap in a device's memory, once.
    ///
    /// # Errors
    /// Returns the part when there is one already, or its end would have no offset or address.
    pub fn attach(&self, part: DevicePart) -> Result<(), DevicePart> {
        if self.takes(&part) { self.device.set(part) } else { Err(part) }
    }

    /// Whether a part could continue the heap.
    #[must_use]
    pub fn takes(&self, part: &DevicePart) -> bool {
        let ends = self.len.checked_add(part.len).is_some() && part.address.checked_add(part.len).is_some();
        ends && part.address != 0 && self.device().is_none()
    }

    /// The part in a device's memory.
    #[must_use]
    pub fn device(&self) -> Option<&DevicePart> {
        self.device.get()
    }

    /// Where a range lies that a NIC is to read.
    ///
    /// # Errors
    /// When it is not all inside one part.
    #[inline]
    pub fn place(&self, offset: u64, len: u64) -> Result<Place, HeapError> {
        match self.host(offset, len) {
            Some(address) => Ok(Place::Host(address)),
            None => self.device_place(offset, len),
        }
    }

    /// The same of a range that the host's part does not have.
    fn device_place(&self, offset: u64, len: u64) -> Result<Place, HeapError> {
        let Some(part) = self.device() else {
            return Err(HeapError::Range { offset, len, heap: self.len });
        };
        let within = offset
            .checked_sub(self.len)
            .filter(|within| within.checked_add(len).is_some_and(|end| end <= part.len));
        let address = within.and_then(|within| usize::try_from(part.address + within).ok());
        let Some(address) =
            address.and_then(|address| NonNull::new(std::ptr::without_provenance_mut(address)))
        else {
            return Err(HeapError::Parts { offset, len, split: self.len, heap: self.len + part.len });
        };
        Ok(Place::Device(address))
    }

    /// What is wrong with a range that the CPU was to reach.
    #[cold]
    pub(super) fn unreachable(&self, offset: u64, len: u64) -> HeapError {
        match self.device_place(offset, len) {
            Ok(_) => HeapError::Device { offset, len },
            Err(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(address: u64, len: u64) -> DevicePart {
        // SAFETY: no NIC gets to know of it.
        unsafe { DevicePart::new(address, len, DeviceKind::Host, None, Arc::new(())) }
    }

    fn device(address: usize) -> Place {
        Place::Device(NonNull::new(std::ptr::without_provenance_mut(address)).unwrap())
    }

    #[test]
    fn offsets_go_on_in_the_devices_memory() {
        let heap = Heap::create(4096).unwrap();
        assert!(heap.place(4096, 0).is_ok_and(|place| matches!(place, Place::Host(_))));
        assert!(heap.place(4096, 1).is_err(), "it ends here");
        heap.attach(part(0x7000_0000, 8192)).unwrap();
        assert_eq!(heap.len(), 4096, "the host's part stays as long as it was");
        assert_eq!(heap.place(4096, 8192).unwrap(), device(0x7000_0000));
        assert_eq!(heap.place(4096 + 8191, 1).unwrap(), device(0x7000_0000 + 8191));
        for (offset, len) in [(4095, 2), (4096, 8193), (12_288, 1), (u64::MAX, 1), (4096, u64::MAX)] {
            let error = heap.place(offset, len).unwrap_err();
            assert!(matches!(error, HeapError::Parts { split: 4096, heap: 12_288, .. }), "{error}");
            assert!(heap.check(offset, len).is_err());
        }
        assert!(heap.check(4096, 8192).is_ok() && heap.check(0, 4096).is_ok());
    }

    #[test]
    fn the_cpu_keeps_out_of_it() {
        let heap = Heap::create(4096).unwrap();
        // Nothing is there: whoever touched it would crash.
        heap.attach(part(0x1000, 4096)).unwrap();
        let device = |result: Result<(), HeapError>| {
            let error = result.unwrap_err();
            assert!(matches!(error, HeapError::Device { offset: 4096.., .. }), "{error}");
        };
        device(heap.write(4096, &[1; 8]));
        device(heap.read(5000, &mut [0; 9]));
        device(heap.word(4096).map(|_| ()));
        device(heap.half_word(4100).map(|_| ()));
        device(heap.copy_to(0, &heap, 4096, 8));
        device(heap.copy_to(4096, &heap, 0, 8));
    }

    #[test]
    fn there_is_one_at_most_and_it_has_an_end() {
        let heap = Heap::create(4096).unwrap();
        for (address, len) in [(0, 4096), (u64::MAX - 10, 4096), (4096, u64::MAX)] {
            assert!(heap.attach(part(address, len)).is_err(), "{address:#x}, {len}");
        }
        heap.attach(part(4096, 4096)).unwrap();
        assert_eq!(heap.attach(part(8192, 4096)).unwrap_err().address, 8192);
        assert_eq!(heap.device().map(|part| part.address), Some(4096));
    }
}
