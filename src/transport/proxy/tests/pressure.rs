//! Jobs that press against every bound at once must still come to an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::judge::{Judge, Landing};
use super::mock::{MockFabric, Weather};
use super::rng::{Rng, Seed};
use super::world::{Setup, Step, World};
use crate::counters::RxSource;
use crate::transport::answers::NOBODY;
use crate::transport::fault::Fault;
use crate::transport::group::WINDOW;
use crate::transport::heap::{Heap, RESERVED};
use crate::transport::nic::PeerNic;
use crate::transport::proxy::{Clock, Parts, Progress, Proxy};
use crate::transport::ring::{Command, Put, ring};
use crate::transport::select::PolicyKind;
use crate::transport::signal::{Signal, SignalOp};
use crate::transport::wire::{Close, FRAME_HEADER_BYTES, Frame, Record};

const SOURCE: u64 = RESERVED;
const COUNTER: u64 = RESERVED + 512;
const LANDING: Landing = Landing { offset: 2 * RESERVED, len: 24 };
const HEAP: u64 = 3 * RESERVED;

/// Queues of one operation everywhere, and a ring of two slots.
fn narrow() -> Weather {
    Weather { delay: 3, promised_depth: 1, depth: 1, rx_depth: 1, max_piece: 16, ..Weather::fair() }
}

fn setup(widths: &[u16], weather: Weather) -> Setup {
    let (policy, sources) = (PolicyKind::PairSeq, vec![RxSource::Ledger; widths.len()]);
    Setup { widths: widths.to_vec(), weather, policy, ring: 2, heap: HEAP, sources }
}

/// The same put to `dst` again, with a signal added to the counter or without.
fn put(dst: usize, signalled: bool) -> Step {
    let signal = signalled.then_some(Signal { offset: COUNTER, op: SignalOp::Add, value: 1 });
    let dst = u32::try_from(dst).unwrap();
    let Landing { offset: remote, len } = LANDING;
    Step::Post(Command::Put(Put { dst, local: SOURCE, remote, len, signal }))
}

fn counter(world: &World, pe: usize) -> u64 {
    world.heaps[pe].word(COUNTER).unwrap().load(Ordering::Acquire)
}

/// Every PE puts to every other `rounds` times in turn, every second time with a signal.
fn all_to_all(seed: u64, setup: &Setup, rounds: u64) {
    let _seed = Seed(seed);
    let pes = setup.widths.len();
    let mut rng = Rng::new(seed);
    let content = vec![0x5a; usize::try_from(LANDING.len).unwrap()];
    let mut judge = Judge::new(pes, LANDING.offset, HEAP);
    (0..pes).for_each(|pe| judge.expect_bytes(pe, LANDING, &content));
    let mut world = World::new(&mut rng, setup, judge);
    for me in 0..pes {
        let others = (1..pes).map(|distance| (me + distance) % pes);
        let round = |i: u64| others.clone().map(move |dst| put(dst, i.is_multiple_of(2)));
        let puts = (0..rounds).flat_map(round);
        let fill = Step::Fill(SOURCE, content.clone());
        world.program(me, std::iter::once(fill).chain(puts).chain([Step::Quiet]));
    }
    world.run(3_000_000);
    for pe in 0..pes {
        assert_eq!(counter(&world, pe), rounds.div_ceil(2) * (pes as u64 - 1));
    }
}

