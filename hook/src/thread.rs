//! A thread that the C library knows nothing of.
//!
//! A program with a single thread pays for a second one of the ordinary kind: the C library's functions that may be cancelled (`read`, `poll`,
//! `send`: what a provider over sockets does all the time) take two locked instructions more, and the kernel counts references to the files that
//! both threads share. On the machine of `docs/hook.md` that is 45 ns a system call, a twentieth of a small message's time. So ours comes from
//! `clone` itself, and has files of its own: none.
//!
//! Whoever runs here may therefore not allocate, panic, or call anything that looks at thread-local data. In exchange the program's
//! last thread ends the process by ending, as it does without us.

#![expect(unsafe_code, reason = "makes a thread")]

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use crate::system::call;

const GUARD: usize = 64 << 10;
const STACK: usize = 128 << 10;
/// What stands in place of the C library's data of a thread, on both sides of where that is looked for; all zero.
const OWN_DATA: usize = 32 << 10;

/// The memory of the thread. There is one in a process; a forked child, which is without it, takes the same again.
static MEMORY: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

fn memory() -> Option<*mut c_void> {
    let there = MEMORY.load(Relaxed);
    if !there.is_null() {
        return Some(there);
    }
    let (access, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
    // SAFETY: a new mapping replaces no other, and its beginning is a part of it.
    let start = unsafe {
        let start = libc::mmap(std::ptr::null_mut(), GUARD + STACK + OWN_DATA, access, flags, -1, 0);
        if start == libc::MAP_FAILED {
            return None;
        }
        if libc::mprotect(start, GUARD, libc::PROT_NONE) != 0 {
            libc::munmap(start, GUARD + STACK + OWN_DATA);
            return None;
        }
        start
    };
    MEMORY.store(start, Relaxed);
    Some(start)
}

/// Starts the thread, with all signals blocked: the program's handlers run in the program's threads. Whether it could be.
///
/// Once in a process, and in a forked child again.
pub(crate) fn start(work: extern "C" fn(*mut c_void) -> c_int) -> bool {
    let Some(memory) = memory() else { return false };
    let flags = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM
        | libc::CLONE_SETTLS;
    // SAFETY: the stack and the data are in a mapping that stays and that no other thread uses; the sets are initialised by the calls that fill them.
    unsafe {
        let top = memory.byte_add(GUARD + STACK);
        let data = top.byte_add(OWN_DATA / 2).cast::<*mut c_void>();
        // On x86-64 these two point to the place itself.
        data.write(data.cast());
        data.add(2).write(data.cast());
        keep_secrets(data);
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let nothing = std::ptr::null_mut::<c_void>();
        let id = libc::clone(work, top, flags, nothing, nothing, data, nothing);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        id > 0
    }
}

/// Copies to the thread's data what the C library has there for all threads alike: the value that guards stacks, and the one behind which it hides
/// pointers, the kernel's `clock_gettime` among them before glibc 2.31.
///
/// # Safety
/// There is room for 64 bytes.
unsafe fn keep_secrets(data: *mut *mut c_void) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: on this thread, which is one of the C library's, both are there; where they go the caller has promised.
    unsafe {
        let (guard, hidden): (*mut c_void, *mut c_void);
        std::arch::asm!(
            "mov {}, fs:[0x28]", "mov {}, fs:[0x30]", out(reg) guard, out(reg) hidden,
            options(nostack, readonly, preserves_flags),
        );
        data.add(5).write(guard);
        data.add(6).write(hidden);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = data;
}

/// Takes leave of what the thread has from the one that made it. To be called by the thread, first.
///
/// It runs behind everything else, on any processor, whatever the program has chosen for itself. It keeps none of the program's files
/// open, and none of its capabilities: a program that gives them up later does not reach a thread that the C library does not know. The user stays:
/// a thread that changes it makes the whole process one that cannot be looked at.
pub(crate) fn settle() {
    const NAME: &[u8; 16] = b"railtop-hook\0\0\0\0";
    const CAPABILITIES_V3: u32 = 0x2008_0522;
    const LOWEST: usize = 19;
    let (param, everywhere) = (0 as c_int, [u64::MAX; 128]);
    let (own, none) = ([CAPABILITIES_V3, 0], [0u32; 6]);
    let batch = usize::try_from(libc::SCHED_BATCH).unwrap_or(0);
    let (name, no_more) = (15 /* PR_SET_NAME */, 38 /* PR_SET_NO_NEW_PRIVS */);
    // SAFETY: each call reads what it is given, of the size that it expects. One that fails leaves things as they are, which is all right.
    unsafe {
        call(libc::SYS_close_range, [0, u32::MAX as usize, 2 /* CLOSE_RANGE_UNSHARE */, 0]);
        call(libc::SYS_prctl, [name, NAME.as_ptr() as usize, 0, 0]);
        call(libc::SYS_sched_setscheduler, [0, batch, &raw const param as usize, 0]);
        call(libc::SYS_setpriority, [0 /* PRIO_PROCESS */, 0, LOWEST, 0]);
        call(libc::SYS_sched_setaffinity, [0, size_of_val(&everywhere), everywhere.as_ptr() as usize, 0]);
        call(libc::SYS_capset, [own.as_ptr() as usize, none.as_ptr() as usize, 0, 0]);
        call(libc::SYS_prctl, [no_more, 1, 0, 0]);
    }
}
