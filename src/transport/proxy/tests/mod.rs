//! Whole proxies on mock NICs, moved on turn by turn in one thread: a seed decides everything, so what fails once fails
//! always.

mod caller;
mod driver;
mod failover;
mod fetched;
mod hostile;
mod judge;
mod mock;
mod pressure;
mod program;
mod rings;
mod rng;
mod turns;
mod world;

use std::sync::atomic::Ordering;

use fetched::locked;
use program::{Plan, counter_word};
use rng::{Rng, Seed, seeds};
use world::World;

/// Turns a random program may take; the longest seen takes a fifth.
const MOST_TURNS: u64 = 2_000_000;

/// Random programs of every day: 10 s of a core in a build without optimisation, shared by all there are.
const PROGRAMS: u64 = 1000;

#[test]
fn signals_follow_their_bytes_and_everything_adds_up() {
    let seeds = seeds(PROGRAMS);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let interest = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|first| {
                let mine = seeds.clone().skip(first).step_by(threads);
                scope.spawn(move || mine.map(run).reduce(more_of).unwrap_or_default())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).reduce(more_of).unwrap()
    });
    // So few need not have met with much.
    if seeds.count() >= 100 {
        let [longest, met] = interest;
        assert!(longest > 8 && met > 100, "{interest:?}: a dull test");
    }
}

fn more_of([longest, met]: [usize; 2], [other, more]: [usize; 2]) -> [usize; 2] {
    [longest.max(other), met + more]
}

/// Runs the random program of a seed; returns what was interesting about its fetches.
fn run(seed: u64) -> [usize; 2] {
    let _seed = Seed(seed);
    let mut rng = Rng::new(seed);
    let Plan { setup, steps, judge, counters } = Plan::any(&mut rng, 1);
    let mut world = World::new(&mut rng, &setup, judge);
    for (pe, steps) in steps.into_iter().enumerate() {
        world.program(pe, steps);
    }
    world.run(MOST_TURNS);
    for (heap, expected) in world.heaps.iter().zip(counters) {
        assert_eq!(heap.word(counter_word()).unwrap().load(Ordering::Acquire), expected);
    }
    let fetched = locked(&world.fetched);
    fetched.interest()
}
