//! What has been handed to a NIC, as far as it is counted.

use super::outbox::{Envelope, Tally};
use crate::counters::NicCounts;

/// What has been handed to a NIC.
#[derive(Clone, Copy)]
pub(super) enum Gone {
    /// A piece of so many bytes.
    Piece(u64),
    /// A frame of so many bytes.
    Frame { tally: Tally, bytes: u64 },
}

impl Gone {
    /// The bytes of a piece.
    pub(super) fn piece_bytes(self) -> Option<u64> {
        match self {
            Self::Piece(bytes) => Some(bytes),
            Self::Frame { .. } => None,
        }
    }
}

impl Envelope {
    /// It as what is counted.
    pub(super) fn gone(&self) -> Gone {
        Gone::Frame { tally: self.tally, bytes: self.frame.as_slice().len() as u64 }
    }
}

impl Tally {
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
