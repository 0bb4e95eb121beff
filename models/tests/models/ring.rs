//! The descriptor ring: nothing is lost, torn, doubled or reordered, at full and empty, and where slots and indices wrap.

use loom::thread;
use railtop_models::slots::{Consumer, Producer, ring};
use test_case::test_case;

use crate::check;

/// The two words of a slot belong together.
fn words(number: u64) -> [u64; 2] {
    [number, !number]
}

fn push(producer: &mut Producer<2>, number: u64) {
    while !producer.try_push(|| words(number)) {
        thread::yield_now();
    }
}

fn pop(consumer: &mut Consumer<2>) -> [u64; 2] {
    loop {
        match consumer.pop() {
            Some(words) => return words,
            None => thread::yield_now(),
        }
    }
}

#[test_case(0; "from the first index")]
#[test_case(u64::MAX - 1; "where the index overflows")]
fn slots_come_out_as_they_went_in(first: u64) {
    const COUNT: u64 = 4;
    check(Some(2), move || {
        let (mut producer, mut consumer) = ring(2, first);
        let producing = thread::spawn(move || {
            for number in 1..=COUNT {
                push(&mut producer, number);
            }
        });
        let consuming = thread::spawn(move || {
            for number in 1..=COUNT {
                assert_eq!(pop(&mut consumer), words(number));
            }
            consumer
        });
        producing.join().unwrap();
        let mut consumer = consuming.join().unwrap();
        assert!(consumer.is_empty() && consumer.pop().is_none());
    });
}

#[test]
fn what_is_not_empty_gives_a_slot() {
    check(Some(2), || {
        let (mut producer, mut consumer) = ring(2, 0);
        let producing = thread::spawn(move || {
            for number in 1..=3 {
                if !producer.try_push(|| words(number)) {
                    return number - 1;
                }
            }
            3
        });
        let consuming = thread::spawn(move || {
            let mut taken = 0;
            for _ in 0..3 {
                let waits = !consumer.is_empty();
                if let Some(slot) = consumer.pop() {
                    taken += 1;
                    assert_eq!(slot, words(taken));
                } else {
                    assert!(!waits);
                }
            }
            (consumer, taken)
        });
        let pushed = producing.join().unwrap();
        let (mut consumer, mut taken) = consuming.join().unwrap();
        // A full ring takes nothing: what was taken, and what is still there, is all that went in.
        while let Some(slot) = consumer.pop() {
            taken += 1;
            assert_eq!(slot, words(taken));
        }
        assert_eq!(taken, pushed);
        assert!(pushed >= 2, "two slots are free at first");
    });
}