/// A NIC gets of long puts what keeps it busy, and what is short overtakes the rest of them.
#[test]
fn a_signal_does_not_wait_behind_another_pes_long_puts() {
    for seed in 0..20 {
        let _seed = Seed(seed);
        let mut rng = Rng::new(seed);
        let setup =
            Setup { ring: 1024, ..setup(&[1; 3], Weather { ahead: 1, max_piece: 16, ..Weather::fair() }) };
        let content = vec![0x5a; usize::try_from(LANDING.len).unwrap()];
        let mut judge = Judge::new(3, LANDING.offset, HEAP);
        judge.expect_bytes(1, LANDING, &content);
        let mut world = World::new(&mut rng, &setup, judge);
        let signal = Signal { offset: COUNTER, op: SignalOp::Add, value: 1 };
        let puts = (0..200).map(|_| put(1, false));
        let steps = std::iter::once(Step::Fill(SOURCE, content.clone())).chain(puts);
        world.program(0, steps.chain([Step::Post(Command::Signal { dst: 2, signal }), Step::Quiet]));
        let mut turns = 0;
        while counter(&world, 2) == 0 {
            world.turn().unwrap();
            turns += 1;
            assert!(turns < 10_000, "the signal never came");
        }
        let waiting = world.callers[0].proxy.lanes[0].waiting();
        assert!(waiting > 300, "only {waiting} of 400 pieces still waited");
        world.run(1_000_000);
    }
}

#[test]
fn all_to_all_ends_with_queues_of_one() {
    for seed in 0..10 {
        for policy in PolicyKind::ALL {
            all_to_all(seed, &Setup { policy, ..setup(&[2; 5], narrow()) }, 20);
        }
    }
}

#[test]
fn more_groups_than_the_window_holds_pass_through() {
    all_to_all(1, &setup(&[1, 1], Weather { rx_depth: 8, ..narrow() }), 6 * WINDOW);
    all_to_all(
        2,
        &setup(&[4, 4, 4], Weather { depth: 32, promised_depth: 32, ..Weather::fair() }),
        5 * WINDOW,
    );
}

#[test]
fn a_sender_stops_at_the_window_and_goes_on_when_acknowledged() {
    const PUTS: u64 = 2 * WINDOW + 100;
    let mut rng = Rng::new(0);
    let weather = Weather { rx_depth: usize::MAX, ..Weather::fair() };
    let mut judge = Judge::new(2, LANDING.offset, HEAP);
    judge.expect_bytes(1, LANDING, &[0; 24]);
    let mut world = World::new(&mut rng, &setup(&[2, 2], weather), judge);
    // The first group is one that only the full window closes.
    world.program(0, [put(1, false)]);
    world.program(0, (0..PUTS).map(|_| put(1, true)).chain([Step::Quiet]));
    world.turn_one(0, 5000).unwrap();
    let sent: u64 = world.callers[0].proxy.state.sent().iter().flatten().sum();
    assert_eq!(sent, WINDOW * LANDING.len);
    world.run(100_000);
    assert_eq!(counter(&world, 1), PUTS);
}

#[test]
fn a_quiet_ends_although_others_keep_sending() {
    for seed in 0..10 {
        let _seed = Seed(seed);
        let mut rng = Rng::new(seed);
        // No frame is injected, so acknowledgements are in flight all the time.
        let weather = Weather { inject_percent: 0, delay: 64, ..Weather::fair() };
        let mut judge = Judge::new(5, LANDING.offset, HEAP);
        (0..5).for_each(|pe| judge.expect_bytes(pe, LANDING, &[0; 24]));
        let mut world = World::new(&mut rng, &setup(&[4; 5], weather), judge);
        world.program(0, [put(1, true), Step::Quiet]);
        for pe in 1..5 {
            world.program(pe, (0..1000).map(|_| put(0, true)).chain([Step::Quiet]));
        }
        while !world.callers[0].is_done() {
            world.turn().unwrap();
        }
        let meanwhile = counter(&world, 0);
        assert!(meanwhile < 2000, "{meanwhile} of 4000 puts arrived before a quiet ended");
    }
}

