//! Groups: the unit in which landed data are counted, so that nothing relies on order.
//!
//! Between each pair of PEs the sender numbers its *groups*. A put with a signal is a group of its own; plain puts
//! since the last quiet share one. Every piece of payload names its group in the immediate; one control frame, the
//! *close*, says how many pieces the group has and what happens then (apply a signal, acknowledge). The receiver counts
//! pieces per group, in whatever order pieces and closes arrive and over whichever NICs, and releases a group when
//! count and close agree.
//!
//! The receiver's *low mark* is the number below which every group is released. It travels back in acknowledgements: when
//! a burst from that sender has ended (a turn of the receiver's loop released nothing of it), every 256 groups
//! within a burst, and at once for a group that is closed by a quiet. So a lone put is acknowledged at once, a stream
//! rarely, and a quiet after signalled puts usually has nothing left to wait for.
//! A sender never runs more than [`WINDOW`] groups ahead of it, which makes the 16 bits of the immediate unambiguous
//! and bounds the receiver's memory.

use std::collections::VecDeque;

use super::signal::Signal;
use super::wire::Close;

/// Groups a sender may have open towards one receiver.
pub const WINDOW: u64 = 1024;

/// Released groups after which a receiver acknowledges without being asked.
const ACK_EVERY: u64 = WINDOW / 4;

/// The window towards a receiver is full; acknowledgements must come in first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowFull;

/// A peer that does not keep to the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A group number outside the window.
    #[error("group {seq} lies outside the window {low}..{end}")]
    OutsideWindow {
        /// The group named.
        seq: u64,
        /// First group not yet released.
        low: u64,
        /// End of the window.
        end: u64,
    },
    /// More pieces than the close announced.
    #[error("group {seq} has more pieces than the {pieces} announced")]
    TooManyPieces {
        /// The group.
        seq: u64,
        /// Pieces announced.
        pieces: u32,
    },
    /// A second close for one group, or a piece for a released one.
    #[error("group {seq} was closed twice or touched after its release")]
    AlreadyClosed {
        /// The group.
        seq: u64,
    },
    /// An acknowledgement of something never sent, or one that goes backwards.
    #[error("acknowledged up to {low}, but only {sent} groups were sent")]
    WrongAck {
        /// What was acknowledged.
        low: u64,
        /// Groups sent.
        sent: u64,
    },
}

/// The sender's side of one pair.
#[derive(Debug, Default)]
pub struct Outbound {
    next: u64,
    low: u64,
    open: Option<Open>,
}

/// The group that plain puts share.
#[derive(Debug)]
struct Open {
    seq: u64,
    pieces: u32,
    ledger: Vec<u64>,
}

impl Outbound {
    /// Takes the next group number.
    fn take(&mut self) -> Result<u64, WindowFull> {
        if self.next - self.low >= WINDOW {
            return Err(WindowFull);
        }
        self.next += 1;
        Ok(self.next - 1)
    }

    /// Whether a group can be started now, or (for a plain put) the shared one be continued.
    #[must_use]
    pub fn has_room_for(&self, plain: bool) -> bool {
        plain && self.open.is_some() || self.next - self.low < WINDOW
    }

    /// A group of its own, for a put with a signal.
    ///
    /// # Errors
    /// When the window is full.
    pub fn start(&mut self) -> Result<u64, WindowFull> {
        self.take()
    }

    /// Counts the `pieces` of a plain put of `bytes` to the receiver's NIC `remote` into the shared group and names that
    /// group. With `ledger` the bytes are kept per NIC for the close.
    ///
    /// # Errors
    /// When a new group is needed and the window is full.
    pub fn add_pieces(
        &mut self,
        pieces: u32,
        remote: u16,
        bytes: u64,
        ledger: bool,
    ) -> Result<u64, WindowFull> {
        let open = match self.open.take() {
            Some(open) => open,
            None => Open { seq: self.take()?, pieces: 0, ledger: Vec::new() },
        };
        let open = self.open.insert(open);
        open.pieces = open.pieces.saturating_add(pieces);
        if ledger {
            let nic = usize::from(remote);
            if open.ledger.len() <= nic {
                open.ledger.resize(nic + 1, 0);
            }
            if let Some(total) = open.ledger.get_mut(nic) {
                *total += bytes;
            }
        }
        Ok(open.seq)
    }

    /// Pieces in the shared group so far.
    #[must_use]
    pub fn open_pieces(&self) -> u32 {
        self.open.as_ref().map_or(0, |open| open.pieces)
    }

