//! A lock that our own thread can try as well. The standard library's looks at the state of panics when it is released, and so at
//! the thread's own data, which that thread has none of.

#![expect(unsafe_code, reason = "hands out what it protects")]

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use counters::monotonic_ns;

use crate::fork;
use crate::system::{futex_wait, futex_wake};

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and somebody waits.
const WAITED_FOR: u32 = 2;

/// How long the program may be kept waiting where waiting for ever could be a deadlock: a handler of a signal that ends the process, or forks, on top
/// of a thread that holds the lock.
const PATIENCE_NS: u64 = 500_000_000;
const TURN_MS: u32 = 50;

/// Until when whoever begins to wait now is to wait, by [`monotonic_ns`].
pub(crate) fn patience() -> u64 {
    monotonic_ns().saturating_add(PATIENCE_NS)
}

/// Protects a value. A panic of who holds it leaves it usable.
#[derive(Debug)]
pub(crate) struct Lock<T> {
    state: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: only who holds the lock reaches the value.
unsafe impl<T: Send> Sync for Lock<T> {}

/// Reaches the value, and gives the lock back.
#[derive(Debug)]
pub(crate) struct Held<'a, T> {
    lock: &'a Lock<T>,
    /// Not if a fork of this thread's holds it further out.
    gives_back: bool,
    one_thread: PhantomData<*mut T>,
}

impl<T> Held<'_, T> {
    /// Which lock it is.
    pub(crate) fn id(&self) -> *const () {
        std::ptr::from_ref(self.lock).cast()
    }
}

impl<T> Lock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self { state: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }

    /// The lock, if it is free.
    pub(crate) fn try_lock(&self) -> Option<Held<'_, T>> {
        self.state.compare_exchange(FREE, HELD, Acquire, Relaxed).is_ok().then(|| self.held())
    }

    /// The lock. In a handler of a fork, which runs while [`crate::fork`] has it for the same thread, what it protects at once: to wait would be for ever.
    pub(crate) fn lock(&self) -> Held<'_, T> {
        if let Some(held) = self.try_lock() {
            return held;
        }
        if fork::holds(std::ptr::from_ref(self).cast()) {
            return Held { lock: self, gives_back: false, one_thread: PhantomData };
        }
        loop {
            if let Some(held) = self.lock_for_now() {
                return held;
            }
        }
    }

    /// The lock, unless it is not to be had for half a second.
    pub(crate) fn lock_in_time(&self) -> Option<Held<'_, T>> {
        self.lock_until(patience())
    }

    /// The lock, unless it is not to be had until `deadline_ns`.
    pub(crate) fn lock_until(&self, deadline_ns: u64) -> Option<Held<'_, T>> {
        loop {
            let held = self.lock_for_now();
            if held.is_some() || monotonic_ns() >= deadline_ns {
                return held;
            }
        }
    }

    /// Waits for one turn.
    fn lock_for_now(&self) -> Option<Held<'_, T>> {
        if let Some(held) = self.try_lock() {
            return Some(held);
        }
        if self.state.swap(WAITED_FOR, Acquire) == FREE {
            return Some(self.held());
        }
        futex_wait(&self.state, WAITED_FOR, TURN_MS);
        (self.state.swap(WAITED_FOR, Acquire) == FREE).then(|| self.held())
    }

    /// For who has just taken it.
    fn held(&self) -> Held<'_, T> {
        Held { lock: self, gives_back: true, one_thread: PhantomData }
    }

    /// Frees it, whoever holds it: in a forked child, where that may be a thread that the child does not have.
    pub(crate) fn free(&self) {
        self.state.store(FREE, Release);
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock is held, by this or by the fork that this thread is in, which leaves the value alone meanwhile.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, by this or by the fork that this thread is in, which leaves the value alone meanwhile.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Held<'_, T> {
    fn drop(&mut self) {
        if self.gives_back && self.lock.state.swap(FREE, Release) == WAITED_FOR {
            futex_wake(&self.lock.state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_gets_it_and_who_is_stuck_does_not_wait_for_ever() {
        let lock = Lock::new(0u64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..20_000).for_each(|_| *lock.lock() += 1));
            }
        });
        let held = lock.lock();
        assert_eq!(*held, 80_000);
        assert!(lock.try_lock().is_none());
        // Somebody who gets and gives it all the time, as signals do, ends no wait early.
        let begun = monotonic_ns();
        assert!(lock.lock_in_time().is_none() && monotonic_ns() - begun >= PATIENCE_NS);
        drop(held);
        assert!(lock.lock_in_time().is_some());
    }
}
