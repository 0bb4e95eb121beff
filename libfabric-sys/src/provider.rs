//! What a provider that libfabric loads at run time gives of itself (`rdma/providers/fi_prov.h`, `fi_provider(7)`).

use libc::{c_char, c_int, c_void};

use crate::fid::fid_fabric;
use crate::info::{fi_fabric_attr, fi_info};

/// The symbol of a library `*-fi.so` in `FI_PROVIDER_PATH` that returns its [`fi_provider`].
pub const ENTRY: &str = "fi_prov_ini";

/// A provider. One without `getinfo` is a hook: it sees the fabrics that others open, when `FI_HOOK` names it.
#[repr(C)]
pub struct fi_provider {
    /// The provider's own version.
    pub version: u32,
    /// API version it was built for.
    pub fi_version: u32,
    /// The library's (`struct fi_context`).
    pub context: [*mut c_void; 4],
    /// Name; of a hook `ofi_hook_` and what `FI_HOOK` calls it.
    pub name: *const c_char,
    /// `fi_getinfo(3)` for this provider; null in a hook.
    pub getinfo: Option<
        unsafe extern "C" fn(
            version: u32,
            node: *const c_char,
            service: *const c_char,
            flags: u64,
            hints: *const fi_info,
            info: *mut *mut fi_info,
        ) -> c_int,
    >,
    /// Opens a fabric. To a hook `attr.fabric` is the fabric opened so far and `context` the [`fi_provider`] that opened it.
    pub fabric: Option<
        unsafe extern "C" fn(
            attr: *mut fi_fabric_attr,
            fabric: *mut *mut fid_fabric,
            context: *mut c_void,
        ) -> c_int,
    >,
    /// Called when the library is unloaded.
    pub cleanup: Option<unsafe extern "C" fn()>,
}
