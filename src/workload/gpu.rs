//! Traffic that a GPU starts: its kernels store and post, the PE's proxy carries what they post.

pub(super) mod moe;

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cudarc::driver::CudaEvent;

use super::WorkloadError;
use super::options::{HeapKind, Initiator, Options, Scope};
use super::plan::{Content, grid_for};
use super::put::Buffers;
use crate::transport::error::TransportError;
use crate::transport::fabric::is_rdma;
use crate::transport::gpu::{
    BlockId, DeviceMemory, Exchange, Gpu, GpuError, KernelHeap, Party, PatternKernels, PutBw, RINGS, Report,
    RingMemory, VerifyKernels, Visible, share,
};
use crate::transport::heap::{Allocator, DevicePart};
use crate::transport::pe::{Pe, PeConfig};

/// Descriptors of a ring.
const DEPTH: u32 = 4096;

/// How long kernels may take to end once they are told to.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// How long the job's reason may come after the GPU's own error, which says less.
const NEWS_LIMIT: Duration = Duration::from_millis(200);

/// A GPU that is opened while its PE starts, since NICs have to be told of its memory then.
pub struct OpenedGpu {
    gpu: Result<Gpu, GpuError>,
    /// For the heap; or why there is none.
    memory: Result<Arc<DeviceMemory>, String>,
}

impl OpenedGpu {
    /// Starts a PE, with `bytes` bytes of the memory of the GPU that posts for it, if one does and the heap may lie there. What goes
    /// wrong with the GPU is said when the benchmark begins.
    ///
    /// # Errors
    /// As [`Pe::start`].
    pub fn start_pe(
        config: &PeConfig,
        initiator: Initiator,
        bytes: u64,
    ) -> Result<(Pe, Option<Self>), TransportError> {
        let Initiator::Gpu { ordinal, heap, .. } = initiator else { return Ok((Pe::start(config)?, None)) };
        let mut opened = None;
        // Not every launcher says.
        let one_node = config.ranks.local_world.is_none_or(|local| local == config.ranks.world);
        let pe = Pe::start_with(config, |takes| {
            let (made, part) = Self::open(ordinal, heap, bytes, takes || one_node);
            opened = Some(made);
            part
        })?;
        Ok((pe, opened))
    }

    /// `reached`: whether the memory of others may be reached at all, over NICs or without.
    fn open(ordinal: usize, kind: HeapKind, bytes: u64, reached: bool) -> (Self, Result<DevicePart, String>) {
        let gpu = Gpu::open(ordinal);
        let memory = match &gpu {
            Ok(_) if kind == HeapKind::Host => Err("the host's was asked for".to_owned()),
            Ok(_) if !reached => Err("its NICs take no memory of GPUs (FI_HMEM)".to_owned()),
            Ok(gpu) => DeviceMemory::take(gpu, bytes).map(Arc::new).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let part = memory.clone().and_then(|memory| memory.part().map_err(|error| error.to_string()));
        (Self { gpu, memory }, part)
    }
}

/// What kernels use.
struct Held {
    gpu: Gpu,
    kernels: PatternKernels,
    verify: Option<VerifyKernels>,
    report: Report,
    visible: Visible,
    rings: RingMemory,
}

/// A PE's GPU with the kernels on it.
pub(super) struct GpuSide {
    held: ManuallyDrop<Held>,
    /// A kernel has not ended when it should have: what it uses stays until the process ends.
    hung: Cell<bool>,
    /// Hands out the heap in the GPU's memory, if all of it lies there.
    allocator: Option<Allocator>,
    /// PEs that have this GPU.
    sharers: u32,
    threads: u32,
}

impl GpuSide {
    /// The GPU's product name, where the driver tells.
    pub(super) fn name(&self) -> Option<String> {
        self.held.gpu.name().ok()
    }

