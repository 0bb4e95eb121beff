//! A proxy that rests: a command never stays in the ring while it sleeps, and a caller that sleeps is told.

use std::time::Duration;

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
