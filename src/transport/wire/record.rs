//! The records of a frame.
//!
//! Each starts with a word of kind, flags, a 16-bit and a 32-bit field, is a multiple of 8 bytes long and says its own
//! length, so that a frame is read in one pass.

mod decode;
mod encode;
mod released;
mod tail;

pub use released::{Progress, Released};
pub use tail::Tail;

use crate::transport::atomic::Atomic;

/// Most bytes of a NIC's card in a record.
pub const MAX_CARD_BYTES: usize = 512;

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
    /// Whether the sender wants an acknowledgement as soon as the group is released: for a quiet or a fence, or for room.
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

/// A small put without its bytes: who writes it copies those into the frame from where they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataHead<'a> {
    /// As [`Data::seq`].
    pub seq: u64,
    /// As [`Data::remote`].
    pub remote: u64,
    /// As [`Data::action`].
    pub tail: &'a Tail,
    /// As [`Data::again`].
    pub again: bool,
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

#[cfg(test)]
mod tests;
