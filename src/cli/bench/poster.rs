//! Who posts: flags that all benchmarks share.

use crate::cli::exit::ExitError;
use crate::transport::gpu::{Gpu, GpuError};
use crate::workload::options::{HeapKind, Initiator};

/// Who posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum InitiatorArg {
    /// This program.
    #[default]
    Host,
    /// Kernels on a GPU, through a ring that the proxy reads.
    Gpu,
}

/// Which memory kernels use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum HeapArg {
    /// The GPUs' where each reaches every other one's or all NICs do, else the hosts'.
    #[default]
    Auto,
    /// The GPUs'.
    Device,
    /// The hosts', which every NIC reaches.
    Host,
}

impl From<HeapArg> for HeapKind {
    fn from(arg: HeapArg) -> Self {
        match arg {
            HeapArg::Auto => Self::Auto,
            HeapArg::Device => Self::Device,
            HeapArg::Host => Self::Host,
        }
    }
}

/// Who posts, and from which memory.
#[derive(Debug, Clone, clap::Args)]
pub struct PosterArgs {
    /// Who posts: this program, or kernels on a GPU
    #[arg(long, value_enum, default_value_t)]
    pub initiator: InitiatorArg,
    /// GPU that posts, as CUDA numbers them; else the PEs of a node share theirs out
    #[arg(long, value_name = "N")]
    pub gpu: Option<usize>,
    /// Memory in which the heap lies with `--initiator gpu`
    #[arg(long, value_enum, default_value_t)]
    pub heap: HeapArg,
}

impl PosterArgs {
    /// Who posts, and that it can.
    pub(super) fn initiator(&self, local_rank: u32, threads: u32) -> anyhow::Result<Initiator> {
        if self.initiator == InitiatorArg::Host {
            if self.gpu.is_some() {
                return Err(ExitError::Usage("--gpu is for --initiator gpu".into()).into());
            }
            if self.heap == HeapArg::Device {
                let text = "--heap device is for --initiator gpu: the host puts from its own memory";
                return Err(ExitError::Usage(text.into()).into());
            }
            return Ok(Initiator::Host);
        }
        let ordinal = Gpu::count().and_then(|count| {
            let ordinal = self.gpu.unwrap_or(local_rank as usize % count.max(1));
            if ordinal < count { Ok(ordinal) } else { Err(GpuError::NoDevice { ordinal, count }) }
        });
        let ordinal = ordinal.map_err(|error| match error {
            absent if absent.is_absent() => ExitError::Nothing(absent.to_string()).into(),
            error => anyhow::Error::from(error),
        })?;
        Ok(Initiator::Gpu { ordinal, threads, heap: self.heap.into() })
    }
}
