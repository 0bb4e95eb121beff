//! What a GPU posts: a thread of the CPU writes descriptors as a kernel does.

use std::sync::atomic::{AtomicU64, Ordering};

use super::judge::{Judge, Landing};
use super::mock::{Trouble, Weather};
use super::rng::{Rng, Seed};
use super::world::{Setup, Step, World};
use crate::counters::RxSource;
use crate::transport::gpu::descriptor::{Descriptor, WORDS};
use crate::transport::gpu::mark::{mark_of, marked};
use crate::transport::gpu::{RingMemory, Rings, quiet_at, taken_at, words_for};
use crate::transport::heap::RESERVED;
use crate::transport::nic::PeerNic;
use crate::transport::ring::{Command, Put};
use crate::transport::select::PolicyKind;
use crate::transport::signal::{Signal, SignalOp};

const SOURCE: u64 = RESERVED;
const COUNTERS: u64 = RESERVED + 512;
const LANDING: Landing = Landing { offset: 2 * RESERVED, len: 40 };
const HEAP: u64 = 3 * RESERVED;

/// Few, so that places are used again and rings are full at times.
const DEPTH: usize = 8;

/// The kernels of one PE: by ring, what is to be posted, and how much of it is.
struct Gpu {
    memory: RingMemory,
    programs: Vec<Vec<Descriptor>>,
    posted: Vec<usize>,
}

impl Gpu {
    /// Takes the place of any GPU that PE `pe` has had.
    fn new(world: &mut World, pe: usize, programs: Vec<Vec<Descriptor>>) -> Self {
        let memory =
            RingMemory::create(u32::try_from(programs.len()).unwrap(), u32::try_from(DEPTH).unwrap())
                .unwrap();
        assert!(world.callers[pe].proxy.attach(Rings::new(&memory, Vec::new())));
        Self { posted: vec![0; programs.len()], memory, programs }
    }

    fn words(&self, ring: usize) -> &[AtomicU64] {
        self.memory
            .mapping()
            .words(self.memory.stride() * ring as u64, words_for(DEPTH, WORDS) as u64)
            .unwrap()
    }

    /// Posts what there is room for.
    fn step(&mut self) {
        for ring in 0..self.programs.len() {
            while let Some(descriptor) = self.programs[ring].get(self.posted[ring]) {
                let (words, index) = (self.words(ring), self.posted[ring]);
                let taken = words[taken_at(DEPTH, WORDS)].load(Ordering::Acquire);
                if index as u64 - taken >= DEPTH as u64 {
                    break;
                }
                let mark = mark_of((index / DEPTH) as u64);
                for (word, payload) in words[index % DEPTH * WORDS..].iter().zip(descriptor.encode()) {
                    word.store(marked(payload, mark), Ordering::Relaxed);
                }
                self.posted[ring] += 1;
            }
        }
    }

    /// Descriptors of a ring before and with the last quiet that is done.
    fn quiet_done(&self, ring: usize) -> usize {
        usize::try_from(self.words(ring)[quiet_at(DEPTH, WORDS)].load(Ordering::Acquire)).unwrap()
    }

    /// Whether everything is posted, and the quiet at the end of each program done.
    fn is_done(&self) -> bool {
        (0..self.programs.len()).all(|ring| self.quiet_done(ring) == self.programs[ring].len())
    }

    /// Puts to PE `dst` among the first `count` descriptors of a ring.
    fn puts(&self, ring: usize, count: usize, dst: u32) -> usize {
        let to = |posted: &&Descriptor| matches!(posted, Descriptor::Put(put) if put.dst == dst);
        self.programs[ring][..count].iter().filter(to).count()
    }
}

/// A put to `dst` that adds 1 to the counter numbered `counter`.
fn put(dst: u32, counter: usize) -> Put {
    let signal = Signal { offset: COUNTERS + 8 * counter as u64, op: SignalOp::Add, value: 1 };
    Put { dst, local: SOURCE, remote: LANDING.offset, len: LANDING.len, signal: Some(signal) }
}

