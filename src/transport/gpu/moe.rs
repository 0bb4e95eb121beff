//! The kernels of `kernels/moe.cu`, with their arguments.

#![expect(unsafe_code, reason = "a launch takes its arguments on trust")]

use cudarc::driver::sys::CUevent_flags;
use cudarc::driver::{CudaEvent, CudaFunction, DeviceRepr, PushKernelArg};

use super::device::Gpu;
use super::error::GpuError;
use super::launch::{Quiet, between, grid};
use super::source::MOE;
use super::view::PeView;

/// `rt_moe`: offsets in the heap, and addresses of tables that the GPU reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Moe {
    /// This PE's tokens, a slot each.
    pub tokens: u64,
    /// Rows that come.
    pub slots: u64,
    /// What this PE's experts say.
    pub answers: u64,
    /// What comes back.
    pub returned: u64,
    /// What the tokens come to.
    pub results: u64,
    /// Words: how many rows come, by source and expert.
    pub counts: u64,
    /// Words: how many have, likewise.
    pub arrived: u64,
    /// Words: how many answers have come back, by PE.
    pub back: u64,
    /// Bytes of a slot.
    pub slot_bytes: u64,
    /// Bytes of an answer.
    pub answer_bytes: u64,
    /// The least word of `counts` in this round.
    pub least: u64,
    /// Address of a word for each expert of all PEs, for `counts` there.
    pub announced: u64,
    /// Address of a word for each source and expert: where `arrived` stood before the round.
    pub before: u64,
    /// Address of a word for each PE: where `back` will stand after it.
    pub due: u64,
    /// Address of four 32-bit numbers for each row: token, PE, expert there, how many go there before it.
    pub trips: u64,
    /// Address of four for each answer: PE, slot there, its number here, and 0.
    pub ways: u64,
    /// Address of a slot and a weight for each answer of each token.
    pub parts: u64,
    /// Rows that go out.
    pub trip_count: u32,
    /// Answers that go out.
    pub answer_count: u32,
    /// Tokens of each PE.
    pub token_count: u32,
    /// Experts of a token.
    pub topk: u32,
    /// Experts of a PE.
    pub local: u32,
    /// Experts of all.
    pub experts: u32,
    /// Values of a token, an even number.
    pub dim: u32,
    /// 0.
    pub unused: u32,
}

// SAFETY: the layout of `rt_moe`: seventeen 64-bit numbers and eight 32-bit ones.
unsafe impl DeviceRepr for Moe {}

/// Kernels under way.
#[derive(Debug)]
pub struct Launched {
    /// Before the kernel and after it: the time that counts.
    pub timed: [CudaEvent; 2],
    /// After all that it has posted has landed: what it has put may change.
    pub done: CudaEvent,
}

/// The kernels on a GPU.
#[derive(Debug)]
pub struct MoeKernels {
    dispatch: CudaFunction,
    combine: CudaFunction,
    quiet: Quiet,
}

impl MoeKernels {
    /// Compiles and loads them.
    ///
    /// # Errors
    /// When that fails.
    pub fn load(gpu: &Gpu) -> Result<Self, GpuError> {
        let kernels = gpu.load(MOE)?;
        Ok(Self {
            dispatch: kernels.function("rt_moe_dispatch")?,
            combine: kernels.function("rt_moe_combine")?,
            quiet: Quiet::load(gpu)?,
        })
    }

    /// How many blocks of `threads` threads they may have: all must be on the GPU at once.
    ///
    /// # Errors
    /// When the driver does not say.
    pub fn most_blocks(&self, gpu: &Gpu, threads: u32) -> Result<u32, GpuError> {
        Ok(gpu.resident(&self.dispatch, threads)?.min(gpu.resident(&self.combine, threads)?))
    }

    /// One dispatch by so many blocks of so many threads.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn dispatch(
        &self,
        gpu: &Gpu,
        view: PeView,
        moe: Moe,
        size: (u32, u32),
    ) -> Result<Launched, GpuError> {
        self.launch(gpu, ("rt_moe_dispatch", &self.dispatch), view, moe, size)
    }

    /// One combine.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn combine(&self, gpu: &Gpu, view: PeView, moe: Moe, size: (u32, u32)) -> Result<Launched, GpuError> {
        self.launch(gpu, ("rt_moe_combine", &self.combine), view, moe, size)
    }

    fn launch(
        &self,
        gpu: &Gpu,
        (name, kernel): (&str, &CudaFunction),
        view: PeView,
        moe: Moe,
        (blocks, threads): (u32, u32),
    ) -> Result<Launched, GpuError> {
        let timed = between(gpu, name, || {
            let mut launch = gpu.stream().launch_builder(kernel);
            launch.arg(&view).arg(&moe);
            // SAFETY: the arguments are those of the kernel, in type and order; `view` is of a `Visible`, and the tables
            // are of memory, that the caller keeps until the events are over.
            unsafe { launch.launch_cooperative(grid(blocks, threads)) }.map(|_| ())
        })?;
        let failed = || GpuError::of(format!("waiting for what {name} posts"));
        self.quiet.launch(gpu, &view).map_err(failed())?;
        let done = gpu.stream().record_event(Some(CUevent_flags::CU_EVENT_DEFAULT)).map_err(failed())?;
        Ok(Launched { timed, done })
    }
}
