//! A child that does not `exec` counts for itself: from zero, in a page of its own, once it communicates.

#![expect(unsafe_code, reason = "pthread_atfork")]

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::changes::changes;
use crate::count::{Registry, forget_thread, registry};
use crate::guard::{Stop, always, guarded, stop};
use crate::lock::{Held, patience};
use crate::nics::{self, KnownNic};
use crate::publisher::{self, Publisher, publisher};

/// The locks, so that none is held by a thread that the child does not have. In the order in which they are taken elsewhere.
struct All {
    /// Not after counting has stopped: then nobody takes these any more.
    counting: Option<Counting>,
    /// In any case: what is the program's own it gets back also then.
    changes: Option<Held<'static, ()>>,
}

struct Counting {
    publisher: Held<'static, Option<Publisher>>,
    registry: Held<'static, Registry>,
    nics: Held<'static, Vec<KnownNic>>,
}

thread_local! {
    static HELD: RefCell<Option<All>> = const { RefCell::new(None) };
}

/// What is held by this thread for a fork. The program's own handlers that were registered before ours run meanwhile.
fn held<T>(look: impl FnOnce(&All) -> T) -> Option<T> {
    HELD.try_with(|place| place.try_borrow().ok()?.as_ref().map(look)).ok().flatten()
}

/// Whether this thread is forking. In the child nothing has been undone yet then.
pub(crate) fn is_forking() -> bool {
    held(|_| ()).is_some()
}

/// Whether this thread holds a lock for a fork.
pub(crate) fn holds(lock: *const ()) -> bool {
    let of_counting = |it: &Counting| [it.publisher.id(), it.registry.id(), it.nics.id()].contains(&lock);
    held(|all| {
        all.counting.as_ref().is_some_and(of_counting)
            || all.changes.as_ref().is_some_and(|it| it.id() == lock)
    }) == Some(true)
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
    let deadline = patience();
    let counting = guarded(|| {
        Some(Counting {
            publisher: publisher().lock_until(deadline)?,
            registry: registry().lock_until(deadline)?,
            nics: nics::lock().lock_until(deadline)?,
        })
    });
    let changes = always(|| changes().lock_until(deadline));
    let all = All { counting: counting.flatten(), changes: changes.flatten() };
    let _ = HELD.try_with(|place| place.replace(Some(all)));
}

unsafe extern "C" fn in_parent() {
    // Not guarded: what was locked is to be unlocked whatever has happened.
    let _ = HELD.try_with(|place| place.try_borrow_mut().map(|mut held| held.take()));
}

unsafe extern "C" fn in_child() {
    CHILD.store(true, Relaxed);
    let held = HELD.try_with(|place| place.try_borrow_mut().ok()?.take()).ok().flatten();
    let (counting, changes_held) = held.map_or((None, None), |all| (all.counting, all.changes));
    if changes_held.is_none() {
        // Of a thread that the child does not have, or of a function of ours that it will never return to.
        changes().free();
    }
    let Some(mut counting) = counting.filter(|_| changes_held.is_some()) else {
        // Forked on top of one of our functions: what it was at is half done for ever. From now on nobody takes the locks that may be held.
        stop(Stop::Panic);
        return;
    };
    guarded(|| {
        counting.registry.restart(forget_thread());
        publisher::restart(&mut counting.publisher);
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::time::Duration;

    use super::*;
    use crate::count::Thread;
    use crate::guard::stopped;

    /// While a thread has something that `take` gives, until `end` is over.
    fn during<T>(take: impl FnOnce() -> T + Send, end: impl FnOnce() + Send, work: impl FnOnce()) {
        let taken = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let held = take();
                taken.wait();
                end();
                drop(held);
            });
            taken.wait();
            work();
        });
    }

    /// Whether a forked child, which ends by `exit` as programs do, ends well and in time.
    fn child_ends(work: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child calls functions that need no other thread.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                libc::alarm(10);
                libc::exit(i32::from(!work()));
            }
            let mut status = 0;
            libc::waitpid(pid, &raw mut status, 0) == pid && status == 0
        }
    }

    #[test]
    fn a_child_that_does_not_get_the_locks_ends_and_its_own_children_find_tables_whole() {
        static HALF_DONE: AtomicBool = AtomicBool::new(false);
        struct Changing(#[expect(dead_code, reason = "held")] Held<'static, ()>);
        impl Drop for Changing {
            fn drop(&mut self) {
                HALF_DONE.store(false, Relaxed);
            }
        }
        watch();
        // This thread has a block, which it is to give back when it ends.
        let _ = Thread::with(|thread| thread.tally(0));
        let in_a_child_of_a_child = || {
            let mut whole = false;
            let change = || {
                let held = changes().lock();
                HALF_DONE.store(true, Relaxed);
                Changing(held)
            };
            // Nothing is counted here, but tables are put back still.
            let end = || std::thread::sleep(Duration::from_millis(200));
            during(change, end, || whole = child_ends(|| !HALF_DONE.load(Relaxed)));
            stopped().is_some() && whole
        };
        let (over, is_over) = std::sync::mpsc::channel::<()>();
        let wait = move || {
            let _ = is_over.recv();
        };
        let mut ended = false;
        during(
            || registry().lock(),
            wait,
            || {
                ended = child_ends(in_a_child_of_a_child);
                drop(over);
            },
        );
        assert!(ended, "a child waits for a thread that it does not have, or finds tables half changed");
        assert!(stopped().is_none(), "its parent counts on");
    }
}
