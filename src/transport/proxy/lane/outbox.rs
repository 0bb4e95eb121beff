//! What waits for a NIC: pieces in the order of posting, frames in theirs, and what must not wait.
//!
//! A frame stays in one place from its first record until it has been sent, and records find it there by where they go.

use std::collections::VecDeque;

use crate::counters::NicCounts;
use crate::transport::nic::{PeerNic, Piece};
use crate::transport::wire::{Frame, MAX_NICS, Record};

/// How far ahead in the queue a frame may wait that urgent records join.
const SOON: u32 = 4;

/// Urgent frames that may wait.
const MOST_URGENT: usize = 1024;

/// No frame.
const NONE: u32 = u32::MAX;

/// What of a frame is counted when it goes out.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Tally {
    /// Small puts in it.
    pub(in super::super) puts: u64,
    /// Their bytes.
    pub(in super::super) bytes: u64,
    /// Signals and atomics.
    pub(in super::super) signals: u64,
}

impl Tally {
    #[inline]
    fn add(&mut self, other: Self) {
        self.puts += other.puts;
        self.bytes += other.bytes;
        self.signals += other.signals;
    }

    /// Counts a frame of `bytes` that has gone out. Its small puts were copied, so they count as done.
    pub(super) fn count(self, bytes: u64, counts: &mut NicCounts) {
        counts.tx_posted_ops += self.puts;
        counts.tx_posted_bytes += self.bytes;
        counts.tx_done_ops += self.puts;
        counts.tx_done_bytes += self.bytes;
        counts.signal_tx_ops += self.signals;
        counts.control_tx_bytes += bytes.saturating_sub(self.bytes);
    }
}

/// A frame on its way out.
#[derive(Debug)]
pub(in super::super) struct Envelope {
    pub(in super::super) to: PeerNic,
    pub(in super::super) frame: Frame,
    pub(super) tally: Tally,
    /// Its number in the queue, counted since the start.
    number: u32,
}

impl Envelope {
    /// Bytes of the frame.
    #[inline]
    pub(super) fn bytes(&self) -> u64 {
        self.frame.as_slice().len() as u64
    }
}

/// Something to hand to a NIC.
#[derive(Debug)]
pub(in super::super) enum Out {
    Piece(Piece),
    Frame(Envelope),
}

/// What waits for one NIC.
pub(super) struct Outbox {
    me: u16,
    /// Number of the NIC.
    nic: u16,
    pieces: VecDeque<Piece>,
    /// Frames that are not urgent.
    queue: VecDeque<u32>,
    /// Acknowledgements and news: they go before everything else.
    urgent: VecDeque<u32>,
    /// All frames, those that wait and those to be used again.
    frames: Vec<Envelope>,
    free: Vec<u32>,
    /// Number of the first frame in the queue, counted since the start.
    first: u32,
    /// By peer's NIC: the frame in the queue that records for it join, or [`NONE`].
    open: Vec<u32>,
}

impl Outbox {
    /// For NIC `nic` of PE `me`, in a job of `pes` PEs.
    pub(super) fn new(me: u16, nic: u16, pes: usize) -> Self {
        Self {
            me,
            nic,
            pieces: VecDeque::new(),
            queue: VecDeque::new(),
            urgent: VecDeque::new(),
            frames: Vec::new(),
            free: Vec::new(),
            first: 0,
            open: vec![NONE; pes * MAX_NICS],
        }
    }

    /// What waits besides what is urgent.
    pub(super) fn len(&self) -> usize {
        self.pieces.len() + self.queue.len()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.queue.is_empty() && self.urgent.is_empty()
    }

    /// Puts a piece at the end of the pieces.
    #[inline]
    pub(super) fn push(&mut self, piece: Piece) {
        self.pieces.push_back(piece);
    }

