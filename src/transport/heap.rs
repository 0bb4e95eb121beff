//! The symmetric heap: one registered mapping per PE, the same size and the same offsets on every PE.
//!
//! The mapping is a memfd, so PEs of one node map each other's heap and reach it with plain loads and stores (the role
//! `NVLink` has between GPUs of a node). Memory that other processes and NICs write at any time is reached through
//! atomics only; bulk copies go through [`Heap::copy_to`].

#![expect(unsafe_code, reason = "a shared mapping is raw memory")]

mod device;
pub(super) mod reserved;
mod words;

pub use device::{DeviceKind, DevicePart, Flush, Place};
pub use reserved::RESERVED;
pub use words::HeapWords;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// Every allocation starts at a multiple of this.
pub const ALIGNMENT: u64 = 128;

/// Why the heap could not be used as asked.
#[derive(Debug, thiserror::Error)]
pub enum HeapError {
    /// The system refused the mapping.
    #[error("cannot map {bytes} bytes for the symmetric heap: {source}")]
    Map {
        /// Bytes asked for.
        bytes: u64,
        /// What the system said.
        source: io::Error,
    },
    /// An access beyond the end.
    #[error("heap access at offset {offset} of {len} bytes is outside the heap of {heap} bytes")]
    Range {
        /// Offset asked for.
        offset: u64,
        /// Bytes asked for.
        len: u64,
        /// Bytes the heap has.
        heap: u64,
    },
    /// A range of a heap of two parts that neither has as a whole.
    #[error(
        "heap access at offset {offset} of {len} bytes is neither all in the host's memory, up to {split}, nor all in the device's, up to {heap}"
    )]
    Parts {
        /// Offset asked for.
        offset: u64,
        /// Bytes asked for.
        len: u64,
        /// Where the device's part begins.
        split: u64,
        /// Bytes of both parts.
        heap: u64,
    },
    /// Memory that the CPU does not reach.
    #[error(
        "{len} bytes at heap offset {offset} lie in the device's memory: NICs and kernels reach it, the CPU does not"
    )]
    Device {
        /// Offset asked for.
        offset: u64,
        /// Bytes asked for.
        len: u64,
    },
    /// A word that does not lie on a boundary of its size.
    #[error("heap offset {offset} is not a multiple of {size}")]
    Unaligned {
        /// Offset asked for.
        offset: u64,
        /// Bytes of the word.
        size: u64,
    },
    /// The heap is too small for an allocation.
    #[error("the symmetric heap is full: {wanted} bytes wanted, {free} free; ask for a larger heap")]
    Full {
        /// Bytes wanted.
        wanted: u64,
        /// Bytes left.
        free: u64,
    },
}

/// A mapping of a symmetric heap, this PE's own or that of a PE on the same node.
#[derive(Debug)]
pub struct Heap {
    base: NonNull<u8>,
    len: u64,
    file: File,
    /// What follows in a device's memory.
    device: OnceLock<DevicePart>,
}

// SAFETY: the mapping lives as long as the value, and all access goes through atomics or bounds-checked raw copies
// whose races are part of one-sided communication (see `copy_to`).
unsafe impl Send for Heap {}
// SAFETY: as above.
unsafe impl Sync for Heap {}

impl Heap {
    /// Makes a heap of `len` bytes, rounded up to whole pages, filled with zeros.
    ///
    /// Its pages are taken as they are first touched, not here: the kernel ends a process that touches one when none is left.
    ///
    /// # Errors
    /// When the system refuses the mapping.
    pub fn create(len: u64) -> Result<Self, HeapError> {
        let len = len.max(RESERVED).next_multiple_of(4096);
        let map = |source: io::Error| HeapError::Map { bytes: len, source };
        let fd = memfd_create(c"railtop-heap", MFdFlags::MFD_CLOEXEC).map_err(|e| map(e.into()))?;
        let file = File::from(fd);
        file.set_len(len).map_err(map)?;
        Self::map(file, len)
    }

    /// Maps the heap of a PE on the same node, given as its memfd opened through `/proc`.
    ///
    /// # Errors
    /// When the file is not `len` bytes long or cannot be mapped.
    pub fn open(file: File, len: u64) -> Result<Self, HeapError> {
        let actual = file.metadata().map_err(|source| HeapError::Map { bytes: len, source })?.len();
        if actual != len {
            let source =
                io::Error::new(io::ErrorKind::InvalidData, format!("the peer's heap has {actual} bytes"));
            return Err(HeapError::Map { bytes: len, source });
        }
        Self::map(file, len)
    }