fn counter(world: &World, pe: u32, counter: usize) -> usize {
    let at = COUNTERS + 8 * counter as u64;
    let value = world.heaps[pe as usize].word(at).unwrap().load(Ordering::Acquire);
    usize::try_from(value).unwrap()
}

fn world(rng: &mut Rng, widths: &[u16], weather: Weather) -> World {
    let pes = widths.len();
    let setup = Setup {
        widths: widths.to_vec(),
        weather,
        policy: PolicyKind::PairSeq,
        ring: 4,
        heap: HEAP,
        sources: vec![RxSource::Ledger; pes],
    };
    let mut judge = Judge::new(pes, LANDING.offset, HEAP);
    (0..pes).for_each(|pe| judge.expect_bytes(pe, LANDING, &[0; 40]));
    World::new(rng, &setup, judge)
}

/// A PE that nothing reaches holds up what waits for it, and neither other rings, nor the caller, nor what is behind in the
/// same ring.
#[test]
fn a_quiet_of_one_ring_holds_up_nothing_else() {
    const PUTS: usize = 100;
    const HOST: usize = 3;
    for seed in 0..20 {
        let _seed = Seed(seed);
        let mut rng = Rng::new(seed);
        let weather = Weather { delay: 1 << rng.below(6), ..Weather::fair() };
        let mut world = world(&mut rng, &[2, 2, 2], weather);
        let dead = |nic| PeerNic { pe: 1, nic };
        (0..2).for_each(|nic| world.fabric.trouble(dead(nic), Some(Trouble::Silence)));
        let to = |dst, ring| Descriptor::Put(put(dst, ring));
        let programs = vec![
            [to(1, 0), Descriptor::Quiet].into_iter().chain((0..PUTS).map(|_| to(2, 0))).collect(),
            (0..PUTS).map(|_| to(2, 1)).collect(),
        ];
        let mut gpu = Gpu::new(&mut world, 0, programs);
        gpu.step();
        world.turn_one(0, 1).unwrap();
        assert!(world.callers[0].proxy.quiets.are_asked_by_rings());
        let quiet = Command::Quiet { ticket: 1, pe: Some(2) };
        world
            .program(0, (0..PUTS).map(|_| Step::Post(Command::Put(put(2, HOST)))).chain([Step::Post(quiet)]));
        let mut turns = 0;
        while world.callers[0].shared.quiet_done() < 1
            || [0, 1, HOST].iter().any(|&from| counter(&world, 2, from) < PUTS)
        {
            gpu.step();
            world.turn().unwrap();
            assert_eq!(gpu.quiet_done(0), 0, "the put to PE 1 cannot have landed");
            turns += 1;
            assert!(turns < 100_000, "something waits for the quiet of ring 0");
        }
        (0..2).for_each(|nic| world.fabric.trouble(dead(nic), None));
        while gpu.quiet_done(0) != 2 {
            world.turn().unwrap();
            turns += 1;
            assert!(turns < 200_000, "the quiet never ends");
        }
        assert_eq!(counter(&world, 1, 0), 1);
        world.program(0, [Step::Quiet]);
        world.run(300_000);
    }
}

