//! What can go wrong for a user of the transport.

use std::time::Duration;

use super::bootstrap::BootstrapError;
use super::fabric::FabricError;
use super::heap::HeapError;

/// Why a transport operation failed. Everything but [`Self::Heap`] is final for the job.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// NICs or libfabric.
    #[error(transparent)]
    Fabric(#[from] FabricError),
    /// PEs did not come together, or one of them is gone.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// An access outside the heap, or no room in it.
    #[error(transparent)]
    Heap(#[from] HeapError),
    /// The job has failed; the reason names the PE or NIC.
    #[error("{0}")]
    Failed(String),
    /// Nothing came for too long.
    #[error(
        "{what} did not happen, and nothing moved on its NICs for {limit:?}; a PE hangs or is far behind (raise --timeout if it only needs longer)"
    )]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
    },
    /// PEs were started in ways that do not fit together.
    #[error("the PEs do not fit together: {0}")]
    Mismatch(String),
    /// The system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was asked.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}
