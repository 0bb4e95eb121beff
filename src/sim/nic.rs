//! A NIC: what waits to be sent, what is on the way, and when its two directions are free again.

use std::collections::VecDeque;

/// A put, or a part of one, that waits for its NIC.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Waiting {
    /// The receiving NIC.
    pub(super) to: u32,
    /// Nothing of it has been sent yet.
    pub(super) fresh: bool,
    /// Bytes that are left.
    pub(super) left: u64,
}

/// A segment on the way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flying {
    /// When the sender knows that it has arrived.
    pub(super) known: u64,
    /// The receiving NIC.
    pub(super) to: u32,
    pub(super) bytes: u32,
}

/// What one direction has moved.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moved {
    pub(super) bytes: u64,
    /// Puts and parts of puts.
    pub(super) ops: u64,
    /// The window that is being counted, and its bytes.
    pub(super) window: u32,
    pub(super) in_window: u64,
}

/// A NIC's state. Times are picoseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Nic {
    /// When it can send, and receive, the next segment.
    pub(super) tx_free: u64,
    pub(super) rx_free: u64,
    /// What a byte takes.
    pub(super) byte_time: u64,
    /// Bytes that wait or are on the way, as far as looked at.
    pub(super) load: u64,
    pub(super) tx: Moved,
    pub(super) rx: Moved,
    /// Rings in the engine's two tables: where the first entry is, and how many there are.
    pub(super) waits: Span,
    pub(super) flies: Span,
    /// An event of its own is to come.
    pub(super) woken: bool,
    /// Its PE waits for room here.
    pub(super) wanted: bool,
    /// Puts whose first byte has arrived here and whose last one has not, and when each of those has.
    pub(super) open: u32,
    pub(super) whole: VecDeque<u64>,
    pub(super) most_open: u32,
}

impl Nic {
    /// Counts the puts that are on the way to this NIC: a segment comes at `at`, the first of its put where that is `fresh`, and the
    /// last one where it is `whole` at a moment.
    #[inline]
    pub(super) fn count_open(&mut self, fresh: bool, at: u64, whole: Option<u64>) {
        while self.whole.front().is_some_and(|&whole| whole <= at) {
            self.whole.pop_front();
            self.open -= 1;
        }
        if fresh {
            self.open += 1;
            self.most_open = self.most_open.max(self.open);
        }
        self.whole.extend(whole);
    }
}

/// Entries of a ring of fixed capacity that are in use.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    pub(super) head: u16,
    pub(super) len: u16,
}

impl Span {
    /// The place of entry `nth` in a ring of `capacity`.
    pub(super) fn place(self, nth: u16, capacity: u16) -> usize {
        let place = u32::from(self.head) + u32::from(nth);
        (if place >= capacity.into() { place - u32::from(capacity) } else { place }) as usize
    }

    /// Lets the first entry go.
    pub(super) fn drop_first(&mut self, capacity: u16) {
        self.len -= 1;
        // An empty ring begins at its first place again, so that a NIC that keeps up touches no other.
        self.head = if self.len == 0 || self.head + 1 == capacity { 0 } else { self.head + 1 };
    }
}
