//! Where there is not room for all, everybody gets on: what a program posts, what it is asked for, and what is long among what is short.

use std::sync::atomic::Ordering;

use super::super::state::Request;
use super::judge::Judge;
use super::mock::Weather;
use super::rng::{Rng, Seed};
use super::world::{Caller, Setup, Step, World};
use crate::counters::RxSource;
use crate::transport::answers::NOBODY;
use crate::transport::heap::RESERVED;
use crate::transport::ring::{Command, Put};
use crate::transport::select::PolicyKind;
use crate::transport::signal::{Signal, SignalOp};

const COUNTER: u64 = RESERVED;
const DONE: u64 = RESERVED + 8;
const PLACE: u64 = 2 * RESERVED;
/// As long as one piece.
const SHORT: u64 = 512;
/// A multiple of all that may be under way.
const LONG: u64 = 256 * SHORT;
/// So many of what is short, and then it would be over.
const MANY: u64 = 4000;

fn put(dst: u32, len: u64, word: u64) -> Step {
    let signal = Some(Signal { offset: word, op: SignalOp::Add, value: 1 });
    Step::Post(Command::Put(Put { dst, local: PLACE, remote: PLACE, len, signal }))
}

fn get(src: u32, len: u64) -> Step {
    Step::Post(Command::Get { src, remote: PLACE, local: PLACE, len, tag: Some(NOBODY) })
}

/// A seed with much room.
const ROOMY: u64 = 1;

/// Two PEs, or three, with room for eight pieces to each, or for 64.
fn world(pes: usize, seed: u64) -> World {
    let room = if seed.is_multiple_of(2) { 8 } else { 64 };
    let weather = Weather { room, max_piece: SHORT, inline_max: 0, ..Weather::fair() };
    let heap = PLACE + LONG;
    let sources = vec![RxSource::CqeLen; pes];
    let setup =
        Setup { widths: vec![1; pes], weather, policy: PolicyKind::PairSeq, ring: 512, heap, sources };
    World::new(&mut Rng::new(seed), &setup, Judge::new(pes, heap, heap))
}

fn turns_until(world: &mut World, what: &str, is_done: impl Fn(&World) -> bool) {
    for _ in 0..1_000_000 {
        if is_done(world) {
            return;
        }
        // So fast that acknowledgements come as they are asked for: an eighth of the room at a time.
        world.clock.fetch_add(1_000, Ordering::Relaxed);
        (0..world.callers.len()).for_each(|pe| world.turn_one(pe, 1).unwrap());
    }
    panic!("{what}: no end");
}

fn word(world: &World, pe: usize, offset: u64) -> u64 {
    world.heaps[pe].word(offset).unwrap().load(Ordering::Acquire)
}

fn end(world: &mut World) {
    turns_until(world, "the rest", |world| world.callers.iter().all(Caller::is_done));
    world.fabric.conclude();
}

/// The last word of what is long: once it is there, all of it is as good as there.
const LAST: u64 = PLACE + LONG - 8;

#[test]
fn a_long_get_ends_although_its_source_keeps_putting() {
    for seed in 0..6 {
        let _seed = Seed(seed);
        let mut world = world(2, seed);
        world.heaps[0].write(LAST, &1_u64.to_le_bytes()).unwrap();
        world.program(0, (0..MANY).map(|_| put(1, SHORT, COUNTER)).chain([Step::Quiet]));
        turns_until(&mut world, "the first puts", |world| word(world, 1, COUNTER) > 100);
        // What the other puts takes acknowledgements along, so that room comes back bit by bit.
        let puts = (0..2 * MANY).map(|_| put(0, SHORT, COUNTER));
        world.program(1, [get(0, LONG)].into_iter().chain(puts).chain([Step::Quiet]));
        turns_until(&mut world, "the get", |world| word(world, 1, LAST) == 1);
        let meanwhile = word(&world, 1, COUNTER);
        assert!(meanwhile < MANY * 3 / 4, "{meanwhile} puts before it ended");
        end(&mut world);
        assert_eq!(word(&world, 1, COUNTER), MANY);
    }
}

#[test]
fn a_long_put_ends_although_its_target_keeps_getting() {
    for seed in 0..6 {
        let _seed = Seed(seed);
        let mut world = world(2, seed);
        let gets = (0..MANY).flat_map(|_| [get(0, SHORT), put(0, SHORT, COUNTER)]);
        world.program(1, gets.chain([Step::Quiet]));
        turns_until(&mut world, "the first gets", |world| word(world, 0, COUNTER) > 100);
        world.program(0, [put(1, LONG, DONE), Step::Quiet]);
        turns_until(&mut world, "the put", |world| world.callers[0].is_done());
        let meanwhile = word(&world, 0, COUNTER);
        assert!(meanwhile < MANY / 4, "{meanwhile} gets before it ended");
        end(&mut world);
        assert_eq!((word(&world, 1, DONE), word(&world, 0, COUNTER)), (1, MANY));
    }
}

/// A long get that finds less room than it needs: what is short and came later does not take what there is, and of what the
/// program posts an eighth of the room goes before it.
#[test]
fn room_is_kept_for_a_long_get_that_has_waited() {
    let mut world = world(2, ROOMY);
    world.program(0, (0..40).map(|_| put(1, SHORT, COUNTER)));
    world.turn_one(0, 1).unwrap();
    let under_way = |world: &mut World| {
        let proxy = &mut world.callers[0].proxy;
        proxy.state.outbound(1).unwrap().log().pieces()
    };
    assert_eq!(under_way(&mut world), 40);
    let asked = |len, tag| Request::Get { pe: 1, remote: PLACE, local: PLACE, len, tag };
    let requests = [asked(LONG, 0), asked(SHORT, 1), Request::Answer { pe: 1, tag: 2, value: 0 }];
    world.callers[0].proxy.state.requests.extend(requests);
    for _ in 0..3 {
        assert_eq!(world.callers[0].proxy.serve(), Ok(false));
        assert_eq!(world.callers[0].proxy.state.requests, requests, "as they came");
    }
    world.program(0, (0..20).map(|_| put(1, SHORT, COUNTER)));
    world.turn_one(0, 10).unwrap();
    assert_eq!(under_way(&mut world), 48);
    while world.callers[0].proxy.state.requests.front() == Some(&requests[0]) {
        world.turn().unwrap();
    }
    assert_ne!(under_way(&mut world), 48);
    turns_until(&mut world, "the puts", |world| word(world, 1, COUNTER) == 60);
}

/// What one PE has to wait for is nothing to others.
#[test]
fn who_waits_for_room_at_one_pe_does_not_hold_up_what_another_asked_for() {
    for seed in 0..6 {
        let _seed = Seed(seed);
        let mut world = world(3, seed);
        world.program(0, (0..MANY).map(|_| put(1, SHORT, COUNTER)).chain([Step::Quiet]));
        turns_until(&mut world, "the first puts", |world| word(world, 1, COUNTER) > 100);
        for pe in [1, 2] {
            world.program(pe, [get(0, LONG), get(0, SHORT), Step::Quiet]);
        }
        turns_until(&mut world, "the gets", |world| world.callers[1].is_done() && world.callers[2].is_done());
        let meanwhile = word(&world, 1, COUNTER);
        assert!(meanwhile < MANY / 4, "{meanwhile} puts before they ended");
        end(&mut world);
    }
}
