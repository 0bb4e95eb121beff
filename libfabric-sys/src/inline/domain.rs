//! Opening things: fabrics and domains.
#![expect(unsafe_code, reason = "calls through function pointers of a C library")]
#![expect(clippy::missing_safety_doc, reason = "one contract for all, in the documentation of `inline`")]

use libc::{c_int, c_void};

use crate::av::{fi_av_attr, fid_av};
use crate::cq::{fi_cq_attr, fid_cq};
use crate::ep::fid_ep;
use crate::errno::FI_ENOSYS;
use crate::fid::{fi_ops_domain, fi_ops_fabric, fid, fid_domain, fid_fabric};
use crate::info::fi_info;

/// Opens a domain, that is a NIC.
#[inline]
pub unsafe fn fi_domain(
    fabric: *mut fid_fabric,
    info: *mut fi_info,
    domain: *mut *mut fid_domain,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*fabric).ops, fi_ops_fabric, domain, (fabric, info, domain, context), -FI_ENOSYS) }
}

/// 0 when it is safe to block on the descriptors of these objects, `-FI_EAGAIN` when they must be read first.
#[inline]
pub unsafe fn fi_trywait(fabric: *mut fid_fabric, fids: *mut *mut fid, count: c_int) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*fabric).ops, fi_ops_fabric, trywait, (fabric, fids, count), -FI_ENOSYS) }
}

/// Opens an endpoint.
#[inline]
pub unsafe fn fi_endpoint(
    domain: *mut fid_domain,
    info: *mut fi_info,
    ep: *mut *mut fid_ep,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*domain).ops, fi_ops_domain, endpoint, (domain, info, ep, context), -FI_ENOSYS) }
}

/// Opens a completion queue.
#[inline]
pub unsafe fn fi_cq_open(
    domain: *mut fid_domain,
    attr: *mut fi_cq_attr,
    cq: *mut *mut fid_cq,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*domain).ops, fi_ops_domain, cq_open, (domain, attr, cq, context), -FI_ENOSYS) }
}

/// Opens an address vector.
#[inline]
pub unsafe fn fi_av_open(
    domain: *mut fid_domain,
    attr: *mut fi_av_attr,
    av: *mut *mut fid_av,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*domain).ops, fi_ops_domain, av_open, (domain, attr, av, context), -FI_ENOSYS) }
}
