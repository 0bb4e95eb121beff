//! How many heaps the process has.
#![expect(unsafe_code, reason = "mallopt is a C function")]

/// One heap for all threads. glibc gives each thread one of its own, and each keeps what its thread no longer needs: with
/// 32 NICs that was a megabyte, for threads that allocate some times a second and do not wait for each other.
///
/// To be called before there are other threads. Other C libraries have no such heaps.
pub(super) fn share_one() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes two numbers, and what it does not accept it leaves as it is.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}
