//! A child that does not `exec` counts for itself: from zero, in a page of its own, once it communicates.

#![expect(unsafe_code, reason = "pthread_atfork")]

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::changes::changes;
use crate::count::{Registry, forget_thread, registry};
use crate::guard::{Stop, guarded, stop};
use crate::lock::{Held, patience};
use crate::nics::{self, KnownNic};
use crate::publisher::{self, Publisher, publisher};
use crate::queue;

/// All locks, so that none is held by a thread that the child does not have. In the order in which they are taken elsewhere.
struct All {
    publisher: Held<'static, Option<Publisher>>,
    registry: Held<'static, Registry>,
    _nics: Held<'static, Vec<KnownNic>>,
    _changes: Held<'static, ()>,
}

thread_local! {
    static HELD: RefCell<Option<All>> = const { RefCell::new(None) };
}

/// This process was forked off one that had libfabric open.
static CHILD: AtomicBool = AtomicBool::new(false);

/// Whether this process is such a child, and so is not who its environment says.
pub(crate) fn is_child() -> bool {
    CHILD.load(Relaxed)
}

/// From now on forks are watched.
pub(crate) fn watch() {
    static WATCHING: AtomicBool = AtomicBool::new(false);
    if !WATCHING.swap(true, Relaxed) {
        // SAFETY: the functions stay where they are: this library is never unloaded.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    }
}

unsafe extern "C" fn before() {
    guarded(|| {
        let deadline = patience();
        let all = All {
            publisher: publisher().lock_until(deadline)?,
            registry: registry().lock_until(deadline)?,
            _nics: nics::lock().lock_until(deadline)?,
            _changes: changes().lock_until(deadline)?,
        };
        HELD.try_with(|place| place.replace(Some(all))).ok()
    });
}

unsafe extern "C" fn in_parent() {
    // Not guarded: what was locked is to be unlocked whatever has happened.
    let _ = HELD.try_with(|place| place.try_borrow_mut().map(|mut held| held.take()));
}

unsafe extern "C" fn in_child() {
    CHILD.store(true, Relaxed);
    let held = HELD.try_with(|place| place.try_borrow_mut().ok()?.take()).ok().flatten();
    queue::OPENING.free();
    // Taken also when nothing is counted any more: what is the program's own it gets back in any case.
    changes().free();
    let Some(mut held) = held else {
        // Forked on top of one of our functions: what it was at is half done for ever.
        stop(Stop::Panic);
        return;
    };
    guarded(|| {
        held.registry.restart(forget_thread());
        publisher::restart(&mut held.publisher);
    });
}
