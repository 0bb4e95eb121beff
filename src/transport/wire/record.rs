//! The records of a frame.
//!
//! Each starts with a word of kind, flags, a 16-bit and a 32-bit field, is a multiple of 8 bytes long and says its own
//! length, so that a frame is read in one pass.

use crate::transport::atomic::{Atomic, AtomicOp, Width};
use crate::transport::group::WINDOW;

/// Most bytes of a NIC's card in a record.
pub const MAX_CARD_BYTES: usize = 512;

/// Words of the set of released groups.
const RELEASED_WORDS: usize = 16;
const _: () = assert!(RELEASED_WORDS as u64 * 64 == WINDOW, "a bit per group of the window");

/// What happens at the target when all of a group has landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A word is changed: a signal, or an atomic nobody waits for.
    Change(Atomic),
    /// A word is changed and its old value goes back under this tag.
    Fetch {
        /// The change.
        atomic: Atomic,
        /// The asker's name for it.
        tag: u32,
    },
    /// The target writes `len` bytes of its heap back to the sender.
    Get {
        /// Offset of the bytes in the target's heap.
        remote: u64,
        /// Where they go in the sender's heap.
        local: u64,
        /// How many.
        len: u64,
        /// The asker's name for it.
        tag: u32,
    },
    /// The answer to a fetch or get of the receiver's.
    Answer {
        /// The receiver's name for it.
        tag: u32,
        /// The old value of a fetch.
        value: u64,
    },
}

/// The end of a group: how many pieces it has, and what happens when all of them have landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// Sequence number of the group between this sender and this receiver.
    pub seq: u64,
    /// Pieces of payload in it.
    pub pieces: u32,
    /// What happens once they have landed.
    pub action: Option<Action>,
    /// Whether the sender waits for an acknowledgement (quiet).
    pub flush: bool,
    /// Whether it may have arrived before: the NIC it was sent to has failed since.
    pub again: bool,
    /// Bytes sent to each of the receiver's NICs, where the receiver cannot know them otherwise (`LEDGER`).
    pub ledger: Vec<u64>,
}

impl Close {
    /// Of a group sent for the first time that nobody waits for, without a ledger.
    #[must_use]
    pub fn new(seq: u64, pieces: u32, action: Option<Action>) -> Self {
        Self { seq, pieces, action, flush: false, again: false, ledger: Vec::new() }
    }
}

/// A small put that travels within a frame. With an action it is a group of its own; without, a piece of group `seq`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data<'a> {
    /// Sequence number of the group.
    pub seq: u64,
    /// Where the bytes go in the receiver's heap.
    pub remote: u64,
    /// What happens then.
    pub action: Option<Action>,
    /// Whether it may have arrived before.
    pub again: bool,
    /// The bytes, at most [`super::MAX_INLINE`].
    pub bytes: &'a [u8],
}

/// Which groups of a sender are released at a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Released {
    /// All below it are.
    pub low: u64,
    /// Of those from `low` on, bit `n` says so of group `low + n`.
    pub above: [u64; RELEASED_WORDS],
}

impl Released {
    /// Nothing above `low`.
    #[must_use]
    pub fn below(low: u64) -> Self {
        Self { low, above: [0; RELEASED_WORDS] }
    }

    /// Notes that group `seq` is released.
    pub fn insert(&mut self, seq: u64) {
        let Some(ahead) = seq.checked_sub(self.low).and_then(|ahead| usize::try_from(ahead).ok()) else {
            return;
        };
        if let Some(word) = self.above.get_mut(ahead / 64) {
            *word |= 1 << (ahead % 64);
        }
    }

    /// Whether group `seq` is released.
    #[must_use]
    pub fn contains(&self, seq: u64) -> bool {
        let Some(ahead) = seq.checked_sub(self.low) else { return true };
        let ahead = usize::try_from(ahead).unwrap_or(usize::MAX);
        self.above.get(ahead / 64).is_some_and(|word| word >> (ahead % 64) & 1 == 1)
    }
}

