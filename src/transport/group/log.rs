//! What a sender remembers of the groups a receiver has not yet released, in case it has to be sent again.

use std::collections::VecDeque;

use crate::transport::select::Route;
use crate::transport::wire::{Action, Close};

/// Something sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A piece of a put, by a write of the NIC's.
    Piece {
        /// Offset of the source in this PE's heap.
        local: u64,
        /// Offset of the destination in the target's heap.
        remote: u64,
        /// Bytes.
        len: u64,
    },
    /// A small put within a frame.
    Data {
        /// Offset of the source in this PE's heap.
        local: u64,
        /// Offset of the destination in the target's heap.
        remote: u64,
        /// Bytes.
        len: u64,
        /// What happens then, if it is a group of its own.
        action: Option<Action>,
    },
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

/// The log of one pair, in the order of sending.
#[derive(Debug, Default)]
pub struct Log(VecDeque<Sent>);

impl Log {
    /// Remembers something.
    pub(super) fn push(&mut self, sent: Sent) {
        self.0.push_back(sent);
    }

    /// Forgets what belongs to groups below `low`, as far as nothing older is in front of it.
    pub(super) fn trim(&mut self, low: u64) {
        while self.0.front().is_some_and(|sent| sent.seq < low) {
            self.0.pop_front();
        }
    }

    /// How much is remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything remembered, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Sent> {
        self.0.iter()
    }

    /// The close of group `seq`, with its way.
    pub(super) fn close_mut(&mut self, seq: u64) -> Option<(Route, &mut Close)> {
        self.0.iter_mut().filter(|sent| sent.seq == seq).find_map(|sent| match &mut sent.what {
            What::Close(close) => Some((sent.route, close)),
            _ => None,
        })
    }

    /// Something that was to go by way `from` goes by way `to` instead, before anything of it was posted.
    pub(super) fn divert(&mut self, from: Route, to: Route, is: impl Fn(&Sent) -> bool) {
        if let Some(sent) = self.0.iter_mut().rev().find(|sent| sent.route == from && is(sent)) {
            sent.route = to;
        }
    }

    /// Takes out what is not released and fulfils `lost`, to be sent again.
    pub(super) fn take(&mut self, mut lost: impl FnMut(&Sent) -> bool) -> Vec<Sent> {
        let (again, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().partition(|sent| lost(sent));
        self.0 = kept.into();
        again
    }
}
