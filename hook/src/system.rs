//! System calls without the C library: for a thread that it knows nothing of, which has no `errno`.

#![expect(unsafe_code, reason = "the way into the kernel")]

use std::ffi::c_int;
use std::sync::atomic::AtomicU32;

/// A system call: its answer, or a negative error number.
///
/// # Safety
/// As for the call.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) unsafe fn call(number: libc::c_long, [a, b, c, d]: [usize; 4]) -> isize {
    let answer: isize;
    // SAFETY: the caller's promise; the kernel leaves all other registers as they are.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number => answer,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
            // Some calls refuse what they do not know in the two last ones.
            in("r8") 0usize, in("r9") 0usize,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    answer
}

/// A system call: its answer, or a negative error number.
///
/// # Safety
/// As for the call.
#[cfg(target_arch = "aarch64")]
#[inline]
pub(crate) unsafe fn call(number: libc::c_long, [a, b, c, d]: [usize; 4]) -> isize {
    let answer: isize;
    // SAFETY: the caller's promise; the kernel leaves all other registers as they are.
    unsafe {
        std::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a => answer,
            in("x1") b, in("x2") c, in("x3") d,
            in("x4") 0usize, in("x5") 0usize,
            options(nostack),
        );
    }
    answer
}

/// A system call: its answer, or a negative number.
///
/// # Safety
/// As for the call.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) unsafe fn call(number: libc::c_long, [a, b, c, d]: [usize; 4]) -> isize {
    // SAFETY: the caller's promise. The error number goes to where the thread has room for it.
    let answer = unsafe { libc::syscall(number, a, b, c, d, 0usize, 0usize) };
    isize::try_from(answer).unwrap_or(-1)
}

fn time(ms: u32) -> libc::timespec {
    libc::timespec { tv_sec: (ms / 1000).into(), tv_nsec: (ms % 1000 * 1_000_000).into() }
}

/// Waits until somebody wakes who waits for the word, for `ms` at most; not at all if it is not `value`. It may end early.
pub(crate) fn futex_wait(word: &AtomicU32, value: u32, ms: u32) {
    let time = time(ms);
    // SAFETY: reads the word and the time.
    unsafe { futex(word, libc::FUTEX_WAIT, value, &raw const time) };
}

/// Wakes one who waits for the word.
pub(crate) fn futex_wake(word: &AtomicU32) {
    // SAFETY: there is no time to be read.
    unsafe { futex(word, libc::FUTEX_WAKE, 1, std::ptr::null()) };
}

/// # Safety
/// The time is null or can be read.
unsafe fn futex(word: &AtomicU32, what: c_int, value: u32, time: *const libc::timespec) {
    let what = usize::try_from(what | libc::FUTEX_PRIVATE_FLAG).unwrap_or(0);
    // SAFETY: the word lives, of the time the caller says so, and nothing is written. Whatever the answer, callers look again.
    unsafe { call(libc::SYS_futex, [word.as_ptr() as usize, what, value as usize, time as usize]) };
}

/// Sleeps, or a little less.
pub(crate) fn sleep_ms(ms: u32) {
    let time = time(ms);
    // SAFETY: reads the structure.
    unsafe { call(libc::SYS_nanosleep, [&raw const time as usize, 0, 0, 0]) };
}
