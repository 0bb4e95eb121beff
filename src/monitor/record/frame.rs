//! Frames: what the bytes of a recording are cut into, so that a torn or damaged end is seen as one.
//!
//! ```text
//! start of a part: magic, 15 bytes | major version, 1 byte
//! frame:           payload length u32 | kind u32 | CRC-32 u32 | payload          (little endian)
//! ```
//! The checksum (CRC-32 as in Ethernet and zlib) covers length, kind and payload.

use std::io::{self, BufRead, Read};

/// First bytes of every part. Like PNG's, they do not survive a transfer that thinks it carries text.
pub const MAGIC: &[u8; 15] = b"\x89railtop-rec\r\n\x1a";
/// Version of the format; a reader refuses a newer one.
pub const MAJOR: u8 = 1;
/// Longest payload. A tick of 32 NICs takes 4 KB; nothing is allocated for a longer one.
pub const MAX_PAYLOAD: usize = 1 << 20;
/// Bytes of a frame before its payload.
pub const HEAD: usize = 12;
/// Bytes at the start of a part before its first frame.
pub const START: usize = MAGIC.len() + 1;

/// Adds the start of a part.
pub fn put_start(out: &mut Vec<u8>) {
    out.extend_from_slice(MAGIC);
    out.push(MAJOR);
}

/// Adds a frame. A payload above [`MAX_PAYLOAD`] is refused with its length, since no reader would take it.
///
/// # Errors
/// When the payload is too long.
pub fn put_frame(out: &mut Vec<u8>, kind: u32, payload: &[u8]) -> Result<(), usize> {
    let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= MAX_PAYLOAD);
    let length = length.ok_or(payload.len())?.to_le_bytes();
    let kind = kind.to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&kind);
    out.extend_from_slice(&checksum(length, kind, payload).to_le_bytes());
    out.extend_from_slice(payload);
    Ok(())
}

fn checksum(length: [u8; 4], kind: [u8; 4], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&length);
    crc.update(&kind);
    crc.update(payload);
    crc.finalize()
}

/// What stands at a place of the file.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// A part of this major version begins.
    Start(u8),
    /// A whole frame; its payload is in the reader's buffer.
    Frame(u32),
    /// Nothing: the file ends here.
    End,
}

/// Why the bytes at a place are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file ends within a record, as after a crash.
    #[error("the last record is incomplete")]
    Torn,
    /// More than any record holds.
    #[error("a record claims to be {0} bytes long")]
    TooLong(u32),
    /// The bytes are not those that were written.
    #[error("a record's checksum is wrong")]
    Checksum,
    /// A good frame where none can be.
    #[error("a record stands where no header came before it")]
    NoHeader,
}

/// Reads one piece; `payload` holds a frame's payload afterwards. The inner error is damage, the outer the system's.
///
/// # Errors
/// When reading fails.
pub fn next(input: &mut impl BufRead, payload: &mut Vec<u8>) -> io::Result<Result<Piece, Fault>> {
    payload.clear();
    let mut head = [0_u8; HEAD];
    let got = read_up_to(input, &mut head)?;
    if got == 0 {
        return Ok(Ok(Piece::End));
    }
    // A length that begins like the magic would be far beyond the longest, so the two cannot be confused.
    if head.starts_with(&MAGIC[..got.min(HEAD)]) {
        let mut rest = [0_u8; START - HEAD];
        if got < HEAD || read_up_to(input, &mut rest)? < rest.len() {
            return Ok(Err(Fault::Torn));
        }
        let [tail @ .., major] = rest;
        return Ok(if tail == MAGIC[HEAD..] { Ok(Piece::Start(major)) } else { Err(Fault::Checksum) });
    }
    if got < HEAD {
        return Ok(Err(Fault::Torn));
    }
    let word = |at: usize| [head[at], head[at + 1], head[at + 2], head[at + 3]];
    let length = u32::from_le_bytes(word(0));
    let Some(size) = usize::try_from(length).ok().filter(|&size| size <= MAX_PAYLOAD) else {
        return Ok(Err(Fault::TooLong(length)));
    };
    // Grows with what is there, not with what the length claims.
    input.take(size as u64).read_to_end(payload)?;
    if payload.len() < size {
        return Ok(Err(Fault::Torn));
    }
    let good = checksum(word(0), word(4), payload) == u32::from_le_bytes(word(8));
    Ok(if good { Ok(Piece::Frame(u32::from_le_bytes(word(4)))) } else { Err(Fault::Checksum) })
}

/// Fills the buffer as far as the input goes.
fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match input.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}

/// How many bytes there are before the next start of a part; `None` when there is none.
///
/// # Errors
/// When reading fails.
pub fn skip_to_start(input: &mut impl BufRead) -> io::Result<Option<u64>> {
    let mut before = 0;
    let mut matched = 0;
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        let used = buffer.len();
        for &byte in buffer {
            // The first byte of the magic occurs in it once only, so a failed match can begin anew only here.
            matched = if byte == MAGIC[matched] { matched + 1 } else { usize::from(byte == MAGIC[0]) };
            before += 1;
            if matched == MAGIC.len() {
                return Ok(Some(before - MAGIC.len() as u64));
            }
        }
        input.consume(used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8]) -> (Vec<(u32, Vec<u8>)>, Option<Fault>) {
        let (mut input, mut payload, mut frames) = (bytes, Vec::new(), Vec::new());
        loop {
            match next(&mut input, &mut payload).unwrap() {
                Ok(Piece::End) => return (frames, None),
                Ok(Piece::Start(_)) => {}
                Ok(Piece::Frame(kind)) => frames.push((kind, payload.clone())),
                Err(fault) => return (frames, Some(fault)),
            }
        }
    }

    #[test]
    fn a_claimed_length_is_not_believed() {
        let mut bytes = u32::MAX.to_le_bytes().to_vec();
        bytes.extend([0; 8]);
        assert_eq!(all(&bytes), (vec![], Some(Fault::TooLong(u32::MAX))));
        assert_eq!(put_frame(&mut Vec::new(), 1, &vec![0; MAX_PAYLOAD + 1]), Err(MAX_PAYLOAD + 1));
    }

    #[test]
    fn the_next_part_is_found_behind_damage() {
        let mut bytes = b"\x89rail\x89railtop-rec\r\n".to_vec();
        bytes.extend(MAGIC);
        assert_eq!(skip_to_start(&mut bytes.as_slice()).unwrap(), Some(19));
        assert_eq!(skip_to_start(&mut &bytes[..30]).unwrap(), None);
    }

    proptest! {
        #[test]
        fn frames_come_back(payloads in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..50)), 0..6)) {
            let mut bytes = Vec::new();
            put_start(&mut bytes);
            for (kind, payload) in &payloads {
                put_frame(&mut bytes, *kind, payload).unwrap();
            }
            prop_assert_eq!(all(&bytes), (payloads.clone(), None));
            // Cut anywhere: the whole frames before the cut, and nothing else.
            for cut in 0..bytes.len() {
                let (frames, _) = all(&bytes[..cut]);
                prop_assert!(payloads.starts_with(&frames));
            }
        }

        #[test]
        fn anything_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = all(&bytes);
            let _ = skip_to_start(&mut bytes.as_slice());
        }

        #[test]
        fn a_flipped_bit_is_seen(payload in prop::collection::vec(any::<u8>(), 1..60), at in any::<prop::sample::Index>(), bit in 0..8) {
            let mut bytes = Vec::new();
            put_frame(&mut bytes, 7, &payload).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(all(&bytes).1.is_some());
        }
    }
}
