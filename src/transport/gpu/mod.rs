//! Puts that a GPU starts. To PEs whose memory it reaches its kernels store by themselves; for others they post descriptors
//! into rings in the host's memory, and the proxy carries them out as if the caller had posted them.
//!
//! `kernels/railtop.cuh` is the GPU's side. CUDA is loaded at run time; without it everything else works.

pub mod compile;
pub mod descriptor;
mod device;
mod error;
mod heap;
mod launch;
pub mod mark;
mod memory;
mod moe;
mod patterns;
mod post;
mod ring;
mod rings;
mod share;
pub mod source;
mod verify;
mod version;
mod view;

pub use device::{Gpu, Kernels, Pinned, Uuid};
pub use error::GpuError;
pub use heap::KernelHeap;
pub use memory::{DeviceMemory, OpenedMemory};
pub use moe::{Launched, Moe, MoeKernels};
pub use patterns::{Exchange, PatternKernels, PutBw, Scope};
pub use post::{Post, PostKernels, Poster};
pub use ring::{Memory, Taker, quiet_at, stalls_at, taken_at, words_for};
pub use rings::{MOST_RINGS, RINGS, RingFigures, RingMemory, Rings};
pub use share::{Allgather, HeapKind, Party, Shared, share};
pub use verify::{BlockId, Report, VerifyKernels, Wrong};
pub use version::Version;
pub use view::{PeView, Visible};
