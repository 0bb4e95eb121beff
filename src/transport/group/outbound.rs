//! The sender's side of one pair.

use super::log::{Log, Sent, What};
use super::turns::{Origin, Turns};
use super::{STREAM, Violation, WINDOW, WindowFull};
use crate::transport::select::Route;
use crate::transport::wire::{Close, Released};

/// The sender's side of one pair.
#[derive(Debug)]
pub struct Outbound {
    next: u64,
    low: u64,
    /// Pieces that may be under way.
    most_pieces: u64,
    open: Option<Open>,
    /// Groups below this number must be released before more is sent.
    fence: u64,
    /// Behind the last group whose close asks for an acknowledgement.
    flushed: u64,
    turns: Turns,
    log: Log,
}

/// The group that plain puts share.
#[derive(Debug)]
struct Open {
    seq: u64,
    pieces: u32,
    ledger: Vec<u64>,
}

impl Outbound {
    /// Nothing sent yet, and never more than `most_pieces` (at least 1) pieces under way.
    #[must_use]
    pub fn new(most_pieces: u64) -> Self {
        Self {
            next: 0,
            low: 0,
            most_pieces: most_pieces.max(1),
            open: None,
            fence: 0,
            flushed: 0,
            turns: Turns::default(),
            log: Log::default(),
        }
    }

    /// Takes the next group number.
    #[inline]
    fn take(&mut self) -> Result<u64, WindowFull> {
        if self.next - self.low >= WINDOW {
            return Err(WindowFull);
        }
        self.next += 1;
        Ok(self.next - 1)
    }

    /// Pieces that may be under way.
    #[must_use]
    #[inline]
    pub fn most_pieces(&self) -> u64 {
        self.most_pieces
    }

    /// Whether a group of `pieces` goes now, or (for a plain put) so many more in the shared one: there is room, and nobody of another
    /// origin has waited for too long. Who is refused tries again until it is taken.
    #[must_use]
    #[inline]
    pub fn admits(&mut self, origin: Origin, plain: bool, pieces: u64) -> bool {
        let fits = self.has_room_for(plain, pieces);
        if fits && !self.turns.is_anyone_waiting() {
            return true;
        }
        self.turns.take(origin, fits, pieces, self.most_pieces)
    }

    /// Whether a group can be started now, or (for a plain put) the shared one be continued, and `pieces` more be under way.
    #[must_use]
    #[inline]
    fn has_room_for(&self, plain: bool, pieces: u64) -> bool {
        self.low >= self.fence
            && self.log.pieces() as u64 + pieces <= self.most_pieces
            && (plain && self.open.is_some() || self.next - self.low < WINDOW)
    }

    /// A group of its own, for a put with a signal.
    ///
    /// # Errors
    /// When the window is full.
    #[inline]
    pub fn start(&mut self) -> Result<u64, WindowFull> {
        self.take()
    }

    /// Counts the `pieces` of a plain put into the shared group and names that group.
    ///
    /// # Errors
    /// When a new group is needed and the window is full.
    pub fn add_pieces(&mut self, pieces: u32) -> Result<u64, WindowFull> {
        let open = match self.open.take() {
            Some(open) => open,
            None => Open { seq: self.take()?, pieces: 0, ledger: Vec::new() },
        };
        let open = self.open.insert(open);
        open.pieces = open.pieces.saturating_add(pieces);
        Ok(open.seq)
    }

    /// Keeps account of `bytes` of the shared group that go to the receiver's NIC `remote`, for the close.
    pub fn enter_in_ledger(&mut self, remote: u16, bytes: u64) {
        if let Some(open) = &mut self.open {
            enter(&mut open.ledger, remote, bytes);
        }
    }

    /// Pieces in the shared group so far.
    #[must_use]
    pub fn open_pieces(&self) -> u32 {
        self.open.as_ref().map_or(0, |open| open.pieces)
    }

    /// Ends the shared group, if there is one; with `flush` the receiver acknowledges it at once.
    pub fn close_open(&mut self, flush: bool) -> Option<Close> {
        let Open { seq, pieces, ledger } = self.open.take()?;
        Some(Close { seq, pieces, action: None, flush, again: false, ledger })
    }

