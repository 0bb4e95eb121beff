//! Reading records. The bytes are another process's: nothing is taken on trust.

use super::super::{MAX_INLINE, MAX_NICS};
use super::{
    ACTION_ANSWER, ACTION_CHANGE, ACTION_FETCH, ACTION_GET, ACTION_MASK, Action, Close, Data, FLAG_AGAIN,
    FLAG_FLUSH, FLAG_HALF, KIND_ACK, KIND_ASK, KIND_CARD, KIND_CARD_SEEN, KIND_CLOSE, KIND_DATA, KIND_ECHO,
    KIND_FENCE, KIND_PROBE, KIND_STATE, KNOWN_FLAGS, MAX_CARD_BYTES, OP_MASK, OP_SHIFT, Progress, Record,
    RecordError, Released,
};
use crate::transport::atomic::{Atomic, AtomicOp, Width};

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
        for word in released.above.iter_mut() {
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

impl<'a> Record<'a> {
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
            KIND_CLOSE | KIND_STATE if usize::from(small) > MAX_NICS => {
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
                if large as usize > MAX_INLINE {
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
