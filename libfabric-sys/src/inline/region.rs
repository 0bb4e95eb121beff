//! Memory regions (`fi_mr(3)`).
#![expect(unsafe_code, reason = "calls through function pointers of a C library")]
#![expect(clippy::missing_safety_doc, reason = "one contract for all, in the documentation of `inline`")]
#![expect(clippy::too_many_arguments, reason = "libfabric's signatures")]

use std::ptr::null_mut;

use libc::{c_int, c_void, size_t};

use super::{fi_bind, fi_control};
use crate::consts::FI_ENABLE;
use crate::errno::FI_ENOSYS;
use crate::fid::{fid, fid_domain};
use crate::mr::{fi_mr_attr, fi_ops_mr, fid_mr};

/// Registers one buffer in host memory.
#[inline]
pub unsafe fn fi_mr_reg(
    domain: *mut fid_domain,
    buf: *const c_void,
    len: size_t,
    access: u64,
    offset: u64,
    requested_key: u64,
    flags: u64,
    mr: *mut *mut fid_mr,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        call!(
            (*domain).mr,
            fi_ops_mr,
            reg,
            (&raw mut ((*domain).fid), buf, len, access, offset, requested_key, flags, mr, context),
            -FI_ENOSYS
        )
    }
}

/// Registers memory of any kind.
#[inline]
pub unsafe fn fi_mr_regattr(
    domain: *mut fid_domain,
    attr: *const fi_mr_attr,
    flags: u64,
    mr: *mut *mut fid_mr,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        call!((*domain).mr, fi_ops_mr, regattr, (&raw mut ((*domain).fid), attr, flags, mr), -FI_ENOSYS)
    }
}

/// Descriptor to give with each local buffer in the region; may be null.
#[inline]
pub unsafe fn fi_mr_desc(mr: *mut fid_mr) -> *mut c_void {
    // SAFETY: the module's contract: a live object.
    unsafe { (*mr).mem_desc }
}

/// Key that a peer needs; `FI_KEY_NOTAVAIL` when it is longer than 64 bits.
#[inline]
pub unsafe fn fi_mr_key(mr: *mut fid_mr) -> u64 {
    // SAFETY: the module's contract: a live object.
    unsafe { (*mr).key }
}

/// Binds a region to an endpoint, where the domain has `FI_MR_ENDPOINT`.
#[inline]
pub unsafe fn fi_mr_bind(mr: *mut fid_mr, bfid: *mut fid, flags: u64) -> c_int {
    // SAFETY: the module's contract: live objects.
    unsafe { fi_bind(&raw mut ((*mr).fid), bfid, flags) }
}

/// Enables a region that has been bound.
#[inline]
pub unsafe fn fi_mr_enable(mr: *mut fid_mr) -> c_int {
    // SAFETY: the module's contract: a live object; the command has no argument.
    unsafe { fi_control(&raw mut ((*mr).fid), FI_ENABLE, null_mut()) }
}
