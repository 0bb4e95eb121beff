//! Waiting for something: with the proxy's work to do meanwhile, for so long and not longer, and not for who has failed.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Pe;
use crate::transport::error::TransportError;
use crate::transport::event::Event;
use crate::transport::on_node::signs_of_life;
use crate::transport::proxy::{Drive, Idle, Progress, Rest, Turn};
use crate::transport::silence::Silence;

/// Looks at a condition before a waiter asks whether the job has failed.
const LOOKS: u32 = 64;

/// A wait that takes longer is a long one: the proxy's thread can leave all work to it.
const LONG_WAIT: Duration = Duration::from_millis(1);

/// Longest sleep of a waiter before it looks whether the job has failed.
const SLICE: Duration = Duration::from_millis(20);

impl Pe {
    /// Waits for `ready`: looks a few times, then sleeps until the heap's event says that something has changed.
    pub(super) fn wait(
        &self,
        what: impl Fn() -> String,
        ready: impl Fn() -> bool,
    ) -> Result<(), TransportError> {
        self.wait_for(what, Vec::new, ready)
    }

    /// As [`Self::wait`]; `whom` tells which PEs have not done their part.
    pub(super) fn wait_for(
        &self,
        what: impl Fn() -> String,
        whom: impl Fn() -> Vec<u32>,
        ready: impl Fn() -> bool,
    ) -> Result<(), TransportError> {
        self.streak.store(false, Ordering::Relaxed);
        if ready() {
            return Ok(());
        }
        let driving = self.drive();
        let event = Event::of(&self.heap)?;
        let mut patience = Patience::new(self.wait_limit);
        let mut idle = Idle::for_caller(driving.driver.is_some());
        let mut looks = 0_u32;
        loop {
            let turn = driving.turn();
            if ready() {
                return Ok(());
            }
            let rest = if turn == Some(Turn::Worked) {
                idle.reset();
                Rest::Spin
            } else {
                idle.rest()
            };
            looks = looks.wrapping_add(1);
            if matches!(rest, Rest::Sleep(_)) || looks.is_multiple_of(LOOKS) {
                if let Some(error) = self.failure() {
                    return Err(error);
                }
                let now = Instant::now();
                driving.go_on(now);
                if patience.is_over(self.moved(), now) {
                    let (limit, waiting_for) = (self.wait_limit, whom());
                    return Err(TransportError::Timeout { what: what(), limit, waiting_for });
                }
            }
            match rest {
                Rest::Spin => std::hint::spin_loop(),
                Rest::Yield => std::thread::yield_now(),
                Rest::Sleep(limit) => {
                    event.wait(driving.sleep(limit, self.wait_limit), &ready);
                }
            }
        }
    }

    /// A number that changes whenever something moves on this PE's NICs, or a PE of this node gets on without any.
    pub(super) fn moved(&self) -> u64 {
        let near = self.locals.iter().flatten().map(|heap| signs_of_life(heap));
        near.fold(self.shared.moved(), u64::wrapping_add)
    }

    /// Takes the proxy's work over while this PE waits, unless that has a core to itself.
    pub(super) fn drive(&self) -> Driving<'_> {
        let driver = (self.progress == Progress::Adaptive).then_some(&*self.driver);
        if let Some(driver) = driver {
            driver.come();
        }
        Driving { driver, since: Instant::now() }
    }
}

/// A caller at the proxy's work; see [`Pe::drive`].
pub(super) struct Driving<'a> {
    driver: Option<&'a dyn Drive>,
    since: Instant,
}

impl Driving<'_> {
    /// One turn; `None` where it is not this thread's to take.
    pub(super) fn turn(&self) -> Option<Turn> {
        self.driver?.turn()
    }

    /// It goes on. Once it takes long, the proxy's thread may sleep deeply.
    pub(super) fn go_on(&self, now: Instant) {
        if let Some(driver) = self.driver
            && now.saturating_duration_since(self.since) >= LONG_WAIT
        {
            driver.stay();
        }
    }

    /// How long to sleep: who drives must look again soon, others are woken.
    fn sleep(&self, soon: Duration, wait_limit: Duration) -> Duration {
        let late = SLICE.min(Silence::beat(wait_limit));
        if self.driver.is_some() { soon.min(late) } else { late }
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        if let Some(driver) = self.driver {
            driver.leave();
        }
    }
}

/// How long a wait goes on: a limit on the time in which nothing moves ([`Pe::moved`]), not on the whole of a long
/// transfer. A piece counts when it is complete. Time in which this PE itself stood still (in a debugger) does not.
pub(super) struct Patience {
    silence: Silence,
    moved: u64,
}

impl Patience {
    pub(super) fn new(limit: Duration) -> Self {
        Self { silence: Silence::new(limit, Instant::now()), moved: 0 }
    }

    pub(super) fn is_over(&mut self, moved: u64, now: Instant) -> bool {
        if moved != self.moved {
            self.moved = moved;
            self.silence.broken(now);
        }
        self.silence.look(now).is_some()
    }
}
