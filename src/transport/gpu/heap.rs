//! The symmetric heap as kernels see it: in the host's memory, pinned, or in the GPU's own.

use std::sync::Arc;

use super::device::{Gpu, Pinned};
use super::error::GpuError;
use super::memory::{DeviceMemory, OpenedMemory};
use crate::transport::heap::Heap;

/// A PE's heap and those of other PEs that its GPU reaches by loads and stores.
#[derive(Debug)]
pub enum KernelHeap {
    /// In the hosts' memory: every NIC reaches it, and so do the GPUs of the node. The signals of kernels are applied by the
    /// proxy, since atomic operations of a GPU on the host's memory are none for the CPU or for another GPU.
    Host {
        /// This PE's.
        own: Pinned,
        /// By PE: those of this node.
        peers: Vec<Option<Pinned>>,
    },
    /// In the GPUs' memory: no NIC is needed, and no host.
    Device {
        /// By PE; none of this PE's own. Before it: what is others' is let go of first.
        peers: Vec<Option<OpenedMemory>>,
        /// This PE's.
        own: Arc<DeviceMemory>,
    },
    /// Signal words in the hosts' memory, and behind it, in the GPUs', data: NICs reach both.
    Both {
        /// The part in the host's.
        low: Pinned,
        /// By PE: the GPUs' memory of PEs of this node, as for `Device`.
        peers: Vec<Option<OpenedMemory>>,
        /// This PE's.
        own: Arc<DeviceMemory>,
    },
}

impl KernelHeap {
    /// This PE's heap in the host's memory, and with it those of `reached`, by PE: a PE whose memory the driver does not
    /// take is reached through the proxy.
    ///
    /// # Errors
    /// When the driver does not take this PE's own.
    pub fn host(gpu: &Gpu, own: &Arc<Heap>, reached: &[Option<Arc<Heap>>]) -> Result<Self, GpuError> {
        let pin = |heap: &Option<Arc<Heap>>| {
            let heap = heap.as_ref().filter(|heap| !Arc::ptr_eq(heap, own))?;
            let pinned = gpu.pin(heap);
            pinned.inspect_err(|error| eprintln!("railtop: a PE of this node is posted to: {error}")).ok()
        };
        Ok(Self::Host { own: gpu.pin(own)?, peers: reached.iter().map(pin).collect() })
    }

    /// A heap of at least `len` bytes in the GPU's memory, of a PE that reaches no other.
    ///
    /// # Errors
    /// When the GPU has not that much.
    pub fn alone(gpu: &Gpu, len: u64) -> Result<Self, GpuError> {
        Ok(Self::Device { peers: Vec::new(), own: Arc::new(DeviceMemory::take(gpu, len)?) })
    }

    /// A heap that begins in the host's memory and continues in the GPU's.
    ///
    /// # Errors
    /// When the driver does not take the host's.
    pub fn both(
        gpu: &Gpu,
        low: &Arc<Heap>,
        own: Arc<DeviceMemory>,
        peers: Vec<Option<OpenedMemory>>,
    ) -> Result<Self, GpuError> {
        Ok(Self::Both { low: gpu.pin(low)?, peers, own })
    }

    /// Where the part in the GPU's memory begins, if another one is before it; else 0.
    #[must_use]
    pub fn split(&self) -> u64 {
        if let Self::Both { low, .. } = self { low.len() } else { 0 }
    }

    /// Where kernels see the part before the split; 0 if there is none.
    #[must_use]
    pub fn low(&self) -> u64 {
        if let Self::Both { low, .. } = self { low.address() } else { 0 }
    }

    /// Where kernels would see its first byte if all of it lay together with what comes from the split on.
    #[must_use]
    pub fn address(&self) -> u64 {
        match self {
            Self::Host { own, .. } => own.address(),
            Self::Device { own, .. } | Self::Both { own, .. } => own.address().wrapping_sub(self.split()),
        }
    }

    /// Its bytes, the same on every PE.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Host { own, .. } => own.len(),
            Self::Device { own, .. } => own.len(),
            Self::Both { low, own, .. } => low.len() + own.len(),
        }
    }

    /// Whether it has none: never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same of PE `pe`, where `me` is this one; none of those that kernels post to.
    #[must_use]
    pub fn address_of(&self, pe: u32, me: u32) -> Option<u64> {
        match self {
            _ if pe == me => Some(self.address()),
            Self::Host { peers, .. } => Some(peers.get(pe as usize)?.as_ref()?.address()),
            Self::Device { peers, .. } | Self::Both { peers, .. } => {
                Some(peers.get(pe as usize)?.as_ref()?.address().wrapping_sub(self.split()))
            }
        }
    }

    /// The same of each of `pes` PEs, as kernels get it: 0 of those that they post to.
    #[must_use]
    pub fn addresses(&self, me: u32, pes: u32) -> Vec<u64> {
        (0..pes).map(|pe| self.address_of(pe, me).unwrap_or(0)).collect()
    }

    /// Whether data lie in the GPU's memory.
    #[must_use]
    pub fn is_device(&self) -> bool {
        matches!(self, Self::Device { .. } | Self::Both { .. })
    }

    /// Whether signals are the kernels' own matter, and not the proxy's.
    #[must_use]
    pub fn takes_signals(&self) -> bool {
        matches!(self, Self::Device { .. })
    }

    /// The name in results.
    #[must_use]
    pub fn name(&self) -> &'static str {
        if self.is_device() { "device" } else { "host" }
    }

    /// Lets go of other PEs' memory, which must be done by all before anybody gives its own back ([`Self::returned`]).
    pub fn close(&mut self) {
        if let Self::Device { peers, .. } | Self::Both { peers, .. } = self {
            peers.clear();
        }
    }

    /// All other PEs have let go of this PE's memory: it may be given back. Without that it stays until the process ends.
    pub fn returned(&self) {
        if let Self::Device { own, .. } | Self::Both { own, .. } = self {
            own.returned();
        }
    }
}