    /// Closes with which everything sent so far is acknowledged as soon as it is released: that of the shared group, and where others have
    /// been sent since, that of a group of nothing. Fewer than four are acknowledged soon without being asked. With a full window
    /// there is no room to ask: the receiver says so every 256 groups, and what is left when it takes the stream for over.
    pub fn close_all(&mut self) -> [Option<Close>; 2] {
        let shared_is_last = self.open.as_ref().is_some_and(|open| open.seq + 1 == self.next);
        let is_asked = self.low.max(self.flushed) == self.next;
        let asking = if shared_is_last || is_asked || self.next - self.low < STREAM {
            None
        } else {
            self.take().ok().map(|seq| Close { flush: true, ..Close::new(seq, 0, None) })
        };
        [self.close_open(asking.is_none()), asking]
    }

    /// Of a close that goes out. When half of the pieces are under way that the target has room for, it asks for an acknowledgement in time; but not
    /// every one does so where there is room for many.
    #[inline]
    pub fn ask_in_time(&mut self, close: &mut Close) {
        if self.log.pieces() as u64 >= self.most_pieces.div_ceil(2) {
            let groups = (close.seq + 1).saturating_sub(self.flushed);
            close.flush |= groups * u64::from(close.pieces.max(1)) >= self.most_pieces.div_ceil(8);
        }
        if close.flush {
            self.flushed = self.flushed.max(close.seq + 1);
        }
    }

    /// From here on nothing is sent before everything sent so far has been released. The shared group must be closed.
    pub fn fence(&mut self) {
        self.fence = self.next;
    }

    /// Remembers what was sent.
    #[inline]
    pub fn remember(&mut self, seq: u64, route: Route, at_ms: u64, what: What) {
        self.log.push(Sent { seq, route, at_ms, what });
    }

    /// What has been sent and is not known to be released.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Takes an acknowledgement in. Acknowledgements may overtake each other: an old one changes nothing.
    ///
    /// # Errors
    /// When it names groups that were never sent.
    pub fn acknowledged(&mut self, low: u64) -> Result<(), Violation> {
        if low > self.next {
            return Err(Violation::WrongAck { low, sent: self.next });
        }
        if low > self.low {
            self.low = low;
            self.log.trim(low);
        }
        Ok(())
    }

    /// Takes out of the log what went to the receiver's NIC `remote` and is not `released`: that NIC has been fenced, so
    /// none of it will land any more, and whatever of it had landed is no longer counted.
    pub fn lost(&mut self, remote: u16, released: &Released) -> Vec<Sent> {
        self.log.take(|sent| sent.route.remote == remote && !released.contains(sent.seq))
    }

    /// Puts the ledger right of the shared group, if `moved` belongs to it. A close that has gone out is not corrected: the
    /// correction could overtake it.
    pub fn rebook(&mut self, moved: Moved) {
        if let Some(open) = self.open.as_mut().filter(|open| open.seq == moved.seq) {
            moved.rebook(&mut open.ledger);
        }
    }

    /// Something that was to go by way `from` goes by way `to` instead, before it was posted.
    pub fn divert(&mut self, from: Route, to: Route, is: impl Fn(&Sent) -> bool) {
        self.log.divert(from, to, is);
    }

    /// Whether every group sent so far has been released at the receiver.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.low == self.next
    }

    /// Groups started so far.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.next
    }

    /// Number of the first group that is not known to be released.
    #[must_use]
    pub fn low(&self) -> u64 {
        self.low
    }
}

/// A piece that goes to another of the receiver's NICs than its ledger says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Its group.
    pub seq: u64,
    /// The NIC it was booked for.
    pub from: u16,
    /// The NIC it goes to.
    pub to: u16,
    /// Its bytes.
    pub bytes: u64,
}

impl Moved {
    /// Books it anew.
    pub fn rebook(self, ledger: &mut Vec<u64>) {
        if let Some(total) = ledger.get_mut(usize::from(self.from)) {
            *total = total.saturating_sub(self.bytes);
        }
        enter(ledger, self.to, self.bytes);
    }
}

/// Adds `bytes` to a ledger's entry for NIC `nic`.
pub(in crate::transport) fn enter(ledger: &mut Vec<u64>, nic: u16, bytes: u64) {
    let nic = usize::from(nic);
    if ledger.len() <= nic {
        ledger.resize(nic + 1, 0);
    }
    if let Some(total) = ledger.get_mut(nic) {
        *total += bytes;
    }
}
