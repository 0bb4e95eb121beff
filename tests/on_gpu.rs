//! What only shows on a GPU: descriptors from thousands of threads, copies of every alignment, signals that come after
//! their data, and that a wrong word is found. Without a GPU each says so and ends.

#![expect(unsafe_code, reason = "a launch takes its arguments on trust")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "on_gpu/moe.rs"]
mod moe;

use std::sync::{Arc, Mutex, MutexGuard};

use cudarc::driver::{CudaEvent, CudaFunction, LaunchConfig, PushKernelArg};
use proptest::prelude::*;
use railtop::transport::gpu::source::Source;
use railtop::transport::gpu::{
    BlockId, DeviceMemory, Gpu, KernelHeap, PatternKernels, PeView, Post, PostKernels, Poster, PutBw, Report,
    RingMemory, Rings, Scope, VerifyKernels, Visible,
};
use railtop::transport::heap::Heap;
use railtop::transport::ring::{Command, Put};
use railtop::transport::signal::{Signal, SignalOp};
use railtop::workload::verify::Block;

const PROBE: Source = Source::new("probe.cu", include_str!("on_gpu/probe.cu"));

/// One test at a time: they measure nothing, but wait for kernels that fill the GPU.
static ONE: Mutex<()> = Mutex::new(());

/// By how much less is done where each access is checked (compute-sanitizer).
fn less() -> u64 {
    if std::env::var_os("RAILTOP_TEST_LESS").is_some() { 20 } else { 1 }
}

/// A PE alone on a GPU, its heap in the GPU's memory.
struct Alone {
    gpu: Gpu,
    visible: Visible,
    rings: RingMemory,
    _one: MutexGuard<'static, ()>,
}

impl Alone {
    fn new(heap: u64, rings: u32, depth: u32) -> Option<Self> {
        let one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let gpu = match Gpu::open(0) {
            Ok(gpu) => gpu,
            Err(error) => {
                eprintln!("skipped: {error}");
                return None;
            }
        };
        let rings = RingMemory::create(rings, depth).unwrap();
        let visible = Visible::new(&gpu, 0, 1, KernelHeap::alone(&gpu, heap).unwrap(), &rings).unwrap();
        Some(Self { gpu, visible, rings, _one: one })
    }

    fn view(&self) -> PeView {
        self.visible.view()
    }

    fn memory(&self) -> &DeviceMemory {
        memory(&self.visible)
    }

    fn kernel(&self, name: &str) -> CudaFunction {
        self.gpu.load(PROBE).unwrap().function(name).unwrap()
    }

    fn synchronize(&self) {
        self.gpu.stream().synchronize().unwrap();
    }
}

fn memory(visible: &Visible) -> &DeviceMemory {
    match visible.heap() {
        KernelHeap::Device { own, .. } => own,
        KernelHeap::Host { .. } | KernelHeap::Both { .. } => unreachable!("made as a device's"),
    }
}

fn grid(blocks: u32, threads: u32) -> LaunchConfig {
    LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (threads, 1, 1), shared_mem_bytes: 0 }
}

