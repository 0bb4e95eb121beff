//! A GPU: its driver, loaded at run time, memory that it shares with the proxy, and kernels on it.

#![expect(unsafe_code, reason = "the driver takes addresses")]

use std::sync::Arc;

use cudarc::driver::result::device;
use cudarc::driver::sys::{self, CU_MEMHOSTREGISTER_DEVICEMAP, CU_MEMHOSTREGISTER_PORTABLE};
use cudarc::driver::{CudaContext, CudaFunction, CudaModule, CudaStream};

use super::compile::{self, cache_dir, compile};
use super::error::GpuError;
use super::source::Source;
use super::version::Version;
use crate::transport::heap::Heap;

/// The oldest driver that has all that is called.
const OLDEST_DRIVER: Version = Version { major: 12, minor: 8 };

/// The CUDA of the driver.
fn driver_version() -> Result<Version, GpuError> {
    let mut version = 0;
    // SAFETY: writes one integer; may be called before the driver is initialized.
    let asked = unsafe { sys::cuDriverGetVersion(&raw mut version) }.result();
    asked.map_err(GpuError::of("asking for the driver's version"))?;
    Ok(Version { major: version / 1000, minor: version % 1000 / 10 })
}

/// A GPU in use.
#[derive(Debug)]
pub struct Gpu {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    driver: Version,
    arch: String,
}

impl Gpu {
    /// Opens GPU number `ordinal`.
    ///
    /// # Errors
    /// When there is no driver, an old one or no such GPU.
    pub fn open(ordinal: usize) -> Result<Self, GpuError> {
        let count = Self::count()?;
        let driver = driver_version()?;
        if ordinal >= count {
            return Err(GpuError::NoDevice { ordinal, count });
        }
        let context = CudaContext::new(ordinal).map_err(GpuError::of(format!("opening GPU {ordinal}")))?;
        let (major, minor) =
            context.compute_capability().map_err(GpuError::of("asking for its architecture"))?;
        let stream = context.new_stream().map_err(GpuError::of("making a stream"))?;
        Ok(Self { context, stream, driver, arch: format!("compute_{major}{minor}") })
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
        let found = driver_version()?;
        if found < OLDEST_DRIVER {
            return Err(GpuError::OldDriver { found, needed: OLDEST_DRIVER });
        }
        match CudaContext::device_count() {
            Ok(count) => Ok(usize::try_from(count).unwrap_or(0)),
            Err(error) if error.0 == sys::CUresult::CUDA_ERROR_NO_DEVICE => Ok(0),
            Err(error) => Err(GpuError::of("counting the GPUs")(error)),
        }
    }

    /// PCI address of GPU number `ordinal` in the form that sysfs uses, `0000:53:00.0`; without opening it, so that a counter
    /// page can have it from its beginning.
    ///
    /// # Errors
    /// When there is no driver, an old one or no such GPU.
    pub fn pci_address(ordinal: usize) -> Result<String, GpuError> {
        let count = Self::count()?;
        let absent = || GpuError::NoDevice { ordinal, count };
        let number = i32::try_from(ordinal).ok().filter(|_| ordinal < count).ok_or_else(absent)?;
        let failed = || GpuError::of("asking where the GPU is");
        let device = device::get(number).map_err(failed())?;
        // SAFETY: the device has just been found.
        let of = |what| unsafe { device::get_attribute(device, what) }.map_err(failed());
        let domain = of(sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID)?;
        let bus = of(sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_PCI_BUS_ID)?;
        let slot = of(sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID)?;
        Ok(format!("{domain:04x}:{bus:02x}:{slot:02x}.0"))
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

    /// By what every process of the machine knows it.
    ///
    /// # Errors
    /// When the driver does not say.
    pub fn uuid(&self) -> Result<Uuid, GpuError> {
        self.context.uuid().map(uuid).map_err(GpuError::of("asking for the GPU's UUID"))
    }

    /// Whether kernels here reach memory of the GPU with this UUID, atomic operations included.
    ///
    /// # Errors
    /// With the reason why not, in words.
    pub fn reaches(&self, wanted: Uuid) -> Result<(), String> {
        let failed = |error: cudarc::driver::DriverError| error.to_string();
        let count = Self::count().map_err(|error| error.to_string())?;
        for ordinal in 0..count {
            let ordinal = i32::try_from(ordinal).unwrap_or(i32::MAX);
            let other = cudarc::driver::result::device::get(ordinal).map_err(failed)?;
            let found = cudarc::driver::result::device::get_uuid(other).map_err(failed)?;
            if uuid(found) != wanted {
                continue;
            }
            let own = self.context.cu_device();
            if other == own {
                return Ok(());
            }
            let (mut access, mut atomics) = (0, 0);
            let attribute = sys::CUdevice_P2PAttribute::CU_DEVICE_P2P_ATTRIBUTE_NATIVE_ATOMIC_SUPPORTED;
            // SAFETY: both write one integer; both devices are the driver's own numbers.
            unsafe {
                sys::cuDeviceCanAccessPeer(&raw mut access, own, other).result().map_err(failed)?;
                sys::cuDeviceGetP2PAttribute(&raw mut atomics, attribute, own, other)
                    .result()
                    .map_err(failed)?;
            }
            return match (access, atomics) {
                (0, _) => Err("its GPU is not reached from this PE's (no peer access)".to_owned()),
                (_, 0) => Err("its GPU takes no atomic operations from this PE's (no NVLink)".to_owned()),
                _ => Ok(()),
            };
        }
        Err("this process does not see its GPU (CUDA_VISIBLE_DEVICES?)".to_owned())
    }

    /// How many blocks of `threads` threads of a kernel are on the GPU at once.
    ///
    /// # Errors
    /// When the driver does not say.
    pub fn resident(&self, kernel: &CudaFunction, threads: u32) -> Result<u32, GpuError> {
        let asked = GpuError::of("asking how many blocks the GPU takes");
        let each = kernel.occupancy_max_active_blocks_per_multiprocessor(threads, 0, None).map_err(asked)?;
        let attribute = sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
        let asked = GpuError::of("asking for its multiprocessors");
        let processors = self.context.attribute(attribute).map_err(asked)?;
        Ok(each.saturating_mul(u32::try_from(processors).unwrap_or(0)))
    }

    /// Compiles a file of kernels, or takes what an earlier run has kept, and loads it.
    ///
    /// # Errors
    /// When it does not compile or cannot be loaded.
    pub fn load(&self, source: Source) -> Result<Kernels, GpuError> {
        let compiler = compile::version().map_err(|error| match error {
            GpuError::NoCompiler { .. } => GpuError::NoCompiler { driver: Some(self.driver) },
            other => other,
        })?;
        let newer = || GpuError::NewCompiler { compiler, driver: self.driver };
        if !self.driver.takes_from(compiler) {
            return Err(newer());
        }
        let ptx = compile(source, &self.arch, cache_dir().as_deref())?;
        let module = self.context.load_module(ptx).map_err(|error| match error.0 {
            sys::CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => newer(),
            _ => GpuError::of(format!("loading {}", source.name))(error),
        })?;
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

/// A GPU's UUID.
pub type Uuid = [u8; 16];

/// The driver's own bytes, whatever a char is.
fn uuid(uuid: sys::CUuuid) -> Uuid {
    uuid.bytes.map(|byte| byte.to_ne_bytes()[0])
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

    /// Its bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.memory.len()
    }

    /// Whether it has none: never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty()
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
