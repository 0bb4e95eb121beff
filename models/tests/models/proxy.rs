//! A proxy that rests: a command never stays in the ring while it sleeps, and a caller that sleeps is told.

use std::time::Duration;

use loom::sync::Mutex;
use loom::thread;
use railtop_models::sleeper::Sleeper;
use railtop_models::slots::{Consumer, ring};
use railtop_models::sync::{Arc, Ordering};

use crate::check;
use crate::event::Heap;

/// Takes the next command as a proxy does that has nothing else to do.
fn next(sleeper: &Sleeper, ring: &mut Consumer<1>) -> u64 {
    loop {
        if let Some([command]) = ring.pop() {
            return command;
        }
        sleeper.sleep(Duration::MAX, || ring.is_empty());
    }
}

#[test]
fn a_command_wakes_the_proxy() {
    check(Some(3), || {
        let sleeper = Arc::new(Sleeper::default());
        let (mut producer, mut consumer) = ring(2, 0);
        let caller = thread::spawn({
            let sleeper = Arc::clone(&sleeper);
            move || {
                for command in [1, 2] {
                    assert!(producer.try_push(|| [command]));
                    sleeper.wake();
                }
            }
        });
        let proxy = thread::spawn(move || {
            sleeper.begin();
            assert_eq!(next(&sleeper, &mut consumer), 1);
            assert_eq!(next(&sleeper, &mut consumer), 2);
        });
        caller.join().unwrap();
        proxy.join().unwrap();
    });
}

/// What a proxy and its driver are to each other: commands come out of the ring, each takes another turn to be done.
struct Work {
    ring: Consumer<1>,
    started: u64,
}

impl Work {
    /// `None` when there was nothing to do.
    fn turn(&mut self, heap: &Heap) -> Option<u64> {
        if let Some([command]) = self.ring.pop() {
            self.started = command;
            return Some(command);
        }
        let done = std::mem::take(&mut self.started);
        if done == 0 {
            return None;
        }
        heap.word.store(done, Ordering::Release);
        heap.event().notify();
        Some(done)
    }
}

/// As `Driver::has_work`: who finds the lock taken leaves it to the one who has it.
fn has_work(work: &Mutex<Work>) -> bool {
    work.try_lock().is_ok_and(|work| work.started != 0 || !work.ring.is_empty())
}

#[test]
fn a_caller_that_leaves_work_half_done_wakes_the_proxy() {
    const STOP: u64 = 9;
    check(Some(2), || {
        let sleeper = Arc::new(Sleeper::default());
        let heap = Arc::new(Heap::default());
        let (mut producer, ring) = ring(2, 0);
        let work = Arc::new(Mutex::new(Work { ring, started: 0 }));
        let proxy = thread::spawn({
            let (sleeper, heap, work) = (Arc::clone(&sleeper), Arc::clone(&heap), Arc::clone(&work));
            move || {
                sleeper.begin();
                loop {
                    let turn = work.lock().unwrap().turn(&heap);
                    match turn {
                        Some(STOP) => break,
                        Some(_) => {}
                        None => sleeper.sleep(Duration::MAX, || !has_work(&work)),
                    }
                }
            }
        });
        let caller = thread::spawn(move || {
            assert!(producer.try_push(|| [1]));
            let turned = work.try_lock().is_ok_and(|mut work| work.turn(&heap).is_some());
            if !turned || has_work(&work) {
                sleeper.wake();
            }
            heap.wait_for(1);
            assert!(producer.try_push(|| [STOP]));
            sleeper.wake();
        });
        proxy.join().unwrap();
        caller.join().unwrap();
    });
}

#[test]
fn a_quiet_goes_there_and_back_with_both_asleep() {
    check(Some(2), || {
        let sleeper = Arc::new(Sleeper::default());
        let heap = Arc::new(Heap::default());
        let (mut producer, mut consumer) = ring(2, 0);
        let proxy = thread::spawn({
            let (sleeper, heap) = (Arc::clone(&sleeper), Arc::clone(&heap));
            move || {
                sleeper.begin();
                for _ in 0..2 {
                    let ticket = next(&sleeper, &mut consumer);
                    heap.word.store(ticket, Ordering::Release);
                    heap.event().notify();
                }
            }
        });
        let caller = thread::spawn(move || {
            for ticket in [1, 2] {
                assert!(producer.try_push(|| [ticket]));
                sleeper.wake();
                heap.wait_for(ticket);
            }
        });
        proxy.join().unwrap();
        caller.join().unwrap();
    });
}
