//! A GPU's own memory, shared with other processes of the machine.

#![expect(unsafe_code, reason = "the driver takes addresses")]

use std::ffi::c_char;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cudarc::driver::CudaContext;
use cudarc::driver::sys::{self, CUipcMem_flags, CUipcMemHandle};

use super::device::Gpu;
use super::error::GpuError;
use crate::transport::heap::{DeviceKind, DevicePart, Flush};

/// What the driver maps memory in: an allocation of whole ones shares them with nothing else, so that another process that
/// opens it sees this memory and no other.
const PAGE: u64 = 2 << 20;

/// Bytes of what another process opens memory with.
const HANDLE_BYTES: usize = 64;

/// Memory of a GPU, zeroed, given back when it is dropped; but not while another process may have it open.
#[derive(Debug)]
pub struct DeviceMemory {
    context: Arc<CudaContext>,
    address: u64,
    len: u64,
    /// Others may have it open.
    lent: AtomicBool,
}

impl DeviceMemory {
    /// Takes at least `len` bytes.
    ///
    /// # Errors
    /// When the GPU has not that much.
    pub fn take(gpu: &Gpu, len: u64) -> Result<Self, GpuError> {
        let len = len.max(1).saturating_add(PAGE - 1) / PAGE * PAGE;
        let what = || format!("taking {len} bytes of the GPU's memory");
        let size = usize::try_from(len).unwrap_or(usize::MAX);
        gpu.context().bind_to_thread().map_err(GpuError::of(what()))?;
        let mut memory =
            Self { context: Arc::clone(gpu.context()), address: 0, len, lent: AtomicBool::new(false) };
        // Not from one of the driver's pools: what comes from there cannot be shared by a handle.
        // SAFETY: writes one address.
        unsafe { sys::cuMemAlloc_v2(&raw mut memory.address, size) }
            .result()
            .map_err(GpuError::of(what()))?;
        // SAFETY: the memory is `size` bytes long. The kernels' stream does not wait for this one.
        unsafe { sys::cuMemsetD8_v2(memory.address, 0, size) }.result().map_err(GpuError::of(what()))?;
        gpu.context().synchronize().map_err(GpuError::of(what()))?;
        Ok(memory)
    }

    /// Where kernels of this process see its first byte.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Its bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none: never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What another process opens it with. From then on it is not given back, unless [`Self::returned`] says that it may be.
    ///
    /// # Errors
    /// When the driver refuses, as in some containers.
    pub fn handle(&self) -> Result<Vec<u8>, GpuError> {
        let what = "asking for a handle of the GPU's memory";
        self.context.bind_to_thread().map_err(GpuError::of(what))?;
        let mut handle = CUipcMemHandle { reserved: [0; HANDLE_BYTES] };
        // SAFETY: writes the handle; the memory is an allocation of its own.
        unsafe { sys::cuIpcGetMemHandle(&raw mut handle, self.address) }
            .result()
            .map_err(GpuError::of(what))?;
        self.lent.store(true, Ordering::Release);
        Ok(handle.reserved.iter().map(|byte| byte.to_ne_bytes()[0]).collect())
    }

    /// No other process has it open any more.
    pub fn returned(&self) {
        self.lent.store(false, Ordering::Release);
    }

    /// As the second part of a heap, for NICs to reach.
    ///
    /// # Errors
    /// When kernels could see a signal before the bytes that a NIC has written, and the driver offers nothing against it.
    pub fn part(self: &Arc<Self>) -> Result<DevicePart, GpuError> {
        let keep = Arc::clone(self);
        let ordinal = i32::try_from(self.context.ordinal()).unwrap_or(i32::MAX);
        let flush = flush_for(&self.context)?;
        // SAFETY: an allocation on this GPU, which goes with `self`; nothing refers to it but by the driver and kernels.
        Ok(unsafe { DevicePart::new(self.address, self.len, DeviceKind::Cuda(ordinal), flush, keep) })
    }

