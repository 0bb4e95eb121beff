//! Remote memory access (`fi_rma(3)`).
#![expect(unsafe_code, reason = "calls through function pointers of a C library")]
#![expect(clippy::missing_safety_doc, reason = "one contract for all, in the documentation of `inline`")]
#![expect(clippy::too_many_arguments, reason = "libfabric's signatures")]

use libc::{c_void, size_t, ssize_t};

use super::NO_SUCH_OP;
use crate::av::fi_addr_t;
use crate::ep::{fi_msg_rma, fi_ops_rma, fid_ep};

/// Fetches remote memory.
#[inline]
pub unsafe fn fi_read(
    ep: *mut fid_ep,
    buf: *mut c_void,
    len: size_t,
    desc: *mut c_void,
    src_addr: fi_addr_t,
    addr: u64,
    key: u64,
    context: *mut c_void,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        call!((*ep).rma, fi_ops_rma, read, (ep, buf, len, desc, src_addr, addr, key, context), NO_SUCH_OP)
    }
}

/// As [`fi_read`], with flags.
#[inline]
pub unsafe fn fi_readmsg(ep: *mut fid_ep, msg: *const fi_msg_rma, flags: u64) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).rma, fi_ops_rma, readmsg, (ep, msg, flags), NO_SUCH_OP) }
}

/// Writes remote memory; the peer sees no completion.
#[inline]
pub unsafe fn fi_write(
    ep: *mut fid_ep,
    buf: *const c_void,
    len: size_t,
    desc: *mut c_void,
    dest_addr: fi_addr_t,
    addr: u64,
    key: u64,
    context: *mut c_void,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        call!((*ep).rma, fi_ops_rma, write, (ep, buf, len, desc, dest_addr, addr, key, context), NO_SUCH_OP)
    }
}

/// As [`fi_write`] or [`fi_writedata`], with flags.
#[inline]
pub unsafe fn fi_writemsg(ep: *mut fid_ep, msg: *const fi_msg_rma, flags: u64) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).rma, fi_ops_rma, writemsg, (ep, msg, flags), NO_SUCH_OP) }
}

/// Writes remote memory; the peer gets a completion with `data` once the bytes are in place.
#[inline]
pub unsafe fn fi_writedata(
    ep: *mut fid_ep,
    buf: *const c_void,
    len: size_t,
    desc: *mut c_void,
    data: u64,
    dest_addr: fi_addr_t,
    addr: u64,
    key: u64,
    context: *mut c_void,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        call!(
            (*ep).rma,
            fi_ops_rma,
            writedata,
            (ep, buf, len, desc, data, dest_addr, addr, key, context),
            NO_SUCH_OP
        )
    }
}

/// As [`fi_write`] from a small buffer that may be reused at once; no completion.
#[inline]
pub unsafe fn fi_inject_write(
    ep: *mut fid_ep,
    buf: *const c_void,
    len: size_t,
    dest_addr: fi_addr_t,
    addr: u64,
    key: u64,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).rma, fi_ops_rma, inject, (ep, buf, len, dest_addr, addr, key), NO_SUCH_OP) }
}

/// [`fi_inject_write`] and [`fi_writedata`] in one.
#[inline]
pub unsafe fn fi_inject_writedata(
    ep: *mut fid_ep,
    buf: *const c_void,
    len: size_t,
    data: u64,
    dest_addr: fi_addr_t,
    addr: u64,
    key: u64,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        call!((*ep).rma, fi_ops_rma, injectdata, (ep, buf, len, data, dest_addr, addr, key), NO_SUCH_OP)
    }
}
