//! What can go wrong, and the code it has in C.

use std::io;

use crate::abi;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Something about an argument.
    #[error("{0}")]
    Argument(String),
    /// The system refused something.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
    /// A handle of the parent.
    #[error(
        "this sampler belongs to process {owner}, of which this is a child: threads do not survive a fork; start a new sampler"
    )]
    Forked {
        /// The process that started it.
        owner: u32,
    },
    /// It did not happen in time.
    #[error("{done} of {wanted} rounds of reads were done in the time given")]
    Timeout {
        /// Rounds done.
        done: u64,
        /// Rounds waited for.
        wanted: u64,
    },
    /// Nobody samples any more.
    #[error("the sampler has ended after {done} rounds of reads; {wanted} will never be done")]
    Ended {
        /// Rounds done.
        done: u64,
        /// Rounds waited for.
        wanted: u64,
    },
    /// A panic.
    #[error("a bug in librailtop: {0}; please report it")]
    Bug(String),
}

impl Error {
    /// The `RAILTOP_E_*` of the header.
    pub(crate) fn code(&self) -> i32 {
        match self {
            Self::Argument(_) => abi::E_ARGUMENT,
            Self::Thread(_) => abi::E_SYSTEM,
            Self::Forked { .. } => abi::E_FORKED,
            Self::Timeout { .. } => abi::E_TIMEOUT,
            Self::Ended { .. } => abi::E_ENDED,
            Self::Bug(_) => abi::E_BUG,
        }
    }

    /// An argument that must not be NULL.
    pub(crate) fn null(name: &str) -> Self {
        Self::Argument(format!("{name} is NULL"))
    }
}
