//! Puts that a GPU starts: its kernels post descriptors into rings in the host's memory, and the proxy carries them out as
//! if the caller had posted them.
//!
//! `kernels/railtop.cuh` is the GPU's side. CUDA is loaded at run time; without it everything else works.

pub mod compile;
pub mod descriptor;
mod device;
mod error;
mod launch;
pub mod mark;
mod patterns;
mod post;
mod ring;
mod rings;
pub mod source;
mod view;

pub use device::{Gpu, Kernels, Pinned};
pub use error::GpuError;
pub use patterns::{AllToAllBlocks, PatternKernels, PutBw, Scope};
pub use post::{Post, PostKernels};
pub use ring::{Memory, Taker, quiet_at, taken_at, words_for};
pub use rings::{MOST_RINGS, RingMemory, Rings};
pub use view::{PeView, Visible};
