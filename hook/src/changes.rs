//! The one lock under which tables are put into objects and taken out.
//!
//! One for all objects and not one for each, so that a fork can hold it: a child that closes what its parent has opened must not wait for a thread that it
//! does not have. It is held for a few stores and the making of a copy, and never over a call of a provider's.

#![expect(unsafe_code, reason = "hands out what it protects")]

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};

use crate::lock::{Held, Lock};

static CHANGES: Lock<()> = Lock::new(());

/// The lock itself: for a fork.
pub(crate) fn changes() -> &'static Lock<()> {
    &CHANGES
}

/// What of an object changes with its tables.
#[derive(Debug, Default)]
pub(crate) struct Changing<T>(UnsafeCell<T>);

// SAFETY: only who holds the lock reaches the value.
unsafe impl<T: Send> Sync for Changing<T> {}

/// Reaches the value, and gives the lock back.
#[derive(Debug)]
pub(crate) struct Change<'a, T> {
    value: &'a Changing<T>,
    _held: Held<'static, ()>,
}

impl<T> Changing<T> {
    /// Who has one object's waits for itself with another's: one at a time.
    pub(crate) fn lock(&self) -> Change<'_, T> {
        Change { _held: CHANGES.lock(), value: self }
    }
}

impl<T> Deref for Change<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock is held.
        unsafe { &*self.value.0.get() }
    }
}

impl<T> DerefMut for Change<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, and this is the only way to it.
        unsafe { &mut *self.value.0.get() }
    }
}
