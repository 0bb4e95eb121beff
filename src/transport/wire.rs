//! What goes over the wire besides payload: the immediate of every put, and the small control frames.
//!
//! Every put carries an immediate that fits the 32 bits EFA has: who sent it and which group it belongs to. Where the
//! provider has 64 bits (tcp, shm) the upper half carries the length, because a target completion's length is 0 there
//! on libfabric 1.17 (seen on `tcp;ofi_rxm` and `net`).
//!
//! All integers are little-endian. The layout is described in `docs/transport.md`; [`VERSION`] is exchanged at the
//! rendezvous, so that two PEs that would misread each other never start.

use super::signal::{Signal, SignalOp};

/// Version of everything in this file; PEs of different versions refuse to start.
pub const VERSION: u16 = 1;

/// The most PEs a job can have: the immediate has 16 bits for the sender.
pub const MAX_PES: u32 = 1 << 16;

/// The longest piece of a put: its length must fit the upper half of a 64-bit immediate.
pub const MAX_PIECE: u64 = 1 << 30;

/// What the immediate of a put says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Immediate {
    /// The sending PE.
    pub src: u16,
    /// The low 16 bits of the group's sequence number.
    pub group: u16,
    /// The length of this piece, where the immediate has room for it; else 0.
    pub len: u32,
}

impl Immediate {
    /// Packs it for the wire. A 4-byte provider drops the upper half, which holds only the length.
    #[must_use]
    pub fn pack(self) -> u64 {
        u64::from(self.len) << 32 | u64::from(self.src) << 16 | u64::from(self.group)
    }

    /// Reads it back.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "each field takes its own bits")]
    pub fn unpack(data: u64) -> Self {
        Self { src: (data >> 16) as u16, group: data as u16, len: (data >> 32) as u32 }
    }
}

/// The end of a group: how many pieces it has, and what happens when all of them have landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// Sequence number of the group between this sender and this receiver.
    pub seq: u64,
    /// Pieces of payload in it.
    pub pieces: u32,
    /// The signal to apply once they have landed.
    pub signal: Option<Signal>,
    /// Whether the sender waits for an acknowledgement (quiet).
    pub flush: bool,
    /// Bytes sent to each of the receiver's NICs, where the receiver cannot know them otherwise (`LEDGER`).
    pub ledger: Vec<u64>,
}

/// A control frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Ends a group.
    Close(Close),
    /// Acknowledges: every group of yours below this number has landed and its signal is applied.
    Ack {
        /// All groups below it are done.
        low: u64,
    },
}

const KIND_CLOSE: u8 = 1;
const KIND_ACK: u8 = 2;
const FLAG_SET: u8 = 1;
const FLAG_ADD: u8 = 2;
const FLAG_FLUSH: u8 = 4;

/// Bytes of a frame without ledger.
pub const FRAME_BYTES: usize = 40;

/// Most NICs of one PE.
pub const MAX_NICS: usize = 32;

/// Most bytes of a frame.
pub const MAX_FRAME_BYTES: usize = FRAME_BYTES + 8 * MAX_NICS;

/// A frame in a fixed buffer, so that posting one allocates nothing.
#[derive(Clone, Copy)]
pub struct FrameBytes {
    bytes: [u8; MAX_FRAME_BYTES],
    len: usize,
}

impl FrameBytes {
    /// The bytes to send.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self.len = self.len.max(at + bytes.len());
    }
}

/// A frame that no correct peer sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Its length fits no frame.
    #[error("a control frame of {0} bytes")]
    Length(usize),
    /// Its kind or flags are unknown.
    #[error("a control frame of unknown kind {kind} or flags {flags:#x}")]
    Kind {
        /// The kind byte.
        kind: u8,
        /// The flags byte.
        flags: u8,
    },
}

