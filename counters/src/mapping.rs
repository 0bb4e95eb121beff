//! The writer's shared mapping, and records of atomic words in it. The only unsafe code of this room.
//!
//! Readers have no mapping: they use `pread`, which cannot raise SIGBUS when a file shrinks.

#![expect(unsafe_code, reason = "shared memory has no safe interface")]

use std::{
    fs::File,
    io,
    num::NonZeroUsize,
    ops::Deref,
    ptr::NonNull,
    sync::{Arc, atomic::AtomicU64},
};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// A read-write shared mapping of a whole page file.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<std::ffi::c_void>,
    len: usize,
}

// SAFETY: the mapping is plain memory, valid in every thread until it is dropped; it is only ever
// accessed through `AtomicU64`.
unsafe impl Send for Mapping {}
// SAFETY: as above; shared access is atomic.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of `file`, which must have been written up to there, so that no
    /// page is missing when memory runs short.
    pub(super) fn new(file: &File, len: usize) -> io::Result<Self> {
        let size = NonZeroUsize::new(len).ok_or(io::ErrorKind::InvalidInput)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice replaces no other one.
        let start = unsafe { mmap(None, size, access, MapFlags::MAP_SHARED, file, 0) }?;
        Ok(Self { start, len })
    }

    /// The `N` words at byte `offset`, if they lie within the mapping and are aligned.
    pub(super) fn record<const N: usize>(self: &Arc<Self>, offset: usize) -> Option<Record<N>> {
        let end = offset.checked_add(N.checked_mul(size_of::<AtomicU64>())?)?;
        if end > self.len || !offset.is_multiple_of(align_of::<AtomicU64>()) {
            return None;
        }
        // SAFETY: `offset` is within the mapping (checked above), so the result stays inside it.
        let words = unsafe { self.start.byte_add(offset) }.cast();
        Some(Record { words, _mapping: Arc::clone(self) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `start` and `len` are what mmap returned and got; every `Record` holds an `Arc` of
        // this mapping, so none is left. An error cannot be acted upon here.
        let _ = unsafe { munmap(self.start, self.len) };
    }
}

/// `N` words of a mapping; keeps the mapping alive. The indices of callers are constants, so bounds
/// checks vanish.
#[derive(Debug)]
pub(super) struct Record<const N: usize> {
    words: NonNull<[AtomicU64; N]>,
    _mapping: Arc<Mapping>,
}

// SAFETY: the words are atomic and the mapping, kept alive by the `Arc`, is valid in every thread.
unsafe impl<const N: usize> Send for Record<N> {}

impl<const N: usize> Deref for Record<N> {
    type Target = [AtomicU64; N];

    #[inline]
    fn deref(&self) -> &Self::Target {
        // SAFETY: in bounds and aligned (checked in `record`), mapped as long as `_mapping` lives,
        // never accessed other than atomically.
        unsafe { self.words.as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn records_stay_inside_and_aligned() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        let mapping = Arc::new(Mapping::new(&file, 4096).unwrap());
        assert!(mapping.record::<2>(4096 - 8).is_none());
        assert!(mapping.record::<2>(4).is_none());
        assert!(mapping.record::<2>(usize::MAX - 7).is_none());
        let record = mapping.record::<2>(4096 - 16).unwrap();
        drop(mapping);
        record[1].store(7, Relaxed);
        assert_eq!(record[1].load(Relaxed), 7);
        assert!(Mapping::new(&file, 0).is_err());
    }
}
