//! Endpoints (`fi_endpoint(3)`).
#![expect(unsafe_code, reason = "calls through function pointers of a C library")]
#![expect(clippy::missing_safety_doc, reason = "one contract for all, in the documentation of `inline`")]

use std::ptr::null_mut;

use libc::{c_int, c_void, size_t, ssize_t};

use super::{NO_SUCH_OP, fi_bind, fi_control};
use crate::consts::FI_ENABLE;
use crate::ep::{fi_ops_cm, fi_ops_ep, fid_ep};
use crate::errno::FI_ENOSYS;
use crate::fid::fid;

/// Binds a completion queue or address vector to an endpoint.
#[inline]
pub unsafe fn fi_ep_bind(ep: *mut fid_ep, bfid: *mut fid, flags: u64) -> c_int {
    // SAFETY: the module's contract: live objects.
    unsafe { fi_bind(&raw mut ((*ep).fid), bfid, flags) }
}

/// Makes an endpoint active, after everything it needs is bound.
#[inline]
pub unsafe fn fi_enable(ep: *mut fid_ep) -> c_int {
    // SAFETY: the module's contract: a live object; the command has no argument.
    unsafe { fi_control(&raw mut ((*ep).fid), FI_ENABLE, null_mut()) }
}

/// The local address of an enabled endpoint; `-FI_ETOOSMALL` sets `addrlen` to the bytes it takes.
#[inline]
pub unsafe fn fi_getname(ep: *mut fid_ep, addr: *mut c_void, addrlen: *mut size_t) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).cm, fi_ops_cm, getname, (&raw mut ((*ep).fid), addr, addrlen), -FI_ENOSYS) }
}

/// Reads an option of an endpoint.
#[inline]
pub unsafe fn fi_getopt(
    ep: *mut fid_ep,
    level: c_int,
    optname: c_int,
    optval: *mut c_void,
    optlen: *mut size_t,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        call!(
            (*ep).ops,
            fi_ops_ep,
            getopt,
            (&raw mut ((*ep).fid), level, optname, optval, optlen),
            -FI_ENOSYS
        )
    }
}

/// Sets an option of an endpoint, before it is enabled.
#[inline]
pub unsafe fn fi_setopt(
    ep: *mut fid_ep,
    level: c_int,
    optname: c_int,
    optval: *const c_void,
    optlen: size_t,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        call!(
            (*ep).ops,
            fi_ops_ep,
            setopt,
            (&raw mut ((*ep).fid), level, optname, optval, optlen),
            -FI_ENOSYS
        )
    }
}

/// Asks to cancel the operation with this context; its completion says whether it was.
#[inline]
pub unsafe fn fi_cancel(ep: *mut fid_ep, context: *mut c_void) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).ops, fi_ops_ep, cancel, (&raw mut ((*ep).fid), context), NO_SUCH_OP) }
}
