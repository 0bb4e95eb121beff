//! What can go wrong with a GPU.

use super::version::Version;
use crate::transport::error::TransportError;
use crate::transport::heap::HeapError;

/// Why kernels cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    /// There is no driver.
    #[error(
        "no CUDA driver on this machine (libcuda.so.1): install NVIDIA's driver, or use --initiator host"
    )]
    NoDriver,
    /// The driver is older than what is called here.
    #[error("the CUDA driver is of version {found}, and {needed} or newer is needed: install a newer one")]
    OldDriver {
        /// Its version.
        found: Version,
        /// The oldest that will do.
        needed: Version,
    },
    /// There is no GPU, or none with this number.
    #[error("no GPU {ordinal}: CUDA finds {count} here (CUDA_VISIBLE_DEVICES may hide some)")]
    NoDevice {
        /// The number that was asked for.
        ordinal: usize,
        /// How many there are.
        count: usize,
    },
    /// There is no compiler for kernels.
    #[error(
        "no NVRTC to compile kernels with (libnvrtc.so.13 or .12): install CUDA's runtime compiler, \
         for example with {}, and name its folder in LD_LIBRARY_PATH",
        packages(*driver)
    )]
    NoCompiler {
        /// The driver's version, if it has been asked.
        driver: Option<Version>,
    },
    /// The compiler does not say which it is.
    #[error("NVRTC does not tell its version: {0}")]
    StrangeCompiler(String),
    /// The compiler is newer than the driver.
    #[error(
        "NVRTC {compiler} makes kernels that this CUDA driver, of version {driver}, does not take: name a folder with an \
         NVRTC of {driver} or older in LD_LIBRARY_PATH ({package}), or install a newer driver",
        package = package(*driver)
    )]
    NewCompiler {
        /// NVRTC's version.
        compiler: Version,
        /// The driver's.
        driver: Version,
    },
    /// What a NIC writes comes in no order.
    #[error(
        "this GPU keeps no order between what a NIC writes and a signal, and its driver has no flush for it"
    )]
    NoOrder,
    /// The heap cannot lie in the GPU's memory.
    #[error(
        "the heap cannot lie in the GPU's memory: {0}; use --heap host, where the data lie in the host's"
    )]
    NoDeviceHeap(String),
    /// A kernel whose blocks wait for others is larger than the GPU.
    #[error(
        "{blocks} blocks of {threads} threads that wait for each other are not on the GPU at once: at most {most} are \
         (each PE on it has its share); use a smaller -c"
    )]
    TooLarge {
        /// Blocks asked for.
        blocks: u32,
        /// Threads of each.
        threads: u32,
        /// Blocks that there may be.
        most: u32,
    },
    /// A kernel does not compile.
    #[error("{kernel} does not compile for {arch}:\n{log}")]
    Compile {
        /// Its file.
        kernel: String,
        /// What for, as `compute_90`.
        arch: String,
        /// What the compiler says.
        log: String,
    },
    /// The driver has refused something.
    #[error("{what}: {source}")]
    Driver {
        /// What was tried.
        what: String,
        /// What the driver said.
        source: cudarc::driver::DriverError,
    },
    /// No memory for the rings.
    #[error(transparent)]
    Heap(#[from] HeapError),
    /// The PEs could not agree.
    #[error(transparent)]
    Job(#[from] Box<TransportError>),
}

/// How to get the NVRTC that fits a driver; the package of CUDA 12 has a name of its own.
fn package(driver: Version) -> String {
    let suffix = if driver.major < 13 { "-cu12" } else { "" };
    format!("`pip install nvidia-cuda-nvrtc{suffix}~={driver}.0`")
}

/// The same where the driver may not be known.
fn packages(driver: Option<Version>) -> String {
    match driver {
        Some(driver) => format!("{} (the CUDA driver is of version {driver})", package(driver)),
        None => "`pip install nvidia-cuda-nvrtc` (nvidia-cuda-nvrtc-cu12 for a CUDA 12 driver)".to_owned(),
    }
}

impl GpuError {
    /// Turns the driver's answer to `what` into an error.
    pub(super) fn of(what: impl Into<String>) -> impl FnOnce(cudarc::driver::DriverError) -> Self {
        let what = what.into();
        |source| Self::Driver { what, source }
    }

    /// Whether the machine lacks something, as opposed to something having failed.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(
            self,
            Self::NoDriver
                | Self::OldDriver { .. }
                | Self::NoDevice { .. }
                | Self::NoCompiler { .. }
                | Self::NewCompiler { .. }
                | Self::NoDeviceHeap(_)
        )
    }
}
