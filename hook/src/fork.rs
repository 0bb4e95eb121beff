//! A child that does not `exec` counts for itself: from zero, in a page of its own, once it communicates.

#![expect(unsafe_code, reason = "pthread_atfork")]

use std::cell::RefCell;
use std::sync::MutexGuard;

use crate::count::{Registry, forget_thread, registry};
use crate::guard::guarded;
use crate::nics::{KnownNic, nics};
use crate::publisher::{self, Publisher, publisher};

/// All locks, so that none is held by a thread that the child does not have. In the order in which they are taken elsewhere.
struct Held {
    publisher: MutexGuard<'static, Option<Publisher>>,
    registry: MutexGuard<'static, Registry>,
    _nics: MutexGuard<'static, Vec<KnownNic>>,
}

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// From now on forks are watched.
pub(crate) fn watch() {
    // SAFETY: the functions stay where they are: this library is never unloaded.
    unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}

unsafe extern "C" fn before() {
    guarded(|| {
        let held = Held { publisher: publisher(), registry: registry(), _nics: nics() };
        let _ = HELD.try_with(|place| place.replace(Some(held)));
    });
}

unsafe extern "C" fn in_parent() {
    // Not guarded: what was locked is to be unlocked whatever has happened.
    let _ = HELD.try_with(|place| place.try_borrow_mut().map(|mut held| held.take()));
}

unsafe extern "C" fn in_child() {
    let held = HELD.try_with(|place| place.try_borrow_mut().ok()?.take()).ok().flatten();
    guarded(|| {
        if let Some(mut held) = held {
            held.registry.restart(forget_thread());
            publisher::restart(&mut held.publisher);
        }
    });
}
