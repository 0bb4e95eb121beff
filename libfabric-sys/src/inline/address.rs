//! Address vectors (`fi_av(3)`).
#![expect(unsafe_code, reason = "calls through function pointers of a C library")]
#![expect(clippy::missing_safety_doc, reason = "one contract for all, in the documentation of `inline`")]

use libc::{c_char, c_int, c_void, size_t};

use crate::av::{fi_addr_t, fi_ops_av, fid_av};
use crate::errno::FI_ENOSYS;

/// Adds addresses; returns how many it took, or a negative error.
#[inline]
pub unsafe fn fi_av_insert(
    av: *mut fid_av,
    addr: *const c_void,
    count: size_t,
    fi_addr: *mut fi_addr_t,
    flags: u64,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*av).ops, fi_ops_av, insert, (av, addr, count, fi_addr, flags, context), -FI_ENOSYS) }
}

/// Drops addresses.
#[inline]
pub unsafe fn fi_av_remove(av: *mut fid_av, fi_addr: *mut fi_addr_t, count: size_t, flags: u64) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*av).ops, fi_ops_av, remove, (av, fi_addr, count, flags), -FI_ENOSYS) }
}

/// An address as text; null when the provider cannot.
#[inline]
pub unsafe fn fi_av_straddr(
    av: *mut fid_av,
    addr: *const c_void,
    buf: *mut c_char,
    len: *mut size_t,
) -> *const c_char {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*av).ops, fi_ops_av, straddr, (av, addr, buf, len), std::ptr::null()) }
}
