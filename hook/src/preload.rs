//! The way in where the environment variables of libfabric cannot be used: `LD_PRELOAD`, in front of `fi_fabric`.

#![expect(unsafe_code, reason = "stands in for a function of a C library")]

use std::ffi::{c_char, c_void};

use libc::c_int;
use libfabric_sys::errno::FI_ENOSYS;
use libfabric_sys::fid::fid_fabric;
use libfabric_sys::info::fi_fabric_attr;

use crate::guard::{self, Inside};

type FiFabric = unsafe extern "C" fn(*mut fi_fabric_attr, *mut *mut fid_fabric, *mut c_void) -> c_int;

/// `fi_fabric` as it is found there, unless that is ours.
fn find(handle: *mut c_void) -> Option<FiFabric> {
    // SAFETY: a handle of the dynamic linker; the symbol is this function in every libfabric.
    unsafe {
        let found = libc::dlsym(handle, c"fi_fabric".as_ptr());
        let is_ours = std::ptr::eq(found, (fi_fabric as *const ()).cast::<c_void>());
        (!found.is_null() && !is_ours).then(|| std::mem::transmute::<*mut c_void, FiFabric>(found))
    }
}

/// `fi_fabric` in a library that is loaded already, and those that it was linked with.
fn find_in(library: *const c_char) -> Option<FiFabric> {
    // SAFETY: a name; loads nothing.
    unsafe {
        let handle = libc::dlopen(library, libc::RTLD_NOLOAD | libc::RTLD_LAZY);
        if handle.is_null() {
            return None;
        }
        let found = find(handle);
        libc::dlclose(handle);
        found
    }
}

/// The file that an address is in, and where that begins.
fn file_of(address: *const c_void) -> Option<(*const c_char, *mut c_void)> {
    // SAFETY: fills the structure, or says that it knows of none.
    unsafe {
        let mut found: libc::Dl_info = std::mem::zeroed();
        (libc::dladdr(address, &raw mut found) != 0 && !found.dli_fname.is_null())
            .then_some((found.dli_fname, found.dli_fbase))
    }
}

/// The file that has called us: the first on the stack that is not ours.
#[cfg(target_env = "gnu")]
fn caller() -> Option<*const c_char> {
    let ours = file_of(fi_fabric as *const c_void)?.1;
    let mut stack = [std::ptr::null_mut::<c_void>(); 32];
    // SAFETY: room for so many.
    let depth = unsafe { libc::backtrace(stack.as_mut_ptr(), 32) };
    let on_stack = stack.iter().take(usize::try_from(depth).unwrap_or(0));
    on_stack.filter_map(|address| file_of(*address)).find(|(_, base)| *base != ours).map(|(file, _)| file)
}

#[cfg(not(target_env = "gnu"))]
fn caller() -> Option<*const c_char> {
    None
}

/// The one that the caller would have got without us. There may be several libfabrics in a process, and objects of one are nothing for
/// another: so first that which the caller is, or is linked with; then the next one after ours. A libfabric that was loaded
/// privately (a plug-in of Open MPI) is behind none, so it is asked for by its name.
fn real() -> Option<FiFabric> {
    let of_caller = guard::always(|| caller().and_then(find_in)).flatten();
    of_caller.or_else(|| find(libc::RTLD_NEXT)).or_else(|| find_in(c"libfabric.so.1".as_ptr()))
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