#[test]
fn a_quiet_ends_although_others_keep_getting() {
    const GETS: u64 = 4000;
    for (seed, len) in [(0, 100), (1, 2000), (2, 100), (3, 2000)] {
        let _seed = Seed(seed);
        let mut rng = Rng::new(seed);
        let weather = Weather { max_piece: 4096, ..Weather::fair() };
        let mut judge = Judge::new(3, LANDING.offset, HEAP);
        judge.expect_bytes(1, LANDING, &[0; 24]);
        let mut world = World::new(&mut rng, &setup(&[2; 3], weather), judge);
        let place = RESERVED + 1024;
        let get = Command::Get { src: 0, remote: place, local: place, len, tag: Some(NOBODY) };
        for pe in [1, 2] {
            world.program(pe, (0..GETS).map(|_| Step::Post(get)).chain([Step::Quiet]));
        }
        // Well under way before the quiet begins.
        (0..3000).for_each(|_| world.turn().unwrap());
        world.program(0, [put(1, true), Step::Quiet]);
        while !world.callers[0].is_done() {
            world.turn().unwrap();
        }
        assert!(!world.callers[1].is_done() && !world.callers[2].is_done(), "only when all gets had ended");
        while !world.callers.iter().all(super::world::Caller::is_done) {
            world.turn().unwrap();
        }
        world.fabric.conclude();
    }
}

#[test]
fn a_quiet_is_not_held_up_by_what_follows_it() {
    let mut rng = Rng::new(0);
    let mut judge = Judge::new(2, LANDING.offset, HEAP);
    judge.expect_bytes(1, LANDING, &[0; 24]);
    let mut world = World::new(&mut rng, &setup(&[1, 1], Weather::fair()), judge);
    // The group of the last put stays open: nothing but the second quiet closes it.
    world.program(0, [put(1, false), Step::QuietAhead, put(1, false), Step::Quiet]);
    world.run(10_000);
}

#[test]
fn probes_tell_whether_completions_say_the_length() {
    for says_len in [false, true] {
        let mut rng = Rng::new(7);
        let weather = Weather { says_len, max_piece: 64, ..Weather::fair() };
        let sources = vec![RxSource::None; 2];
        let setup = Setup { sources, ..setup(&[3, 3], weather) };
        let mut world = World::new(&mut rng, &setup, Judge::new(2, LANDING.offset, HEAP));
        let signal = Signal { offset: COUNTER, op: SignalOp::Add, value: 1 };
        let probe =
            |dst, nic| Step::Post(Command::Probe { dst, nic, remote: 2048 + 64 * u64::from(nic), signal });
        world.program(0, (0..3).map(|nic| probe(1, nic)).chain([Step::Quiet]));
        world.program(1, (0..3).map(|nic| probe(0, nic)).chain([Step::Quiet]));
        world.run(10_000);
        for totals in world.totals() {
            assert_eq!(totals.probes, (3, if says_len { 3 } else { 0 }));
        }
    }
}

/// A close that is a message of its own costs as much as the data that it follows.
#[test]
fn closes_in_a_queue_share_frames_and_a_lone_one_goes_at_once() {
    // A head, the group, an offset and an operand.
    const CLOSE_BYTES: u64 = 32;
    for (puts, frames) in [(1, 1..=1), (400, 2..=100)] {
        let weather = Weather { delay: 1, inject_percent: 0, rx_depth: usize::MAX, ..Weather::fair() };
        let mut judge = Judge::new(2, LANDING.offset, HEAP);
        judge.expect_bytes(1, LANDING, &[0; 24]);
        let sources = vec![RxSource::CqeLen; 2];
        let setup = Setup { ring: 512, sources, ..setup(&[1, 1], weather) };
        let mut world = World::new(&mut Rng::new(puts), &setup, judge);
        world.program(0, (0..puts).map(|_| put(1, true)));
        // The first turn takes the commands and hands them over, with the close of the only one.
        world.turn_one(0, 1).unwrap();
        assert!(puts > 1 || world.totals()[0].nics[0].control_tx_bytes > 0);
        while counter(&world, 1) < puts {
            world.turn().unwrap();
        }
        let sent = world.totals()[0].nics[0].control_tx_bytes - puts * CLOSE_BYTES;
        let sent = sent / FRAME_HEADER_BYTES as u64;
        assert!(frames.contains(&sent), "{sent} frames for {puts} closes");
    }
}