/// How much of what a PE sends arrives; counts wrap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Pieces and frames of the asker's that came through the answerer's NIC of this number.
    pub through: u32,
    /// Frames that the asker sent by its own NIC of this number.
    pub by: u32,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record<'a> {
    /// Ends a group.
    Close(Close),
    /// A small put.
    Data(Data<'a>),
    /// Every group of yours below this number has landed and its action is done.
    Ack {
        /// All groups below it are done.
        low: u64,
    },
    /// Which groups of mine have you released?
    Ask {
        /// Comes back in the answer.
        nonce: u64,
    },
    /// The answer to [`Self::Ask`].
    State {
        /// The question's.
        nonce: u64,
        /// The groups.
        released: Released,
        /// What has arrived so far, by number of the NIC.
        progress: Vec<Progress>,
    },
    /// Nothing I write to your NIC `nic` arrives. Fence it: close what I write to, and open a new one.
    Fence {
        /// The receiver's NIC.
        nic: u16,
        /// Its incarnation as the sender knows it; another one has been fenced already.
        incarnation: u32,
    },
    /// My NIC `nic` has been fenced: nothing sent to an earlier incarnation will land any more.
    Card {
        /// The sender's NIC.
        nic: u16,
        /// The new incarnation.
        incarnation: u32,
        /// Your groups that were released by then.
        released: Released,
        /// Where the NIC now is; empty: nowhere for the time being.
        card: &'a [u8],
    },
    /// I know this incarnation of your NIC `nic`.
    CardSeen {
        /// The receiver's NIC.
        nic: u16,
        /// The incarnation.
        incarnation: u32,
    },
    /// Does this way work again?
    Probe {
        /// Comes back in the echo.
        nonce: u64,
    },
    /// It does.
    Echo {
        /// The probe's.
        nonce: u64,
    },
}

const KIND_CLOSE: u8 = 1;
const KIND_DATA: u8 = 2;
const KIND_ACK: u8 = 3;
const KIND_ASK: u8 = 4;
const KIND_STATE: u8 = 5;
const KIND_FENCE: u8 = 6;
const KIND_CARD: u8 = 7;
const KIND_CARD_SEEN: u8 = 8;
const KIND_PROBE: u8 = 9;
const KIND_ECHO: u8 = 10;

/// Flags of closes and data: bits 0 to 3 are the action, 4 to 6 the atomic's operation.
const ACTION_MASK: u16 = 0xf;
const ACTION_CHANGE: u16 = 1;
const ACTION_FETCH: u16 = 2;
const ACTION_GET: u16 = 3;
const ACTION_ANSWER: u16 = 4;
const OP_SHIFT: u16 = 4;
const OP_MASK: u16 = 0x7;
const FLAG_HALF: u16 = 1 << 8;
const FLAG_FLUSH: u16 = 1 << 9;
const FLAG_AGAIN: u16 = 1 << 10;
const KNOWN_FLAGS: u16 = 0x77f;

/// A record that no correct peer sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Its end lies beyond the frame's.
    #[error("a record cut short")]
    Short,
    /// Its kind or flags are unknown.
    #[error("a record of unknown kind {kind} or flags {flags:#x}")]
    Unknown {
        /// The kind byte.
        kind: u8,
        /// The flags.
        flags: u16,
    },
    /// It says that it holds more than a record can.
    #[error("a record that claims {0} bytes")]
    TooLong(usize),
}

/// The first word of a record.
fn head(kind: u8, small: u8, flags: u16, large: u32) -> u64 {
    u64::from(kind) | u64::from(small) << 8 | u64::from(flags) << 16 | u64::from(large) << 32
}

/// Writes words one after another.
struct Writer<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl Writer<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.used + bytes.len();
        self.room.get_mut(self.used..end)?.copy_from_slice(bytes);
        self.used = end;
        Some(())
    }

    /// Several words, with one look at whether they fit: this is in the way of every small put.
    #[inline]
    fn words<const N: usize>(&mut self, words: [u64; N]) -> Option<()> {
        let end = self.used + 8 * N;
        let (room, _) = self.room.get_mut(self.used..end)?.as_chunks_mut::<8>();
        for (bytes, word) in room.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        self.used = end;
        Some(())
    }

    #[inline]
    fn word(&mut self, word: u64) -> Option<()> {
        self.words([word])
    }

    fn head(&mut self, kind: u8, small: u8, flags: u16, large: u32) -> Option<()> {
        self.word(head(kind, small, flags, large))
    }

    fn padded(&mut self, bytes: &[u8]) -> Option<()> {
        if let Ok(bytes) = <[u8; 8]>::try_from(bytes) {
            return self.word(u64::from_le_bytes(bytes));
        }
        self.bytes(bytes)?;
        let padding = bytes.len().next_multiple_of(8) - bytes.len();
        self.bytes([0; 8].get(..padding)?)
    }

    fn released(&mut self, released: &Released) -> Option<()> {
        self.word(released.low)?;
        released.above.iter().try_for_each(|&word| self.word(word))
    }

    #[inline]
    fn action(&mut self, action: Option<Action>) -> Option<()> {
        match action {
            None => Some(()),
            Some(Action::Change(atomic)) => self.atomic(atomic),
            Some(Action::Fetch { atomic, tag }) => {
                self.atomic(atomic)?;
                self.word(u64::from(tag))
            }
            Some(Action::Get { remote, local, len, tag }) => {
                [remote, local, len, u64::from(tag)].into_iter().try_for_each(|word| self.word(word))
            }
            Some(Action::Answer { tag, value }) => {
                self.word(u64::from(tag))?;
                self.word(value)
            }
        }
    }

    fn atomic(&mut self, atomic: Atomic) -> Option<()> {
        match atomic.op {
            AtomicOp::CompareSwap => self.words([atomic.offset, atomic.operand, atomic.compare]),
            _ => self.words([atomic.offset, atomic.operand]),
        }
    }
}