impl Frame {
    /// Writes the frame, with its sender's PE number.
    #[must_use]
    pub fn encode(&self, src: u16) -> FrameBytes {
        let mut out = FrameBytes { bytes: [0; MAX_FRAME_BYTES], len: 0 };
        match self {
            Self::Ack { low } => {
                out.put(0, &[KIND_ACK, 0]);
                out.put(8, &low.to_le_bytes());
            }
            Self::Close(close) => {
                let mut flags = if close.flush { FLAG_FLUSH } else { 0 };
                if let Some(signal) = close.signal {
                    flags |= match signal.op {
                        SignalOp::Set => FLAG_SET,
                        SignalOp::Add => FLAG_ADD,
                    };
                    out.put(16, &signal.offset.to_le_bytes());
                    out.put(24, &signal.value.to_le_bytes());
                }
                out.put(0, &[KIND_CLOSE, flags]);
                out.put(4, &close.pieces.to_le_bytes());
                out.put(8, &close.seq.to_le_bytes());
                for (nic, bytes) in close.ledger.iter().take(MAX_NICS).enumerate() {
                    out.put(FRAME_BYTES + 8 * nic, &bytes.to_le_bytes());
                }
            }
        }
        out.put(2, &src.to_le_bytes());
        out.len = out.len.max(FRAME_BYTES);
        out
    }

    /// Reads a frame and its sender's PE number. The bytes come from another process: nothing is taken on trust.
    ///
    /// # Errors
    /// When the length, the kind or the flags are not those of a frame.
    pub fn decode(bytes: &[u8]) -> Result<(u16, Self), FrameError> {
        let wrong_length = FrameError::Length(bytes.len());
        if bytes.len() > MAX_FRAME_BYTES || !bytes.len().is_multiple_of(8) {
            return Err(wrong_length);
        }
        let Some((head, ledger)) = bytes.split_first_chunk::<FRAME_BYTES>() else {
            return Err(wrong_length);
        };
        let word = |at: usize| u64_at(head, at);
        let (kind, flags) = (head[0], head[1]);
        let src = u16::from_le_bytes([head[2], head[3]]);
        let op = match flags & (FLAG_SET | FLAG_ADD) {
            0 => None,
            FLAG_SET => Some(SignalOp::Set),
            FLAG_ADD => Some(SignalOp::Add),
            _ => return Err(FrameError::Kind { kind, flags }),
        };
        match kind {
            KIND_ACK => Ok((src, Self::Ack { low: word(8) })),
            KIND_CLOSE if flags & !(FLAG_SET | FLAG_ADD | FLAG_FLUSH) == 0 => Ok((
                src,
                Self::Close(Close {
                    seq: word(8),
                    pieces: u32::from_le_bytes([head[4], head[5], head[6], head[7]]),
                    signal: op.map(|op| Signal { offset: word(16), op, value: word(24) }),
                    flush: flags & FLAG_FLUSH != 0,
                    ledger: ledger.chunks_exact(8).map(|chunk| u64_at(chunk, 0)).collect(),
                }),
            )),
            _ => Err(FrameError::Kind { kind, flags }),
        }
    }
}

/// The little-endian word at `at`; bytes beyond the end count as 0.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(bytes.iter().skip(at)) {
        *to = *from;
    }
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_close() -> impl Strategy<Value = Close> {
        let signal = (any::<u64>(), any::<bool>(), any::<u64>()).prop_map(|(offset, set, value)| Signal {
            offset,
            op: if set { SignalOp::Set } else { SignalOp::Add },
            value,
        });
        let ledger = prop::collection::vec(any::<u64>(), 0..=MAX_NICS);
        (any::<u64>(), any::<u32>(), prop::option::of(signal), any::<bool>(), ledger)
            .prop_map(|(seq, pieces, signal, flush, ledger)| Close { seq, pieces, signal, flush, ledger })
    }

    proptest! {
        #[test]
        fn frames_come_back(src: u16, close in any_close(), low: u64) {
            for frame in [Frame::Close(close), Frame::Ack { low }] {
                let bytes = frame.encode(src);
                prop_assert_eq!(Frame::decode(bytes.as_slice()), Ok((src, frame)));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Frame::decode(&bytes);
        }

        #[test]
        fn immediates_come_back(src: u16, group: u16, len: u32) {
            let imm = Immediate { src, group, len };
            prop_assert_eq!(Immediate::unpack(imm.pack()), imm);
            // What a 4-byte provider keeps is enough to tell sender and group.
            let short = Immediate::unpack(imm.pack() & 0xffff_ffff);
            prop_assert_eq!((short.src, short.group, short.len), (src, group, 0));
        }
    }
}
