//! Writing records.

use super::{
    Close, Data, DataHead, FLAG_AGAIN, FLAG_FLUSH, KIND_ACK, KIND_ASK, KIND_CARD, KIND_CARD_SEEN, KIND_CLOSE,
    KIND_DATA, KIND_ECHO, KIND_FENCE, KIND_PROBE, KIND_STATE, Record, Released, Tail,
};

/// The first word of a record.
fn head(kind: u8, small: u8, flags: u16, large: u32) -> u64 {
    u64::from(kind) | u64::from(small) << 8 | u64::from(flags) << 16 | u64::from(large) << 32
}

/// Writes words to the start of `room`, with one look at whether they fit, and gives the rest of it.
#[inline]
fn words<const N: usize>(room: &mut [u8], values: [u64; N]) -> Option<&mut [u8]> {
    let (place, rest) = room.split_at_mut_checked(8 * N)?;
    for (bytes, value) in place.as_chunks_mut::<8>().0.iter_mut().zip(values) {
        *bytes = value.to_le_bytes();
    }
    Some(rest)
}

/// Writes words one after another.
struct Writer<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl Writer<'_> {
    /// The next `len` bytes.
    fn take(&mut self, len: usize) -> Option<&mut [u8]> {
        let room = self.room.get_mut(self.used..self.used + len)?;
        self.used += len;
        Some(room)
    }

    fn words<const N: usize>(&mut self, values: [u64; N]) -> Option<()> {
        words(self.take(8 * N)?, values).map(|_| ())
    }

    fn word(&mut self, word: u64) -> Option<()> {
        self.words([word])
    }

    fn head(&mut self, kind: u8, small: u8, flags: u16, large: u32) -> Option<()> {
        self.word(head(kind, small, flags, large))
    }

    fn padded(&mut self, bytes: &[u8]) -> Option<()> {
        let (room, padding) =
            self.take(bytes.len().next_multiple_of(8))?.split_at_mut_checked(bytes.len())?;
        room.copy_from_slice(bytes);
        padding.fill(0);
        Some(())
    }

    fn released(&mut self, released: &Released) -> Option<()> {
        self.word(released.low)?;
        released.above.iter().try_for_each(|&word| self.word(word))
    }
}

impl Close {
    /// Bytes that its record takes, whose action is `tail`.
    #[must_use]
    #[inline]
    pub fn record_bytes(&self, tail: &Tail) -> usize {
        16 + tail.bytes() + 8 * self.ledger.len()
    }

    /// Writes it into `room`, which is as long as the record.
    #[inline]
    pub(in crate::transport::wire) fn place(&self, tail: &Tail, room: &mut [u8]) -> Option<()> {
        let flags =
            tail.flags | if self.flush { FLAG_FLUSH } else { 0 } | if self.again { FLAG_AGAIN } else { 0 };
        let ledger = u8::try_from(self.ledger.len()).ok()?;
        let room = words(room, [head(KIND_CLOSE, ledger, flags, self.pieces), self.seq])?;
        let room = tail.write(room)?;
        self.ledger.iter().try_fold(room, |room, &bytes| words(room, [bytes])).map(|_| ())
    }
}

impl Tail {
    /// Writes its words to the start of `room`, and gives the rest of it.
    #[inline]
    fn write<'a>(&self, room: &'a mut [u8]) -> Option<&'a mut [u8]> {
        match self.words() {
            // Nearly all are signals: two words, and one look at whether they fit.
            ([first, second], [_, _]) => words(room, [first, second]),
            (_, all) => all.iter().try_fold(room, |room, &word| words(room, [word])),
        }
    }
}

impl DataHead<'_> {
    /// Bytes that its record takes with `len` bytes of payload.
    #[must_use]
    #[inline]
    pub fn record_bytes(&self, len: usize) -> usize {
        24 + self.tail.bytes() + len.next_multiple_of(8)
    }

    /// Writes all but the bytes into `room`, which is as long as the record, and gives the room for those.
    #[expect(clippy::inline_always, reason = "a part of a small put: see `Proxy::data`")]
    #[inline(always)]
    pub(in crate::transport::wire) fn place<'a>(
        &self,
        room: &'a mut [u8],
        len: usize,
    ) -> Option<&'a mut [u8]> {
        let flags = self.tail.flags | if self.again { FLAG_AGAIN } else { 0 };
        let head = head(KIND_DATA, 0, flags, u32::try_from(len).ok()?);
        let room = words(room, [head, self.seq, self.remote])?;
        let room = self.tail.write(room)?;
        let (bytes, padding) = room.split_at_mut_checked(len)?;
        if !padding.is_empty() {
            padding.fill(0);
        }
        Some(bytes)
    }
}

impl Record<'_> {
    /// Writes the record to the start of `room`; returns its length, or `None` when it does not fit.
    #[must_use]
    pub fn encode(&self, room: &mut [u8]) -> Option<usize> {
        let mut out = Writer { room, used: 0 };
        match self {
            Self::Close(close) => {
                let tail = Tail::from(close.action);
                let used = close.record_bytes(&tail);
                close.place(&tail, out.take(used)?)?;
            }
            &Self::Data(Data { seq, remote, action, again, bytes }) => {
                let head = DataHead { seq, remote, tail: &Tail::from(action), again };
                let used = head.record_bytes(bytes.len());
                head.place(out.take(used)?, bytes.len())?.copy_from_slice(bytes);
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
}
