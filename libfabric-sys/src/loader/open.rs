//! Opening one shared library and taking what we need from it.

use std::error::Error as _;
use std::ffi::{CStr, OsStr};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libc::{c_char, c_int, c_void, size_t};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use super::error::{Reason, one_line};
use super::{Libfabric, MIN_VERSION, version_pair};
use crate::fid::fid_fabric;
use crate::info::{fi_fabric_attr, fi_info, fi_param};

/// libfabric's exported functions.
///
/// dlsym(3) gives the default version of each, that is the newest: `fi_getinfo`, `fi_dupinfo` and `fi_freeinfo` then agree with
/// each other on the size of [`fi_info`]'s attribute structures, which is why we never allocate those.
#[derive(Clone, Copy)]
pub(super) struct Symbols {
    pub(super) getinfo: unsafe extern "C" fn(
        u32,
        *const c_char,
        *const c_char,
        u64,
        *const fi_info,
        *mut *mut fi_info,
    ) -> c_int,
    pub(super) freeinfo: unsafe extern "C" fn(*mut fi_info),
    pub(super) dupinfo: unsafe extern "C" fn(*const fi_info) -> *mut fi_info,
    pub(super) fabric: unsafe extern "C" fn(*mut fi_fabric_attr, *mut *mut fid_fabric, *mut c_void) -> c_int,
    pub(super) strerror: unsafe extern "C" fn(c_int) -> *const c_char,
    pub(super) getparams: Option<unsafe extern "C" fn(*mut *mut fi_param, *mut c_int) -> c_int>,
    pub(super) freeparams: Option<unsafe extern "C" fn(*mut fi_param)>,
    pub(super) tostr_r: Option<unsafe extern "C" fn(*mut c_char, size_t, *const c_void, u32) -> *mut c_char>,
}

/// Opens `path`, which a name without a slash leaves to the dynamic loader to find.
pub(super) fn open(path: &Path) -> Result<Libfabric, Reason> {
    // SAFETY: runs the library's initialisers. That the file is a libfabric, and not a malicious one, is up to whoever set the
    // path: the same trust as in the dynamic loader's own search path.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
        .map_err(|error| Reason::Open { text: words_of_loader(&error, path) })?;
    // SAFETY: the signature is that of `fi_version` in rdma/fabric.h, unchanged since 1.0.
    let fi_version: unsafe extern "C" fn() -> u32 = unsafe { symbol(&library, c"fi_version") }?;
    // SAFETY: no arguments, no state.
    let version = version_pair(unsafe { fi_version() });
    if version < MIN_VERSION {
        // Dropping the library closes it. Otherwise the dynamic loader would answer the next try for the same soname with it.
        return Err(Reason::TooOld { found: version });
    }
    // SAFETY: the signatures are those of rdma/fabric.h for the versions accepted.
    let symbols = unsafe {
        Symbols {
            getinfo: symbol(&library, c"fi_getinfo")?,
            freeinfo: symbol(&library, c"fi_freeinfo")?,
            dupinfo: symbol(&library, c"fi_dupinfo")?,
            fabric: symbol(&library, c"fi_fabric")?,
            strerror: symbol(&library, c"fi_strerror")?,
            getparams: symbol(&library, c"fi_getparams").ok(),
            freeparams: symbol(&library, c"fi_freeparams").ok(),
            tostr_r: symbol(&library, c"fi_tostr_r").ok(),
        }
    };
    let file = file_of(fi_version as *const c_void).unwrap_or_else(|| path.to_path_buf());
    // From here on for good: see `Libfabric`.
    let _: *mut c_void = library.into_raw();
    Ok(Libfabric { symbols, path: file.into(), version })
}

/// The function of this name.
///
/// # Safety
///
/// `T` is the type of a function pointer with the function's signature.
unsafe fn symbol<T: Copy>(library: &Library, name: &'static CStr) -> Result<T, Reason> {
    // SAFETY: the caller vouches for the type.
    let found = unsafe { library.get::<T>(name) };
    found.map(|symbol| *symbol).map_err(|_| Reason::Missing { symbol: name.to_str().unwrap_or_default() })
}

/// The file that holds a function, as the dynamic loader names it.
fn file_of(function: *const c_void) -> Option<PathBuf> {
    let mut found = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: dladdr(3) takes any address and fills the structure when it returns non-zero.
    let known = unsafe { libc::dladdr(function, found.as_mut_ptr()) } != 0;
    // SAFETY: zeroed is a value of this structure of pointers.
    let found = unsafe { found.assume_init() };
    if !known || found.dli_fname.is_null() {
        return None;
    }
    // SAFETY: a string that lives as long as the library is loaded; copied at once.
    let name = unsafe { CStr::from_ptr(found.dli_fname) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

/// The dynamic loader's message, without the path in front: our own message has it already.
fn words_of_loader(error: &libloading::Error, path: &Path) -> String {
    // libloading keeps dlerror(3)'s text as the source of its own "dlopen failed".
    let message = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let path = path.to_string_lossy();
    let text =
        message.strip_prefix(path.as_ref()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&message);
    one_line(text)
}
