//! Messages (`fi_msg(3)`).
#![expect(unsafe_code, reason = "calls through function pointers of a C library")]
#![expect(clippy::missing_safety_doc, reason = "one contract for all, in the documentation of `inline`")]

use libc::{c_void, size_t, ssize_t};

use super::NO_SUCH_OP;
use crate::av::fi_addr_t;
use crate::ep::{fi_msg, fi_ops_msg, fid_ep};

/// Posts a buffer for a message.
#[inline]
pub unsafe fn fi_recv(
    ep: *mut fid_ep,
    buf: *mut c_void,
    len: size_t,
    desc: *mut c_void,
    src_addr: fi_addr_t,
    context: *mut c_void,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).msg, fi_ops_msg, recv, (ep, buf, len, desc, src_addr, context), NO_SUCH_OP) }
}

/// As [`fi_recv`], with flags.
#[inline]
pub unsafe fn fi_recvmsg(ep: *mut fid_ep, msg: *const fi_msg, flags: u64) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).msg, fi_ops_msg, recvmsg, (ep, msg, flags), NO_SUCH_OP) }
}

/// Sends a message.
#[inline]
pub unsafe fn fi_send(
    ep: *mut fid_ep,
    buf: *const c_void,
    len: size_t,
    desc: *mut c_void,
    dest_addr: fi_addr_t,
    context: *mut c_void,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).msg, fi_ops_msg, send, (ep, buf, len, desc, dest_addr, context), NO_SUCH_OP) }
}

/// As [`fi_send`], with flags.
#[inline]
pub unsafe fn fi_sendmsg(ep: *mut fid_ep, msg: *const fi_msg, flags: u64) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).msg, fi_ops_msg, sendmsg, (ep, msg, flags), NO_SUCH_OP) }
}

/// Sends a small message whose buffer may be reused at once; no completion.
#[inline]
pub unsafe fn fi_inject(ep: *mut fid_ep, buf: *const c_void, len: size_t, dest_addr: fi_addr_t) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).msg, fi_ops_msg, inject, (ep, buf, len, dest_addr), NO_SUCH_OP) }
}

/// As [`fi_send`], with an immediate.
#[inline]
pub unsafe fn fi_senddata(
    ep: *mut fid_ep,
    buf: *const c_void,
    len: size_t,
    desc: *mut c_void,
    data: u64,
    dest_addr: fi_addr_t,
    context: *mut c_void,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        call!((*ep).msg, fi_ops_msg, senddata, (ep, buf, len, desc, data, dest_addr, context), NO_SUCH_OP)
    }
}
