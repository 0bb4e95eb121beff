//! What one of the two processes of a pair does: PE 0 puts, PE 1 receives, over the transport or the bare loop.
//!
//! `railtop lab` starts them. The time ends when PE 1 has everything and has said so over the rendezvous, for both ways.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::Parser;
use railtop::cli::pe::PeArgs;
use railtop::transport::fault::Fault;
use railtop::transport::gpu::descriptor::Descriptor;
use railtop::transport::gpu::{Gpu, KernelHeap, Post, PostKernels, Poster, RingMemory, Visible};
use railtop::transport::pe::Pe;
use railtop::transport::ring::Put;
use railtop::transport::select::PolicyKind;
use railtop::transport::signal::{Signal, SignalOp, Until};

use crate::bare::Bare;
use crate::posted::{words, write_descriptor};

/// Ends a hang.
const LIMIT: Duration = Duration::from_secs(60);

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Way {
    /// Through the transport.
    Ours,
    /// Through a loop of `fi_writedata`.
    Bare,
    /// Through the transport, started by a kernel: only there and back.
    Gpu,
    /// The same by a thread that has its ring to itself, and whose data are there before.
    GpuOwn,
    /// As by a kernel, with a thread of the CPU in its place.
    Played,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// Puts with a signal, one after another.
    Stream,
    /// One there, one back.
    PingPong,
    /// One after another, each landed before the next (`put_signal`, `quiet`).
    Landed,
    /// Nothing for so many milliseconds: PE 0 is busy elsewhere, PE 1 waits for it.
    Idle,
}

/// One process of a pair.
#[derive(Debug, Parser)]
pub struct PairArgs {
    way: Way,
    what: What,
    /// Bytes of a put.
    bytes: u64,
    /// Puts, or rounds.
    count: u64,
    #[command(flatten)]
    pe: PeArgs,
}

/// Processor time of this process so far.
fn cpu() -> Duration {
    let id = nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID;
    nix::time::clock_gettime(id).unwrap().into()
}

/// A way to put and to see what has landed.
trait Line {
    fn put(&mut self, bytes: u64);
    fn flush(&mut self);
    fn await_landed(&mut self, count: u64);
    fn gather(&self, bytes: &[u8]) -> Vec<Vec<u8>>;
}

struct Ours {
    pe: Pe,
    data: u64,
    signal: u64,
}

impl Line for Ours {
    fn put(&mut self, bytes: u64) {
        let signal = Signal { offset: self.signal, op: SignalOp::Add, value: 1 };
        self.pe.put_signal(1 - self.pe.rank(), self.data, self.data, bytes, signal).unwrap();
    }

    fn flush(&mut self) {
        self.pe.quiet().unwrap();
    }

    fn await_landed(&mut self, count: u64) {
        self.pe.wait_until(self.signal, Until::AtLeast(count)).unwrap();
    }

    fn gather(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.pe.allgather(bytes).unwrap()
    }
}

struct Plain {
    bare: Bare,
    session: railtop::transport::bootstrap::Session,
}

impl Line for Plain {
    fn put(&mut self, bytes: u64) {
        self.bare.put(1 - self.session.rank(), usize::try_from(bytes).unwrap());
    }

    fn flush(&mut self) {
        self.bare.flush();
    }

    fn await_landed(&mut self, count: u64) {
        self.bare.await_landed(1 - self.session.rank(), count);
    }

    fn gather(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.session.allgather(bytes, LIMIT).unwrap()
    }
}

/// Runs this process's part; PE 0 prints `nanoseconds CPU-nanoseconds` of the whole, both processes' CPU time added up.
pub fn run(args: &[String]) {
    let args = PairArgs::parse_from(args);
    let ranks = args.pe.ranks().unwrap();
    let mut config = args.pe.config(ranks, 4096 + 4 * args.bytes.max(4096), PolicyKind::PairSeq).unwrap();
    config.page_dir = None;
    match args.way {
        Way::Ours => {
            let mut pe = Pe::start(&config).unwrap();
            let (data, signal) = (pe.allocate(args.bytes).unwrap(), pe.allocate(8).unwrap());
            let mut ours = Ours { pe, data, signal };
            measure(&mut ours, &args);
            ours.pe.finish().unwrap();
        }
        Way::Gpu => gpu_ping_pong(Pe::start(&config).unwrap(), Poster::Sharing, &args),
        Way::GpuOwn => gpu_ping_pong(Pe::start(&config).unwrap(), Poster::Owning, &args),
        Way::Played => played_ping_pong(Pe::start(&config).unwrap(), &args),
        Way::Bare => {
            let session = config.rendezvous.as_ref().unwrap().join(&Fault::default()).unwrap();
            let address = config.nics[0].address.clone().unwrap();
            let mut bare = Bare::open(&address, config.provider.as_deref(), args.bytes, session.rank());
            let cards = session.allgather(&bare.card(), LIMIT).unwrap();
            bare.connect(cards.iter().map(Vec::as_slice));
            let mut plain = Plain { bare, session };
            measure(&mut plain, &args);
        }
    }
}

