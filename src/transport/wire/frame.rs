//! Frames: messages of up to [`MAX_FRAME_BYTES`] that carry records from one PE to one NIC of another.
//!
//! Whatever is to go the same way while the NIC is busy shares a frame: that is where the message rate is won, because a
//! message costs some 5 us on tcp whatever it holds.

use super::record::{Close, DataHead, Record, RecordError, Tail};
use super::{MAX_FRAME_BYTES, VERSION};

/// Bytes before the first record.
pub const FRAME_HEADER_BYTES: usize = 8;

/// A frame under construction, in a buffer that is used again.
pub struct Frame {
    bytes: Box<[u8; MAX_FRAME_BYTES]>,
    len: usize,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Frame {
    /// An empty frame that PE `src` will send by its NIC `nic`.
    #[must_use]
    pub fn new(src: u16, nic: u16) -> Self {
        let mut frame = Self { bytes: Box::new([0; MAX_FRAME_BYTES]), len: FRAME_HEADER_BYTES };
        frame.bytes[0..2].copy_from_slice(&VERSION.to_le_bytes());
        frame.bytes[2..4].copy_from_slice(&src.to_le_bytes());
        frame.set_nic(nic);
        frame
    }

    /// Another NIC will send it.
    pub fn set_nic(&mut self, nic: u16) {
        self.bytes[4..6].copy_from_slice(&nic.to_le_bytes());
    }

    /// Takes all records out.
    pub fn clear(&mut self) {
        self.len = FRAME_HEADER_BYTES;
    }

    /// Whether it holds no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == FRAME_HEADER_BYTES
    }

    /// Bytes that are free.
    #[must_use]
    #[inline]
    pub fn room(&self) -> usize {
        MAX_FRAME_BYTES - self.len
    }

    /// Adds a record; `false` when it does not fit any more. Every record fits an empty frame.
    #[must_use]
    pub fn push(&mut self, record: &Record<'_>) -> bool {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        let Some(used) = record.encode(room) else { return false };
        self.len += used;
        true
    }

    /// Adds a small put of `len` bytes and gives the room for them, to be filled; `None` when it does not fit any more.
    #[must_use]
    #[expect(clippy::inline_always, reason = "a part of a small put: see `Proxy::data`")]
    #[inline(always)]
    pub fn push_data(&mut self, head: &DataHead<'_>, len: usize) -> Option<&mut [u8]> {
        let end = self.len + head.record_bytes(len);
        let bytes = head.place(self.bytes.get_mut(self.len..end)?, len)?;
        self.len = end;
        Some(bytes)
    }

    /// Adds the end of a group, whose action is `tail`; `false` when it does not fit any more.
    #[must_use]
    #[inline]
    pub fn push_close(&mut self, close: &Close, tail: &Tail) -> bool {
        let end = self.len + close.record_bytes(tail);
        let room = self.bytes.get_mut(self.len..end);
        let fits = room.and_then(|room| close.place(tail, room)).is_some();
        if fits {
            self.len = end;
        }
        fits
    }

    /// The bytes to send.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// A frame that no correct peer sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Its length fits no frame.
    #[error("a control frame of {0} bytes")]
    Length(usize),
    /// It is of another version.
    #[error("a control frame of version {0}, this is version {VERSION}")]
    Version(u16),
    /// A record in it cannot be read.
    #[error("a control frame with {0}")]
    Record(#[from] RecordError),
}

/// The records of a frame, read one by one.
#[derive(Debug, Clone)]
pub struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        match Record::decode(self.0) {
            Ok((record, used)) => {
                self.0 = self.0.get(used..).unwrap_or_default();
                Some(Ok(record))
            }
            Err(error) => {
                self.0 = &[];
                Some(Err(error.into()))
            }
        }
    }
}

/// Reads a frame: its sender's PE number, the number of the NIC that sent it, and its records. The bytes come from another process: nothing is taken on trust.
///
/// # Errors
/// When length or version are not those of a frame.
pub fn read_frame(bytes: &[u8]) -> Result<(u16, u16, Records<'_>), FrameError> {
    let Some((header, records)) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>() else {
        return Err(FrameError::Length(bytes.len()));
    };
    if bytes.len() > MAX_FRAME_BYTES || !bytes.len().is_multiple_of(8) {
        return Err(FrameError::Length(bytes.len()));
    }
    match u16::from_le_bytes([header[0], header[1]]) {
        VERSION => {
            let half = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
            Ok((half(2), half(4), Records(records)))
        }
        other => Err(FrameError::Version(other)),
    }
}
