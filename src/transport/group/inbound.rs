//! The receiver's side of one pair.

use std::collections::VecDeque;

use super::lone::Lone;
use super::{ACK_EVERY, STREAM, STREAM_ACK_DELAY_NS, Violation, WINDOW};
use crate::transport::wire::{Action, Close, Released};

/// Pieces that have landed, by the NIC they came through: if that NIC is fenced they are sent again.
#[derive(Debug, Default)]
struct Landed {
    total: u32,
    /// Nearly always all come through one NIC.
    first: (u16, u32),
    others: Vec<(u16, u32)>,
}

impl Landed {
    fn add(&mut self, nic: u16) {
        self.total = self.total.saturating_add(1);
        if self.first.1 == 0 || self.first.0 == nic {
            self.first = (nic, self.first.1.saturating_add(1));
            return;
        }
        match self.others.iter_mut().find(|(other, _)| *other == nic) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.others.push((nic, 1)),
        }
    }

    fn forget(&mut self, nic: u16) {
        for (other, count) in std::iter::once(&mut self.first).chain(&mut self.others) {
            if *other == nic {
                self.total = self.total.saturating_sub(std::mem::take(count));
            }
        }
    }
}

/// One group at the receiver.
#[derive(Debug, Default)]
struct Arriving {
    landed: Landed,
    close: Option<Close>,
    released: bool,
}

/// The receiver's side of one pair.
#[derive(Debug, Default)]
pub struct Inbound {
    low: u64,
    acknowledged: u64,
    /// The low mark at the last look, and when it was first seen.
    seen: (u64, u64),
    /// The first and the last group that an acknowledgement is asked for and has not gone.
    asked: Option<(u64, u64)>,
    /// What it brings to wait with an acknowledgement of few groups.
    lone: Lone,
    groups: VecDeque<Arriving>,
}

/// A group all of whose data have landed: what to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// What happens.
    pub action: Option<Action>,
    /// Bytes per own NIC, when the sender keeps the ledger.
    pub ledger: Vec<u64>,
}