    fn map(file: File, len: u64) -> Result<Self, HeapError> {
        let error = |source: io::Error| HeapError::Map { bytes: len, source };
        let size = usize::try_from(len)
            .ok()
            .and_then(std::num::NonZeroUsize::new)
            .ok_or_else(|| error(io::ErrorKind::InvalidInput.into()))?;
        // SAFETY: a fresh shared mapping of a file this value owns; nothing else refers to the address range.
        let base = unsafe {
            mmap(
                None,
                size,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                file.as_fd(),
                0,
            )
        }
        .map_err(|e| error(e.into()))?;
        Ok(Self { base: base.cast(), len, file, device: OnceLock::new() })
    }

    /// Bytes of the heap in the host's memory.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// A heap is never empty: the reserved page is always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Address of the first byte, for memory registration.
    #[must_use]
    pub fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Number of the memfd in this process, for `/proc/PID/fd/N`.
    #[must_use]
    pub fn fd(&self) -> i32 {
        self.file.as_raw_fd()
    }

    /// Checks that `len` bytes at `offset` are inside, and gives their address.
    #[inline]
    fn at(&self, offset: u64, len: u64) -> Result<NonNull<u8>, HeapError> {
        self.host(offset, len).ok_or_else(|| self.unreachable(offset, len))
    }

    /// The same, if they are in the host's part.
    #[inline]
    fn host(&self, offset: u64, len: u64) -> Option<NonNull<u8>> {
        if offset.checked_add(len)? > self.len {
            return None;
        }
        let offset = usize::try_from(offset).ok()?;
        // SAFETY: offset <= len of the mapping, as just seen.
        Some(unsafe { self.base.add(offset) })
    }

    /// Checks that `len` bytes at `offset` are inside the heap, in either of its parts.
    ///
    /// # Errors
    /// When they are not.
    #[inline]
    pub fn check(&self, offset: u64, len: u64) -> Result<(), HeapError> {
        if self.host(offset, len).is_some() {
            return Ok(());
        }
        self.place(offset, len).map(|_| ())
    }

    /// `count` words from `offset` on.
    ///
    /// # Errors
    /// When they are not inside the heap or `offset` is not a multiple of 8.
    pub fn words(&self, offset: u64, count: u64) -> Result<&[AtomicU64], HeapError> {
        if !offset.is_multiple_of(8) {
            return Err(HeapError::Unaligned { offset, size: 8 });
        }
        let start = self.at(offset, count.saturating_mul(8))?;
        let count =
            usize::try_from(count).map_err(|_| HeapError::Range { offset, len: count, heap: self.len })?;
        #[expect(
            clippy::cast_ptr_alignment,
            reason = "the base is page-aligned and the offset a multiple of 8"
        )]
        let words = start.as_ptr().cast::<AtomicU64>();
        // SAFETY: inside the mapping (checked), 8-byte aligned, valid for the life of
        // `self`, and every bit pattern is an AtomicU64.
        Ok(unsafe { std::slice::from_raw_parts(words, count) })
    }

    /// The word at `offset`.
    ///
    /// # Errors
    /// As [`Self::words`].
    pub fn word(&self, offset: u64) -> Result<&AtomicU64, HeapError> {
        self.words(offset, 1)?.first().ok_or(HeapError::Unaligned { offset, size: 8 })
    }

    /// The 32-bit word at `offset`, for futexes.
    ///
    /// # Errors
    /// When it is not inside the heap or not aligned.
    pub fn half_word(&self, offset: u64) -> Result<&AtomicU32, HeapError> {
        if !offset.is_multiple_of(4) {
            return Err(HeapError::Unaligned { offset, size: 4 });
        }
        let start = self.at(offset, 4)?;
        // SAFETY: inside the mapping, 4-byte aligned, valid for the life of `self`.
        Ok(unsafe { start.cast::<AtomicU32>().as_ref() })
    }

    /// Writes `bytes` at `offset`. Not atomic, as [`Self::copy_to`].
    ///
    /// # Errors
    /// When they do not fit inside.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), HeapError> {
        let to = self.at(offset, bytes.len() as u64)?;
        // SAFETY: inside the mapping (checked); `bytes` is no part of it, since nothing gives out slices of bytes of it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
        Ok(())
    }

    /// Reads into `bytes` from `offset` on. Not atomic, as [`Self::copy_to`].
    ///
    /// # Errors
    /// When they do not lie inside.
    #[expect(clippy::inline_always, reason = "a part of a small put: see `Proxy::data`")]
    #[inline(always)]
    pub fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), HeapError> {
        let from = self.at(offset, bytes.len() as u64)?;
        if let Ok(word) = <&mut [u8; 8]>::try_from(&mut *bytes) {
            // Of a length known beforehand a copy is one load and one store; otherwise it is a call, and 12 instructions there.
            // SAFETY: as for `write`.
            unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), word.as_mut_ptr(), 8) };
            return Ok(());
        }
        // SAFETY: as for `write`.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    /// Copies `len` bytes into another PE's heap (or another place of this one).
    ///
    /// Like a put over a NIC, the copy is not atomic; the signal that follows it is what a reader may rely on.
    ///
    /// # Errors
    /// When either range is outside its heap.
    pub fn copy_to(&self, offset: u64, target: &Self, target_offset: u64, len: u64) -> Result<(), HeapError> {
        let from = self.at(offset, len)?;
        let to = target.at(target_offset, len)?;
        let size = usize::try_from(len).map_err(|_| HeapError::Range { offset, len, heap: self.len })?;
        // SAFETY: both ranges are inside their mappings; `copy` allows overlap.
        unsafe { std::ptr::copy(from.as_ptr(), to.as_ptr(), size) };
        Ok(())
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        let Ok(size) = usize::try_from(self.len) else {
            return;
        };
        // SAFETY: the mapping was made by `map` with this length and nothing borrows from it any more.
        let _ = unsafe { munmap(self.base.cast(), size) };
    }
}

