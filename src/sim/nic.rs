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

/// A NIC that sends. Times are picoseconds.
///
/// What a put touches of a NIC is a cache line of each side: with tens of thousands of NICs in no order, fetching them is most
/// of what a put costs.
#[derive(Debug, Clone, Default)]
#[repr(align(64))]
pub(super) struct Sender {
    /// When it can send the next segment.
    pub(super) free: u64,
    /// Bytes that wait or are on the way, as far as looked at.
    pub(super) load: u64,
    pub(super) moved: Moved,
    /// Rings in the engine's two tables: where the first entry is, and how many there are.
    pub(super) waits: Span,
    pub(super) flies: Span,
    /// An event of its own is to come.
    pub(super) woken: bool,
    /// Its PE waits for room here.
    pub(super) wanted: bool,
    pub(super) speed: Speed,
}

/// A NIC that receives. Times are picoseconds.
#[derive(Debug, Clone, Default)]
#[repr(align(64))]
pub(super) struct Receiver {
    /// When it can receive the next segment.
    pub(super) free: u64,
    pub(super) moved: Moved,
    /// Puts whose first byte has arrived here and whose last one has not.
    pub(super) open: u32,
    pub(super) most_open: u32,
    /// When the first of them has arrived whole, of those whose last segment is on the way.
    pub(super) first_whole: u64,
    pub(super) whole: u32,
    pub(super) speed: Speed,
}

const _: () = assert!(size_of::<Sender>() == 64 && size_of::<Receiver>() == 64);

/// Which of the two rates a NIC has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Speed {
    #[default]
    Full,
    Slow,
}

impl Receiver {
    /// Counts the puts that are on the way to this NIC: a segment comes at `at`, the first of its put where that is `fresh`, and the
    /// last one where it is `whole` at a moment. `later` has the moments behind the first.
    #[inline]
    pub(super) fn count_open(&mut self, later: &mut VecDeque<u64>, fresh: bool, at: u64, whole: Option<u64>) {
        while self.whole > 0 && self.first_whole <= at {
            self.whole -= 1;
            self.open -= 1;
            if self.whole > 0 {
                self.first_whole = later.pop_front().unwrap_or(0);
            }
        }
        if fresh {
            self.open += 1;
            self.most_open = self.most_open.max(self.open);
        }
        if let Some(whole) = whole {
            if self.whole == 0 {
                self.first_whole = whole;
            } else {
                later.push_back(whole);
            }
            self.whole += 1;
        }
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
