//! What a receiver says of the groups and frames that have come.

use crate::transport::group::WINDOW;

/// Words of the set of released groups.
pub(super) const RELEASED_WORDS: usize = 16;
const _: () = assert!(RELEASED_WORDS as u64 * 64 == WINDOW, "a bit per group of the window");

/// Which groups of a sender are released at a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// All below it are.
    pub low: u64,
    /// Of those from `low` on, bit `n` says so of group `low + n`. Apart, for it is long and rare: records that come by the million
    /// are moved about with room for it otherwise.
    pub above: Box<[u64; RELEASED_WORDS]>,
}

impl Released {
    /// Nothing above `low`.
    #[must_use]
    pub fn below(low: u64) -> Self {
        Self { low, above: Box::new([0; RELEASED_WORDS]) }
    }

    /// Notes that group `seq` is released.
    pub fn insert(&mut self, seq: u64) {
        let Some(ahead) = seq.checked_sub(self.low).and_then(|ahead| usize::try_from(ahead).ok()) else {
            return;
        };
        if let Some(word) = self.above.get_mut(ahead / 64) {
            *word |= 1 << (ahead % 64);
        }
    }

    /// Whether group `seq` is released.
    #[must_use]
    pub fn contains(&self, seq: u64) -> bool {
        let Some(ahead) = seq.checked_sub(self.low) else { return true };
        let ahead = usize::try_from(ahead).unwrap_or(usize::MAX);
        self.above.get(ahead / 64).is_some_and(|word| word >> (ahead % 64) & 1 == 1)
    }
}

/// How much of what a PE sends arrives; counts wrap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Pieces and frames of the asker's that came through the answerer's NIC of this number.
    pub through: u32,
    /// Frames that the asker sent by its own NIC of this number.
    pub by: u32,
}
