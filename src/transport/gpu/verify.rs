//! The kernels of `kernels/verify.cu`, with their arguments, and what checking reports.

#![expect(unsafe_code, reason = "a launch takes its arguments on trust")]

use cudarc::driver::{CudaEvent, CudaFunction, CudaSlice, DevicePtr, DeviceRepr, PushKernelArg};

use super::device::Gpu;
use super::error::GpuError;
use super::launch::{between, grid};
use super::source::VERIFY;
use super::view::PeView;

/// Words of `rt_report`.
const REPORT_WORDS: usize = 8;

/// Blocks and threads that fill or check.
const GRID: (u32, u32) = (64, 512);

/// `rt_block`: whose block of data it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct BlockId {
    /// Sending PE.
    pub src: u32,
    /// Receiving PE.
    pub dst: u32,
    /// Round.
    pub round: u64,
}

// SAFETY: the layout of `rt_block`: two 32-bit numbers and a 64-bit one.
unsafe impl DeviceRepr for BlockId {}

/// The first word that a kernel found wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrong {
    /// How many there were.
    pub count: u64,
    /// Whose block it is in.
    pub block: BlockId,
    /// Byte of the block.
    pub at: u64,
    /// Bytes of the block.
    pub len: u64,
    /// What was there.
    pub got: u64,
    /// What should have been.
    pub want: u64,
}

impl Wrong {
    /// From the words of `rt_report`; `None` when nothing was wrong.
    #[must_use]
    pub fn of([count, src, dst, round, at, len, got, want]: [u64; REPORT_WORDS]) -> Option<Self> {
        let pe = |word: u64| u32::try_from(word).unwrap_or(u32::MAX);
        let block = BlockId { src: pe(src), dst: pe(dst), round };
        (count > 0).then_some(Self { count, block, at, len, got, want })
    }
}

/// `rt_report`, in the GPU's memory.
#[derive(Debug)]
pub struct Report {
    words: CudaSlice<u64>,
}

impl Report {
    /// Its bytes.
    pub const BYTES: usize = 8 * REPORT_WORDS;

    /// With nothing wrong.
    ///
    /// # Errors
    /// When the GPU has no memory for it.
    pub fn new(gpu: &Gpu) -> Result<Self, GpuError> {
        let words = gpu.stream().alloc_zeros(REPORT_WORDS);
        Ok(Self { words: words.map_err(GpuError::of("taking memory for a report"))? })
    }

    /// Where kernels see it.
    #[must_use]
    pub fn address(&self, gpu: &Gpu) -> u64 {
        self.words.device_ptr(gpu.stream()).0
    }

    /// What kernels that have ended found, and begins anew.
    ///
    /// # Errors
    /// When a kernel has failed.
    pub fn take(&mut self, gpu: &Gpu) -> Result<Option<Wrong>, GpuError> {
        let words = gpu.stream().clone_dtoh(&self.words).map_err(GpuError::of("reading a report"))?;
        gpu.stream().memset_zeros(&mut self.words).map_err(GpuError::of("clearing a report"))?;
        Ok(words.try_into().ok().and_then(Wrong::of))
    }
}

/// The kernels on a GPU.
#[derive(Debug)]
pub struct VerifyKernels {
    fill: CudaFunction,
    poison: CudaFunction,
    check: CudaFunction,
}

impl VerifyKernels {
    /// Compiles and loads them.
    ///
    /// # Errors
    /// When that fails.
    pub fn load(gpu: &Gpu) -> Result<Self, GpuError> {
        let kernels = gpu.load(VERIFY)?;
        Ok(Self {
            fill: kernels.function("rt_fill_block")?,
            poison: kernels.function("rt_poison_block")?,
            check: kernels.function("rt_check_block")?,
        })
    }

    /// Fills `len` bytes at `offset`, a multiple of 8, with a block's pattern.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn fill(
        &self,
        gpu: &Gpu,
        view: PeView,
        (offset, len): (u64, u64),
        block: BlockId,
    ) -> Result<[CudaEvent; 2], GpuError> {
        between(gpu, "rt_fill_block", || {
            let mut launch = gpu.stream().launch_builder(&self.fill);
            launch.arg(&view).arg(&offset).arg(&len).arg(&block);
            // SAFETY: the arguments are those of the kernel, in type and order; `view` is of a `Visible` that the
            // caller keeps until the events are over.
            unsafe { launch.launch(grid(GRID.0, GRID.1)) }.map(|_| ())
        })
    }

    /// Fills them with what no block has.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn poison(
        &self,
        gpu: &Gpu,
        view: PeView,
        (offset, len): (u64, u64),
    ) -> Result<[CudaEvent; 2], GpuError> {
        between(gpu, "rt_poison_block", || {
            let mut launch = gpu.stream().launch_builder(&self.poison);
            launch.arg(&view).arg(&offset).arg(&len);
            // SAFETY: the arguments are those of the kernel, in type and order; `view` is of a `Visible` that the
            // caller keeps until the events are over.
            unsafe { launch.launch(grid(GRID.0, GRID.1)) }.map(|_| ())
        })
    }

    /// Checks them, and poisons them.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn check(
        &self,
        gpu: &Gpu,
        view: PeView,
        (offset, len): (u64, u64),
        block: BlockId,
        report: &Report,
    ) -> Result<[CudaEvent; 2], GpuError> {
        let report = report.address(gpu);
        between(gpu, "rt_check_block", || {
            let mut launch = gpu.stream().launch_builder(&self.check);
            launch.arg(&view).arg(&offset).arg(&len).arg(&block).arg(&report);
            // SAFETY: the arguments are those of the kernel, in type and order; `view` is of a `Visible` that the
            // caller keeps until the events are over.
            unsafe { launch.launch(grid(GRID.0, GRID.1)) }.map(|_| ())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_is_wrong_or_nothing() {
        assert_eq!(Wrong::of([0, 1, 2, 3, 4, 5, 6, 7]), None);
        let wrong = Wrong::of([9, 1, 2, 3, 4, 5, 6, 7]).unwrap();
        assert_eq!((wrong.count, wrong.block), (9, BlockId { src: 1, dst: 2, round: 3 }));
        assert_eq!((wrong.at, wrong.len, wrong.got, wrong.want), (4, 5, 6, 7));
    }
}
