//! The kernels of `kernels/post.cu`, with their arguments.

#![expect(unsafe_code, reason = "a launch takes its arguments on trust")]

use cudarc::driver::{CudaEvent, CudaFunction, PushKernelArg};

use super::device::Gpu;
use super::error::GpuError;
use super::launch::{Quiet, between, grid};
use super::source::POST;
use super::view::PeView;

/// What is posted, again and again.
#[derive(Debug, Clone, Copy)]
pub struct Post {
    /// Target PE.
    pub dst: u32,
    /// Offset of the source.
    pub local: u64,
    /// Offset of the destination.
    pub remote: u64,
    /// Bytes.
    pub len: u64,
    /// Offset of the word that 1 is added to.
    pub word: u64,
}

/// How one thread posts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poster {
    /// As everybody: the ring is shared, and what was written before is visible.
    Sharing,
    /// The ring is its own, and what it puts has been visible before.
    Owning,
}

/// The kernels on a GPU.
#[derive(Debug)]
pub struct PostKernels {
    many: CudaFunction,
    ping_pong: CudaFunction,
    ping_pong_own: CudaFunction,
    quiet: Quiet,
}

impl PostKernels {
    /// Compiles and loads them.
    ///
    /// # Errors
    /// When that fails.
    pub fn load(gpu: &Gpu) -> Result<Self, GpuError> {
        let kernels = gpu.load(POST)?;
        let function = |name| kernels.function(name);
        Ok(Self {
            many: function("rt_post_many")?,
            ping_pong: function("rt_ping_pong")?,
            ping_pong_own: function("rt_ping_pong_own")?,
            quiet: Quiet::load(gpu)?,
        })
    }

    /// Every thread of `blocks` blocks posts `count` times; then all of it is waited for. Returns what happens before and
    /// after that on the GPU.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn many(
        &self,
        gpu: &Gpu,
        view: PeView,
        (blocks, threads): (u32, u32),
        post: Post,
        count: u64,
    ) -> Result<[CudaEvent; 2], GpuError> {
        let Post { dst, local, remote, len, word } = post;
        between(gpu, "rt_post_many", || {
            let mut launch = gpu.stream().launch_builder(&self.many);
            launch.arg(&view).arg(&dst).arg(&local).arg(&remote).arg(&len).arg(&word).arg(&count);
            // SAFETY: the arguments are those of the kernel, in type and order; `view` is of a `Visible` that the
            // caller keeps until the events are over.
            unsafe { launch.launch(grid(blocks, threads)) }?;
            self.quiet.launch(gpu, &view)
        })
    }

    /// One thread posts as `poster` does and waits for what comes back, `rounds` times; the PE with the lower number begins. `landed` is what
    /// the word has counted to before. Returns what happens before and after that on the GPU.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn ping_pong(
        &self,
        gpu: &Gpu,
        view: PeView,
        poster: Poster,
        post: Post,
        landed: u64,
        rounds: u64,
    ) -> Result<[CudaEvent; 2], GpuError> {
        let Post { dst, local, remote, len, word } = post;
        let kernel = match poster {
            Poster::Sharing => &self.ping_pong,
            Poster::Owning => &self.ping_pong_own,
        };
        between(gpu, "rt_ping_pong", || {
            let mut launch = gpu.stream().launch_builder(kernel);
            launch
                .arg(&view)
                .arg(&dst)
                .arg(&local)
                .arg(&remote)
                .arg(&len)
                .arg(&word)
                .arg(&landed)
                .arg(&rounds);
            // SAFETY: as for `many`.
            unsafe { launch.launch(grid(1, 1)) }?;
            self.quiet.launch(gpu, &view)
        })
    }
}
