//! The seam between the proxy and one NIC: narrow, so that a mock can stand in for libfabric, and generic, so that
//! there is no dynamic dispatch on the data path.

use std::fmt;

/// A NIC of a PE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerNic {
    /// The PE.
    pub pe: u32,
    /// Index among that PE's NICs.
    pub nic: u16,
}

impl fmt::Display for PeerNic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PE {} NIC {}", self.pe, self.nic)
    }
}

/// Whether a NIC took an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// It is on its way; a completion follows.
    Yes,
    /// It was taken whole and has no completion of its own (an injected message).
    Injected,
    /// The queue is full: poll, then try again (`FI_EAGAIN`).
    Full,
}

/// A NIC that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("NIC {nic}: {what}: {why}")]
pub struct NicError {
    /// The NIC's name.
    pub nic: String,
    /// What it was doing.
    pub what: String,
    /// What went wrong.
    pub why: String,
}

impl NicError {
    /// Without the NIC's name.
    pub(in crate::transport) fn saying(&self) -> String {
        format!("{}: {}", self.what, self.why)
    }
}

/// One piece of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Where it goes.
    pub to: PeerNic,
    /// Offset of the source in this PE's heap.
    pub local: u64,
    /// Offset of the destination in the target's heap.
    pub remote: u64,
    /// Bytes, at least 1 and at most [`Limits::max_piece`].
    pub len: u64,
    /// What the target's completion carries.
    pub immediate: u64,
}

/// What a NIC can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest piece of a put.
    pub max_piece: u64,
    /// Operations that may be in flight at once.
    pub max_in_flight: u64,
    /// Bytes of pieces in flight that are enough to keep it busy, however fast it is; more are handed over only as fast as it
    /// has proved to be.
    pub ahead: u64,
}

/// An operation that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Where it was to go.
    pub to: PeerNic,
    /// Bytes of a piece; `None`: a control frame.
    pub bytes: Option<u64>,
    /// What went wrong.
    pub error: NicError,
}

/// Takes what a NIC reports.
pub trait Sink {
    /// A piece of `bytes` has left: its source may be reused.
    fn piece_done(&mut self, to: PeerNic, bytes: u64);
    /// A control frame that was not injected has left.
    fn frame_done(&mut self, to: PeerNic);
    /// An operation has failed. Whether any of it has landed, or will, is not known until its target has closed its receiver
    /// ([`Nic::close_receiver`]).
    fn failed(&mut self, failed: Failed);
    /// A piece has landed here; `len` is what the completion says, which some providers leave 0.
    fn landed(&mut self, immediate: u64, len: u64);
    /// A control frame has arrived.
    fn frame(&mut self, bytes: &[u8]);
    /// Something that came in has failed: a receive, or a peer's write. That peer hears of it, and may try again.
    fn receive_failed(&mut self) {}
}

/// One NIC, owned by the proxy: one thread at a time uses it.
///
/// Where it may have to be fenced against what others have on the way to it, that does no harm to what it sends itself: it then
/// receives through an endpoint of its own.
pub trait Nic: Send {
    /// Its name, for messages.
    fn name(&self) -> &str;

    /// What it can do.
    fn limits(&self) -> Limits;

    /// Writes a piece into another PE's heap. The target's completion carries the immediate.
    ///
    /// # Errors
    /// When the NIC refuses for good.
    fn put(&mut self, piece: &Piece) -> Result<Posted, NicError>;

    /// Sends a control frame.
    ///
    /// # Errors
    /// When the NIC refuses for good.
    fn send(&mut self, to: PeerNic, frame: &[u8]) -> Result<Posted, NicError>;

    /// Makes progress and reports what has happened; returns how many things that were. An operation that failed is one
    /// of them.
    ///
    /// # Errors
    /// When the NIC as a whole cannot go on.
    fn poll(&mut self, sink: &mut impl Sink) -> Result<usize, NicError>;

    /// Pieces that this NIC may have under way to a peer's, those included that have landed there without an acknowledgement:
    /// with more of them from everybody, its completion queue could overrun while it does not look. Always the same.
    fn room_at(&self, to: PeerNic) -> u64 {
        let _ = to;
        u64::MAX
    }

    /// Whether this NIC can be fenced: whether its provider stands an endpoint being closed in mid-traffic, nothing can land
    /// once it is, and the job has a NIC to go on with.
    fn can_reopen(&self) -> bool;

    /// Closes the endpoint that receives, and reports what had come before as far as that can be read. Once it has returned,
    /// nothing that was posted to it can land any more. What this NIC sends goes on undisturbed. Nothing happens when it is closed
    /// already.
    ///
    /// # Errors
    /// When it could not be closed (or never can: [`Self::can_reopen`]): what is under way may still land.
    fn close_receiver(&mut self, sink: &mut impl Sink) -> Result<(), NicError>;

    /// Opens a fresh endpoint that receives, in place of the closed one. Returns the new card, for [`Self::redirect`] at
    /// everybody else; at most 400 bytes.
    ///
    /// # Errors
    /// When it could not be opened: this NIC then receives nothing until another call succeeds.
    fn open_receiver(&mut self) -> Result<Vec<u8>, NicError>;

    /// From now on reaches a peer's NIC at the address that its [`Self::open_receiver`] has returned. What is still under way to
    /// the old address is reported as done or failed, by the next polls at the latest as far as the NIC has room to
    /// remember it.
    ///
    /// # Errors
    /// When the card makes no sense or there is no such peer; nothing has changed then.
    fn redirect(&mut self, peer: PeerNic, card: &[u8]) -> Result<(), NicError>;
}