/// Reads words one after another.
struct Reader<'a> {
    bytes: &'a [u8],
    used: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, len: usize) -> Result<&'a [u8], RecordError> {
        let end = self.used.checked_add(len).ok_or(RecordError::Short)?;
        let bytes = self.bytes.get(self.used..end).ok_or(RecordError::Short)?;
        self.used = end;
        Ok(bytes)
    }

    fn word(&mut self) -> Result<u64, RecordError> {
        let (word, _) = self.bytes(8)?.split_first_chunk().ok_or(RecordError::Short)?;
        Ok(u64::from_le_bytes(*word))
    }

    fn padded(&mut self, len: usize) -> Result<&'a [u8], RecordError> {
        let bytes = self.bytes(len)?;
        self.bytes(len.next_multiple_of(8) - len)?;
        Ok(bytes)
    }

    fn released(&mut self) -> Result<Released, RecordError> {
        let mut released = Released::below(self.word()?);
        for word in &mut released.above {
            *word = self.word()?;
        }
        Ok(released)
    }

    #[expect(clippy::cast_possible_truncation, reason = "each count takes its own half of the word")]
    fn progress(&mut self) -> Result<Progress, RecordError> {
        let word = self.word()?;
        Ok(Progress { through: word as u32, by: (word >> 32) as u32 })
    }

    fn action(&mut self, kind: u8, flags: u16) -> Result<Option<Action>, RecordError> {
        Ok(match flags & ACTION_MASK {
            0 => None,
            ACTION_CHANGE => Some(Action::Change(self.atomic(kind, flags)?)),
            ACTION_FETCH => Some(Action::Fetch { atomic: self.atomic(kind, flags)?, tag: self.tag()? }),
            ACTION_GET => Some(Action::Get {
                remote: self.word()?,
                local: self.word()?,
                len: self.word()?,
                tag: self.tag()?,
            }),
            ACTION_ANSWER => Some(Action::Answer { tag: self.tag()?, value: self.word()? }),
            _ => return Err(RecordError::Unknown { kind, flags }),
        })
    }

    #[expect(clippy::cast_possible_truncation, reason = "a tag takes the low half of its word")]
    fn tag(&mut self) -> Result<u32, RecordError> {
        Ok(self.word()? as u32)
    }

    fn atomic(&mut self, kind: u8, flags: u16) -> Result<Atomic, RecordError> {
        let code = usize::from(flags >> OP_SHIFT & OP_MASK);
        let op = *AtomicOp::ALL.get(code).ok_or(RecordError::Unknown { kind, flags })?;
        let width = if flags & FLAG_HALF == 0 { Width::Word } else { Width::Half };
        let (offset, operand) = (self.word()?, self.word()?);
        let compare = if op == AtomicOp::CompareSwap { self.word()? } else { 0 };
        Ok(Atomic { offset, width, op, operand, compare })
    }
}

/// The flags that say which action follows.
fn action_flags(action: Option<Action>) -> u16 {
    let atomic = |atomic: Atomic| {
        let half = if atomic.width == Width::Half { FLAG_HALF } else { 0 };
        u16::from(atomic.op.code()) << OP_SHIFT | half
    };
    match action {
        None => 0,
        Some(Action::Change(change)) => ACTION_CHANGE | atomic(change),
        Some(Action::Fetch { atomic: change, .. }) => ACTION_FETCH | atomic(change),
        Some(Action::Get { .. }) => ACTION_GET,
        Some(Action::Answer { .. }) => ACTION_ANSWER,
    }
}

