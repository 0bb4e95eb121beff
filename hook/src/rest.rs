//! The long rest of the thread that publishes, who ends it, and what else the thread leaves to the program's threads.
//!
//! While nothing happens the thread shows only a few times a second that it lives. What happens first after a pause must not wait for that: a reader
//! would see nothing for a quarter of a second, and then all of it in one interval, faster than the NIC can be. So the thread says that it rests, and
//! whoever counts something then wakes it: a look at one word for each operation, and one system call for each pause.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use crate::publisher;
use crate::system::{futex_wait, futex_wake};

/// What is to happen with the next operation. A word for itself: it is read all the time, and what is beside it must not be written.
#[repr(align(128))]
struct Wanted(AtomicU32);

static WANTED: Wanted = Wanted(AtomicU32::new(0));

/// The thread rests, and is to be woken.
const WAKING: u32 = 1;
/// There is no page, or one without a NIC that has come, and it is time for another attempt: one for a thread of the program's.
const PAGE: u32 = 2;

/// Something has been counted: the thread is to see it soon.
#[inline]
pub(crate) fn stir() {
    if WANTED.0.load(Relaxed) != 0 {
        act();
    }
}

#[cold]
#[inline(never)]
fn act() {
    let wanted = WANTED.0.swap(0, SeqCst);
    if wanted & WAKING != 0 {
        futex_wake(&WANTED.0);
    }
    if wanted & PAGE != 0 {
        publisher::publish_now();
    }
}

/// The next thread of the program's that counts something is to make a page.
pub(crate) fn want_page() {
    WANTED.0.fetch_or(PAGE, SeqCst);
}

/// Rests for `ms`, or until somebody counts something; not at all if `moved` says that somebody has, which it is asked once all see that
/// this thread rests. Whether somebody ended it. For the thread alone.
///
/// A count that crosses that question unseen waits for the end of the rest, as all did without this: to make sure would cost each operation a fence.
pub(crate) fn rest(ms: u32, moved: impl FnOnce() -> bool) -> bool {
    let seen = WANTED.0.fetch_or(WAKING, SeqCst) | WAKING;
    if !moved() {
        futex_wait(&WANTED.0, seen, ms);
    }
    WANTED.0.fetch_and(!WAKING, SeqCst) & WAKING == 0
}