impl Inbound {
    /// A piece has landed through NIC `nic` whose immediate names group `wire` (its low 16 bits).
    ///
    /// # Errors
    /// When the group is outside the window, released, or has more pieces than announced.
    pub fn landed(&mut self, nic: u16, wire: u16) -> Result<Option<Release>, Violation> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "sequence numbers are compared modulo 2^16 on purpose"
        )]
        let ahead = wire.wrapping_sub(self.low as u16);
        self.piece(nic, self.low + u64::from(ahead))
    }

    /// A piece of group `seq` has landed through NIC `nic`.
    ///
    /// # Errors
    /// As [`Self::landed`].
    pub fn piece(&mut self, nic: u16, seq: u64) -> Result<Option<Release>, Violation> {
        let group = self.group(seq)?;
        if group.released {
            return Err(Violation::AlreadyClosed { seq });
        }
        group.landed.add(nic);
        self.settle(seq)
    }

    /// Whether group `seq` is not released yet, for something that may have arrived before.
    #[must_use]
    pub fn is_new(&self, seq: u64) -> bool {
        let Some(ahead) = seq.checked_sub(self.low) else { return false };
        let group = usize::try_from(ahead).ok().and_then(|ahead| self.groups.get(ahead));
        group.is_none_or(|group| !group.released)
    }

    /// Checks that group `seq` may still have pieces, before anything of one is written.
    ///
    /// # Errors
    /// As [`Self::landed`].
    pub fn check_open(&self, seq: u64) -> Result<(), Violation> {
        match seq.checked_sub(self.low) {
            Some(ahead) if ahead >= WINDOW => {
                Err(Violation::OutsideWindow { seq, low: self.low, end: self.low + WINDOW })
            }
            Some(_) if self.is_new(seq) => Ok(()),
            _ => Err(Violation::AlreadyClosed { seq }),
        }
    }

    /// A close has arrived.
    ///
    /// # Errors
    /// As [`Self::landed`], or when the group was closed before and this close is not one sent again.
    pub fn closed(&mut self, close: Close) -> Result<Option<Release>, Violation> {
        let seq = close.seq;
        if close.again && !self.is_new(seq) {
            return Ok(None);
        }
        if seq < self.low {
            return Err(Violation::AlreadyClosed { seq });
        }
        let flush = close.flush;
        if seq == self.low && self.groups.is_empty() && close.pieces == 0 {
            // A small put or signal in its turn, as nearly all are: there is nothing to remember of it.
            self.low += 1;
            self.note_asked(seq, flush);
            return Ok(Some(Release { action: close.action, ledger: close.ledger }));
        }
        let group = self.group(seq)?;
        if group.released || group.close.is_some() && !close.again {
            return Err(Violation::AlreadyClosed { seq });
        }
        group.close = Some(close);
        self.note_asked(seq, flush);
        self.settle(seq)
    }

    /// Remembers that the close of group `seq` asks for an acknowledgement, if it does.
    fn note_asked(&mut self, seq: u64, flush: bool) {
        if flush {
            self.asked = Some(self.asked.map_or((seq, seq), |(first, last)| (first.min(seq), last.max(seq))));
        }
    }

    /// NIC `nic` has been fenced: what landed through it for groups that are still open will be sent again.
    pub fn forget(&mut self, nic: u16) {
        for group in self.groups.iter_mut().filter(|group| !group.released) {
            group.landed.forget(nic);
        }
    }

    /// Which groups are released.
    #[must_use]
    pub fn released(&self) -> Released {
        let mut released = Released::below(self.low);
        for (seq, group) in (self.low..).zip(&self.groups) {
            if group.released {
                released.insert(seq);
            }
        }
        released
    }

    /// Asked in every turn of the receiver's loop: the low mark to send back at `now_ns`, when one is due.
    pub fn take_ack(&mut self, now_ns: u64) -> Option<u64> {
        if self.seen.0 != self.low {
            if self.seen.0 > self.acknowledged {
                self.lone.had_company();
            }
            self.seen = (self.low, now_ns);
        }
        let owed = self.low - self.acknowledged;
        let delay = if owed < STREAM { self.lone.delay_ns() } else { STREAM_ACK_DELAY_NS };
        let burst_ended = now_ns.saturating_sub(self.seen.1) >= delay;
        let flushed = self.is_asked();
        if owed == 0 || !(burst_ended || flushed || owed >= ACK_EVERY) {
            return None;
        }
        if owed < STREAM && !flushed {
            self.lone.went();
        }
        self.told();
        Some(self.low)
    }

    /// The low mark, when the sender has not been told of it: something on its way there can take it along, and
    /// [`Self::acknowledge`] then says that it does. Not one that it waits for, which goes by itself and first.
    #[must_use]
    #[inline]
    pub fn owed_ack(&self) -> Option<u64> {
        (self.owes_ack() && !self.is_asked()).then_some(self.low)
    }

    /// Whether the sender waits for what can be said now.
    #[inline]
    fn is_asked(&self) -> bool {
        self.asked.is_some_and(|(first, _)| self.low > first)
    }

    /// The low mark is on its way to the sender, together with something else that goes there, or just ahead of it.
    pub fn acknowledge(&mut self) {
        self.lone.had_company();
        self.told();
    }

    /// The low mark is on its way to the sender.
    fn told(&mut self) {
        self.acknowledged = self.low;
        // Those between first and last are not remembered: where every close asks, whoever waits for one is answered by the next.
        if self.is_asked() {
            self.asked = self.asked.and_then(|(_, last)| (self.low <= last).then_some((last, last)));
        }
    }

    /// What has been acknowledged is to be said once more; whether there is anything.
    pub fn forget_acks(&mut self) -> bool {
        self.acknowledged = 0;
        self.low > 0
    }

    /// Whether the sender has not yet been told of everything that is released here.
    #[must_use]
    #[inline]
    pub fn owes_ack(&self) -> bool {
        self.low > self.acknowledged
    }

    /// Number of the first group that is not released.
    #[cfg(test)]
    pub(super) fn low(&self) -> u64 {
        self.low
    }

    /// Groups that are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.groups.len()
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
        if group.landed.total > close.pieces {
            return Err(Violation::TooManyPieces { seq, pieces: close.pieces });
        }
        if group.landed.total < close.pieces {
            return Ok(None);
        }
        group.released = true;
        let release = Release { action: close.action, ledger: std::mem::take(&mut close.ledger) };
        while self.groups.front().is_some_and(|group| group.released) {
            self.groups.pop_front();
            self.low += 1;
        }
        Ok(Some(release))
    }
}
