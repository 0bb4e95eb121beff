//! Who lets the proxy work: a thread of its own, or a caller that has nothing to do but wait.
//!
//! A thread apart keeps traffic going while the program computes. But whoever waits for a signal would only sleep until
//! that thread has seen it, and each hand-over between two threads costs more than the message: with two PEs on two
//! cores a put of 8 bytes took 144 us one way, and takes 9 if the one who waits polls. So the
//! proxy lies behind a lock that is almost never contended: a waiting caller takes turns itself, and the thread sleeps
//! meanwhile.
//!
//! What the work is this file does not know, so that `models/` can run the very same hand-over.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{PoisonError, TryLockError};
use std::time::Instant;

use super::attendance::Attendance;
use super::driven::{DEEP, Driven};
use super::idle::{Idle, Progress, Rest};
use crate::sync::{Arc, AtomicBool, Mutex, MutexGuard, Ordering};

/// What is done in turns.
pub trait Work {
    /// One turn.
    ///
    /// # Errors
    /// When something has failed for good.
    fn turn(&mut self) -> Result<Turn, String>;

    /// Whether anything waits to be posted, answered or completed.
    fn has_work(&self) -> bool;

    /// Whether anything has been asked for that no turn has taken yet.
    fn is_asked(&self) -> bool;
}

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Something has moved.
    Worked,
    /// There was nothing to do.
    Idle,
    /// The proxy was told to stop, or the job has failed.
    Stop,
}

/// The lock around the work, and the loop of its thread.
pub struct Driver<W> {
    running: Mutex<Running<W>>,
    attendance: Arc<Attendance>,
    progress: Progress,
    /// As [`Running::end`]: the thread ends, whoever drives.
    ended: AtomicBool,
}

struct Running<W> {
    work: W,
    /// How it has ended, told or failed. Then nobody takes another turn.
    end: Option<Result<(), String>>,
    /// Turns that callers have taken.
    by_callers: u64,
}

impl<W: Work> Running<W> {
    fn turn(&mut self) -> Turn {
        if self.end.is_some() {
            return Turn::Stop;
        }
        // What a panic leaves half done goes no further, in whichever thread it was; the hook has told it by now.
        let turn = catch_unwind(AssertUnwindSafe(|| self.work.turn()));
        match turn.unwrap_or_else(|_| Err("the proxy panicked".to_owned())) {
            Ok(Turn::Stop) => self.end = Some(Ok(())),
            Ok(turn) => return turn,
            Err(reason) => self.end = Some(Err(reason)),
        }
        Turn::Stop
    }
}

impl<W: Work> Driver<W> {
    /// Makes `work` ready to be done by those who attend.
    #[must_use]
    pub fn over(work: W, attendance: Arc<Attendance>, progress: Progress) -> Self {
        let running = Running { work, end: None, by_callers: 0 };
        Self { running: Mutex::new(running), attendance, progress, ended: AtomicBool::new(false) }
    }

    /// Whether nothing has come since a turn before which callers had taken `by_callers`. Work that they leave behind is
    /// work to do; what is in flight is not, it will show in time. Who is in a turn at this moment wakes the thread if need be.
    fn is_idle_since(&self, by_callers: u64) -> bool {
        self.try_lock().is_none_or(|running| running.by_callers == by_callers && !running.work.is_asked())
    }

    /// Whether the thread may leave everything to callers, who have come `drives` times and had come `before` times when it
    /// last looked.
    fn is_covered(&self, drives: u64, before: u64) -> bool {
        let covered = self.attendance.is_driven() || drives != before && !self.has_work();
        covered && !self.ended.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Running<W>> {
        // Nothing that holds it panics: a turn's panic is caught.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Running<W>>> {
        match self.running.try_lock() {
            Ok(running) => Some(running),
            Err(TryLockError::Poisoned(running)) => Some(running.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Does something with the work between two turns.
    pub fn with<T>(&self, what: impl FnOnce(&mut W) -> T) -> T {
        what(&mut self.lock().work)
    }

    /// The thread's turns, until told to stop or until something fails for good.
    ///
    /// # Errors
    /// What has failed, here or in a caller's turn.
    pub fn attend(&self) -> Result<(), String> {
        self.attendance.sleeper.begin();
        let mut idle = Idle::for_thread(self.progress);
        let mut drives = 0;
        let mut callers = Driven::default();
        loop {
            let before = std::mem::replace(&mut drives, self.attendance.drives());
            if self.is_covered(drives, before) {
                let deep = self.attendance.is_deep();
                let came = drives.wrapping_sub(before);
                let rest = callers.rest(Instant::now(), came, self.attendance.is_driven());
                let limit = if deep { DEEP } else { rest };
                // Who has left since then has found nobody asleep to wake.
                let goes_on = || !deep || self.attendance.is_deep();
                self.attendance.sleeper.sleep(limit, || goes_on() && self.is_covered(drives, before));
                idle.reset();
                continue;
            }
            callers = Driven::default();
            let (turn, by_callers) = {
                let mut running = self.lock();
                (running.turn(), running.by_callers)
            };
            match turn {
                Turn::Worked => idle.reset(),
                Turn::Stop => break,
                Turn::Idle => match idle.rest() {
                    Rest::Spin => std::hint::spin_loop(),
                    Rest::Yield => std::thread::yield_now(),
                    Rest::Sleep(limit) => {
                        self.attendance.sleeper.sleep(limit, || self.is_idle_since(by_callers));
                    }
                },
            }
        }
        self.lock().end.replace(Ok(())).unwrap_or(Ok(()))
    }

    /// A caller's turn; `None` while another thread is in one.
    pub fn turn(&self) -> Option<Turn> {
        self.turn_and(|_| ()).map(|(turn, ())| turn)
    }

    /// A caller's turn and a look at what it has left.
    fn turn_and<T>(&self, look: impl FnOnce(&W) -> T) -> Option<(Turn, T)> {
        let (turn, seen) = {
            let mut running = self.try_lock()?;
            running.by_callers += 1;
            (running.turn(), look(&running.work))
        };
        if turn == Turn::Stop {
            // The thread says so to everybody, and closes the NICs.
            self.ended.store(true, Ordering::Release);
            self.attendance.wake();
        }
        Some((turn, seen))
    }

    /// Whether anything waits to be posted, answered or completed. `false` while another thread is in a turn: it knows.
    pub fn has_work(&self) -> bool {
        self.try_lock().is_some_and(|running| running.work.has_work())
    }

    /// A caller has asked for something. Its `first` since it last waited is carried out at once where the thread rests: waking
    /// it takes longer. From the second on there is enough to do for two.
    pub fn asked(&self, first: bool) {
        let at_once = first && self.progress == Progress::Adaptive;
        let done = at_once && self.turn_and(W::has_work).is_some_and(|(_, more)| !more);
        if !done {
            self.attendance.wake();
        }
    }

    /// A caller begins to wait, and to take turns.
    pub fn come(&self) {
        self.attendance.come();
    }

    /// It goes on waiting, for long already.
    pub fn stay(&self) {
        self.attendance.stay();
    }

    /// It ends, and takes no more turns.
    pub fn leave(&self) {
        if self.attendance.leave() || self.has_work() {
            self.attendance.wake();
        }
    }
}

impl<W> fmt::Debug for Driver<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("progress", &self.progress).finish_non_exhaustive()
    }
}