/// Bytes of a put that others should not have to wait behind.
const LONG: Landing = Landing { offset: 2 * RESERVED, len: 32 << 10 };
/// A frame's header, a close and an acknowledgement.
const CLOSE_BYTES: u64 = 32;
const ACK_BYTES: u64 = 16;

/// Two PEs with one NIC each, of which 0 has put to 1 and waits in a quiet; 1 owes it the acknowledgement, and has posted
/// `before` long puts to 0 by then. Time stands still.
fn owed(weather: Weather, before: usize) -> World {
    let heap = LONG.offset + LONG.len;
    let mut judge = Judge::new(2, LONG.offset, heap);
    judge.expect_bytes(0, LONG, &vec![0; usize::try_from(LONG.len).unwrap()]);
    judge.expect_bytes(1, LONG, &vec![0; usize::try_from(LONG.len).unwrap()]);
    let sources = vec![RxSource::CqeLen; 2];
    let weather = Weather { delay: 1, inject_percent: 100, max_piece: LONG.len, ..weather };
    let setup = Setup { sources, ring: 16, heap, ..setup(&[1, 1], weather) };
    let mut world = World::new(&mut Rng::new(0), &setup, judge);
    world.program(1, (0..before).map(|_| long(0)));
    world.turn_one(1, 2).unwrap();
    world.program(0, [put(1, true), Step::Quiet]);
    world.turn_one(0, 8).unwrap();
    while counter(&world, 1) == 0 {
        world.turn_one(1, 1).unwrap();
    }
    assert!(!world.callers[0].is_done(), "the acknowledgement went before anything was posted");
    world
}

fn long(dst: usize) -> Step {
    let signal = Some(Signal { offset: COUNTER, op: SignalOp::Add, value: 1 });
    let dst = u32::try_from(dst).unwrap();
    Step::Post(Command::Put(Put { dst, local: LONG.offset, remote: LONG.offset, len: LONG.len, signal }))
}

/// Bytes of PE 1's frames; a snapshot would have to wait for the other's quiet.
fn control_bytes(world: &World) -> u64 {
    let proxy = &world.callers[1].proxy;
    proxy.lanes[0].counts(proxy.state.received(0)).control_tx_bytes
}

/// Who waits in a quiet would else wait for all of the other's put, or with a queue before it for many.
#[test]
fn a_quiet_does_not_wait_behind_the_next_long_put() {
    let mut world = owed(Weather { promised_depth: 1, depth: 1, ..Weather::fair() }, 0);
    world.program(1, [long(0), Step::Quiet]);
    // The put fills the NIC, and nothing of PE 1's moves any more.
    world.turn_one(1, 1).unwrap();
    world.turn_one(0, 100).unwrap();
    assert!(world.callers[0].is_done());
    world.run(10_000);
}

/// While a stream comes its receiver says nothing, and who waits in its midst asks.
#[test]
fn a_quiet_in_a_stream_does_not_wait_until_the_receiver_takes_it_for_over() {
    for command in [Step::Quiet, Step::Post(Command::Fence)] {
        let mut world = owed(Weather::fair(), 0);
        world.clock.fetch_add(1_000_000_000, Ordering::Relaxed);
        let both = |world: &mut World| (0..2).for_each(|pe| world.turn_one(pe, 50).unwrap());
        both(&mut world);
        both(&mut world);
        let so_far = control_bytes(&world);
        world.program(0, (0..20).map(|_| put(1, true)));
        // More than the 20 us after which a lone put is acknowledged. From here on time stands still.
        world.clock.fetch_add(100_000, Ordering::Relaxed);
        both(&mut world);
        world.clock.fetch_add(100_000, Ordering::Relaxed);
        both(&mut world);
        assert_eq!(counter(&world, 1), 21);
        assert_eq!(control_bytes(&world), so_far, "PE 1 has acknowledged");
        world.program(0, [command, put(1, true)]);
        both(&mut world);
        both(&mut world);
        both(&mut world);
        assert!(world.callers[0].is_done());
        assert_eq!(counter(&world, 1), 22);
    }
}

