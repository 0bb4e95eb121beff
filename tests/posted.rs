//! What a GPU posts, over real libfabric: a thread of the CPU plays the GPU and writes descriptors as a kernel does.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[expect(dead_code, reason = "other files use the rest")]
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use railtop::counters::{PageDir, PageReader, PeCounts};
use railtop::transport::gpu::descriptor::{Descriptor, WORDS};
use railtop::transport::gpu::mark::{mark_of, marked};
use railtop::transport::gpu::{RingMemory, quiet_at, stalls_at, taken_at, words_for};
use railtop::transport::heap::Heap;
use railtop::transport::pe::{IntraNode, Pe};
use railtop::transport::ring::Put;
use railtop::transport::signal::{Signal, SignalOp};
use support::{Job, providers};

/// Few, so that places are used again and rings are full at times.
const DEPTH: u32 = 8;
const RINGS: u32 = 2;

/// The GPU: what `rt_post` of `kernels/railtop.cuh` does.
struct Poster {
    memory: RingMemory,
    /// By ring: descriptors posted.
    posted: [u64; RINGS as usize],
}

impl Poster {
    fn new() -> Self {
        Self { memory: RingMemory::create(RINGS, DEPTH).unwrap(), posted: [0; RINGS as usize] }
    }

    fn words(&self, ring: u32) -> &[std::sync::atomic::AtomicU64] {
        let words = words_for(DEPTH as usize, WORDS) as u64;
        self.memory.mapping().words(self.memory.stride() * u64::from(ring), words).unwrap()
    }

    /// Posts the words of a descriptor, the last first; returns its number, counted from 1.
    fn post_words(&mut self, ring: u32, payload: [u64; WORDS]) -> u64 {
        let index = self.posted[ring as usize];
        let (words, depth) = (self.words(ring), u64::from(DEPTH));
        while index - words[taken_at(DEPTH as usize, WORDS)].load(Ordering::Acquire) >= depth {
            std::thread::yield_now();
        }
        fence(Ordering::Release);
        let slot = usize::try_from(index % depth).unwrap() * WORDS;
        for (at, payload) in payload.into_iter().enumerate().rev() {
            words[slot + at].store(marked(payload, mark_of(index / depth)), Ordering::Relaxed);
        }
        self.posted[ring as usize] += 1;
        self.posted[ring as usize]
    }

    fn post(&mut self, ring: u32, descriptor: Descriptor) -> u64 {
        self.post_words(ring, descriptor.encode())
    }

    /// A quiet in every ring, as `rt_quiet`.
    fn quiet(&mut self) {
        for ring in 0..RINGS {
            let number = self.post(ring, Descriptor::Quiet);
            let done = quiet_at(DEPTH as usize, WORDS);
            while self.words(ring)[done].load(Ordering::Acquire) < number {
                std::thread::yield_now();
            }
        }
    }
}

/// Starts the GPU's program, with the PE's proxy at its service.
fn on_gpu(pe: &mut Pe, program: impl FnOnce(&mut Poster) + Send + 'static) {
    let mut poster = Poster::new();
    pe.take_from(&poster.memory, |_| true).unwrap();
    let gpu = std::thread::spawn(move || program(&mut poster));
    pe.run_for("a GPU", || gpu.is_finished()).unwrap();
    gpu.join().unwrap();
}

/// Different in every round, so that nothing old is taken for new.
fn content(src: u32, dst: u32, round: u64, len: u64) -> Vec<u8> {
    let first = u64::from(src) * 31 + u64::from(dst) * 101 + round * 59;
    (0..len).map(|at| (at * 7 + first).to_le_bytes()[0]).collect()
}

fn read(heap: &Heap, offset: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    heap.read(offset, &mut bytes).unwrap();
    bytes
}

/// Where everything lies, on every PE.
#[derive(Clone, Copy)]
struct Place {
    send: u64,
    receive: u64,
    words: u64,
}

const MOST: u64 = 300_000;

/// Bytes that this PE has put into NICs.
fn on_nics(pe: &mut Pe) -> u64 {
    pe.totals().unwrap().nics.iter().map(|nic| nic.tx_done_bytes).sum()
}

/// One PE's kernel: puts to everybody and looks, without any help of the host's, whether signals come after their data
/// and whether a quiet ends after everything has landed.
fn exchange(gpu: &mut Poster, me: u32, heaps: &[Arc<Heap>], place: Place, round: u64, len: u64) {
    let pes = u32::try_from(heaps.len()).unwrap();
    let signal = Signal { offset: place.words + 8 * u64::from(me), op: SignalOp::Add, value: 1 };
    for dst in 0..pes {
        let (local, remote) = (place.send + u64::from(dst) * MOST, place.receive + u64::from(me) * MOST);
        let put = Put { dst, local, remote, len, signal: Some(signal) };
        gpu.post(dst % RINGS, Descriptor::Put(put));
    }
    // Several laps of every ring.
    for i in 0..40 {
        let nothing = Signal { value: 0, ..signal };
        gpu.post(i % RINGS, Descriptor::Signal { dst: (me + i) % pes, signal: nothing });
    }
    let own = &heaps[me as usize];
    for src in 0..pes {
        let word = own.word(place.words + 8 * u64::from(src)).unwrap();
        while word.load(Ordering::Acquire) < round {
            std::thread::yield_now();
        }
        let bytes = read(own, place.receive + u64::from(src) * MOST, len);
        assert!(bytes == content(src, me, round, len), "{len} bytes of PE {src} after their signal");
    }
    gpu.quiet();
    for (dst, heap) in (0..).zip(heaps) {
        let bytes = read(heap, place.receive + u64::from(me) * MOST, len);
        assert!(bytes == content(me, dst, round, len), "{len} bytes at PE {dst} after a quiet");
        let word = heap.word(signal.offset).unwrap().load(Ordering::Acquire);
        assert_eq!(word, round, "the signal at PE {dst} after a quiet");
    }
}