    /// Compiles the kernels for a GPU, finds a heap for them, and lets the proxy take what they post.
    pub(super) fn start(
        pe: &mut Pe,
        opened: OpenedGpu,
        threads: u32,
        kind: HeapKind,
        verify: bool,
    ) -> Result<Self, WorkloadError> {
        let OpenedGpu { gpu, memory } = opened;
        let gpu = gpu?;
        let kernels = PatternKernels::load(&gpu)?;
        let verify = verify.then(|| VerifyKernels::load(&gpu)).transpose()?;
        let rings = RingMemory::create(RINGS, DEPTH).map_err(GpuError::from)?;
        let allgather = |bytes: &[u8]| pe.allgather(bytes);
        let party = Party {
            me: pe.rank(),
            pes: pe.world(),
            heap: pe.heap(),
            reached: pe.reached(),
            by_nic: by_nic(pe),
            no_part: pe.no_device().map(ToOwned::to_owned),
            allgather: &allgather,
        };
        let shared = share(&gpu, &party, kind, memory, &rings)?;
        // Over sockets it could be nowhere else.
        let might = party.by_nic.is_none() || is_rdma(pe.provider());
        if let (0, true, Some(why)) = (pe.rank(), might, shared.why_host) {
            eprintln!("railtop: the heap lies in the host's memory and not in the GPUs': {why}");
        }
        let heap = shared.visible.heap();
        // Where NICs reach the GPUs' memory and kernels do not, both data and signals go over them: no signal is ahead.
        let me = pe.rank();
        let both = matches!(heap, KernelHeap::Both { .. });
        pe.take_from(&rings, |other| !both || heap.address_of(other, me).is_some())?;
        let allocator = matches!(heap, KernelHeap::Device { .. }).then(|| Allocator::new(heap.len()));
        let report = Report::new(&gpu)?;
        let (visible, sharers) = (shared.visible, shared.sharers);
        let held = ManuallyDrop::new(Held { gpu, kernels, verify, report, visible, rings });
        Ok(Self { held, hung: Cell::new(false), allocator, sharers, threads })
    }

    /// Offset of `len` fresh bytes of the heap, the same on every PE.
    pub(super) fn allocate(&mut self, pe: &mut Pe, content: Content, len: u64) -> Result<u64, WorkloadError> {
        match (&mut self.allocator, content) {
            (Some(allocator), _) => Ok(allocator.allocate(len).map_err(TransportError::from)?),
            (None, Content::Data) if self.held.visible.heap().is_device() => Ok(pe.allocate_on_device(len)?),
            (None, _) => Ok(pe.allocate(len)?),
        }
    }

    /// Which memory the heap lies in.
    pub(super) fn heap_name(&self) -> &'static str {
        self.held.visible.heap().name()
    }

    /// Whether every PE's heap is reached by this GPU's own stores.
    pub(super) fn reaches_all(&self, pe: &Pe) -> bool {
        (0..pe.world()).all(|other| self.reaches(pe, other))
    }

    /// Whether that of one PE is.
    pub(super) fn reaches(&self, pe: &Pe, other: u32) -> bool {
        self.held.visible.heap().address_of(other, pe.rank()).is_some()
    }

    /// Puts `iters` times, by `ctas` blocks, `len` bytes each; returns the time on the GPU until everything had landed.
    pub(super) fn put(
        &self,
        pe: &mut Pe,
        dst: u32,
        Buffers { send, receive }: Buffers,
        len: u64,
        options: &Options,
        iters: u64,
    ) -> Result<Duration, WorkloadError> {
        let blocks = u32::try_from(options.ctas).unwrap_or(u32::MAX);
        let scope = options.put_scope();
        let put = PutBw { dst, send, receive, len, blocks, threads: self.threads, scope };
        let Held { gpu, kernels, visible, .. } = &*self.held;
        let events = kernels.put(gpu, visible.view(), put, iters)?;
        self.wait(pe, "the kernels of a put", &events)
    }

    /// Blocks of threads, and threads of each, of an all-to-all with blocks of `len` bytes: the same on every PE.
    pub(super) fn grid(&self, len: u64, world: u32, ctas: u64, scope: Scope) -> (u32, u32) {
        grid_for(len, world, ctas, scope.joined(self.threads))
    }

    /// `iters` all-to-alls in one kernel of so many blocks and threads; returns the time that they took on the GPU.
    pub(super) fn all_to_all(
        &mut self,
        pe: &mut Pe,
        exchange: Exchange,
        (blocks, threads): (u32, u32),
        iters: u64,
    ) -> Result<Duration, WorkloadError> {
        let most = self.held.kernels.most_blocks(&self.held.gpu, threads)? / self.sharers.max(1);
        if blocks > most {
            return Err(GpuError::TooLarge { blocks, threads, most }.into());
        }
        // As NVSHMEM's. Where the host's memory is the heap, a GPU is no help with a copy within it.
        let exchange = Exchange { own: u32::from(self.held.visible.heap().is_device()), ..exchange };
        let Held { gpu, kernels, report, visible, .. } = &*self.held;
        let (view, grid) = (visible.view(), (blocks, threads));
        let events = kernels.all_to_all(gpu, view, exchange, report, grid, iters)?;
        let time = self.wait(pe, "the kernel of an all-to-all", &events)?;
        if exchange.verify != 0 {
            self.verdict()?;
        }
        Ok(time)
    }

    /// Fills some bytes of the heap with a block's pattern.
    pub(super) fn fill(&self, pe: &mut Pe, range: (u64, u64), block: BlockId) -> Result<(), WorkloadError> {
        let Some(verify) = &self.held.verify else { return Ok(()) };
        let events = verify.fill(&self.held.gpu, self.held.visible.view(), range, block)?;
        self.wait(pe, "the kernel that fills", &events).map(|_| ())
    }