/// By chance: puts and quiets in rings of every PE, with callers that put and wait, over NICs of every kind. A quiet is
/// done only when everything has landed that its ring had posted before it.
#[test]
fn a_quiet_of_a_ring_is_done_when_what_was_posted_before_it_has_landed() {
    const HOST: usize = 3;
    for seed in 0..100 {
        let _seed = Seed(seed);
        let mut rng = Rng::new(seed);
        let pes = u32::try_from(rng.between(2, 4)).unwrap();
        let weather = Weather { reopens: false, ..Weather::any(&mut rng) };
        let widths: Vec<_> = (0..pes).map(|_| u16::try_from(rng.between(1, 3)).unwrap()).collect();
        let mut world = world(&mut rng, &widths, weather);
        let mut gpus = Vec::new();
        let mut expected = vec![[0; HOST + 1]; pes as usize];
        for me in 0..pes {
            let mut other = || (me + 1 + u32::try_from(rng.below(u64::from(pes) - 1)).unwrap()) % pes;
            let host: Vec<_> = (0..20).map(|_| other()).collect();
            for &dst in &host {
                expected[dst as usize][HOST] += 1;
            }
            let puts = host.into_iter().map(|dst| Step::Post(Command::Put(put(dst, HOST))));
            world.program(me as usize, puts.chain([Step::Quiet]));
            let rings = usize::try_from(rng.between(1, 3)).unwrap();
            let programs = (0..rings).map(|ring| {
                let count = rng.below(40);
                let mut posts = Vec::new();
                for _ in 0..count {
                    let dst = (me + 1 + u32::try_from(rng.below(u64::from(pes) - 1)).unwrap()) % pes;
                    posts.push(if rng.chance(30) {
                        Descriptor::Quiet
                    } else {
                        Descriptor::Put(put(dst, ring))
                    });
                }
                posts.push(Descriptor::Quiet);
                posts
            });
            let programs = programs.collect();
            gpus.push(Gpu::new(&mut world, me as usize, programs));
        }
        let mut turns = 0_u64;
        while !gpus.iter().all(Gpu::is_done) {
            gpus.iter_mut().for_each(Gpu::step);
            world.turn().unwrap();
            for dst in 0..pes {
                for ring in 0..HOST {
                    let of = |gpu: &Gpu| {
                        let exists = ring < gpu.programs.len();
                        if exists { gpu.puts(ring, gpu.quiet_done(ring), dst) } else { 0 }
                    };
                    let least: usize = gpus.iter().map(of).sum();
                    let landed = counter(&world, dst, ring);
                    assert!(landed >= least, "{landed} of {least} puts of rings {ring} to PE {dst}");
                }
            }
            turns += 1;
            assert!(turns < 500_000, "quiets do not end");
        }
        world.run(500_000);
        for dst in 0..pes {
            for ring in 0..HOST {
                let all = |gpu: &Gpu| {
                    gpu.programs.get(ring).map_or(0, |program| gpu.puts(ring, program.len(), dst))
                };
                let all: usize = gpus.iter().map(all).sum();
                assert_eq!(counter(&world, dst, ring), all, "puts of rings {ring} to PE {dst}");
            }
            assert_eq!(
                counter(&world, dst, HOST),
                expected[dst as usize][HOST],
                "the caller's puts to PE {dst}"
            );
        }
    }
}

/// However many threads of a kernel ask at a time, each is answered, and what is remembered of them is two.
#[test]
fn quiets_that_come_while_one_is_under_way_are_answered_together() {
    const ASKED: usize = 50;
    let mut rng = Rng::new(3);
    let mut world = world(&mut rng, &[1, 1], Weather::fair());
    let before = world.callers[0].proxy.counts.quiets;
    world.fabric.trouble(PeerNic { pe: 1, nic: 0 }, Some(Trouble::Silence));
    let quiets = (0..ASKED).map(|_| Descriptor::Quiet);
    let program = std::iter::once(Descriptor::Put(put(1, 0))).chain(quiets).collect();
    let mut gpu = Gpu::new(&mut world, 0, vec![program]);
    for _ in 0..200 {
        gpu.step();
        world.turn_one(0, 1).unwrap();
    }
    assert_eq!(gpu.posted[0], ASKED + 1, "none waits for another's end to be taken");
    assert_eq!(world.callers[0].proxy.counts.quiets - before, ASKED as u64);
    assert_eq!(gpu.quiet_done(0), 0);
    world.fabric.trouble(PeerNic { pe: 1, nic: 0 }, None);
    let (mut seen, mut turns) = (Vec::new(), 0);
    while !gpu.is_done() {
        world.turn().unwrap();
        turns += 1;
        assert!(turns < 100_000, "the quiets never end");
        if seen.last() != Some(&gpu.quiet_done(0)) {
            seen.push(gpu.quiet_done(0));
        }
    }
    seen.retain(|&done| done > 0);
    assert!(seen.ends_with(&[ASKED + 1]) && seen.len() <= 2, "{seen:?}");
}