#[test]
fn what_is_posted_lands_before_its_signal_and_before_a_quiet_ends() {
    const SIZES: [u64; 6] = [8, 100, 1024, 4096, MOST, 64];
    let of = |provider| [IntraNode::Direct, IntraNode::Nic].map(|intra_node| (provider, intra_node));
    let providers = providers();
    for (provider, intra_node) in providers.iter().flat_map(of) {
        // PE 1 is on PE 0's node: its heap is reached without a NIC, unless NICs are asked for.
        let job = Job { pes: 4, pes_per_node: 2, intra_node, ..Job::new(provider) };
        let heaps: Arc<Mutex<BTreeMap<u32, Arc<Heap>>>> = Arc::default();
        job.run(move |pe| {
            let (me, world) = (pe.rank(), pe.world());
            let send = pe.allocate(u64::from(world) * MOST).unwrap();
            let receive = pe.allocate(u64::from(world) * MOST).unwrap();
            let place = Place { send, receive, words: pe.allocate(8 * u64::from(world)).unwrap() };
            heaps.lock().unwrap().insert(me, Arc::clone(pe.heap()));
            pe.barrier().unwrap();
            let all: Vec<_> = heaps.lock().unwrap().values().cloned().collect();
            for (round, len) in (1..).zip(SIZES) {
                for dst in 0..world {
                    pe.heap().write(send + u64::from(dst) * MOST, &content(me, dst, round, len)).unwrap();
                }
                pe.barrier().unwrap();
                let heaps = all.clone();
                on_gpu(pe, move |gpu| exchange(gpu, me, &heaps, place, round, len));
                pe.barrier().unwrap();
            }
            let others = if intra_node == IntraNode::Direct { 2 } else { 3 };
            assert_eq!((0..world).filter(|&other| !pe.is_local(other)).count(), others);
            let bytes: u64 = SIZES.iter().sum();
            assert_eq!(on_nics(pe), bytes * others as u64, "to {others} PEs over {}", pe.provider());
        });
    }
}

#[test]
fn what_no_kernel_should_post_ends_the_job_with_what_it_was() {
    let Some(provider) = providers().pop() else { return };
    let put = |dst, remote, signal| Descriptor::Put(Put { dst, local: 0, remote, len: 64, signal }).encode();
    let odd = Signal { offset: 4097, op: SignalOp::Set, value: 1 };
    let cases = [
        (put(7, 4096, None), "PE 7 in a job of 2"),
        (put(1, 1 << 40, None), "outside the heap"),
        (put(1, 4096, Some(odd)), "not a multiple of 8"),
        ([9, 0, 0, 0, 0, 0, 0, 0], "kind 9"),
        ([255, 0, 0, 0, 0, 0, 0, 0], "outside of the heap"),
        ([0x701, 0, 0, 0, 0, 0, 0, 0], "signal operation 7"),
    ];
    for (words, why) in cases {
        let errors = Job::new(&provider).run_each(move |mut pe| {
            let mut poster = Poster::new();
            pe.take_from(&poster.memory, |_| true).unwrap();
            if pe.rank() == 0 {
                poster.post_words(0, words);
            }
            pe.run_for("a GPU that posts nonsense", || false).unwrap_err().to_string()
        });
        assert!(errors.iter().all(|error| error.contains(why)), "{errors:?} lacks {why}");
    }
}

/// What the page of a PE that is alone in its job counts, once `seen` finds in it what it looks for.
fn counts(dir: &Path, seen: impl Fn(&PeCounts) -> bool) -> PeCounts {
    let begun = Instant::now();
    loop {
        let pages = PageDir::open(dir).unwrap().scan().unwrap();
        let counts = PageReader::open(&pages[0].path).unwrap().read().unwrap().process;
        if seen(&counts) {
            return counts;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{counts:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_page_counts_what_was_posted_into_one_set_of_rings_after_another() {
    let Some(provider) = providers().pop() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut config = Job { pes: 1, ..Job::new(&provider) }.configs().remove(0);
    config.page_dir = Some(dir.path().join("pages"));
    let pages = config.page_dir.clone().unwrap();
    let mut pe = Pe::start(&config).unwrap();
    let word = pe.allocate(8).unwrap();
    let none = counts(&pages, |_| true);
    assert_eq!((none.gpu_posts, none.gpu_ring_size), (0, 0));
    let mut posts = 0;
    for round in 1..=2_u64 {
        on_gpu(&mut pe, move |gpu| {
            for i in 0..30 {
                let signal = Signal { offset: word, op: SignalOp::Add, value: 1 };
                gpu.post(i % RINGS, Descriptor::Signal { dst: 0, signal });
            }
            gpu.quiet();
            // As a kernel that has found its ring full so often.
            gpu.words(0)[stalls_at(DEPTH as usize, WORDS)].store(round * 5, Ordering::Relaxed);
        });
        posts += 30 + u64::from(RINGS);
        let now = counts(&pages, |counts| {
            counts.gpu_posts == posts && counts.gpu_stalls == round * (round + 1) / 2 * 5
        });
        assert_eq!((now.gpu_ring_used, now.gpu_ring_size), (0, u64::from(RINGS * DEPTH)));
        assert!(now.gpu_post_ns > 0, "{now:?}");
    }
    assert_eq!(pe.heap().word(word).unwrap().load(Ordering::Acquire), 60);
    pe.finish().unwrap();
}
