//! A proxy that its thread and a waiting caller move on in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use test_case::test_case;

use super::judge::{Judge, Landing};
use super::mock::{Trouble, Weather};
use super::rng::Rng;
use super::world::{Setup, Step, World};
use crate::counters::RxSource;
use crate::transport::heap::RESERVED;
use crate::transport::nic::PeerNic;
use crate::transport::proxy::{Driver, Proxy, Turn};
use crate::transport::ring::{Command, Put};
use crate::transport::select::PolicyKind;
use crate::transport::signal::{Signal, SignalOp};

const SOURCE: u64 = RESERVED;
const COUNTER: u64 = RESERVED + 512;
const LANDING: Landing = Landing { offset: 2 * RESERVED, len: 24 };

const COUNT: Signal = Signal { offset: COUNTER, op: SignalOp::Add, value: 1 };

/// Longest any wait here may take; what is waited for comes in milliseconds.
const LONG: Duration = Duration::from_secs(60);

fn two_pes() -> World {
    let setup = Setup {
        widths: vec![2, 2],
        weather: Weather::fair(),
        policy: PolicyKind::PairSeq,
        sources: vec![RxSource::Ledger; 2],
        ring: 8,
        heap: 3 * RESERVED,
    };
    let mut judge = Judge::new(2, LANDING.offset, setup.heap);
    judge.expect_bytes(1, LANDING, &[0; 24]);
    World::new(&mut Rng::new(1), &setup, judge)
}

/// Both threads of a PE take turns, as fast as they can; the other PE's waiter as well.
#[test]
fn threads_and_callers_share_the_work() {
    const PUTS: u64 = 20_000;
    let mut world = two_pes();
    let heaps = world.heaps.clone();
    let mut callers = world.callers.drain(..);
    let (sender, receiver) = (callers.next().unwrap(), callers.next().unwrap());
    let drivers = [Arc::new(Driver::new(sender.proxy)), Arc::new(Driver::new(receiver.proxy))];
    let threads = drivers.clone().map(|driver| std::thread::spawn(move || driver.run()));
    let over = Arc::new(AtomicBool::new(false));
    let waiter = std::thread::spawn({
        let (driver, over, clock) = (Arc::clone(&drivers[1]), Arc::clone(&over), Arc::clone(&world.clock));
        move || {
            let mut turns = 0_u64;
            while !over.load(Ordering::Relaxed) {
                turns += u64::from(driver.turn().is_some());
                clock.fetch_add(1_000, Ordering::Relaxed);
            }
            turns
        }
    });
    let mut producer = sender.producer;
    let put = Put { dst: 1, local: SOURCE, remote: LANDING.offset, len: LANDING.len, signal: Some(COUNT) };
    let (mut own_turns, deadline) = (0_u64, Instant::now() + LONG);
    for _ in 0..PUTS {
        while !producer.try_push(Command::Put(put)) {
            own_turns += u64::from(drivers[0].turn().is_some());
            assert!(Instant::now() < deadline, "the ring stays full");
        }
    }
    // From here on the sender's thread rests before long, and its caller does the work.
    drivers[0].come();
    while !producer.try_push(Command::Quiet { ticket: 1, pe: None }) {
        own_turns += u64::from(drivers[0].turn().is_some());
    }
    while sender.shared.quiet_done() < 1 {
        own_turns += u64::from(drivers[0].turn().is_some());
        assert!(Instant::now() < deadline, "quiet never ends");
    }
    drivers[0].leave();
    assert_eq!(heaps[1].word(COUNTER).unwrap().load(Ordering::Acquire), PUTS);
    over.store(true, Ordering::Relaxed);
    assert!(own_turns > 0 && waiter.join().unwrap() > 0, "only the threads worked");
    sender.fault.raise("the test is over");
    receiver.fault.raise("the test is over");
    for (thread, shared) in threads.into_iter().zip([sender.shared, receiver.shared]) {
        shared.wake();
        thread.join().unwrap();
    }
}

/// What a caller runs into in its turn ends the job as it does in the thread's.
#[test]
fn a_failure_in_a_caller_s_turn_is_everybody_s() {
    let mut world = two_pes();
    world.fabric.break_nic(PeerNic { pe: 0, nic: 1 }, "the cable is out");
    world.fabric.break_nic(PeerNic { pe: 0, nic: 0 }, "the other too");
    let caller = world.callers.remove(0);
    let driver = Arc::new(Driver::new(caller.proxy));
    assert_eq!(driver.turn(), Some(Turn::Stop));
    assert_eq!(driver.turn(), Some(Turn::Stop), "nobody takes another turn");
    assert_eq!(caller.fault.reason(), None, "the thread says so, after it has waited for a better reason");
    driver.run();
    let reason = caller.fault.reason().unwrap();
    assert!(reason.contains("NIC mock0.0") && reason.contains("the other too"), "{reason}");
    assert_eq!(driver.turn(), Some(Turn::Stop));
}

