//! What goes over the wire besides payload: the immediate of every piece, and frames of small records.
//!
//! All integers are little-endian. The layout is described in `docs/transport.md`; [`VERSION`] is exchanged at the
//! rendezvous, so that two PEs that would misread each other never start.

mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod immediate;
mod record;

pub use frame::{FRAME_HEADER_BYTES, Frame, FrameError, Records, read_frame};
pub use immediate::Immediate;
pub use record::{Action, Close, Data, DataHead, MAX_CARD_BYTES, Progress, Record, Released, Tail};

/// Version of everything in this module; PEs of different versions refuse to start.
pub const VERSION: u16 = 2;

/// The most PEs a job can have: the immediate has 16 bits for the sender.
pub const MAX_PES: u32 = 1 << 16;

/// The longest piece of a put. Long enough that its overhead does not count, short enough that a NIC at work completes
/// something every so often: a NIC that completes nothing for long is taken for dead.
pub const MAX_PIECE: u64 = 8 << 20;

/// Most NICs of one PE.
pub const MAX_NICS: usize = 32;

/// Most bytes of a frame. One packet on EFA (its MTU is 8.9 kB); on tcp a message costs the same up to here.
pub const MAX_FRAME_BYTES: usize = 4096;

/// Puts of at most this many bytes travel within a frame, many to a message, and are copied at both ends.
pub const MAX_INLINE: usize = 1024;
