//! Whole proxies on mock NICs, moved on turn by turn in one thread: a seed decides everything, so what fails once fails
//! always.

mod driver;
mod failover;
mod hostile;
mod judge;
mod mock;
mod pressure;
mod program;
mod rings;
mod rng;
mod world;

use std::sync::atomic::Ordering;

use program::{Plan, counter_word};
use rng::{Rng, Seed};
use world::World;

/// Turns a random program may take; the longest seen takes a fifth.
const MOST_TURNS: u64 = 2_000_000;

#[test]
fn signals_follow_their_bytes_and_everything_adds_up() {
    for seed in 0..200 {
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
    }
}
