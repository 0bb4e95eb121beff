//! What a sender remembers of the groups a receiver has not yet released, in case it has to be sent again.

use std::collections::VecDeque;

use crate::transport::select::Route;
use crate::transport::wire::{Close, Tail};

/// Bytes and where they go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Offset of the source in this PE's heap.
    pub local: u64,
    /// Offset of the destination in the target's heap.
    pub remote: u64,
    /// Bytes.
    pub len: u64,
}

/// A small put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Small {
    /// Its bytes.
    pub span: Span,
    /// What happens then, if it is a group of its own.
    pub tail: Tail,
}

/// Something sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A piece of a put, by a write of the NIC's.
    Piece(Span),
    /// A small put within a frame.
    Data(Small),
    /// The end of a group.
    Close(Close),
}

/// Something sent and not known to have been released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its group.
    pub seq: u64,
    /// The way it took.
    pub route: Route,
    /// When, in milliseconds of the proxy's clock.
    pub at_ms: u64,
    /// What it was.
    pub what: What,
}

impl Sent {
    fn is_piece(&self) -> bool {
        matches!(self.what, What::Piece(_))
    }
}

/// The log of one pair, in the order of sending.
#[derive(Debug, Default)]
pub struct Log {
    sent: VecDeque<Sent>,
    /// Pieces among it.
    pieces: usize,
}

impl Log {
    /// Remembers something.
    #[inline]
    pub(super) fn push(&mut self, sent: Sent) {
        self.pieces += usize::from(sent.is_piece());
        self.sent.push_back(sent);
    }

    /// Forgets what belongs to groups below `low`, as far as nothing older is in front of it.
    pub(super) fn trim(&mut self, low: u64) {
        while let Some(sent) = self.sent.front()
            && sent.seq < low
        {
            self.pieces -= usize::from(sent.is_piece());
            self.sent.pop_front();
        }
    }

    /// Pieces among what is remembered.
    #[must_use]
    pub fn pieces(&self) -> usize {
        self.pieces
    }

    /// How much is remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sent.len()
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// Everything remembered, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter()
    }

    /// Something that was to go by way `from` goes by way `to` instead, before anything of it was posted.
    pub(super) fn divert(&mut self, from: Route, to: Route, is: impl Fn(&Sent) -> bool) {
        if let Some(sent) = self.sent.iter_mut().rev().find(|sent| sent.route == from && is(sent)) {
            sent.route = to;
        }
    }

    /// Takes out what is not released and fulfils `lost`, to be sent again.
    pub(super) fn take(&mut self, mut lost: impl FnMut(&Sent) -> bool) -> Vec<Sent> {
        let (again, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.sent).into_iter().partition(|sent| lost(sent));
        self.sent = kept.into();
        self.pieces -= again.iter().filter(|sent| sent.is_piece()).count();
        again
    }
}