#[test]
fn an_acknowledgement_goes_ahead_of_the_first_long_put_only() {
    for (before, frames) in [(0, 2), (1, 1)] {
        let mut world = owed(Weather::fair(), before);
        let so_far = control_bytes(&world);
        world.program(1, [long(0), Step::Quiet]);
        world.turn_one(1, 1).unwrap();
        let more = control_bytes(&world) - so_far;
        assert_eq!(more, CLOSE_BYTES + ACK_BYTES + frames * FRAME_HEADER_BYTES as u64, "{before} under way");
        world.run(10_000);
    }
}

/// More acknowledgements than may wait for a NIC that takes nothing: each reaches its sender all the same, if late.
#[test]
fn no_acknowledgement_is_lost_where_many_wait() {
    const PES: u32 = 1200;
    let weather = Weather { rx_depth: 0, inject_percent: 100, ..Weather::fair() };
    let widths = vec![1; PES as usize];
    // Only PE 0 is there; the others are made up.
    let heap = Arc::new(Heap::create(HEAP).unwrap());
    let heaps = vec![Arc::clone(&heap); PES as usize];
    let judge = Judge::new(PES as usize, LANDING.offset, HEAP);
    let fabric = MockFabric::new(Rng::new(0), weather, &heaps, &widths, judge);
    let (_producer, commands) = ring(8);
    let now = Arc::new(AtomicU64::new(0));
    let (mut proxy, _shared) = Proxy::new(Parts {
        me: 0,
        widths,
        nics: vec![fabric.nic(0, 0)],
        wide_immediate: true,
        heap,
        inline_max: weather.inline_max,
        policy: PolicyKind::PairSeq,
        commands,
        fault: Fault::default(),
        page: None,
        clock: Clock::Given(Arc::clone(&now)),
        nic_timeout: Duration::ZERO,
        progress: Progress::Adaptive,
    });
    for src in 1..PES {
        let mut frame = Frame::new(u16::try_from(src).unwrap(), 0);
        assert!(frame.push(&Record::Close(Close { flush: true, ..Close::new(0, 0, None) })));
        fabric.forge_frame(PeerNic { pe: 0, nic: 0 }, frame.as_slice());
    }
    for _ in 0..100 {
        now.fetch_add(1_000_000, Ordering::Relaxed);
        proxy.turn().unwrap();
    }
    assert!(fabric.addressed().is_empty(), "the NIC takes nothing");
    fabric.set_rx_depth(usize::MAX);
    for _ in 0..100 {
        now.fetch_add(1_000_000, Ordering::Relaxed);
        proxy.turn().unwrap();
    }
    assert_eq!(fabric.addressed().len(), PES as usize - 1);
}

/// A put of more pieces than the target has room for goes in parts; that none of them is too many, and that the signal comes last,
/// the NICs see to.
#[test]
fn a_put_longer_than_the_room_goes_in_parts() {
    let long = Landing { offset: 10 * RESERVED, len: 32 << 10 };
    for (seed, room) in [1, 2, 7, 100].into_iter().enumerate() {
        for policy in PolicyKind::ALL {
            let weather = Weather { room, max_piece: 512, ..Weather::fair() };
            let heap = long.offset + long.len;
            let sources = vec![RxSource::Ledger; 2];
            let setup = Setup { widths: vec![2, 3], weather, policy, ring: 4, heap, sources };
            let mut judge = Judge::new(2, long.offset, heap);
            let content: Vec<u8> =
                (0..long.len).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
            judge.expect_bytes(1, long, &content);
            judge.expect_signal(1, COUNTER, 1, vec![(long, content.clone())]);
            let mut world = World::new(&mut Rng::new(seed as u64), &setup, judge);
            let signal = Some(Signal { offset: COUNTER, op: SignalOp::Set, value: 1 });
            let put = Put { dst: 1, local: SOURCE, remote: long.offset, len: long.len, signal };
            world.program(0, [Step::Fill(SOURCE, content), Step::Post(Command::Put(put)), Step::Quiet]);
            world.run(300_000);
        }
    }
}
