//! Groups: the unit in which landed data are counted, so that nothing relies on order.
//!
//! Between each pair of PEs the sender numbers its *groups*. A put with a signal is a group of its own; plain puts
//! share one, until a quiet, a fence, 64 pieces or a full window ends it. Every piece of payload names its group; one
//! record, the *close*, says how many pieces the group has and what happens then (a signal, an atomic, a get, an answer).
//! The receiver counts pieces per group, in whatever order pieces and closes arrive and over whichever NICs, and releases
//! a group when count and close agree.
//!
//! The receiver's *low mark* is the number below which every group is released. It travels back in acknowledgements: with
//! something else that goes to that sender, or by itself when nothing was released for 20 us, or 200 us once a stream is
//! coming (four groups are owed), every 256 groups within one, and at once for a group whose close asks or where to wait has brought nothing (`lone`). So a put that is answered by another costs no acknowledgement of
//! its own, and a stream few. A quiet or a fence asks, with a group of nothing if need be, and so does now and then a stream that has half of the
//! pieces under way that its target has room for.
//! A sender never runs more than [`WINDOW`] groups ahead of it, which makes the 16 bits of the immediate unambiguous
//! and bounds the receiver's memory.
//!
//! Until a group is released its sender remembers what it sent of it and by which way ([`log`]), because a NIC may fail.

mod inbound;
pub mod log;
mod lone;
mod outbound;
mod turns;

pub use inbound::{Inbound, Release};
pub(in crate::transport) use outbound::enter;
pub use outbound::{Moved, Outbound};
pub use turns::Origin;

/// Groups a sender may have open towards one receiver.
pub const WINDOW: u64 = 1024;

/// Released groups after which a receiver acknowledges without being asked.
const ACK_EVERY: u64 = WINDOW / 4;

/// How long after its last release a receiver waits with an acknowledgement nobody has asked for: a put of its own in the
/// other direction takes it along, and a burst has one for all. Shorter than what a message costs on sockets twice over. Not
/// where that brings nothing ([`lone`]).
const ACK_DELAY_NS: u64 = 20_000;

/// Groups that are released and not acknowledged from which on more are likely to come. A sender that waits for as many asks.
pub(super) const STREAM: u64 = 4;

/// The same delay then. Closes of a stream of long puts come several in a frame, 0.1 ms apart over sockets, and not each frame of them is worth an
/// acknowledgement (`docs/measurements.md`).
const STREAM_ACK_DELAY_NS: u64 = 200_000;

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
    /// An acknowledgement of something never sent. (One that goes backwards has only been overtaken.)
    #[error("acknowledged up to {low}, but only {sent} groups were sent")]
    WrongAck {
        /// What was acknowledged.
        low: u64,
        /// Groups sent.
        sent: u64,
    },
}

#[cfg(test)]
mod tests;