/// As `measure`, by kernels of one thread on the first GPU.
fn gpu_ping_pong(mut pe: Pe, poster: Poster, args: &PairArgs) {
    let gpu = Gpu::open(0).unwrap();
    let kernels = PostKernels::load(&gpu).unwrap();
    let (data, word) = (pe.allocate(args.bytes).unwrap(), pe.allocate(8).unwrap());
    let rings = RingMemory::create(1, 4096).unwrap();
    let heap = KernelHeap::host(&gpu, pe.heap(), &[]).unwrap();
    let visible = Visible::new(&gpu, pe.rank(), pe.world(), heap, &rings).unwrap();
    pe.take_from(&rings, |_| false).unwrap();
    let post = Post { dst: 1 - pe.rank(), local: data, remote: data, len: args.bytes, word };
    time_passes(pe, args.count, |pe, landed, count| {
        let [_, end] = kernels.ping_pong(&gpu, visible.view(), poster, post, landed, count).unwrap();
        pe.run_for("a kernel", || end.try_is_complete().unwrap()).unwrap();
    });
}

/// The same without a GPU: what is left is not PCIe's.
fn played_ping_pong(mut pe: Pe, args: &PairArgs) {
    let (data, word) = (pe.allocate(args.bytes).unwrap(), pe.allocate(8).unwrap());
    let rings = RingMemory::create(1, 4096).unwrap();
    pe.take_from(&rings, |_| false).unwrap();
    let signal = Some(Signal { offset: word, op: SignalOp::Add, value: 1 });
    let put = Put { dst: 1 - pe.rank(), local: data, remote: data, len: args.bytes, signal };
    let payload = Descriptor::Put(put).encode();
    let (mut next, heap) = (0, Arc::clone(pe.heap()));
    time_passes(pe, args.count, |pe, landed, count| {
        let begins = pe.rank() == 0;
        let play = || {
            let (word, ring) = (heap.word(word).unwrap(), words(&rings));
            for round in 1..=count {
                if begins {
                    write_descriptor(ring, next + round - 1, payload);
                }
                while word.load(Ordering::Acquire) < landed + round {
                    std::hint::spin_loop();
                }
                if !begins {
                    write_descriptor(ring, next + round - 1, payload);
                }
            }
        };
        std::thread::scope(|scope| {
            let player = scope.spawn(play);
            pe.run_for("a thread", || player.is_finished()).unwrap();
            player.join().unwrap();
        });
        pe.quiet().unwrap();
        next += count;
    });
}

/// Two passes of `pass`, which gets what has landed before and how many rounds to make; prints the time of the second.
fn time_passes(mut pe: Pe, count: u64, mut pass: impl FnMut(&mut Pe, u64, u64)) {
    let mut landed = 0;
    let mut time = |count: u64| {
        pe.allgather(b"go").unwrap();
        let start = Instant::now();
        pass(&mut pe, landed, count);
        pe.allgather(b"there").unwrap();
        landed += count;
        start.elapsed().as_nanos()
    };
    time(count.div_ceil(10).min(1000));
    let elapsed = time(count);
    if pe.rank() == 0 {
        println!("{elapsed} 0");
    }
    pe.finish().unwrap();
}

fn measure(line: &mut impl Line, args: &PairArgs) {
    let rank = args.pe.ranks().unwrap().rank;
    let warm_up = args.count.div_ceil(10).min(1000);
    let mut landed = 0;
    let mut pass = |line: &mut dyn Line, count: u64| {
        line.gather(b"go");
        let start = Instant::now();
        let began = cpu();
        match (args.what, rank) {
            (What::Stream, 0) => {
                (0..count).for_each(|_| line.put(args.bytes));
                line.flush();
            }
            (What::Landed, 0) => (0..count).for_each(|_| {
                line.put(args.bytes);
                line.flush();
            }),
            (What::Stream | What::Landed, _) => line.await_landed(landed + count),
            (What::Idle, 0) => {
                std::thread::sleep(Duration::from_millis(count));
                line.put(args.bytes);
                line.flush();
            }
            (What::Idle, _) => line.await_landed(landed + 1),
            (What::PingPong, rank) => {
                for round in 1..=count {
                    if rank == 0 {
                        line.put(args.bytes);
                    }
                    line.await_landed(landed + round);
                    if rank == 1 {
                        line.put(args.bytes);
                    }
                }
                line.flush();
            }
        }
        landed += if args.what == What::Idle { 1 } else { count };
        let used = cpu().saturating_sub(began);
        let all = line.gather(&u64::try_from(used.as_nanos()).unwrap().to_le_bytes());
        let cpu: u64 = all.iter().map(|bytes| u64::from_le_bytes(bytes[..].try_into().unwrap())).sum();
        (start.elapsed().as_nanos(), cpu)
    };
    pass(line, warm_up);
    let (elapsed, cpu) = pass(line, args.count);
    if rank == 0 {
        println!("{elapsed} {cpu}");
    }
}
