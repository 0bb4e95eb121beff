//! System calls without the C library: for a thread that it knows nothing of, which has no `errno`.

#![expect(unsafe_code, reason = "the way into the kernel")]

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

/// Sleeps, or a little less.
pub(crate) fn sleep_ms(ms: u32) {
    let time = libc::timespec { tv_sec: (ms / 1000).into(), tv_nsec: (ms % 1000 * 1_000_000).into() };
    // SAFETY: reads the structure.
    unsafe { call(libc::SYS_nanosleep, [&raw const time as usize, 0, 0, 0]) };
}
