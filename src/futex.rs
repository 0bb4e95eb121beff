//! Sleeping until a word in memory changes.
//!
//! Of both calls the result does not matter: whoever waits looks again, and may be woken early.

#![expect(unsafe_code, reason = "the futex system call has no wrapper")]

use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Who may wait for the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Threads of this process, which the kernel finds faster.
    Process,
    /// Any process that maps the same memory.
    Shared,
}

/// Sleeps while the word is `value`, until it is woken or `limit` has passed.
pub(crate) fn wait(word: &AtomicU32, value: u32, limit: Option<Duration>, scope: Scope) {
    call(word, libc::FUTEX_WAIT, value, limit, scope);
}

/// Wakes all who wait for the word.
pub(crate) fn wake_all(word: &AtomicU32, scope: Scope) {
    call(word, libc::FUTEX_WAKE, i32::MAX.unsigned_abs(), None, scope);
}

fn call(word: &AtomicU32, op: i32, value: u32, limit: Option<Duration>, scope: Scope) {
    let timeout = limit.map(|limit| libc::timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(limit.subsec_nanos()),
    });
    let timeout_ptr = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let op = if scope == Scope::Process { op | libc::FUTEX_PRIVATE_FLAG } else { op };
    // SAFETY: the word is a valid, aligned, mapped u32 for the whole call, and the time-out is null or a live timespec.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), op, value, timeout_ptr, std::ptr::null::<u32>(), 0_u32);
    }
}