    /// Copies from `offset` on into `bytes`, after everything that has been started on the GPU.
    ///
    /// # Errors
    /// When they are not all inside, or the driver refuses.
    pub fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), GpuError> {
        let address = self.at(offset, bytes.len())?;
        self.context.synchronize().map_err(GpuError::of("waiting for the GPU"))?;
        // SAFETY: inside the allocation, and `bytes` is the caller's own.
        unsafe { sys::cuMemcpyDtoH_v2(bytes.as_mut_ptr().cast(), address, bytes.len()) }
            .result()
            .map_err(GpuError::of("reading the GPU's memory"))
    }

    /// Copies `bytes` to `offset`, after everything that has been started on the GPU and before what is started then.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), GpuError> {
        let address = self.at(offset, bytes.len())?;
        // The driver's copies do not wait for the kernels' stream.
        self.context.synchronize().map_err(GpuError::of("waiting for the GPU"))?;
        // SAFETY: as for `read`.
        unsafe { sys::cuMemcpyHtoD_v2(address, bytes.as_ptr().cast(), bytes.len()) }
            .result()
            .map_err(GpuError::of("writing the GPU's memory"))?;
        // A copy may return before it has reached the GPU.
        self.context.synchronize().map_err(GpuError::of("waiting for the GPU"))
    }

    fn at(&self, offset: u64, len: usize) -> Result<u64, GpuError> {
        let len = len as u64;
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(crate::transport::heap::HeapError::Range { offset, len, heap: self.len }.into());
        }
        Ok(self.address + offset)
    }
}

/// What has to be done between a NIC's bytes and a signal, so that a kernel which sees the one sees the others. Nothing on GPUs that
/// keep the order of what comes from outside, Hopper for one.
fn flush_for(context: &Arc<CudaContext>) -> Result<Option<Flush>, GpuError> {
    let of = |attribute| {
        context.attribute(attribute).map_err(GpuError::of("asking for the order of a NIC's writes"))
    };
    let attribute = sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_WRITES_ORDERING;
    let owner = sys::CUGPUDirectRDMAWritesOrdering::CU_GPU_DIRECT_RDMA_WRITES_ORDERING_OWNER;
    if of(attribute)? >= owner as i32 {
        return Ok(None);
    }
    let attribute = sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_FLUSH_WRITES_OPTIONS;
    let host = sys::CUflushGPUDirectRDMAWritesOptions::CU_FLUSH_GPU_DIRECT_RDMA_WRITES_OPTION_HOST;
    if of(attribute)? & host as i32 == 0 {
        return Err(GpuError::NoOrder);
    }
    let context = Arc::clone(context);
    Ok(Some(Arc::new(move || {
        let failed = |error: cudarc::driver::DriverError| error.to_string();
        context.bind_to_thread().map_err(failed)?;
        let target =
            sys::CUflushGPUDirectRDMAWritesTarget::CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TARGET_CURRENT_CTX;
        let scope = sys::CUflushGPUDirectRDMAWritesScope::CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TO_OWNER;
        // SAFETY: takes no memory of ours; the context is this thread's now.
        unsafe { sys::cuFlushGPUDirectRDMAWrites(target, scope) }.result().map_err(failed)
    })))
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        if self.lent.load(Ordering::Acquire) {
            // Kernels of others may still be at it, and to free it under their mappings is undefined: the end of the process
            // sees to it. The context stays, too: with it all of its memory would go.
            std::mem::forget(Arc::clone(&self.context));
            return;
        }
        if self.address != 0 && self.context.bind_to_thread().is_ok() {
            // SAFETY: taken by `take`, once; whoever drops this has waited for its kernels, or ends.
            let _ = unsafe { sys::cuMemFree_v2(self.address) };
        }
    }
}

/// Another process's memory, on this GPU or on one that it reaches.
#[derive(Debug)]
pub struct OpenedMemory {
    context: Arc<CudaContext>,
    address: u64,
}

impl OpenedMemory {
    /// Opens it by its handle.
    ///
    /// # Errors
    /// When it is no handle, or the driver refuses: a process cannot open its own, for example.
    pub fn open(gpu: &Gpu, handle: &[u8]) -> Result<Self, String> {
        let bytes = <[u8; HANDLE_BYTES]>::try_from(handle).map_err(|_| "its handle is none of CUDA's")?;
        let handle = CUipcMemHandle { reserved: bytes.map(|byte| c_char::from_ne_bytes([byte])) };
        let flags = CUipcMem_flags::CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS as u32;
        let failed = |error: cudarc::driver::DriverError| format!("its memory cannot be opened: {error}");
        gpu.context().bind_to_thread().map_err(failed)?;
        let mut opened = Self { context: Arc::clone(gpu.context()), address: 0 };
        // SAFETY: writes one address; the driver looks itself whether the handle is one.
        unsafe { sys::cuIpcOpenMemHandle_v2(&raw mut opened.address, handle, flags) }
            .result()
            .map_err(failed)?;
        Ok(opened)
    }

    /// Where kernels of this process see its first byte.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.address
    }
}

impl Drop for OpenedMemory {
    fn drop(&mut self) {
        if self.address != 0 && self.context.bind_to_thread().is_ok() {
            // SAFETY: opened by `open`, once; as for `DeviceMemory`.
            let _ = unsafe { sys::cuIpcCloseMemHandle(self.address) };
        }
    }
}