    /// Ends the shared group, if there is one; with `flush` the receiver acknowledges it at once. Signalled groups are
    /// closed from the start and acknowledged without being asked.
    pub fn close_open(&mut self, flush: bool) -> Option<Close> {
        let open = self.open.take()?;
        Some(Close { seq: open.seq, pieces: open.pieces, signal: None, flush, ledger: open.ledger })
    }

    /// Takes an acknowledgement in. Acknowledgements may overtake each other: an old one changes nothing.
    ///
    /// # Errors
    /// When it names groups that were never sent.
    pub fn acknowledged(&mut self, low: u64) -> Result<(), Violation> {
        if low > self.next {
            return Err(Violation::WrongAck { low, sent: self.next });
        }
        self.low = self.low.max(low);
        Ok(())
    }

    /// Whether every group sent so far has been released at the receiver.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.low == self.next
    }
}

/// One group at the receiver.
#[derive(Debug, Default)]
struct Arriving {
    landed: u32,
    close: Option<Close>,
    released: bool,
}

/// The receiver's side of one pair.
#[derive(Debug, Default)]
pub struct Inbound {
    low: u64,
    acknowledged: u64,
    low_last_turn: u64,
    flush_after: Option<u64>,
    groups: VecDeque<Arriving>,
}

/// A group all of whose data have landed: what to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The signal to apply.
    pub signal: Option<Signal>,
    /// Bytes per own NIC, when the sender keeps the ledger.
    pub ledger: Vec<u64>,
}

impl Inbound {
    /// A piece has landed whose immediate names group `wire` (its low 16 bits).
    ///
    /// # Errors
    /// When the group is outside the window, released, or has more pieces than announced.
    pub fn landed(&mut self, wire: u16) -> Result<Option<Release>, Violation> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "sequence numbers are compared modulo 2^16 on purpose"
        )]
        let ahead = wire.wrapping_sub(self.low as u16);
        let seq = self.low + u64::from(ahead);
        let group = self.group(seq)?;
        if group.released {
            return Err(Violation::AlreadyClosed { seq });
        }
        group.landed = group.landed.saturating_add(1);
        self.settle(seq)
    }

    /// A close has arrived.
    ///
    /// # Errors
    /// As [`Self::landed`], or when the group was closed before.
    pub fn closed(&mut self, close: Close) -> Result<Option<Release>, Violation> {
        let seq = close.seq;
        if seq < self.low {
            return Err(Violation::AlreadyClosed { seq });
        }
        let flush = close.flush;
        let group = self.group(seq)?;
        if group.released || group.close.is_some() {
            return Err(Violation::AlreadyClosed { seq });
        }
        group.close = Some(close);
        if flush {
            self.flush_after = self.flush_after.max(Some(seq));
        }
        self.settle(seq)
    }

    /// Asked once in every turn of the receiver's loop: the low mark to send back now, when one is due.
    pub fn take_ack(&mut self) -> Option<u64> {
        let burst_ended = self.low == std::mem::replace(&mut self.low_last_turn, self.low);
        let owed = self.low - self.acknowledged;
        let flushed = self.flush_after.is_some_and(|seq| self.low > seq);
        if owed == 0 || !(burst_ended || flushed || owed >= ACK_EVERY) {
            return None;
        }
        if flushed {
            self.flush_after = None;
        }
        self.acknowledged = self.low;
        Some(self.low)
    }

    /// Whether the sender has not yet been told of everything that is released here.
    #[must_use]
    pub fn owes_ack(&self) -> bool {
        self.low > self.acknowledged
    }

    fn group(&mut self, seq: u64) -> Result<&mut Arriving, Violation> {
        let outside = Violation::OutsideWindow { seq, low: self.low, end: self.low + WINDOW };
        let Some(index) = seq.checked_sub(self.low).filter(|&ahead| ahead < WINDOW) else {
            return Err(outside);
        };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        if self.groups.len() <= index {
            self.groups.resize_with(index + 1, Arriving::default);
        }
        self.groups.get_mut(index).ok_or(outside)
    }

    /// Releases the group if count and close agree, and moves the low mark.
    fn settle(&mut self, seq: u64) -> Result<Option<Release>, Violation> {
        let group = self.group(seq)?;
        let Some(close) = &mut group.close else {
            return Ok(None);
        };
        if group.landed > close.pieces {
            return Err(Violation::TooManyPieces { seq, pieces: close.pieces });
        }
        if group.landed < close.pieces {
            return Ok(None);
        }
        group.released = true;
        let release = Release { signal: close.signal, ledger: std::mem::take(&mut close.ledger) };
        while self.groups.front().is_some_and(|group| group.released) {
            self.groups.pop_front();
            self.low += 1;
        }
        Ok(Some(release))
    }
}

#[cfg(test)]
mod tests;
