//! A PE as its kernels see it: the structures of `kernels/railtop.cuh`, made of addresses that the GPU can use.

#![expect(unsafe_code, reason = "kernels take addresses")]

use std::mem::offset_of;

use cudarc::driver::{CudaSlice, DevicePtr, DeviceRepr};

use super::device::{Gpu, Pinned};
use super::error::GpuError;
use super::heap::KernelHeap;
use super::rings::RingMemory;

/// Words of the GPU's memory that a ring's counters take (`RT_COUNTERS`): two lines.
const COUNTER_WORDS: usize = 32;

/// `rt_pe`: what kernels get as their argument.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct PeView {
    heap: u64,
    low: u64,
    split: u64,
    peers: u64,
    near: u32,
    far: u32,
    bytes: u64,
    slots: u64,
    stride: u64,
    counters: u64,
    stop: u64,
    beat: u64,
    ring_count: u32,
    depth: u32,
    me: u32,
    pes: u32,
    signals: u32,
    posts: u32,
}

impl PeView {
    /// Its fields as `rt_pe` must have them, and at which byte each begins.
    pub const OFFSETS: [(&'static str, usize); 18] = [
        ("heap", offset_of!(Self, heap)),
        ("low", offset_of!(Self, low)),
        ("split", offset_of!(Self, split)),
        ("peers", offset_of!(Self, peers)),
        ("near", offset_of!(Self, near)),
        ("far", offset_of!(Self, far)),
        ("bytes", offset_of!(Self, bytes)),
        ("slots", offset_of!(Self, slots)),
        ("stride", offset_of!(Self, stride)),
        ("counters", offset_of!(Self, counters)),
        ("stop", offset_of!(Self, stop)),
        ("beat", offset_of!(Self, beat)),
        ("ring_count", offset_of!(Self, ring_count)),
        ("depth", offset_of!(Self, depth)),
        ("me", offset_of!(Self, me)),
        ("pes", offset_of!(Self, pes)),
        ("signals", offset_of!(Self, signals)),
        ("posts", offset_of!(Self, posts)),
    ];
}

// SAFETY: the layout of `rt_pe`: seven addresses, three lengths, and eight 32-bit numbers in pairs.
unsafe impl DeviceRepr for PeView {}

/// All that [`PeView`] points to, for as long as kernels may use it.
#[derive(Debug)]
pub struct Visible {
    view: PeView,
    heap: KernelHeap,
    /// Kept, not used: what the addresses lead to.
    _kept: (Pinned, CudaSlice<u64>, CudaSlice<u64>),
}

impl Visible {
    /// Makes heaps and rings of PE `me` of `pes` visible to a GPU.
    ///
    /// # Errors
    /// When the driver refuses the memory.
    pub fn new(gpu: &Gpu, me: u32, pes: u32, heap: KernelHeap, rings: &RingMemory) -> Result<Self, GpuError> {
        let stream = gpu.stream();
        let memory = gpu.pin(rings.mapping())?;
        let counters = stream
            .alloc_zeros::<u64>(rings.count() as usize * COUNTER_WORDS)
            .map_err(GpuError::of("taking memory for the rings' counters"))?;
        let addresses = heap.addresses(me, pes);
        let signals = heap.takes_signals();
        let posts = !signals || addresses.contains(&0);
        let reached = || (0..pes).zip(&addresses).filter(|(_, address)| **address != 0).map(|(pe, _)| pe);
        let (near, far) = (reached().min().unwrap_or(0), reached().max().map_or(0, |last| last + 1));
        let peers = stream.clone_htod(&addresses).map_err(GpuError::of("telling the GPU of other heaps"))?;
        let view = PeView {
            heap: heap.address(),
            low: heap.low(),
            split: heap.split(),
            peers: peers.device_ptr(stream).0,
            near,
            far,
            bytes: heap.len(),
            slots: memory.address(),
            stride: rings.stride() / 8,
            counters: counters.device_ptr(stream).0,
            stop: memory.address() + rings.stop_offset(),
            beat: memory.address() + rings.beat_offset(),
            ring_count: rings.count(),
            depth: rings.depth(),
            me,
            pes,
            signals: u32::from(signals),
            posts: u32::from(posts),
        };
        Ok(Self { view, heap, _kept: (memory, counters, peers) })
    }

    /// The kernels' argument.
    #[must_use]
    pub fn view(&self) -> PeView {
        self.view
    }

    /// The heap.
    #[must_use]
    pub fn heap(&self) -> &KernelHeap {
        &self.heap
    }

    /// Lets go of other PEs' memory: no kernel may run any more. See [`KernelHeap::close`].
    pub fn close(&mut self) {
        self.heap.close();
    }

    /// All other PEs have let go of this PE's memory: see [`KernelHeap::returned`].
    pub fn returned(&self) {
        self.heap.returned();
    }

    /// Only the heap again: no kernel may run any more.
    #[must_use]
    pub fn into_heap(self) -> KernelHeap {
        self.heap
    }
}