impl<'a> Record<'a> {
    /// Writes the record to the start of `room`; returns its length, or `None` when it does not fit.
    #[must_use]
    pub fn encode(&self, room: &mut [u8]) -> Option<usize> {
        let mut out = Writer { room, used: 0 };
        match self {
            Self::Close(close) => {
                let flags = action_flags(close.action)
                    | if close.flush { FLAG_FLUSH } else { 0 }
                    | if close.again { FLAG_AGAIN } else { 0 };
                let ledger = u8::try_from(close.ledger.len()).ok()?;
                out.words([head(KIND_CLOSE, ledger, flags, close.pieces), close.seq])?;
                out.action(close.action)?;
                close.ledger.iter().try_for_each(|&bytes| out.word(bytes))?;
            }
            Self::Data(data) => {
                let flags = action_flags(data.action) | if data.again { FLAG_AGAIN } else { 0 };
                let len = u32::try_from(data.bytes.len()).ok()?;
                out.words([head(KIND_DATA, 0, flags, len), data.seq, data.remote])?;
                out.action(data.action)?;
                out.padded(data.bytes)?;
            }
            Self::Ack { low } => out.words([head(KIND_ACK, 0, 0, 0), *low])?,
            Self::Ask { nonce } => out.words([head(KIND_ASK, 0, 0, 0), *nonce])?,
            Self::State { nonce, released, progress } => {
                out.head(KIND_STATE, u8::try_from(progress.len()).ok()?, 0, 0)?;
                out.word(*nonce)?;
                out.released(released)?;
                progress
                    .iter()
                    .try_for_each(|nic| out.word(u64::from(nic.through) | u64::from(nic.by) << 32))?;
            }
            Self::Fence { nic, incarnation } => out.head(KIND_FENCE, 0, *nic, *incarnation)?,
            Self::Card { nic, incarnation, released, card } => {
                out.head(KIND_CARD, 0, *nic, *incarnation)?;
                out.word(card.len() as u64)?;
                out.released(released)?;
                out.padded(card)?;
            }
            Self::CardSeen { nic, incarnation } => out.head(KIND_CARD_SEEN, 0, *nic, *incarnation)?,
            Self::Probe { nonce } => out.words([head(KIND_PROBE, 0, 0, 0), *nonce])?,
            Self::Echo { nonce } => out.words([head(KIND_ECHO, 0, 0, 0), *nonce])?,
        }
        Some(out.used)
    }

    /// Reads the record at the start of `bytes`; returns it and its length.
    ///
    /// # Errors
    /// When it is cut short, claims more than a record can hold, or is of an unknown kind.
    #[expect(clippy::cast_possible_truncation, reason = "each field of the head takes its own bits")]
    pub fn decode(bytes: &'a [u8]) -> Result<(Self, usize), RecordError> {
        let mut reader = Reader { bytes, used: 0 };
        let head = reader.word()?;
        let (kind, small, flags, large) =
            (head as u8, (head >> 8) as u8, (head >> 16) as u16, (head >> 32) as u32);
        let record = match kind {
            KIND_CLOSE | KIND_DATA if flags & !KNOWN_FLAGS != 0 => {
                return Err(RecordError::Unknown { kind, flags });
            }
            KIND_CLOSE | KIND_STATE if usize::from(small) > super::MAX_NICS => {
                return Err(RecordError::TooLong(usize::from(small) * 8));
            }
            KIND_CLOSE => {
                let seq = reader.word()?;
                let action = reader.action(kind, flags)?;
                let ledger = (0..small).map(|_| reader.word()).collect::<Result<_, _>>()?;
                let (flush, again) = (flags & FLAG_FLUSH != 0, flags & FLAG_AGAIN != 0);
                Self::Close(Close { seq, pieces: large, action, flush, again, ledger })
            }
            KIND_DATA => {
                if large as usize > super::MAX_INLINE {
                    return Err(RecordError::TooLong(large as usize));
                }
                let (seq, remote) = (reader.word()?, reader.word()?);
                let action = reader.action(kind, flags)?;
                let bytes = reader.padded(large as usize)?;
                Self::Data(Data { seq, remote, action, again: flags & FLAG_AGAIN != 0, bytes })
            }
            KIND_ACK => Self::Ack { low: reader.word()? },
            KIND_ASK => Self::Ask { nonce: reader.word()? },
            KIND_STATE => {
                let (nonce, released) = (reader.word()?, reader.released()?);
                let progress = (0..small).map(|_| reader.progress()).collect::<Result<_, _>>()?;
                Self::State { nonce, released, progress }
            }
            KIND_FENCE => Self::Fence { nic: flags, incarnation: large },
            KIND_CARD => {
                let len = usize::try_from(reader.word()?).unwrap_or(usize::MAX);
                if len > MAX_CARD_BYTES {
                    return Err(RecordError::TooLong(len));
                }
                let released = reader.released()?;
                Self::Card { nic: flags, incarnation: large, released, card: reader.padded(len)? }
            }
            KIND_CARD_SEEN => Self::CardSeen { nic: flags, incarnation: large },
            KIND_PROBE => Self::Probe { nonce: reader.word()? },
            KIND_ECHO => Self::Echo { nonce: reader.word()? },
            _ => return Err(RecordError::Unknown { kind, flags }),
        };
        Ok((record, reader.used))
    }
}

#[cfg(test)]
mod tests;