/// Hands out heap offsets; the same calls give the same offsets on every PE.
#[derive(Debug)]
pub struct Allocator {
    next: u64,
    /// The first offset that is none of its.
    end: u64,
}

impl Allocator {
    /// Starts behind the reserved page of a heap of `len` bytes.
    #[must_use]
    pub fn new(len: u64) -> Self {
        Self::of(RESERVED..len)
    }

    /// Of these offsets.
    #[must_use]
    pub fn of(offsets: std::ops::Range<u64>) -> Self {
        Self { next: offsets.start.next_multiple_of(ALIGNMENT), end: offsets.end }
    }

    /// Offset of `len` fresh bytes, aligned to [`ALIGNMENT`].
    ///
    /// # Errors
    /// When the heap has not that much left.
    pub fn allocate(&mut self, len: u64) -> Result<u64, HeapError> {
        let start = self.next;
        let end = len.checked_next_multiple_of(ALIGNMENT).and_then(|len| start.checked_add(len));
        match end {
            Some(end) if end <= self.end => {
                self.next = end;
                Ok(start)
            }
            _ => Err(HeapError::Full { wanted: len, free: self.end.saturating_sub(start) }),
        }
    }
}

/// Bytes of heap that hold these allocations.
#[must_use]
pub fn heap_size_for(allocations: &[u64]) -> u64 {
    allocations.iter().map(|len| len.next_multiple_of(ALIGNMENT)).fold(RESERVED, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn two_mappings_show_the_same_memory() {
        let heap = Heap::create(10_000).unwrap();
        assert_eq!(heap.len(), 12_288);
        let file =
            File::options().read(true).write(true).open(format!("/proc/self/fd/{}", heap.fd())).unwrap();
        let other = Heap::open(file, heap.len()).unwrap();
        heap.word(4096).unwrap().store(7, Ordering::Release);
        assert_eq!(other.word(4096).unwrap().load(Ordering::Acquire), 7);
        heap.copy_to(4096, &other, 8192, 8).unwrap();
        assert_eq!(heap.word(8192).unwrap().load(Ordering::Relaxed), 7);
    }

    #[test]
    fn accesses_outside_are_refused() {
        let heap = Heap::create(4096).unwrap();
        assert!(heap.check(0, 4096).is_ok());
        assert!(heap.check(1, 4096).is_err());
        assert!(heap.check(u64::MAX, 2).is_err());
        assert!(heap.words(0, u64::MAX).is_err());
        assert!(heap.word(12).is_err());
        assert!(heap.half_word(4094).is_err());
        assert!(heap.copy_to(0, &heap, 4000, 97).is_err());
    }

    #[test]
    fn an_unaligned_word_is_told_its_own_boundary() {
        let heap = Heap::create(4096).unwrap();
        let told = |error: HeapError| error.to_string();
        assert_eq!(told(heap.word(12).unwrap_err()), "heap offset 12 is not a multiple of 8");
        assert_eq!(told(heap.half_word(6).unwrap_err()), "heap offset 6 is not a multiple of 4");
    }

    #[test]
    fn a_heap_of_another_size_is_refused() {
        let heap = Heap::create(4096).unwrap();
        let file =
            File::options().read(true).write(true).open(format!("/proc/self/fd/{}", heap.fd())).unwrap();
        assert!(Heap::open(file, 8192).is_err());
    }

    #[test]
    fn allocation_is_bounded_and_aligned() {
        let mut allocator = Allocator::new(RESERVED + 256);
        assert_eq!(allocator.allocate(1).unwrap(), RESERVED);
        assert_eq!(allocator.allocate(128).unwrap(), RESERVED + 128);
        assert!(allocator.allocate(1).is_err());
        assert!(allocator.allocate(u64::MAX).is_err());
        assert_eq!(heap_size_for(&[1, 128]), RESERVED + 256);
    }
}
