//! `put`: PE 0 writes to PE 1, as NVSHMEM's `shmem_put_bw`.
//!
//! Each iteration posts one put per CTA, each to an offset of its own; one quiet at the very end. The time ends when the
//! receiver has everything: local completion would count what still lies in socket buffers.

use std::time::{Duration, Instant};

use super::WorkloadError;
use super::gpu::GpuSide;
use super::options::Options;
use super::plan::{message_bytes, put_bytes};
use super::verify::{self, Block};
use crate::transport::gpu::BlockId;
use crate::transport::pe::Pe;

/// Memory of the test, the same on both PEs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buffers {
    pub(super) send: u64,
    pub(super) receive: u64,
}

/// Whether this PE sends.
pub(super) fn sends(pe: &Pe, options: &Options) -> bool {
    pe.rank() == 0 || options.bidir
}

/// Runs `iters` iterations, posted by the host or by `gpu`; returns their time.
pub(super) fn iterate(
    pe: &mut Pe,
    options: &Options,
    gpu: Option<&GpuSide>,
    buffers: Buffers,
    size: u64,
    iters: u64,
) -> Result<Duration, WorkloadError> {
    let begun = Instant::now();
    let len = message_bytes(size, options.parts());
    if sends(pe, options) && len > 0 {
        let dst = 1 - pe.rank().min(1);
        if let Some(gpu) = gpu {
            return gpu.put(pe, dst, buffers, len, options, iters);
        }
        for _ in 0..iters {
            for part in 0..options.parts() {
                let at = part * len;
                pe.put(dst, buffers.send + at, buffers.receive + at, len)?;
            }
        }
    }
    pe.quiet()?;
    Ok(begun.elapsed())
}

/// Fills what is sent and poisons what is received.
pub(super) fn prepare(
    pe: &mut Pe,
    options: &Options,
    gpu: Option<&GpuSide>,
    buffers: Buffers,
    size: u64,
    round: u64,
) -> Result<(), WorkloadError> {
    let bytes = put_bytes(size, options.parts());
    let me = pe.rank();
    if let Some(gpu) = gpu {
        gpu.fill(pe, (buffers.send, bytes), BlockId { src: me, dst: 1 - me.min(1), round })?;
        return gpu.poison(pe, (buffers.receive, bytes));
    }
    Block { src: me, dst: 1 - me.min(1), round }.fill(pe.heap(), buffers.send, bytes)?;
    Ok(verify::poison(pe.heap(), buffers.receive, bytes)?)
}

/// Checks what was received.
pub(super) fn check(
    pe: &mut Pe,
    options: &Options,
    gpu: Option<&mut GpuSide>,
    buffers: Buffers,
    size: u64,
    round: u64,
) -> Result<(), WorkloadError> {
    let me = pe.rank();
    if me == 0 && !options.bidir {
        return Ok(());
    }
    let bytes = put_bytes(size, options.parts());
    if let Some(gpu) = gpu {
        return gpu.check(pe, (buffers.receive, bytes), BlockId { src: 1 - me.min(1), dst: me, round });
    }
    let block = Block { src: 1 - me.min(1), dst: me, round };
    block.check(pe.heap(), buffers.receive, bytes)?.map_err(WorkloadError::Corrupt)
}
