//! Signals: 64-bit words of the symmetric heap that tell a PE that data have arrived.

/// How a signal changes its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignalOp {
    /// The word becomes the value.
    Set,
    /// The value is added to the word (wrapping).
    Add,
}

/// One change of one signal word at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// Offset of the word in the symmetric heap, a multiple of 8.
    pub offset: u64,
    /// What happens to it.
    pub op: SignalOp,
    /// The operand.
    pub value: u64,
}

/// What a wait compares for, as in `nvshmem_signal_wait_until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The word equals the value.
    Equal(u64),
    /// The word is at least the value.
    AtLeast(u64),
    /// The word differs from the value.
    NotEqual(u64),
}

impl Until {
    /// Whether `word` ends the wait.
    #[must_use]
    pub fn holds(self, word: u64) -> bool {
        match self {
            Self::Equal(value) => word == value,
            Self::AtLeast(value) => word >= value,
            Self::NotEqual(value) => word != value,
        }
    }
}
