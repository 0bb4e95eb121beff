//! Traffic that a GPU starts: its kernels post, the PE's proxy carries.

use std::time::{Duration, Instant};

use cudarc::driver::CudaEvent;

use super::WorkloadError;
use super::alltoall::Place;
use super::options::Scope;
use super::put::Buffers;
use crate::transport::gpu::{AllToAllBlocks, Gpu, GpuError, PatternKernels, PutBw, RingMemory, Visible};
use crate::transport::pe::Pe;

/// Rings of a PE: with several, blocks get in each other's way less.
const RINGS: u32 = 4;

/// Descriptors of a ring.
const DEPTH: u32 = 4096;

/// How long kernels may take to end once they are told to.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A PE's GPU with the kernels on it.
pub(super) struct GpuSide {
    gpu: Gpu,
    kernels: PatternKernels,
    visible: Visible,
    rings: RingMemory,
    threads: u32,
    scope: Scope,
}

impl GpuSide {
    /// Opens the GPU, compiles the kernels, and lets the proxy take what they post.
    pub(super) fn start(
        pe: &mut Pe,
        ordinal: usize,
        threads: u32,
        scope: Scope,
    ) -> Result<Self, WorkloadError> {
        let gpu = Gpu::open(ordinal)?;
        let kernels = PatternKernels::load(&gpu)?;
        let rings = RingMemory::create(RINGS, DEPTH).map_err(GpuError::from)?;
        let visible = Visible::new(&gpu, pe.rank(), pe.world(), pe.heap(), &rings)?;
        pe.take_from(&rings, true)?;
        Ok(Self { gpu, kernels, visible, rings, threads, scope })
    }

    /// Puts `iters` times, by `ctas` blocks, `len` bytes each; returns the time on the GPU until everything had landed.
    pub(super) fn put(
        &self,
        pe: &mut Pe,
        dst: u32,
        Buffers { send, receive }: Buffers,
        len: u64,
        ctas: u64,
        iters: u64,
    ) -> Result<Duration, WorkloadError> {
        let blocks = u32::try_from(ctas).unwrap_or(u32::MAX);
        let put = PutBw { dst, send, receive, len, blocks, threads: self.threads, scope: self.scope };
        let events = self.kernels.put(&self.gpu, self.visible.view(), put, iters)?;
        self.wait(pe, "the kernels of a put", &events)
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
        self.wait(pe, "the kernel of an all-to-all", &events)
    }

    /// Waits for kernels, with the proxy at work; returns the time between the events. When the job has failed it ends the
    /// kernels first: their memory is about to go.
    fn wait(
        &self,
        pe: &mut Pe,
        what: &str,
        [start, end]: &[CudaEvent; 2],
    ) -> Result<Duration, WorkloadError> {
        let driver = |source| GpuError::Driver { what: what.to_owned(), source };
        let mut failed = None;
        let waited = pe.run_for(what, || {
            end.try_is_complete().unwrap_or_else(|error| {
                failed = Some(error);
                true
            })
        });
        if let Err(error) = waited {
            // The others first: this may take a while.
            pe.abort(&error.to_string());
            self.stop(end);
            return Err(error.into());
        }
        if let Some(error) = failed {
            return Err(driver(error).into());
        }
        let ms = start.elapsed_ms(end).map_err(driver)?;
        Ok(Duration::from_secs_f64(f64::from(ms) / 1e3))
    }

    /// Ends kernels that wait for what will not come. Whoever holds on after that, nothing of its memory can be given back:
    /// then the process ends, and the driver sees to it.
    fn stop(&self, end: &CudaEvent) {
        self.rings.stop();
        let begun = Instant::now();
        while matches!(end.try_is_complete(), Ok(false)) {
            if begun.elapsed() > STOP_LIMIT {
                eprintln!(
                    "railtop: a kernel does not end although the job has failed; the process ends with it"
                );
                std::process::exit(1);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
