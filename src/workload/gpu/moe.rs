//! Dispatch and combine by a GPU.

use std::mem::ManuallyDrop;
use std::time::Duration;

use super::GpuSide;
use crate::transport::gpu::{DeviceMemory, GpuError, KernelHeap, Launched, Moe, MoeKernels};
use crate::transport::pe::Pe;
use crate::workload::WorkloadError;
use crate::workload::moe::Memory;

/// What the kernels use beside what all kernels do.
struct Held {
    kernels: MoeKernels,
    tables: DeviceMemory,
}

/// A PE's GPU with the kernels on it, and tables that tell them of their rows.
pub(in crate::workload) struct MoeSide {
    side: GpuSide,
    held: ManuallyDrop<Held>,
}

/// Which kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::workload) enum Part {
    /// Rows to experts.
    Dispatch,
    /// Answers back.
    Combine,
}

impl MoeSide {
    /// Compiles the kernels, and takes `bytes` bytes of the GPU's memory for their tables.
    pub(in crate::workload) fn start(side: GpuSide, bytes: u64) -> Result<Self, WorkloadError> {
        let kernels = MoeKernels::load(&side.held.gpu)?;
        let tables = DeviceMemory::take(&side.held.gpu, bytes)?;
        Ok(Self { side, held: ManuallyDrop::new(Held { kernels, tables }) })
    }

    /// What all kernels use.
    pub(in crate::workload) fn side(&mut self) -> &mut GpuSide {
        &mut self.side
    }

    /// Whether what kernels put to a PE goes over NICs.
    pub(in crate::workload) fn posts_to(&self, pe: &Pe, other: u32) -> bool {
        !self.side.reaches(pe, other) && !pe.is_local(other)
    }

    /// The GPU's product name, where the driver tells.
    pub(in crate::workload) fn name(&self) -> Option<String> {
        self.side.name()
    }

    /// Which memory the heap lies in.
    pub(in crate::workload) fn heap_name(&self) -> &'static str {
        self.side.heap_name()
    }

    /// The heap, for what is not timed.
    pub(in crate::workload) fn memory<'a>(&'a self, pe: &'a Pe) -> Memory<'a> {
        match self.side.held.visible.heap() {
            KernelHeap::Device { own, .. } => Memory::Device(own),
            KernelHeap::Both { own, .. } => Memory::Both(pe.heap(), own),
            KernelHeap::Host { .. } => Memory::Host(pe.heap()),
        }
    }

    /// Writes the tables; returns where kernels see them.
    pub(in crate::workload) fn write_tables(&self, bytes: &[u8]) -> Result<u64, WorkloadError> {
        self.held.tables.write(0, bytes)?;
        Ok(self.held.tables.address())
    }

    /// Runs a kernel of so many blocks and threads when all PEs are about to, and waits until what it has put has landed; returns the time that the
    /// kernel took on the GPU.
    pub(in crate::workload) fn run(
        &self,
        pe: &mut Pe,
        part: Part,
        moe: Moe,
        (blocks, threads): (u32, u32),
    ) -> Result<Duration, WorkloadError> {
        let (gpu, kernels) = (&self.side.held.gpu, &self.held.kernels);
        let most = kernels.most_blocks(gpu, threads)? / self.side.sharers.max(1);
        if blocks > most {
            return Err(GpuError::TooLarge { blocks, threads, most }.into());
        }
        let (view, size) = (self.side.held.visible.view(), (blocks, threads));
        // Kernels wait for each other's rows: who begins early would time how long others take to make their tables.
        pe.barrier()?;
        let (what, launched) = match part {
            Part::Dispatch => ("the kernel of a dispatch", kernels.dispatch(gpu, view, moe, size)?),
            Part::Combine => ("the kernel of a combine", kernels.combine(gpu, view, moe, size)?),
        };
        let Launched { timed, done } = launched;
        self.side.wait_for(pe, what, &done)?;
        GpuSide::between(what, &timed)
    }
}

impl Drop for MoeSide {
    #[expect(unsafe_code, reason = "what a running kernel uses must not be dropped")]
    fn drop(&mut self) {
        if !self.side.hung.get() {
            // SAFETY: once, and nobody uses it after this.
            unsafe { ManuallyDrop::drop(&mut self.held) };
        }
    }
}
