//! The way in where the environment variables of libfabric cannot be used: `LD_PRELOAD`, in front of `fi_fabric`.

#![expect(unsafe_code, reason = "stands in for a function of a C library")]

use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, Ordering};

use libc::c_int;
use libfabric_sys::errno::FI_ENOSYS;
use libfabric_sys::fid::fid_fabric;
use libfabric_sys::info::fi_fabric_attr;

use crate::guard::{self, Inside};

type FiFabric = unsafe extern "C" fn(*mut fi_fabric_attr, *mut *mut fid_fabric, *mut c_void) -> c_int;

/// The library's own, once found.
static REAL: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

/// The next `fi_fabric` after ours. A libfabric that was loaded privately (a plug-in of Open MPI) is behind none, so
/// it is asked for by its name, which gives what is loaded and loads nothing.
fn real() -> Option<FiFabric> {
    let name = c"fi_fabric".as_ptr();
    let mut found = REAL.load(Ordering::Acquire);
    if found.is_null() {
        // SAFETY: both calls take names and give null or what is loaded.
        unsafe {
            found = libc::dlsym(libc::RTLD_NEXT, name);
            if found.is_null() {
                let library = libc::dlopen(c"libfabric.so.1".as_ptr(), libc::RTLD_NOLOAD | libc::RTLD_LAZY);
                if !library.is_null() {
                    found = libc::dlsym(library, name);
                }
            }
        }
        if std::ptr::eq(found, (fi_fabric as *const ()).cast::<c_void>()) {
            return None;
        }
        REAL.store(found, Ordering::Release);
    }
    // SAFETY: that symbol is this function in every libfabric.
    (!found.is_null()).then(|| unsafe { std::mem::transmute::<*mut c_void, FiFabric>(found) })
}

/// libfabric's `fi_fabric(3)`, for a program that we are preloaded into.
///
/// # Safety
/// As for the library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fi_fabric(
    attr: *mut fi_fabric_attr,
    fabric: *mut *mut fid_fabric,
    context: *mut c_void,
) -> c_int {
    guard::be_quiet();
    let Some(real) = real() else { return -FI_ENOSYS };
    let inside = Inside::enter();
    // SAFETY: the caller's promise.
    let rc = unsafe { real(attr, fabric, context) };
    drop(inside);
    if rc == 0 && !fabric.is_null() {
        // SAFETY: the library has put a fabric there.
        unsafe { crate::hook_fabric(*fabric) };
    }
    rc
}