    /// The frame to `to` that a record of `bytes` fits into: the one that waits, or a new one at the end of the queue. What
    /// is counted when it goes out grows by `tally`.
    #[expect(clippy::inline_always, reason = "a part of a small put: see `Proxy::data`")]
    #[inline(always)]
    pub(super) fn frame(&mut self, to: PeerNic, bytes: usize, tally: Tally) -> Option<&mut Frame> {
        let open = self.open.get(slot_of(to)).copied().unwrap_or(NONE);
        let fits = self.envelope(open).is_some_and(|envelope| envelope.frame.room() >= bytes);
        let id = if fits { open } else { self.append_new(to) };
        let envelope = self.frames.get_mut(id as usize)?;
        envelope.tally.add(tally);
        Some(&mut envelope.frame)
    }

    /// Adds a record to a frame that goes to the same NIC soon; `false` when there is none or it is full.
    pub(super) fn join(&mut self, to: PeerNic, record: &Record<'_>) -> bool {
        let Some(&open) = self.open.get(slot_of(to)) else { return false };
        let envelope = self.frames.get_mut(open as usize);
        envelope.is_some_and(|envelope| {
            envelope.number.wrapping_sub(self.first) < SOON && envelope.frame.push(record)
        })
    }

    /// Adds a record to an urgent frame to the same NIC, or to a new one.
    pub(super) fn urgent(&mut self, to: PeerNic, record: &Record<'_>) {
        for &id in self.urgent.iter().rev().take(SOON as usize) {
            if let Some(envelope) = self.frames.get_mut(id as usize)
                && envelope.to == to
                && envelope.frame.push(record)
            {
                return;
            }
        }
        let id = self.fresh(to);
        let fits = self.frames.get_mut(id as usize).is_some_and(|envelope| envelope.frame.push(record));
        debug_assert!(fits, "every record fits an empty frame");
        self.urgent.push_back(id);
    }

    #[inline]
    fn envelope(&self, id: u32) -> Option<&Envelope> {
        self.frames.get(id as usize)
    }

    /// An empty frame that is in no queue.
    fn fresh(&mut self, to: PeerNic) -> u32 {
        let id = self.free.pop().unwrap_or_else(|| {
            let frame = Frame::new(self.me, self.nic);
            self.frames.push(Envelope { to, frame, tally: Tally::default(), number: 0 });
            u32::try_from(self.frames.len() - 1).unwrap_or(NONE)
        });
        if let Some(envelope) = self.frames.get_mut(id as usize) {
            (envelope.to, envelope.tally) = (to, Tally::default());
        }
        id
    }

    /// Puts an empty frame at the end of the queue.
    #[inline(never)]
    fn append_new(&mut self, to: PeerNic) -> u32 {
        let id = self.fresh(to);
        self.append(id);
        id
    }

    /// Puts a frame at the end of the queue, where records for the same NIC join it.
    fn append(&mut self, id: u32) {
        let number = self.first.wrapping_add(u32::try_from(self.queue.len()).unwrap_or(u32::MAX));
        if let Some(envelope) = self.frames.get_mut(id as usize) {
            envelope.number = number;
            if let Some(open) = self.open.get_mut(slot_of(envelope.to)) {
                *open = id;
            }
        }
        self.queue.push_back(id);
    }

    /// The piece that is to go first.
    #[inline]
    pub(super) fn first_piece(&self) -> Option<&Piece> {
        self.pieces.front()
    }

    /// It has gone, or (`again`) is to wait behind the others.
    #[inline]
    pub(super) fn next_piece(&mut self, again: bool) {
        let piece = self.pieces.pop_front();
        if again {
            self.pieces.extend(piece);
        }
    }

    /// The frame that is to go first, nothing urgent.
    #[inline]
    pub(super) fn first_frame(&self) -> Option<&Envelope> {
        self.envelope(*self.queue.front()?)
    }

