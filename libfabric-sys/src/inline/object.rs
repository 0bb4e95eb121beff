//! Any object.
#![expect(unsafe_code, reason = "calls through function pointers of a C library")]
#![expect(clippy::missing_safety_doc, reason = "one contract for all, in the documentation of `inline`")]

use libc::{c_char, c_int, c_void};

use crate::errno::FI_ENOSYS;
use crate::fid::{fi_ops, fid};

/// Closes an object. Close what depends on another first: endpoint; memory, address vector, completion queue; domain; fabric.
#[inline]
pub unsafe fn fi_close(fid: *mut fid) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*fid).ops, fi_ops, close, (fid), -FI_ENOSYS) }
}

/// Sends a command to an object.
#[inline]
pub unsafe fn fi_control(fid: *mut fid, command: c_int, arg: *mut c_void) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*fid).ops, fi_ops, control, (fid, command, arg), -FI_ENOSYS) }
}

/// Binds two objects. `fi_ep_bind`, `fi_mr_bind` are this on their `fid`.
#[inline]
pub unsafe fn fi_bind(fid: *mut fid, bfid: *mut fid, flags: u64) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*fid).ops, fi_ops, bind, (fid, bfid, flags), -FI_ENOSYS) }
}

/// Opens a provider's extra operations by name.
#[inline]
pub unsafe fn fi_open_ops(
    fid: *mut fid,
    name: *const c_char,
    flags: u64,
    ops: *mut *mut c_void,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*fid).ops, fi_ops, ops_open, (fid, name, flags, ops, context), -FI_ENOSYS) }
}