/// What `probe_number` makes: the finaliser of splitmix64 over a block's pattern.
fn number(id: u64, field: u64) -> u64 {
    let base = (field << 32 | 7) ^ 11_u64.rotate_left(17);
    let x = base.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(id);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The descriptor with that number.
fn expected(id: u64) -> Put {
    let signal = Signal { offset: id, op: SignalOp::Add, value: number(id, 5) };
    let low = u32::try_from(number(id, 1) & u64::from(u32::MAX)).unwrap();
    Put {
        dst: low,
        local: number(id, 2) >> 8,
        remote: number(id, 3) >> 8,
        len: number(id, 4) >> 8,
        signal: Some(signal),
    }
}

#[test]
fn descriptors_come_whole_and_once_from_many_threads_at_every_depth() {
    const ALL: u64 = 0xffff_ffff;
    // Rings, depth, blocks, threads, posts of each, whether some are late, which threads of a warp.
    let cases = [
        (1, 2, 1, 1, 2_000, 0, 1),
        (1, 2, 2, 32, 100, 1, ALL),
        (1, 8, 4, 64, 200, 1, 0x5555_5555),
        (2, 16, 7, 96, 100, 0, 0x8000_0001),
        (3, 64, 33, 256, 40, 1, 0x0f0f_00ff),
        (4, 4096, 64, 256, 100, 0, ALL),
        // More than the marks of laps: 129 laps and more of a small ring.
        (1, 32, 8, 128, 50, 0, ALL),
        (16, 4, 40, 64, 100, 1, ALL),
    ];
    for (rings, depth, blocks, threads, count, late, part) in cases {
        let Some(alone) = Alone::new(4096, rings, depth) else { return };
        let mut taker = Rings::new(&alone.rings, Vec::new());
        let kernel = alone.kernel("probe_post");
        let view = alone.view();
        let (late, part, count): (u64, u64, u64) = (late, part, count / less());
        let mut launch = alone.gpu.stream().launch_builder(&kernel);
        launch.arg(&view).arg(&count).arg(&late).arg(&part);
        // SAFETY: the arguments are those of the kernel; what the view points to outlives the kernel.
        unsafe { launch.launch(grid(blocks, threads)) }.unwrap();
        let posting = (0..blocks * threads).filter(|thread| part >> (thread % threads % 32) & 1 == 1);
        let ids = u64::from(blocks * threads) * count;
        let left = posting.count() as u64 * count;
        take_all(&alone, &mut taker, ids, left, &format!("rings: {rings}, depth {depth}"));
    }
}

/// Takes the `left` descriptors that a kernel under way posts, with numbers below `ids`: each whole, and once.
fn take_all(alone: &Alone, taker: &mut Rings, ids: u64, mut left: u64, rings: &str) {
    let end = alone.gpu.stream().record_event(None).unwrap();
    let mut seen = vec![false; usize::try_from(ids).unwrap()];
    let mut over = false;
    while left > 0 {
        let Some(command) = taker.pop().unwrap() else {
            assert!(!over, "the kernel has ended, and {left} descriptors have not come");
            // One more look after it has ended.
            over = end.try_is_complete().unwrap();
            continue;
        };
        assert!(matches!(command, Command::Put(_)), "{command:?} of a kernel that only puts");
        let Command::Put(put) = command else { continue };
        let id = put.signal.unwrap().offset;
        assert_eq!(put, expected(id), "{rings}");
        let seen = seen.get_mut(usize::try_from(id).unwrap()).unwrap();
        assert!(!std::mem::replace(seen, true), "descriptor {id} came twice");
        left -= 1;
    }
    alone.synchronize();
    assert!(taker.pop().unwrap().is_none() && taker.is_empty());
}

#[test]
fn a_thread_has_a_ring_to_itself_and_gives_it_back() {
    // Rings, depth, posts of a turn, turns.
    for (rings, depth, count, turns) in
        [(1, 2, 500, 3), (4, 8, 300, 20), (16, 4096, 5_000, 2), (3, 32, 1, 700)]
    {
        let Some(alone) = Alone::new(4096, rings, depth) else { return };
        let mut taker = Rings::new(&alone.rings, Vec::new());
        let (own, shared) = (alone.kernel("probe_post_own"), alone.kernel("probe_post"));
        let view = alone.view();
        let (count, turns): (u64, u64) = (count, turns);
        // In turn with threads that share it.
        for _ in 0..3 {
            let mut launch = alone.gpu.stream().launch_builder(&own);
            launch.arg(&view).arg(&count).arg(&turns);
            // SAFETY: the arguments are those of the kernel; what the view points to outlives the kernel.
            unsafe { launch.launch(grid(rings, 1)) }.unwrap();
            let all = u64::from(rings) * count * turns;
            take_all(&alone, &mut taker, all, all, &format!("{rings} of its own, depth {depth}"));
            let mut launch = alone.gpu.stream().launch_builder(&shared);
            let (some, late, part) = (7_u64, 0_u64, u64::MAX);
            launch.arg(&view).arg(&some).arg(&late).arg(&part);
            // SAFETY: as above.
            unsafe { launch.launch(grid(2 * rings, 64)) }.unwrap();
            let all = u64::from(2 * rings * 64) * some;
            take_all(&alone, &mut taker, all, all, &format!("{rings} shared again, depth {depth}"));
        }
    }
}

/// Bytes of the heap in which copies are tried, at an offset that a PE would have.
const AREA: usize = 40_000;
const FIRST: u64 = 4096;

fn put(alone: &Alone, kernel: &CudaFunction, to: u64, from: u64, len: u64, (scope, threads): (Scope, u32)) {
    let (view, scope) = (alone.view(), scope as u32);
    let mut launch = alone.gpu.stream().launch_builder(kernel);
    launch.arg(&view).arg(&to).arg(&from).arg(&len).arg(&scope);
    // SAFETY: as above.
    unsafe { launch.launch(grid(1, threads)) }.unwrap();
    alone.synchronize();
}

#[test]
fn copies_of_every_alignment_and_length_are_whole_and_touch_nothing_else() {
    let Some(alone) = Alone::new(FIRST + 2 * AREA as u64, 1, 8) else { return };
    let kernel = alone.kernel("probe_put");
    let second = FIRST + AREA as u64;
    let config = ProptestConfig {
        cases: 300 / u32::try_from(less()).unwrap(),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let scopes = prop_oneof![
        Just((Scope::Thread, 1_u32)),
        Just((Scope::Warp, 32)),
        Just((Scope::Warp, 48)),
        Just((Scope::Warp, 8)),
        Just((Scope::Block, 1)),
        Just((Scope::Block, 33)),
        Just((Scope::Block, 96)),
        Just((Scope::Block, 256)),
        Just((Scope::Block, 1024)),
    ];
    let lengths = prop_oneof![0..70_u64, 0..5000_u64, 30_000..39_000_u64];
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let outcome = runner.run(&(0..40_u64, 0..40_u64, lengths, scopes, any::<u8>()), |case| {
        let (from, to, len, scope, seed) = case;
        let source: Vec<u8> = (0..AREA).map(|at| (at * 7 + at / 251).to_le_bytes()[0] ^ seed).collect();
        let blank: Vec<u8> = source.iter().map(|byte| !byte).collect();
        alone.memory().write(FIRST, &source).unwrap();
        alone.memory().write(second, &blank).unwrap();
        put(&alone, &kernel, second + to, FIRST + from, len, scope);
        let mut result = vec![0; AREA];
        alone.memory().read(second, &mut result).unwrap();
        let mut wanted = blank;
        let at = |offset: u64| usize::try_from(offset).unwrap();
        wanted[at(to)..at(to + len)].copy_from_slice(&source[at(from)..at(from + len)]);
        prop_assert!(result == wanted, "{len} bytes from {from} to {to}");
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn every_thread_of_a_warp_that_is_not_whole_joins_in_a_put() {
    const LEN: u64 = 1000;
    const BLOCKS: u32 = 2;
    let Some(alone) = Alone::new(FIRST + 2 * AREA as u64, 1, 8) else { return };
    let kernels = PatternKernels::load(&alone.gpu).unwrap();
    let receive = FIRST + AREA as u64;
    let source: Vec<u8> = (0..AREA).map(|at| (at * 7 + at / 251).to_le_bytes()[0]).collect();
    let blank: Vec<u8> = source.iter().map(|byte| !byte).collect();
    let cases = [
        // Threads of a block, how many puts they make.
        (Scope::Warp, 48_u32, 2_u32),
        (Scope::Warp, 8, 1),
        (Scope::Warp, 100, 4),
        (Scope::Warp, 64, 2),
        (Scope::Thread, 5, 5),
        (Scope::Block, 48, 1),
    ];
    for (scope, threads, puts) in cases {
        alone.memory().write(FIRST, &source).unwrap();
        alone.memory().write(receive, &blank).unwrap();
        let put = PutBw { dst: 0, send: FIRST, receive, len: LEN, blocks: BLOCKS, threads, scope };
        kernels.put(&alone.gpu, alone.view(), put, 3).unwrap();
        alone.synchronize();
        let mut result = vec![0; AREA];
        alone.memory().read(receive, &mut result).unwrap();
        let len = usize::try_from(LEN * u64::from(BLOCKS * puts)).unwrap();
        assert!(result[..len] == source[..len], "{scope:?} of {threads} threads: not all has come");
        assert!(result[len..] == blank[len..], "{scope:?} of {threads} threads: more than that has come");
    }
}

/// Plays the proxy until kernels have ended; returns the puts that they have posted.
fn serve(taker: &mut Rings, end: &CudaEvent) -> Vec<Put> {
    let mut puts = Vec::new();
    loop {
        // Asked first: what was posted before the end is there then.
        let over = end.try_is_complete().unwrap();
        while let Some(command) = taker.pop().unwrap() {
            match command {
                Command::Put(put) => puts.push(put),
                Command::RingQuiet { ring, posted } => taker.quiet_done(ring, posted),
                other => unreachable!("{other:?} of kernels that put and wait"),
            }
        }
        if over {
            return puts;
        }
    }
}

#[test]
fn kernels_that_post_and_wait_for_answers_post_all_that_they_should() {
    let Some(alone) = Alone::new(FIRST, 1, 8) else { return };
    let rings = RingMemory::create(2, 64).unwrap();
    // PE 1 is nowhere: what goes there is posted.
    let heap = KernelHeap::alone(&alone.gpu, FIRST).unwrap();
    let visible = Visible::new(&alone.gpu, 0, 2, heap, &rings).unwrap();
    let mut taker = Rings::new(&rings, Vec::new());
    let kernels = PostKernels::load(&alone.gpu).unwrap();
    let post = Post { dst: 1, local: 64, remote: 128, len: 8, word: 256 };
    let signal = Signal { offset: post.word, op: SignalOp::Add, value: 1 };
    let wanted =
        Put { dst: post.dst, local: post.local, remote: post.remote, len: post.len, signal: Some(signal) };

    let [_, end] = kernels.many(&alone.gpu, visible.view(), (3, 96), post, 5).unwrap();
    let puts = serve(&mut taker, &end);
    assert_eq!(puts.len(), 3 * 96 * 5);
    assert!(puts.iter().all(|put| *put == wanted), "{puts:?}");

    for (landed, poster) in [(20_u64, Poster::Sharing), (60, Poster::Owning), (80, Poster::Sharing)] {
        // All answers are there before it asks: while it runs nobody writes into its heap.
        memory(&visible).write(post.word, &(landed + 20).to_le_bytes()).unwrap();
        let [_, end] = kernels.ping_pong(&alone.gpu, visible.view(), poster, post, landed, 20).unwrap();
        let puts = serve(&mut taker, &end);
        assert_eq!(puts.len(), 20, "{poster:?}");
        assert!(puts.iter().all(|put| *put == wanted), "{puts:?}");
    }
}

#[test]
fn what_lies_outside_of_the_heap_is_the_proxys_to_refuse() {
    let Some(alone) = Alone::new(FIRST, 1, 8) else { return };
    let kernel = alone.kernel("probe_put");
    let mut taker = Rings::new(&alone.rings, Vec::new());
    let bytes = alone.memory().len();
    for (to, from, len) in
        [(bytes, 0, 1), (0, bytes - 4, 5), (0, 0, bytes + 1), (u64::MAX, 0, 2), (1 << 60, 0, 8)]
    {
        put(&alone, &kernel, to, from, len, (Scope::Block, 64));
        let error = taker.pop().unwrap_err();
        assert!(error.contains("outside of the heap"), "{error}");
    }
}

/// The hosts' memory first, then the GPU's, in one range of offsets.
#[test]
fn a_heap_of_two_parts_is_one_to_kernels() {
    let Some(alone) = Alone::new(FIRST, 1, 8) else { return };
    let low = Arc::new(Heap::create(64 << 10).unwrap());
    let own = Arc::new(DeviceMemory::take(&alone.gpu, 1).unwrap());
    let (split, end) = (low.len(), low.len() + own.len());
    let heap = KernelHeap::both(&alone.gpu, &low, Arc::clone(&own), Vec::new()).unwrap();
    assert_eq!((heap.split(), heap.len()), (split, end));
    let rings = RingMemory::create(1, 8).unwrap();
    let visible = Visible::new(&alone.gpu, 0, 1, heap, &rings).unwrap();
    let kernel = alone.kernel("probe_put");
    let put = |to: u64, from: u64, len: u64, scope: Scope| {
        let (view, scope) = (visible.view(), scope as u32);
        let mut launch = alone.gpu.stream().launch_builder(&kernel);
        launch.arg(&view).arg(&to).arg(&from).arg(&len).arg(&scope);
        // SAFETY: the arguments are those of the kernel; what the view points to outlives it.
        unsafe { launch.launch(grid(1, 64)) }.unwrap();
        alone.synchronize();
    };
    let read = |at: u64, len: usize| {
        let mut bytes = vec![0; len];
        match at.checked_sub(split) {
            Some(at) => own.read(at, &mut bytes).unwrap(),
            None => low.read(at, &mut bytes).unwrap(),
        }
        bytes
    };
    let mut mark = 0_u8;
    let all = [Scope::Thread, Scope::Warp, Scope::Block];
    // The last bytes before the split and the first behind it among them.
    for (to, from) in [(split, 4096), (split - 1000, split), (end - 1000, split + 5), (8192, split - 1000)] {
        for (scope, len) in all.map(|scope| (scope, 1000_usize)) {
            mark += 1;
            let source: Vec<u8> = (0..len).map(|at| (at % 251).to_le_bytes()[0] ^ mark).collect();
            match from.checked_sub(split) {
                Some(at) => own.write(at, &source).unwrap(),
                None => low.write(from, &source).unwrap(),
            }
            put(to, from, len as u64, scope);
            assert!(read(to, len) == source, "{scope:?}: {from} to {to}, split at {split}");
        }
    }
    let mut taker = Rings::new(&rings, Vec::new());
    assert!(taker.pop().unwrap().is_none(), "all of it a GPU can do by itself");
    for (to, from) in [(split - 4, split), (split, split - 4), (end - 4, split)] {
        put(to, from, 8, Scope::Thread);
        let error = taker.pop().unwrap_err();
        assert!(error.contains("outside of the heap"), "{error}");
    }
}

/// Of a PE whose GPU's memory is reached the hosts' part is not: a put there is posted, and its signal with it.
#[test]
fn a_put_into_the_hosts_part_of_another_pe_is_posted_with_its_signal() {
    let Some(alone) = Alone::new(FIRST, 1, 8) else { return };
    let low = Arc::new(Heap::create(64 << 10).unwrap());
    let own = Arc::new(DeviceMemory::take(&alone.gpu, 1).unwrap());
    let split = low.len();
    let heap = KernelHeap::both(&alone.gpu, &low, Arc::clone(&own), Vec::new()).unwrap();
    let rings = RingMemory::create(1, 8).unwrap();
    let visible = Visible::new(&alone.gpu, 0, 1, heap, &rings).unwrap();
    let kernel = alone.kernel("probe_put_signal");
    let mut taker = Rings::new(&rings, Vec::new());
    for (to, posted) in [(8192, true), (split + 64, false)] {
        let (view, from, word) = (visible.view(), split, 4096_u64);
        let mut launch = alone.gpu.stream().launch_builder(&kernel);
        launch.arg(&view).arg(&to).arg(&from).arg(&word);
        // SAFETY: the arguments are those of the kernel; what the view points to outlives it.
        unsafe { launch.launch(grid(1, 1)) }.unwrap();
        alone.synchronize();
        let signal = Signal { offset: word, op: SignalOp::Add, value: 3 };
        let wanted = if posted {
            Command::Put(Put { dst: 1, local: from, remote: to, len: 8, signal: Some(signal) })
        } else {
            Command::Signal { dst: 1, signal }
        };
        assert_eq!(taker.pop().unwrap(), Some(wanted));
        assert!(taker.pop().unwrap().is_none(), "nothing else");
    }
}

#[test]
fn signals_come_after_their_data() {
    const PAIRS: u64 = 16;
    for (len, rounds) in [(8, 2_000), (4_096, 1_000), (262_144, 100)] {
        for (scope, threads) in [(Scope::Thread, 32_u32), (Scope::Warp, 64), (Scope::Block, 256)] {
            // One thread takes long over much.
            let len = if scope == Scope::Thread { len.min(4096) } else { len };
            let Some(alone) = Alone::new(FIRST + PAIRS * (2 * len + 16), 1, 8) else { return };
            let kernel = alone.kernel("probe_signal");
            let mut report = Report::new(&alone.gpu).unwrap();
            let receive = FIRST + PAIRS * len;
            let words = receive + PAIRS * len;
            let (view, scope) = (alone.view(), scope as u32);
            let (rounds, address): (u64, u64) = (rounds / less(), report.address(&alone.gpu));
            let mut launch = alone.gpu.stream().launch_builder(&kernel);
            launch
                .arg(&view)
                .arg(&FIRST)
                .arg(&receive)
                .arg(&len)
                .arg(&words)
                .arg(&rounds)
                .arg(&scope)
                .arg(&address);
            // SAFETY: as above; the blocks wait for each other, and all are on the GPU at once or none.
            unsafe { launch.launch_cooperative(grid(2 * 16, threads)) }.unwrap();
            alone.synchronize();
            assert_eq!(report.take(&alone.gpu).unwrap(), None, "{len} bytes, scope {scope}");
        }
    }
}

#[test]
fn host_and_gpu_make_the_same_patterns_and_a_wrong_word_is_found() {
    let len = 10_001_u64;
    let Some(alone) = Alone::new(FIRST + 20_000, 1, 8) else { return };
    let kernels = VerifyKernels::load(&alone.gpu).unwrap();
    let mut report = Report::new(&alone.gpu).unwrap();
    let id = BlockId { src: 3, dst: 0, round: (1 << 50) + 5 };
    let heap = railtop::transport::heap::Heap::create(65_536).unwrap();
    Block { src: id.src, dst: id.dst, round: id.round }.fill(&heap, FIRST, len).unwrap();
    let mut host = vec![0; usize::try_from(len).unwrap()];
    heap.read(FIRST, &mut host).unwrap();

    alone.memory().write(FIRST + len, &[0xa5]).unwrap();
    kernels.fill(&alone.gpu, alone.view(), (FIRST, len), id).unwrap();
    let mut device = vec![0; host.len() + 1];
    alone.memory().read(FIRST, &mut device).unwrap();
    assert_eq!(device.pop(), Some(0xa5), "the byte behind it is left alone");
    assert!(device == host);

    let check = |report: &mut Report| {
        kernels.check(&alone.gpu, alone.view(), (FIRST, len), id, report).unwrap();
        report.take(&alone.gpu).unwrap()
    };
    assert_eq!(check(&mut report), None);
    let poisoned = check(&mut report).unwrap();
    assert_eq!((poisoned.count, poisoned.block), (len.div_ceil(8), id), "checking poisons");
    for byte in [0, 4_807, 9_999, 10_000_u64] {
        kernels.fill(&alone.gpu, alone.view(), (FIRST, len), id).unwrap();
        let at = usize::try_from(byte).unwrap();
        alone.memory().write(FIRST + byte, &[!host[at]]).unwrap();
        let wrong = check(&mut report).unwrap();
        assert_eq!((wrong.count, wrong.at, wrong.len), (1, byte / 8 * 8, len));
        assert_ne!(wrong.got, wrong.want);
    }
    kernels.poison(&alone.gpu, alone.view(), (FIRST, len)).unwrap();
    assert!(check(&mut report).is_some());
}
