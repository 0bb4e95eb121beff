//! Traffic that a GPU starts: its kernels post, the PE's proxy carries.

use std::time::Duration;

use cudarc::driver::CudaEvent;

use super::WorkloadError;
use super::alltoall::Place;
use super::options::{Initiator, Options};
use crate::transport::gpu::{AllToAllBlocks, Gpu, GpuError, PatternKernels, PutBw, RingMemory, Visible};
use crate::transport::pe::Pe;

/// Rings of a PE: with several, blocks get in each other's way less.
const RINGS: u32 = 4;

/// Descriptors of a ring.
const DEPTH: u32 = 4096;

/// A PE's GPU with the kernels on it.
pub(super) struct GpuSide {
    gpu: Gpu,
    kernels: PatternKernels,
    visible: Visible,
    threads: u32,
}

/// Where `put` reads and writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct PutBuffers {
    pub(super) dst: u32,
    pub(super) send: u64,
    pub(super) receive: u64,
    /// Bytes of a put.
    pub(super) len: u64,
}

impl GpuSide {
    /// Opens the GPU, compiles the kernels, and lets the proxy take what they post.
    pub(super) fn start(pe: &mut Pe, ordinal: usize, threads: u32) -> Result<Self, WorkloadError> {
        let gpu = Gpu::open(ordinal)?;
        let kernels = PatternKernels::load(&gpu)?;
        let rings = RingMemory::create(RINGS, DEPTH).map_err(GpuError::from)?;
        let visible = Visible::new(&gpu, pe.rank(), pe.world(), pe.shared_heap(), &rings)?;
        pe.take_from(&rings, true);
        Ok(Self { gpu, kernels, visible, threads })
    }

    /// Puts `iters` times; returns when everything has landed.
    pub(super) fn put(
        &self,
        pe: &mut Pe,
        options: &Options,
        PutBuffers { dst, send, receive, len }: PutBuffers,
        iters: u64,
    ) -> Result<Duration, WorkloadError> {
        let workers = match options.initiator {
            Initiator::Gpu { threads, scope, .. } => scope.workers(threads),
            Initiator::Host => 1,
        };
        let blocks = u32::try_from(options.ctas).unwrap_or(u32::MAX);
        let put = PutBw { dst, send, receive, len, blocks, workers };
        let events = self.kernels.put(&self.gpu, self.visible.view(), put, iters)?;
        Self::wait(pe, "the kernels of a put", &events)
    }

    /// `iters` all-to-alls in one kernel; returns the time that they took on the GPU.
    pub(super) fn all_to_all(
        &self,
        pe: &mut Pe,
        Place { send, receive, stride, len, .. }: Place,
        words: u64,
        before: u64,
        iters: u64,
    ) -> Result<Duration, WorkloadError> {
        let blocks = AllToAllBlocks { send, receive, stride, len, words, before };
        let events = self.kernels.all_to_all(&self.gpu, self.visible.view(), blocks, self.threads, iters)?;
        Self::wait(pe, "the kernel of an all-to-all", &events)
    }

    /// Waits for kernels, with the proxy at work; returns the time between the events.
    fn wait(pe: &mut Pe, what: &str, [start, end]: &[CudaEvent; 2]) -> Result<Duration, WorkloadError> {
        let mut failed = None;
        pe.run_for(what, || {
            end.try_is_complete().unwrap_or_else(|error| {
                failed = Some(error);
                true
            })
        })?;
        let driver = |source| GpuError::Driver { what: what.to_owned(), source };
        if let Some(error) = failed {
            return Err(driver(error).into());
        }
        let ms = start.elapsed_ms(end).map_err(driver)?;
        Ok(Duration::from_secs_f64(f64::from(ms) / 1e3))
    }
}
