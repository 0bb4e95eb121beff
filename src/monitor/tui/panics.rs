//! Whether a thread has panicked, and the terminal given back before its message.

use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use super::handles::Waker;
use super::terminal;

/// Whether a thread has panicked since [`watch_panics`].
static PANICKED: AtomicBool = AtomicBool::new(false);
/// Whom the hook wakes.
static ON_PANIC: Mutex<Option<Waker>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// Watches for panics from now on, in every thread of the process and also in those that are caught:
/// [`run`](super::run) then ends with an error, or does not begin.
///
/// To be called before the first thread is started whose work the screen shows. It can be called again.
pub fn watch_panics() {
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            terminal::give_back();
            previous(info);
            // After the message, or the program could end in the middle of it.
            PANICKED.store(true, Ordering::SeqCst);
            if let Ok(guard) = ON_PANIC.try_lock()
                && let Some(waker) = &*guard
            {
                waker.wake();
            }
        }));
    });
}

/// Whether a thread has panicked; the terminal is given back already then.
pub(super) fn have_happened() -> bool {
    PANICKED.load(Ordering::SeqCst)
}

/// Wakes `waker` at the next panic.
pub(super) fn wake(waker: &Waker) {
    *ON_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
}

/// Wakes nobody any more.
pub(super) fn let_sleep() {
    // A panicking thread must not wait for a lock here.
    if let Ok(mut waker) = ON_PANIC.try_lock() {
        *waker = None;
    }
}
