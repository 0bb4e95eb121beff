//! A GPU: its driver, loaded at run time, memory that it shares with the proxy, and kernels on it.

#![expect(unsafe_code, reason = "the driver takes addresses")]

use std::sync::Arc;

use cudarc::driver::sys::{self, CU_MEMHOSTREGISTER_DEVICEMAP, CU_MEMHOSTREGISTER_PORTABLE};
use cudarc::driver::{CudaContext, CudaFunction, CudaModule, CudaStream};

use super::compile::{cache_dir, compile};
use super::error::GpuError;
use super::source::Source;
use crate::transport::heap::Heap;

/// The oldest driver that has all that is called, as CUDA numbers it.
const OLDEST_DRIVER: i32 = 12_080;

/// A GPU in use.
#[derive(Debug)]
pub struct Gpu {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    arch: String,
}

impl Gpu {
    /// Opens GPU number `ordinal`.
    ///
    /// # Errors
    /// When there is no driver, an old one or no such GPU.
    pub fn open(ordinal: usize) -> Result<Self, GpuError> {
        let count = Self::count()?;
        if ordinal >= count {
            return Err(GpuError::NoDevice { ordinal, count });
        }
        let context = CudaContext::new(ordinal).map_err(GpuError::of(format!("opening GPU {ordinal}")))?;
        let (major, minor) =
            context.compute_capability().map_err(GpuError::of("asking for its architecture"))?;
        let stream = context.new_stream().map_err(GpuError::of("making a stream"))?;
        Ok(Self { context, stream, arch: format!("compute_{major}{minor}") })
    }

    /// How many GPUs there are.
    ///
    /// # Errors
    /// When there is no driver or an old one.
    pub fn count() -> Result<usize, GpuError> {
        // SAFETY: only tries to load the driver's library.
        if !unsafe { sys::is_culib_present() } {
            return Err(GpuError::NoDriver);
        }
        let mut version = 0;
        // SAFETY: writes one integer; may be called before the driver is initialized.
        let asked = unsafe { sys::cuDriverGetVersion(&raw mut version) }.result();
        asked.map_err(GpuError::of("asking for the driver's version"))?;
        if version < OLDEST_DRIVER {
            let text = |version: i32| format!("{}.{}", version / 1000, version % 1000 / 10);
            return Err(GpuError::OldDriver { found: text(version), needed: text(OLDEST_DRIVER) });
        }
        match CudaContext::device_count() {
            Ok(count) => Ok(usize::try_from(count).unwrap_or(0)),
            Err(error) if error.0 == sys::CUresult::CUDA_ERROR_NO_DEVICE => Ok(0),
            Err(error) => Err(GpuError::of("counting the GPUs")(error)),
        }
    }

    /// Its name, as `NVIDIA H100 80GB HBM3`.
    ///
    /// # Errors
    /// When the driver does not say.
    pub fn name(&self) -> Result<String, GpuError> {
        self.context.name().map_err(GpuError::of("asking for the GPU's name"))
    }

    /// What kernels are compiled for, as `compute_90`.
    #[must_use]
    pub fn arch(&self) -> &str {
        &self.arch
    }

    /// Where kernels run.
    #[must_use]
    pub fn stream(&self) -> &Arc<CudaStream> {
        &self.stream
    }

    /// The driver's context.
    #[must_use]
    pub fn context(&self) -> &Arc<CudaContext> {
        &self.context
    }

    /// Compiles a file of kernels, or takes what an earlier run has kept, and loads it.
    ///
    /// # Errors
    /// When it does not compile or cannot be loaded.
    pub fn load(&self, source: Source) -> Result<Kernels, GpuError> {
        let ptx = compile(source, &self.arch, cache_dir().as_deref())?;
        let module =
            self.context.load_module(ptx).map_err(GpuError::of(format!("loading {}", source.name)))?;
        Ok(Kernels { module, file: source.name })
    }

    /// Lets kernels reach memory of this process, which stays where it is meanwhile.
    ///
    /// # Errors
    /// When the driver refuses, for the limit on locked memory for example.
    pub fn pin(&self, memory: &Arc<Heap>) -> Result<Pinned, GpuError> {
        let what = || format!("pinning {} bytes for the GPU (ulimit -l?)", memory.len());
        self.context.bind_to_thread().map_err(GpuError::of(what()))?;
        let len = usize::try_from(memory.len()).unwrap_or(usize::MAX);
        let flags = CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP;
        // SAFETY: the mapping is `len` bytes long, and `Pinned` keeps it until it is given back.
        unsafe { sys::cuMemHostRegister_v2(memory.base().cast(), len, flags) }
            .result()
            .map_err(GpuError::of(what()))?;
        let mut pinned =
            Pinned { context: Arc::clone(&self.context), memory: Arc::clone(memory), address: 0 };
        // SAFETY: registered just now, with DEVICEMAP.
        unsafe { sys::cuMemHostGetDevicePointer_v2(&raw mut pinned.address, memory.base().cast(), 0) }
            .result()
            .map_err(GpuError::of("asking where the GPU sees it"))?;
        Ok(pinned)
    }
}

/// Memory of this process that kernels reach.
#[derive(Debug)]
pub struct Pinned {
    context: Arc<CudaContext>,
    memory: Arc<Heap>,
    address: u64,
}

impl Pinned {
    /// Where kernels see its first byte.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.address
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.context.bind_to_thread().is_ok() {
            // SAFETY: registered by `Gpu::pin`, once. A kernel that still used it would have failed by now: whoever
            // drops this has waited for its kernels, or ends.
            let _ = unsafe { sys::cuMemHostUnregister(self.memory.base().cast()) };
        }
    }
}

/// Kernels on a GPU.
#[derive(Debug)]
pub struct Kernels {
    module: Arc<CudaModule>,
    file: &'static str,
}

impl Kernels {
    /// One of them.
    ///
    /// # Errors
    /// When the file has no such kernel.
    pub fn function(&self, name: &str) -> Result<CudaFunction, GpuError> {
        self.module
            .load_function(name)
            .map_err(GpuError::of(format!("looking for the kernel {name} in {}", self.file)))
    }
}
