//! One field of a page, for looks that are too frequent to copy everything.

use std::fs::File;
use std::io;

use super::bytes::u64_at;
use super::error::ReadError;
use super::layout::Section;
use super::pread::read_exact_at;

/// Reads one counter of every NIC of a page: one `pread` a look, whatever the number of NICs and threads.
///
/// Without the sequence lock: each value is right by itself, and values of several NICs may be of different updates,
/// which for a single counter says nothing wrong.
#[derive(Debug)]
pub struct Column {
    file: File,
    section: Section,
    offset: usize,
    nics: usize,
    buffer: Vec<u8>,
}

impl Column {
    /// The field at `offset` of each record of `section`, which has the records of `nics` NICs for every thread.
    pub(super) fn new(file: &File, section: Section, offset: usize, nics: usize) -> io::Result<Self> {
        Ok(Self { file: file.try_clone()?, section, offset, nics, buffer: vec![0; section.bytes()] })
    }

    /// The counter of every NIC as of now, its threads added up; in the order of
    /// [`PageIdentity::nics`](super::PageIdentity::nics).
    ///
    /// # Errors
    /// [`ReadError::Truncated`] when somebody cut the file, [`ReadError::Io`] from the system.
    pub fn read(&mut self) -> Result<Vec<u64>, ReadError> {
        read_exact_at(&self.file, &mut self.buffer, self.section.offset)?;
        let mut values = vec![0_u64; self.nics];
        for (i, record) in self.buffer.chunks_exact(self.section.stride).enumerate() {
            // A page has at least one NIC, and records for each of them.
            if let Some(value) = values.get_mut(i % self.nics.max(1)) {
                *value = value.saturating_add(u64_at(record, self.offset));
            }
        }
        Ok(values)
    }
}
