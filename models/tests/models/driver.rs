//! The lock around a proxy that passes from its thread to a waiting caller and back: nobody sleeps while there is work that
//! nobody does.

use loom::thread;
use railtop_models::attendance::Attendance;
use railtop_models::driver::{Driver, Turn, Work};
use railtop_models::idle::Progress;
use railtop_models::slots::{Consumer, Producer, ring};
use railtop_models::sync::{Arc, Ordering};

use crate::check;
use crate::event::Heap;

/// Ends the proxy, and makes it fail.
const STOP: u64 = 8;
const FAIL: u64 = 9;

/// Commands come out of a ring; each takes another turn to be done, and is then to be seen in the heap.
struct Commands {
    ring: Consumer<1>,
    started: u64,
    heap: Arc<Heap>,
}

impl Work for Commands {
    fn turn(&mut self) -> Result<Turn, String> {
        match (self.ring.pop(), std::mem::take(&mut self.started)) {
            (Some([STOP]), _) => return Ok(Turn::Stop),
            (Some([FAIL]), _) => return Err("a cable is out".into()),
            (None, 0) => return Ok(Turn::Idle),
            (next, done) => {
                self.started = next.map_or(0, |[command]| command);
                if done > 0 {
                    self.heap.word.store(done, Ordering::Release);
                    self.heap.event().notify();
                }
            }
        }
        Ok(Turn::Worked)
    }

    fn has_work(&self) -> bool {
        self.started != 0 || self.is_asked()
    }

    fn is_asked(&self) -> bool {
        !self.ring.is_empty()
    }
}

/// The thread that calls a PE.
struct Caller {
    driver: Arc<Driver<Commands>>,
    heap: Arc<Heap>,
    ring: Producer<1>,
}

impl Caller {
    fn ask(&mut self, command: u64, first: bool) {
        assert!(self.ring.try_push(|| [command]));
        self.driver.asked(first);
    }

    /// Waits for a command to be done, and does the work meanwhile.
    fn drive_until(&self, command: u64, long: bool) {
        self.driver.come();
        if long {
            self.driver.stay();
        }
        loop {
            self.driver.turn();
            if self.heap.word.load(Ordering::Acquire) >= command {
                break;
            }
            thread::yield_now();
        }
        self.driver.leave();
    }
}

/// Runs `caller` against the proxy's thread; `end` is how that must end.
fn model(preemptions: usize, end: Result<(), String>, caller: fn(&mut Caller)) {
    check(Some(preemptions), move || {
        let heap = Arc::new(Heap::default());
        let (producer, ring) = ring(4, 0);
        let work = Commands { ring, started: 0, heap: Arc::clone(&heap) };
        let driver = Arc::new(Driver::over(work, Arc::new(Attendance::default()), Progress::Adaptive));
        let attends = thread::spawn({
            let driver = Arc::clone(&driver);
            move || driver.attend()
        });
        let calls = thread::spawn(move || caller(&mut Caller { driver, heap, ring: producer }));
        assert_eq!(attends.join().unwrap(), end);
        calls.join().unwrap();
    });
}

#[test]
fn work_that_a_caller_leaves_half_done_is_done() {
    model(2, Ok(()), |caller| {
        caller.ask(1, true);
        caller.heap.wait_for(1);
        caller.ask(STOP, false);
    });
}

#[test]
fn the_thread_goes_on_when_a_caller_that_waited_leaves() {
    model(2, Ok(()), |caller| {
        caller.ask(1, true);
        caller.ask(2, false);
        caller.drive_until(1, false);
        // From here on it only sleeps.
        caller.heap.wait_for(2);
        caller.ask(STOP, false);
    });
}

#[test]
fn what_is_asked_after_a_wait_is_done() {
    model(2, Ok(()), |caller| {
        caller.ask(1, true);
        caller.drive_until(1, false);
        caller.ask(2, true);
        caller.heap.wait_for(2);
        caller.ask(STOP, false);
    });
}

#[test]
fn what_is_asked_after_a_long_wait_is_done() {
    model(2, Ok(()), |caller| {
        caller.ask(1, false);
        caller.drive_until(1, true);
        caller.ask(2, false);
        caller.heap.wait_for(2);
        caller.ask(STOP, false);
    });
}

#[test]
fn a_failure_ends_the_thread_whoever_has_met_it() {
    model(3, Err("a cable is out".into()), |caller| {
        caller.ask(FAIL, true);
        caller.driver.come();
        while caller.driver.turn() != Some(Turn::Stop) {
            thread::yield_now();
        }
        caller.driver.leave();
    });
}
