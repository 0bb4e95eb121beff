//! Who lets the proxy work: a thread of its own, or a caller that has nothing to do but wait.
//!
//! A thread apart keeps traffic going while the program computes. But whoever waits for a signal would only sleep until
//! that thread has seen it, and each hand-over between two threads costs more than the message: with two PEs on two
//! cores a put of 8 bytes took 144 us one way, and takes 9 if the one who waits polls. So the
//! proxy lies behind a lock that is almost never contended: a waiting caller takes turns itself, and the thread sleeps
//! meanwhile.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use super::idle::{Idle, LONGEST_SLEEP, Rest};
use super::{Progress, Proxy, Shared, Turn};
use crate::transport::gpu::Rings;
use crate::transport::nic::Nic;

/// How long after a NIC's failure the news of a lost PE may take.
const ECHO: Duration = Duration::from_millis(300);

/// How long the thread sleeps before it looks whether callers still do its work. One that waits for one message after
/// another leaves for a moment between them, and must not find the thread at it then; so the thread takes over when nobody
/// has come for as long, and others may have to wait for this PE twice that time.
const DRIVEN_REST: Duration = Duration::from_micros(500);

/// A proxy that any thread can move on.
pub trait Drive: fmt::Debug + Send + Sync {
    /// One turn; `None` while another thread is in one.
    fn turn(&self) -> Option<Turn>;

    /// Whether anything waits to be posted, answered or completed. `false` while another thread is in a turn: it knows.
    fn has_work(&self) -> bool;

    /// The proxy takes what a GPU posts into these rings from now on; `false` while others are in use.
    fn attach(&self, rings: Rings) -> bool;

    /// Nothing is sent from when this returns.
    fn hush(&self);
}

/// The lock around a proxy, and the loop of its thread.
pub struct Driver<N> {
    proxy: Mutex<Running<N>>,
    shared: Arc<Shared>,
    progress: Progress,
    /// As [`Running::end`]: the thread ends, whoever drives.
    ended: AtomicBool,
}

struct Running<N> {
    proxy: Proxy<N>,
    /// How it has ended, told or failed. Then nobody takes another turn.
    end: Option<Result<(), String>>,
    /// Turns that callers have taken.
    by_callers: u64,
}

impl<N: Nic> Running<N> {
    fn turn(&mut self) -> Turn {
        if self.end.is_some() {
            return Turn::Stop;
        }
        // What a panic leaves half done goes no further, in whichever thread it was; the hook has told it by now.
        let turn = catch_unwind(AssertUnwindSafe(|| self.proxy.turn()));
        match turn.unwrap_or_else(|_| Err("the proxy panicked".to_owned())) {
            Ok(Turn::Stop) => self.end = Some(Ok(())),
            Ok(turn) => return turn,
            Err(reason) => self.end = Some(Err(reason)),
        }
        Turn::Stop
    }
}

impl<N: Nic + Send> Driver<N> {
    /// Makes `proxy` ready to be run.
    #[must_use]
    pub fn new(proxy: Proxy<N>) -> Self {
        let (shared, progress) = (Arc::clone(&proxy.shared), proxy.progress);
        let running = Running { proxy, end: None, by_callers: 0 };
        Self { proxy: Mutex::new(running), shared, progress, ended: AtomicBool::new(false) }
    }

    /// Whether nothing has come since a turn before which callers had taken `by_callers`. Work that they leave behind is
    /// work to do; what is in flight is not, it will show in time. Who is in a turn at this moment wakes the thread if need be.
    fn is_idle_since(&self, by_callers: u64) -> bool {
        self.try_lock().is_none_or(|running| {
            running.by_callers == by_callers
                && running.proxy.commands.is_empty()
                && running.proxy.rings.is_empty()
        })
    }

    /// Whether the thread may leave everything to callers, who have come `drives` times and had come `before` times when it
    /// last looked.
    fn is_covered(&self, drives: u64, before: u64) -> bool {
        let covered = self.shared.is_driven() || drives != before && !self.has_work();
        covered && !self.ended.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Running<N>> {
        // Nothing that holds it panics: a turn's panic is caught.
        self.proxy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Running<N>>> {
        match self.proxy.try_lock() {
            Ok(running) => Some(running),
            Err(TryLockError::Poisoned(running)) => Some(running.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The proxy's thread: works until told to stop or until something fails for good, here or on another PE.
    pub fn run(&self) {
        self.shared.sleeper.begin();
        let mut idle = Idle::for_thread(self.progress);
        self.lock().proxy.begin();
        let mut drives = 0;
        loop {
            let before = std::mem::replace(&mut drives, self.shared.drives());
            if self.is_covered(drives, before) {
                // A caller that has waited for long wakes the thread when it leaves.
                let limit = if self.shared.is_deep() { LONGEST_SLEEP } else { DRIVEN_REST };
                self.shared.sleeper.sleep(limit, || self.is_covered(drives, before));
                idle.reset();
                continue;
            }
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
                    Rest::Sleep(limit) => self.shared.sleeper.sleep(limit, || self.is_idle_since(by_callers)),
                },
            }
        }
        let end = self.lock().end.replace(Ok(()));
        if let Some(Err(reason)) = end {
            // A NIC that fails because a PE is gone is only the echo of that: the rendezvous says so a moment later, and
            // better.
            let fault = self.lock().proxy.fault.clone();
            fault.await_reason(ECHO);
            self.lock().proxy.fail(reason);
        }
        self.lock().proxy.wind_up();
    }
}

impl<N: Nic + Send> Drive for Driver<N> {
    fn turn(&self) -> Option<Turn> {
        let turn = {
            let mut running = self.try_lock()?;
            running.by_callers += 1;
            running.turn()
        };
        if turn == Turn::Stop {
            // The thread says so to everybody, and closes the NICs.
            self.ended.store(true, Ordering::Release);
            self.shared.wake();
        }
        Some(turn)
    }

    fn has_work(&self) -> bool {
        self.try_lock().is_some_and(|running| running.proxy.has_work())
    }

    fn attach(&self, rings: Rings) -> bool {
        self.lock().proxy.attach(rings)
    }

    fn hush(&self) {
        self.lock().proxy.hush();
    }
}

impl<N> fmt::Debug for Driver<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("progress", &self.progress).finish_non_exhaustive()
    }
}
