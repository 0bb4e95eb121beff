//! A value that is made when it is first asked for, without anybody waiting for anybody.
//!
//! The standard library's lets all others wait for the thread that makes it. A child that is forked meanwhile does not have that thread, and would
//! wait for ever.

#![expect(unsafe_code, reason = "hands out what is behind a pointer")]

use std::ptr::null_mut;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

/// Null, or the value, which stays to the end of the process.
#[derive(Debug)]
pub(crate) struct First<T>(AtomicPtr<T>);

impl<T: Send + Sync> First<T> {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(null_mut()))
    }

    /// The value, if there is one.
    pub(crate) fn get(&self) -> Option<&'static T> {
        // SAFETY: null, or a value that is whole and is never taken away or changed.
        unsafe { self.0.load(Acquire).as_ref() }
    }

    /// The value. Who comes while it is being made makes one as well, and the first that is there is everybody's.
    pub(crate) fn get_or_make(&self, make: impl FnOnce() -> T) -> &'static T {
        if let Some(value) = self.get() {
            return value;
        }
        let ours = Box::into_raw(Box::new(make()));
        // SAFETY: `ours` is a box which nobody has if it was not taken; what is there else is as in `get`.
        unsafe {
            match self.0.compare_exchange(null_mut(), ours, AcqRel, Acquire) {
                Ok(_) => &*ours,
                Err(there) => {
                    drop(Box::from_raw(ours));
                    &*there
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn who_comes_while_it_is_made_does_not_wait() {
        static FIRST: First<u32> = First::new();
        let barrier = Barrier::new(2);
        let seen = std::thread::scope(|scope| {
            // Both are within at the same time: that one waits for the other would be a deadlock.
            let make = |n| {
                FIRST.get_or_make(|| {
                    barrier.wait();
                    n
                })
            };
            let threads = [1, 2].map(|n| scope.spawn(move || *make(n)));
            threads.map(|thread| thread.join().ok())
        });
        let first = FIRST.get().copied();
        assert!(first.is_some() && seen == [first; 2]);
        assert_eq!(Some(*FIRST.get_or_make(|| 3)), first);
    }
}