    /// It has gone, or (`again`) is to wait behind the others.
    #[inline]
    pub(super) fn next_frame(&mut self, again: bool) {
        match self.pop() {
            Some(id) if again => self.append(id),
            Some(id) => self.recycle(id),
            None => {}
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<u32> {
        let id = self.queue.pop_front()?;
        self.first = self.first.wrapping_add(1);
        Some(id)
    }

    /// How many urgent frames wait.
    #[inline]
    pub(super) fn urgent_len(&self) -> usize {
        self.urgent.len()
    }

    /// The urgent frame that has waited longest.
    #[inline]
    pub(super) fn first_urgent(&self) -> Option<&Envelope> {
        self.envelope(*self.urgent.front()?)
    }

    /// It has gone, or (`again`) is to wait behind the others.
    pub(super) fn next_urgent(&mut self, again: bool) {
        match self.urgent.pop_front() {
            Some(id) if again => self.urgent.push_back(id),
            Some(id) => self.recycle(id),
            None => {}
        }
    }

    /// For targets that are out of reach ever more would wait: gives up what has waited longest, and notes for whom in `unsaid`.
    pub(super) fn bound_urgent(&mut self, unsaid: &mut Vec<u32>) {
        while self.urgent.len() > MOST_URGENT {
            unsaid.extend(self.first_urgent().map(|envelope| envelope.to.pe));
            self.next_urgent(false);
        }
    }

    /// Keeps a frame to be used again. Nothing joins it any more.
    fn recycle(&mut self, id: u32) {
        let Some(envelope) = self.frames.get_mut(id as usize) else { return };
        envelope.frame.clear();
        if let Some(open) = self.open.get_mut(slot_of(envelope.to)).filter(|open| **open == id) {
            *open = NONE;
        }
        self.free.push(id);
    }

    /// Drops what waits for a peer's NIC, and returns the pieces among it.
    pub(super) fn purge(&mut self, to: PeerNic) -> Vec<Piece> {
        let (dropped, kept) = std::mem::take(&mut self.pieces).into_iter().partition(|piece| piece.to == to);
        self.pieces = kept;
        for id in std::mem::take(&mut self.queue) {
            if self.is_to(id, to) { self.recycle(id) } else { self.append(id) }
        }
        for _ in 0..self.urgent.len() {
            let again = self.first_urgent().is_some_and(|envelope| envelope.to != to);
            self.next_urgent(again);
        }
        dropped.into()
    }

    fn is_to(&self, id: u32, to: PeerNic) -> bool {
        self.envelope(id).is_some_and(|envelope| envelope.to == to)
    }

    /// Takes everything that waits and is not urgent.
    pub(super) fn take(&mut self) -> Vec<Out> {
        let mut taken: Vec<_> = self.pieces.drain(..).map(Out::Piece).collect();
        while let Some(id) = self.pop() {
            taken.extend(self.take_frame(id).map(Out::Frame));
        }
        taken
    }

    /// Takes a frame out, and leaves an empty one in its place.
    fn take_frame(&mut self, id: u32) -> Option<Envelope> {
        let envelope = self.frames.get_mut(id as usize)?;
        let (to, frame) = (envelope.to, Frame::new(self.me, self.nic));
        let empty = Envelope { to, frame, tally: Tally::default(), number: 0 };
        let taken = std::mem::replace(envelope, empty);
        self.recycle(id);
        Some(taken)
    }

    /// Takes over a frame of another NIC's. Nothing joins it: an acknowledgement in it is to go now.
    pub(super) fn adopt(&mut self, mut envelope: Envelope) {
        envelope.frame.set_nic(self.nic);
        let id = self.fresh(envelope.to);
        if let Some(slot) = self.frames.get_mut(id as usize) {
            *slot = envelope;
        }
        self.queue.push_back(id);
    }

    /// Pieces and frames that wait for a peer's NIC.
    pub(super) fn queued(&self, at: PeerNic) -> (usize, usize) {
        let pieces = self.pieces.iter().filter(|piece| piece.to == at).count();
        (pieces, self.queue.iter().filter(|&&id| self.is_to(id, at)).count())
    }
}

#[inline]
fn slot_of(to: PeerNic) -> usize {
    to.pe as usize * MAX_NICS + usize::from(to.nic)
}
