//! Objects as a provider might leave them: without a table of operations, or with one that is too short.
#![expect(unsafe_code, reason = "calls through function pointers")]

use std::mem::zeroed;
use std::ptr::{null, null_mut};

use libc::c_int;
use libfabric_sys::cq::fid_cq;
use libfabric_sys::ep::fid_ep;
use libfabric_sys::errno::FI_ENOSYS;
use libfabric_sys::fid::{fi_ops, fid};
use libfabric_sys::inline;

const CLOSED: c_int = 42;

unsafe extern "C" fn close(_: *mut fid) -> c_int {
    CLOSED
}

#[test]
fn an_operation_that_is_not_there_is_enosys() {
    // SAFETY: integers, pointers and optional functions may be zero.
    let (mut ep, mut cq, mut table): (fid_ep, fid_cq, fi_ops) = unsafe { (zeroed(), zeroed(), zeroed()) };
    let (ep, cq) = (&raw mut ep, &raw mut cq);
    let table = &raw mut table;
    // SAFETY: all live to the end of the function; the wrappers look before they call.
    unsafe {
        assert_eq!(inline::fi_enable(ep), -FI_ENOSYS, "no table");
        assert_eq!(inline::fi_inject(ep, null(), 0, 0), -(FI_ENOSYS as isize), "no table");
        assert!(inline::fi_cq_strerror(cq, 0, null(), null_mut(), 0).is_null());

        (*ep).fid.ops = table;
        (*table).close = Some(close);
        (*table).size = size_of::<usize>();
        assert_eq!(inline::fi_close(&raw mut (*ep).fid), -FI_ENOSYS, "a table that ends before");
        (*table).size = size_of::<fi_ops>();
        assert_eq!(inline::fi_close(&raw mut (*ep).fid), CLOSED);
        assert_eq!(inline::fi_enable(ep), -FI_ENOSYS, "a null entry");
    }
}