    /// Fills some bytes of the heap with what no block has.
    pub(super) fn poison(&self, pe: &mut Pe, range: (u64, u64)) -> Result<(), WorkloadError> {
        let Some(verify) = &self.held.verify else { return Ok(()) };
        let events = verify.poison(&self.held.gpu, self.held.visible.view(), range)?;
        self.wait(pe, "the kernel that poisons", &events).map(|_| ())
    }

    /// Checks some bytes of the heap.
    pub(super) fn check(
        &mut self,
        pe: &mut Pe,
        range: (u64, u64),
        block: BlockId,
    ) -> Result<(), WorkloadError> {
        let Held { gpu, verify: Some(verify), report, visible, .. } = &*self.held else { return Ok(()) };
        let events = verify.check(gpu, visible.view(), range, block, report)?;
        self.wait(pe, "the kernel that checks", &events)?;
        self.verdict()
    }

    /// What the kernels have found wrong, as an error.
    fn verdict(&mut self) -> Result<(), WorkloadError> {
        let Held { gpu, report, .. } = &mut *self.held;
        let Some(wrong) = report.take(gpu)? else { return Ok(()) };
        let BlockId { src, dst, round } = wrong.block;
        Err(WorkloadError::Corrupt(format!(
            "round {round}, PE {src} to PE {dst}: the word at byte {} of {} is {:#018x}, should be {:#018x}; {} words are wrong",
            wrong.at, wrong.len, wrong.got, wrong.want, wrong.count
        )))
    }

    /// Waits for kernels, with the proxy at work; returns the time between the events.
    fn wait(&self, pe: &mut Pe, what: &str, events: &[CudaEvent; 2]) -> Result<Duration, WorkloadError> {
        let [_, end] = events;
        self.wait_for(pe, what, end)?;
        Self::between(what, events)
    }

    /// The time between two events that are over.
    fn between(what: &str, [start, end]: &[CudaEvent; 2]) -> Result<Duration, WorkloadError> {
        let ms = start.elapsed_ms(end);
        let ms = ms.map_err(|source| GpuError::Driver { what: what.to_owned(), source })?;
        Ok(Duration::from_secs_f64(f64::from(ms) / 1e3))
    }

    /// Waits for an event, with the proxy at work. When the job has failed it ends the kernels first: their memory is about
    /// to go.
    fn wait_for(&self, pe: &mut Pe, what: &str, end: &CudaEvent) -> Result<(), WorkloadError> {
        let driver = |source| GpuError::Driver { what: what.to_owned(), source };
        let mut failed = None;
        let waited = pe.run_while(what, || {
            let ended = end.try_is_complete().unwrap_or_else(|error| {
                failed = Some(error);
                true
            });
            (!ended).then(|| self.held.rings.beat())
        });
        let begun = Instant::now();
        let waited = waited.and_then(|()| {
            if failed.is_none() {
                return Ok(());
            }
            // Perhaps because another PE has gone: then the job knows why, or soon will.
            pe.run_for(what, || begun.elapsed() > NEWS_LIMIT)
        });
        if let Err(error) = waited {
            // The others first: this may take a while.
            pe.abort(&error.to_string());
            self.stop(end);
            return Err(error.into());
        }
        failed.map_or(Ok(()), |error| Err(driver(error).into()))
    }

    /// Ends kernels that wait for what will not come. Whoever holds on after that, nothing of its memory can be given back
    /// before the process ends.
    fn stop(&self, end: &CudaEvent) {
        self.held.rings.stop();
        let begun = Instant::now();
        while matches!(end.try_is_complete(), Ok(false)) {
            if begun.elapsed() > STOP_LIMIT {
                eprintln!(
                    "railtop: a kernel does not end although the job has failed; it ends with the process"
                );
                self.hung.set(true);
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Gives everything back in good order: first all let go of each other's memory.
    pub(super) fn finish(&mut self, pe: &mut Pe) -> Result<(), WorkloadError> {
        pe.barrier()?;
        self.held.visible.close();
        pe.allgather(b"closed")?;
        self.held.visible.returned();
        Ok(())
    }
}

impl Drop for GpuSide {
    #[expect(unsafe_code, reason = "what a running kernel uses must not be dropped")]
    fn drop(&mut self) {
        if !self.hung.get() {
            // SAFETY: once, and nobody uses it after this.
            unsafe { ManuallyDrop::drop(&mut self.held) };
        }
    }
}

/// Why some PE has to be reached over NICs, if one has.
fn by_nic(pe: &Pe) -> Option<String> {
    let far = (0..).zip(pe.reached()).find_map(|(other, heap): (u32, _)| heap.is_none().then_some(other))?;
    Some(format!("PE {far} is reached over NICs (provider {})", pe.provider()))
}
