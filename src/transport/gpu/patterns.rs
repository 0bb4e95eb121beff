//! The kernels of `kernels/put.cu` and `kernels/alltoall.cu`, with their arguments.

#![expect(unsafe_code, reason = "a launch takes its arguments on trust")]

use cudarc::driver::{CudaEvent, CudaFunction, DeviceRepr, PushKernelArg};

use super::device::Gpu;
use super::error::GpuError;
use super::launch::{Quiet, between, grid};
use super::source::{ALL_TO_ALL, PUT};
use super::verify::Report;
use super::view::PeView;

/// How many threads join in a put (`rt_scope`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Scope {
    /// One: each puts for itself.
    Thread = 0,
    /// The 32 of a warp.
    Warp = 1,
    /// All of a block.
    Block = 2,
}

/// What `put` writes: each thread, warp or block puts `len` bytes at an offset of its own.
#[derive(Debug, Clone, Copy)]
pub struct PutBw {
    /// Target PE.
    pub dst: u32,
    /// Offset of the send buffer.
    pub send: u64,
    /// Offset of the receive buffer.
    pub receive: u64,
    /// Bytes of a put.
    pub len: u64,
    /// Blocks of threads.
    pub blocks: u32,
    /// Threads of each.
    pub threads: u32,
    /// Which of them join in a put.
    pub scope: Scope,
}

/// What `alltoall` writes: `rt_exchange`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Exchange {
    /// Offset of the send buffer, a block for each PE.
    pub send: u64,
    /// Offset of the receive buffer.
    pub receive: u64,
    /// Bytes from one block to the next.
    pub stride: u64,
    /// Bytes of a block.
    pub len: u64,
    /// Offset of the signal words, two for each block of threads of each PE: for odd and for even rounds.
    pub words: u64,
    /// The first iteration's round, counted from 1 over all launches.
    pub round: u64,
    /// Bytes from one buffer to the other: with `verify` there are two, used in turn.
    pub half: u64,
    /// Blocks of threads that there may be: a PE has twice as many words.
    pub apart: u32,
    /// Not 0: a PE's own block is copied, too.
    pub own: u32,
    /// Not 0: blocks are filled, and checked the moment their signals have come.
    pub verify: u32,
}

// SAFETY: the layout of `rt_exchange`: seven 64-bit numbers and three 32-bit ones; its end is padded alike.
unsafe impl DeviceRepr for Exchange {}

/// The kernels on a GPU.
#[derive(Debug)]
pub struct PatternKernels {
    put: CudaFunction,
    alltoall: CudaFunction,
    quiet: Quiet,
}

impl PatternKernels {
    /// Compiles and loads them.
    ///
    /// # Errors
    /// When that fails.
    pub fn load(gpu: &Gpu) -> Result<Self, GpuError> {
        Ok(Self {
            put: gpu.load(PUT)?.function("rt_put_bw")?,
            alltoall: gpu.load(ALL_TO_ALL)?.function("rt_alltoall")?,
            quiet: Quiet::load(gpu)?,
        })
    }

    /// Puts `iters` times, and waits for all of it. Returns what happens before and after that on the GPU.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn put(&self, gpu: &Gpu, view: PeView, put: PutBw, iters: u64) -> Result<[CudaEvent; 2], GpuError> {
        let PutBw { dst, send, receive, len, blocks, threads, scope } = put;
        let scope = scope as u32;
        between(gpu, "rt_put_bw", || {
            let mut launch = gpu.stream().launch_builder(&self.put);
            launch.arg(&view).arg(&dst).arg(&send).arg(&receive).arg(&len).arg(&scope).arg(&iters);
            // SAFETY: the arguments are those of the kernel, in type and order; `view` is of a `Visible` that the
            // caller keeps until the events are over.
            unsafe { launch.launch(grid(blocks, threads)) }?;
            self.quiet.launch(gpu, &view)
        })
    }

    /// `iters` all-to-alls by `blocks` blocks of `threads` threads, each with a part of every block of data.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn all_to_all(
        &self,
        gpu: &Gpu,
        view: PeView,
        exchange: Exchange,
        report: &Report,
        (blocks, threads): (u32, u32),
        iters: u64,
    ) -> Result<[CudaEvent; 2], GpuError> {
        let report = report.address(gpu);
        between(gpu, "rt_alltoall", || {
            let mut launch = gpu.stream().launch_builder(&self.alltoall);
            launch.arg(&view).arg(&exchange).arg(&report).arg(&iters);
            // Blocks wait for other PEs' blocks, which wait for all of these.
            // SAFETY: as in `put`.
            unsafe { launch.launch_cooperative(grid(blocks, threads)) }.map(|_| ())
        })
    }

    /// How many blocks of `threads` threads an all-to-all may have.
    ///
    /// # Errors
    /// When the driver does not say.
    pub fn most_blocks(&self, gpu: &Gpu, threads: u32) -> Result<u32, GpuError> {
        gpu.resident(&self.alltoall, threads)
    }
}
