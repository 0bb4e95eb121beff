//! The way in through libfabric itself: an external provider without `getinfo`, which libfabric takes for a hook.

#![expect(unsafe_code, reason = "the interface to libfabric's loader of providers")]

use std::ffi::c_void;

use libc::c_int;
use libfabric_sys::FI_VERSION;
use libfabric_sys::errno::{FI_EINVAL, FI_SUCCESS};
use libfabric_sys::fid::fid_fabric;
use libfabric_sys::info::fi_fabric_attr;
use libfabric_sys::provider::fi_provider;

/// What `fi_prov_ini` gives out: libfabric writes into `context` and reads the rest.
#[derive(Debug)]
#[repr(transparent)]
struct Provider(std::cell::UnsafeCell<fi_provider>);

// SAFETY: only libfabric touches it, under its own lock.
unsafe impl Sync for Provider {}

static PROVIDER: Provider = Provider(std::cell::UnsafeCell::new(fi_provider {
    version: FI_VERSION(0, 1),
    fi_version: FI_VERSION(1, 17),
    context: [std::ptr::null_mut(); 4],
    // libfabric looks for `ofi_hook_` and what FI_HOOK says.
    name: c"ofi_hook_railtop".as_ptr(),
    getinfo: None,
    fabric: Some(fabric),
    cleanup: None,
}));

/// The entry that libfabric looks for in a provider's library.
#[unsafe(no_mangle)]
pub extern "C" fn fi_prov_ini() -> *mut fi_provider {
    crate::guard::be_quiet();
    PROVIDER.0.get()
}

/// Called for each fabric that the program opens, with the fabric in `attr`. It goes back as it is, with our functions in its
/// table; an error would only make libfabric go on without us.
unsafe extern "C" fn fabric(
    attr: *mut fi_fabric_attr,
    fabric: *mut *mut fid_fabric,
    _hooked_provider: *mut c_void,
) -> c_int {
    // SAFETY: what libfabric gives to a hook.
    unsafe {
        let Some(attr) = attr.as_ref() else { return -FI_EINVAL };
        if fabric.is_null() || attr.fabric.is_null() {
            return -FI_EINVAL;
        }
        crate::hook_fabric(attr.fabric);
        *fabric = attr.fabric;
        FI_SUCCESS
    }
}
