//! Traffic patterns over the transport, and what is reported of them.
//!
//! `put` and `alltoall` follow NVSHMEM's `shmem_put_bw` and `alltoall_latency` (same flags, defaults and table
//! columns), `moe` pplx-kernels' `bench_all_to_all`; each also reports bytes per NIC and how evenly they are spread.

mod account;
pub mod alltoall;
pub mod gather;
pub mod gpu;
pub mod meter;
pub mod moe;
pub mod options;
pub mod plan;
pub mod put;
pub mod report;
pub mod run;
pub mod scene;
mod turns;
pub mod verify;

use crate::transport::error::TransportError;
use crate::transport::gpu::GpuError;
use crate::transport::heap::HeapError;

/// Why a workload did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// The job cannot do what was asked.
    #[error("{0}")]
    Usage(String),
    /// The transport failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A GPU cannot do its part.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// Data did not arrive as they were sent.
    #[error("verification failed: {0}")]
    Corrupt(String),
    /// What was received is not what was sent.
    #[error("the counters do not agree: {0}")]
    Counters(String),
    /// Results could not be written.
    #[error("cannot write the results: {0}")]
    Output(#[from] std::io::Error),
}

/// What lies outside of the heap is the transport's to say.
impl From<HeapError> for WorkloadError {
    fn from(error: HeapError) -> Self {
        Self::Transport(error.into())
    }
}
