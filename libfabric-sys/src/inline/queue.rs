//! Completion queues (`fi_cq(3)`).
#![expect(unsafe_code, reason = "calls through function pointers of a C library")]
#![expect(clippy::missing_safety_doc, reason = "one contract for all, in the documentation of `inline`")]

use libc::{c_char, c_int, c_void, size_t, ssize_t};

use super::{NO_SUCH_OP, fi_control};
use crate::av::fi_addr_t;
use crate::consts::{FI_ADDR_NOTAVAIL, FI_GETWAIT};
use crate::cq::{fi_cq_err_entry, fi_ops_cq, fid_cq};
use crate::errno::FI_ENOSYS;

/// Takes up to `count` completions; `-FI_EAGAIN` when there is none, `-FI_EAVAIL` when the next one failed.
#[inline]
pub unsafe fn fi_cq_read(cq: *mut fid_cq, buf: *mut c_void, count: size_t) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*cq).ops, fi_ops_cq, read, (cq, buf, count), NO_SUCH_OP) }
}

/// As [`fi_cq_read`], and who sent each.
#[inline]
pub unsafe fn fi_cq_readfrom(
    cq: *mut fid_cq,
    buf: *mut c_void,
    count: size_t,
    src_addr: *mut fi_addr_t,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*cq).ops, fi_ops_cq, readfrom, (cq, buf, count, src_addr), NO_SUCH_OP) }
}

/// Takes one failed completion; the entry comes from [`fi_cq_err_entry::zeroed`].
#[inline]
pub unsafe fn fi_cq_readerr(cq: *mut fid_cq, entry: *mut fi_cq_err_entry, flags: u64) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        // As the header does: a provider from before 1.20 leaves this field alone.
        if !entry.is_null() {
            (*entry).src_addr = FI_ADDR_NOTAVAIL;
        }
        call!((*cq).ops, fi_ops_cq, readerr, (cq, entry, flags), NO_SUCH_OP)
    }
}

/// As [`fi_cq_read`], and blocks up to `timeout` milliseconds (-1: forever).
#[inline]
pub unsafe fn fi_cq_sread(
    cq: *mut fid_cq,
    buf: *mut c_void,
    count: size_t,
    cond: *const c_void,
    timeout: c_int,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*cq).ops, fi_ops_cq, sread, (cq, buf, count, cond, timeout), NO_SUCH_OP) }
}

/// Wakes a thread that blocks in [`fi_cq_sread`].
#[inline]
pub unsafe fn fi_cq_signal(cq: *mut fid_cq) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*cq).ops, fi_ops_cq, signal, (cq), -FI_ENOSYS) }
}

/// Text of a provider's own error; null when it has none. `buf` may be null: the text is then the provider's.
#[inline]
pub unsafe fn fi_cq_strerror(
    cq: *mut fid_cq,
    prov_errno: c_int,
    err_data: *const c_void,
    buf: *mut c_char,
    len: size_t,
) -> *const c_char {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*cq).ops, fi_ops_cq, strerror, (cq, prov_errno, err_data, buf, len), std::ptr::null()) }
}

/// `FI_GETWAIT`: writes the file descriptor of a queue opened with `FI_WAIT_FD`.
#[inline]
pub unsafe fn fi_cq_getwait_fd(cq: *mut fid_cq, fd: *mut c_int) -> c_int {
    // SAFETY: the module's contract: a live object, `fd` is writable.
    unsafe { fi_control(&raw mut ((*cq).fid), FI_GETWAIT, fd.cast()) }
}