/// A caller that goes on waiting must not keep the thread from telling.
#[test]
fn the_thread_tells_of_a_failure_while_a_caller_drives() {
    let mut world = two_pes();
    for nic in 0..2 {
        world.fabric.break_nic(PeerNic { pe: 0, nic }, "the cable is out");
    }
    let caller = world.callers.remove(0);
    let driver = Arc::new(Driver::new(caller.proxy));
    driver.come();
    let thread = std::thread::spawn({
        let driver = Arc::clone(&driver);
        move || driver.run()
    });
    let deadline = Instant::now() + LONG;
    while caller.fault.reason().is_none() {
        driver.turn();
        assert!(Instant::now() < deadline, "nobody tells");
        std::thread::yield_now();
    }
    thread.join().unwrap();
}

/// What never completes is no reason to stay awake.
#[test]
fn the_thread_sleeps_while_operations_are_in_flight() {
    let mut world = two_pes();
    (0..2).for_each(|nic| world.fabric.trouble(PeerNic { pe: 0, nic }, Some(Trouble::Silence)));
    let caller = world.callers.remove(0);
    let mut producer = caller.producer;
    let put = Put { dst: 1, local: SOURCE, remote: LANDING.offset, len: 2000, signal: Some(COUNT) };
    let put = Put { local: 0, remote: 0, ..put };
    assert!(producer.try_push(Command::Put(put)));
    let driver = Arc::new(Driver::new(caller.proxy));
    let thread = std::thread::spawn({
        let driver = Arc::clone(&driver);
        move || {
            driver.run();
            nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap()
        }
    });
    std::thread::sleep(Duration::from_millis(500));
    assert!(driver.has_work(), "nothing is in flight");
    caller.fault.raise("the test is over");
    let used = Duration::from(thread.join().unwrap());
    assert!(used < Duration::from_millis(250), "{used:?} of 500 ms");
}

/// Each look of the thread takes the core from whoever is at work: one caller that waits for long, or for one thing after another.
/// With a look every 0.5 ms it is hundreds.
#[test_case(true, 120; "that waits for long")]
#[test_case(false, 450; "that waits again and again")]
fn the_thread_leaves_a_caller_alone(long: bool, most_sleeps: i64) {
    let mut world = two_pes();
    let caller = world.callers.remove(0);
    let driver = Arc::new(Driver::new(caller.proxy));
    driver.come();
    if long {
        driver.stay();
    }
    let thread = std::thread::spawn({
        let driver = Arc::clone(&driver);
        move || {
            driver.run();
            let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_THREAD).unwrap();
            let used = usage.user_time();
            (usage.voluntary_context_switches(), used.tv_sec() * 1000 + used.tv_usec() / 1000)
        }
    });
    let end = Instant::now() + Duration::from_millis(300);
    while Instant::now() < end {
        assert_ne!(driver.turn(), Some(Turn::Stop));
        if long {
            driver.stay();
        } else {
            driver.leave();
            driver.come();
        }
        std::thread::yield_now();
    }
    caller.fault.raise("the test is over");
    while driver.turn() != Some(Turn::Stop) {
        assert!(Instant::now() < end + LONG, "the thread keeps the lock");
    }
    driver.leave();
    let (sleeps, used_ms) = thread.join().unwrap();
    assert!(
        sleeps < most_sleeps && used_ms < 100,
        "it has slept {sleeps} times in 300 ms, and worked {used_ms} ms"
    );
}

/// PEs close their NICs when all have finished: not even a late acknowledgement may be on its way then.
#[test]
fn nothing_is_sent_once_hushed() {
    let mut world = two_pes();
    let put = Put { dst: 1, local: SOURCE, remote: LANDING.offset, len: LANDING.len, signal: Some(COUNT) };
    world.program(0, [Step::Post(Command::Put(put))]);
    world.turn_one(0, 3).unwrap();
    let receiver = world.callers.remove(1);
    let driver = Driver::new(receiver.proxy);
    let counted = || world.heaps[1].word(COUNTER).unwrap().load(Ordering::Acquire);
    let mut turns = 0;
    while counted() == 0 {
        driver.turn();
        world.callers[0].proxy.turn().unwrap();
        turns += 1;
        assert!(turns < 10_000, "the signal never arrives");
    }
    driver.with(Proxy::hush);
    // Long enough for an acknowledgement to be due.
    world.clock.fetch_add(1_000_000_000, Ordering::Relaxed);
    (0..100).for_each(|_| {
        driver.turn();
        // Takes in that its put is done.
        world.callers[0].proxy.turn().unwrap();
    });
    assert!(world.fabric.is_empty(), "something was sent");
}
