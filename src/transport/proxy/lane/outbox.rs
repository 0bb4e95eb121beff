//! What waits for a NIC: pieces and frames in the order of posting, and what must not wait.
//!
//! A frame stays in one place from its first record until it has been sent, and records find it there by where they go.

use std::collections::VecDeque;

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
}

/// A frame on its way out.
#[derive(Debug)]
pub(in super::super) struct Envelope {
    pub(in super::super) to: PeerNic,
    pub(in super::super) frame: Frame,
    pub(super) tally: Tally,
    /// Number of its entry in the queue, counted since the start.
    number: u32,
}

/// Something to hand to a NIC.
#[derive(Debug)]
pub(in super::super) enum Out {
    Piece(Piece),
    Frame(Envelope),
}

/// The same while it waits.
#[derive(Debug, Clone, Copy)]
enum Waiting {
    Piece(Piece),
    /// Where in the frames.
    Frame(u32),
}

/// What is to go first.
pub(super) enum First<'a> {
    Piece(&'a Piece),
    Frame(&'a Envelope),
}

impl First<'_> {
    /// Where it goes.
    #[inline]
    pub(super) fn to(&self) -> PeerNic {
        match self {
            Self::Piece(piece) => piece.to,
            Self::Frame(envelope) => envelope.to,
        }
    }
}

/// What waits for one NIC.
pub(super) struct Outbox {
    me: u16,
    /// Number of the NIC.
    nic: u16,
    queue: VecDeque<Waiting>,
    /// Acknowledgements and news: they go before everything else.
    urgent: VecDeque<u32>,
    /// All frames, those that wait and those to be used again.
    frames: Vec<Envelope>,
    free: Vec<u32>,
    /// Number of the queue's first entry, counted since the start.
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
        self.queue.len()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.urgent.is_empty()
    }

    /// Puts a piece at the end.
    #[inline]
    pub(super) fn push(&mut self, piece: Piece) {
        self.queue.push_back(Waiting::Piece(piece));
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
        self.queue.push_back(Waiting::Frame(id));
    }

    /// What is to go first, nothing urgent.
    #[inline]
    pub(super) fn first(&self) -> Option<First<'_>> {
        Some(match self.queue.front()? {
            Waiting::Piece(piece) => First::Piece(piece),
            &Waiting::Frame(id) => First::Frame(self.envelope(id)?),
        })
    }

    /// It has gone.
    #[inline]
    pub(super) fn drop_first(&mut self) {
        if let Some(Waiting::Frame(id)) = self.pop() {
            self.recycle(id);
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<Waiting> {
        let out = self.queue.pop_front()?;
        self.first = self.first.wrapping_add(1);
        Some(out)
    }

    /// Puts what is first behind all others.
    pub(super) fn set_back(&mut self) {
        match self.pop() {
            Some(Waiting::Frame(id)) => self.append(id),
            Some(out @ Waiting::Piece(_)) => self.queue.push_back(out),
            None => {}
        }
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
        let mut pieces = Vec::new();
        for out in std::mem::take(&mut self.queue) {
            match out {
                Waiting::Piece(piece) if piece.to == to => pieces.push(piece),
                Waiting::Frame(id) if self.is_to(id, to) => self.recycle(id),
                Waiting::Frame(id) => self.append(id),
                Waiting::Piece(_) => self.queue.push_back(out),
            }
        }
        for _ in 0..self.urgent.len() {
            let again = self.first_urgent().is_some_and(|envelope| envelope.to != to);
            self.next_urgent(again);
        }
        pieces
    }

    fn is_to(&self, id: u32, to: PeerNic) -> bool {
        self.envelope(id).is_some_and(|envelope| envelope.to == to)
    }

    /// Takes everything that waits and is not urgent.
    pub(super) fn take(&mut self) -> Vec<Out> {
        std::iter::from_fn(|| {
            let out = self.pop()?;
            Some(match out {
                Waiting::Piece(piece) => Out::Piece(piece),
                Waiting::Frame(id) => Out::Frame(self.take_frame(id)?),
            })
        })
        .collect()
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
        self.queue.push_back(Waiting::Frame(id));
    }

    /// Pieces and frames that wait for a peer's NIC.
    pub(super) fn queued(&self, at: PeerNic) -> (usize, usize) {
        self.queue.iter().fold((0, 0), |(pieces, frames), out| match *out {
            Waiting::Piece(piece) if piece.to == at => (pieces + 1, frames),
            Waiting::Frame(id) if self.is_to(id, at) => (pieces, frames + 1),
            _ => (pieces, frames),
        })
    }
}

#[inline]
fn slot_of(to: PeerNic) -> usize {
    to.pe as usize * MAX_NICS + usize::from(to.nic)
}
