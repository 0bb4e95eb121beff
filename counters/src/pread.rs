//! Reading from a page's file.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::atomic::{Ordering::SeqCst, fence},
};

use super::{error::ReadError, window::Window};

/// Reads before a record that is always being written is handed out as torn.
const MAX_READS: usize = 64;
/// Bytes to copy before giving up, so that a huge page cannot keep a reader busy.
const MAX_BYTES: usize = 1 << 20;
const MIN_READS: usize = 8;

impl Window {
    /// [`Self::sample`] of a page's file.
    pub(super) fn sample_file(&mut self, file: &File) -> Result<(), ReadError> {
        let section = self.section();
        let reads = (MAX_BYTES / section.bytes().max(1)).clamp(MIN_READS, MAX_READS);
        self.sample(reads, |buffer| read_exact_at(file, buffer, section.offset))
    }
}

/// Fills `buffer` from `offset`, and orders this read before the next one: the fence stands between
/// the kernel's loads for this call and those for the next, on every processor.
pub(super) fn read_exact_at(file: &File, buffer: &mut [u8], offset: usize) -> Result<(), ReadError> {
    let result = file.read_exact_at(buffer, offset as u64);
    fence(SeqCst);
    match result {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let expected = offset.saturating_add(buffer.len()) as u64;
            let actual = file.metadata().map_or(0, |meta| meta.len());
            Err(ReadError::Truncated { expected, actual })
        }
        other => Ok(other?),
    }
}
