//! Launching kernels.

#![expect(unsafe_code, reason = "a launch takes its arguments on trust")]

use cudarc::driver::sys::CUevent_flags;
use cudarc::driver::{CudaEvent, CudaFunction, DriverError, LaunchConfig, PushKernelArg};

use super::device::Gpu;
use super::error::GpuError;
use super::source::POST;
use super::view::PeView;

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

/// Waits on the GPU for everything that kernels before it have posted.
#[derive(Debug)]
pub(super) struct Quiet(CudaFunction);

impl Quiet {
    pub(super) fn load(gpu: &Gpu) -> Result<Self, GpuError> {
        gpu.load(POST)?.function("rt_quiet_all").map(Self)
    }

    pub(super) fn launch(&self, gpu: &Gpu, view: &PeView) -> Result<(), DriverError> {
        let mut launch = gpu.stream().launch_builder(&self.0);
        launch.arg(view);
        // SAFETY: the argument is that of the kernel; `view` is of a `Visible` that the caller keeps until it has ended.
        unsafe { launch.launch(grid(1, 1)) }.map(|_| ())
    }
}

/// Says a word to every PE that this GPU should reach, and waits until it has.
#[derive(Debug)]
pub(super) struct Greeting(CudaFunction);

impl Greeting {
    pub(super) fn load(gpu: &Gpu) -> Result<Self, GpuError> {
        gpu.load(POST)?.function("rt_greet").map(Self)
    }

    pub(super) fn launch(&self, gpu: &Gpu, view: PeView) -> Result<(), GpuError> {
        let mut launch = gpu.stream().launch_builder(&self.0);
        launch.arg(&view);
        // SAFETY: as for `Quiet`, and this waits.
        let launched = unsafe { launch.launch(grid(1, 32)) };
        launched.map_err(GpuError::of("launching rt_greet"))?;
        gpu.stream().synchronize().map_err(GpuError::of("waiting for rt_greet"))
    }
}
