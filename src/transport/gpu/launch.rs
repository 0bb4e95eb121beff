//! Launching kernels.

use cudarc::driver::sys::CUevent_flags;
use cudarc::driver::{CudaEvent, DriverError, LaunchConfig};

use super::device::Gpu;
use super::error::GpuError;

/// So many blocks of so many threads.
pub(super) fn grid(blocks: u32, threads: u32) -> LaunchConfig {
    LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (threads, 1, 1), shared_mem_bytes: 0 }
}

/// Launches between two events that tell the time.
pub(super) fn between(
    gpu: &Gpu,
    what: &str,
    launch: impl FnOnce() -> Result<(), DriverError>,
) -> Result<[CudaEvent; 2], GpuError> {
    let event = || gpu.stream().record_event(Some(CUevent_flags::CU_EVENT_DEFAULT));
    let failed = || GpuError::of(format!("launching {what}"));
    let start = event().map_err(failed())?;
    launch().map_err(failed())?;
    Ok([start, event().map_err(failed())?])
}
