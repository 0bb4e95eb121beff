//! Finding libfabric and calling its exported functions.
#![expect(unsafe_code, reason = "calls the functions of a C library")]

mod error;
mod open;

use std::ffi::{CStr, OsStr};
use std::fmt;
use std::path::{Path, PathBuf};
use std::ptr::null;
use std::sync::Arc;

use libc::{c_char, c_int, c_void};

pub use self::error::{Attempt, LoadError, Reason};
use crate::errno::{FI_ENOMEM, FI_SUCCESS};
use crate::fid::fid_fabric;
use crate::info::{fi_fabric_attr, fi_info};
use crate::signals::KeepSignals;
use crate::{FI_MAJOR, FI_MINOR, FI_VERSION, consts::FI_TYPE_INFO};

/// Environment variable that names the library to load; when it is set, no other is tried. Empty is as unset.
///
/// A process with raised privileges (set-user-ID, file capabilities) ignores it, as the dynamic loader does with its own.
pub const PATH_VARIABLE: &str = "RAILTOP_LIBFABRIC";

/// Oldest libfabric accepted, as (major, minor).
pub const MIN_VERSION: (u32, u32) = (1, 17);

/// API version asked for in `fi_getinfo`: libfabric then behaves as 1.17 did, whatever its own version.
pub const API_VERSION: u32 = FI_VERSION(MIN_VERSION.0, MIN_VERSION.1);

/// Where to look unless [`PATH_VARIABLE`] says: the AWS EFA installer's, then whatever the dynamic loader finds.
const SEARCH: [&str; 4] = [
    "/opt/amazon/efa/lib64/libfabric.so.1",
    "/opt/amazon/efa/lib/libfabric.so.1",
    "libfabric.so.1",
    "libfabric.so",
];

/// An environment variable that the library reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// Its name: `FI_HOOK`.
    pub name: String,
    /// What it does, in the library's words.
    pub help: String,
    /// What it is set to.
    pub value: Option<String>,
}

/// A loaded libfabric.
///
/// Cheap to clone and to share between threads. The library stays loaded until the process ends, also after the last
/// `Libfabric` is dropped: its providers start threads and hand out function pointers that must not dangle.
#[derive(Clone)]
pub struct Libfabric {
    symbols: open::Symbols,
    path: Arc<Path>,
    version: (u32, u32),
}

impl fmt::Debug for Libfabric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Libfabric")
            .field("path", &self.path)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Libfabric {
    /// Loads libfabric from [`PATH_VARIABLE`] if that is set, otherwise from where it is usually found.
    ///
    /// # Errors
    ///
    /// What was tried and what to install, when none of the places has a libfabric of [`MIN_VERSION`] or newer.
    pub fn load() -> Result<Self, LoadError> {
        // SAFETY: getauxval(3) only reads the process's auxiliary vector.
        let raised = unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
        let variable = std::env::var_os(PATH_VARIABLE).filter(|_| !raised);
        Self::load_as_told(variable.as_deref())
    }

    /// As [`Libfabric::load`], with the value of [`PATH_VARIABLE`] as an argument.
    ///
    /// # Errors
    ///
    /// As for [`Libfabric::load`].
    pub fn load_as_told(variable: Option<&OsStr>) -> Result<Self, LoadError> {
        let _signals = KeepSignals::new();
        let variable = variable.filter(|value| !value.is_empty()).map(PathBuf::from);
        let by_variable = variable.is_some();
        let places = variable.map_or_else(|| SEARCH.iter().map(PathBuf::from).collect(), |path| vec![path]);
        let mut attempts = Vec::with_capacity(places.len());
        for place in places {
            match open::open(&place) {
                Ok(library) => return Ok(library),
                Err(reason) => attempts.push(Attempt { path: place, reason }),
            }
        }
        Err(LoadError { attempts, by_variable })
    }

    /// The file that was loaded; the name it was asked for by, where the dynamic loader does not tell.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version of the library, as (major, minor).
    #[must_use]
    pub fn version(&self) -> (u32, u32) {
        self.version
    }

    /// The environment variables that the library reads, its own and those of its providers (`fi_getparams`). Empty if the
    /// library does not say.
    #[must_use]
    pub fn params(&self) -> Vec<Param> {
        let (Some(get), Some(free)) = (self.symbols.getparams, self.symbols.freeparams) else {
            return Vec::new();
        };
        let _signals = KeepSignals::new();
        let (mut list, mut count) = (std::ptr::null_mut(), 0);
        // SAFETY: the library allocates an array and says how long it is.
        unsafe {
            if get(&raw mut list, &raw mut count) != 0 || list.is_null() {
                return Vec::new();
            }
            let params = std::slice::from_raw_parts(list, usize::try_from(count).unwrap_or(0));
            let text = |at: *const c_char| {
                (!at.is_null()).then(|| CStr::from_ptr(at).to_string_lossy().into_owned())
            };
            let params = params.iter().map(|param| Param {
                name: text(param.name).unwrap_or_default(),
                help: text(param.help_string).unwrap_or_default(),
                value: text(param.value),
            });
            let params = params.collect();
            free(list);
            params
        }
    }

    /// Text for an error code, as it is returned (negative) or as completions hold it (positive).
    #[must_use]
    pub fn strerror(&self, code: c_int) -> String {
        let code = code.checked_abs().unwrap_or(c_int::MAX);
        // SAFETY: any code is allowed.
        let text = unsafe { (self.symbols.strerror)(code) };
        if text.is_null() {
            return format!("error {code}");
        }
        // SAFETY: not null, so a string of the library or of the C library; copied at once.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    }

    /// `fi_getinfo(3)` with [`API_VERSION`]: what there is that fits the hints, best first, as a list in `*info`.
    ///
    /// Returns 0 or a negative error; `-FI_ENODATA`: nothing fits. [`Libfabric::freeinfo`] frees the list.
    ///
    /// # Safety
    ///
    /// `hints` is null or comes from [`Libfabric::allocinfo`] or [`Libfabric::dupinfo`].
    pub unsafe fn getinfo(
        &self,
        node: Option<&CStr>,
        service: Option<&CStr>,
        flags: u64,
        hints: *const fi_info,
        info: &mut *mut fi_info,
    ) -> c_int {
        let [node, service] = [node, service].map(|text| text.map_or(null(), CStr::as_ptr));
        let _signals = KeepSignals::new();
        // SAFETY: strings end in NUL, `info` is writable, the caller vouches for `hints`.
        unsafe { (self.symbols.getinfo)(API_VERSION, node, service, flags, hints, info) }
    }

    /// `fi_allocinfo`: an empty [`fi_info`] with its attribute structures, for hints; null when out of memory.
    ///
    /// [`Libfabric::freeinfo`] frees it.
    #[must_use]
    pub fn allocinfo(&self) -> *mut fi_info {
        // SAFETY: null asks for an empty one, as `fi_allocinfo` of rdma/fabric.h does.
        unsafe { (self.symbols.dupinfo)(null()) }
    }

    /// `fi_dupinfo`: a copy of one entry, not of those behind it; null when out of memory.
    ///
    /// # Safety
    ///
    /// `info` comes from this library and is not freed.
    #[must_use]
    pub unsafe fn dupinfo(&self, info: *const fi_info) -> *mut fi_info {
        // SAFETY: the caller vouches for `info`.
        unsafe { (self.symbols.dupinfo)(info) }
    }

    /// `fi_freeinfo`: frees a list, with every string and attribute structure. Null is allowed.
    ///
    /// # Safety
    ///
    /// `info` is null, or comes from this library, is not freed, and heads its list. Strings in it were put there by the library
    /// or by [`set_string`].
    pub unsafe fn freeinfo(&self, info: *mut fi_info) {
        if !info.is_null() {
            // SAFETY: the caller vouches for `info`.
            unsafe { (self.symbols.freeinfo)(info) }
        }
    }

    /// `fi_fabric(3)`: opens a fabric.
    ///
    /// # Safety
    ///
    /// `attr` is the `fabric_attr` of an entry of [`Libfabric::getinfo`]; `context` is anything, it comes back in events.
    pub unsafe fn fabric(
        &self,
        attr: *mut fi_fabric_attr,
        fabric: &mut *mut fid_fabric,
        context: *mut c_void,
    ) -> c_int {
        // SAFETY: the caller vouches for `attr`; `fabric` is writable.
        unsafe { (self.symbols.fabric)(attr, fabric, context) }
    }

    /// `fi_tostr`: an entry as text of many lines, for logs. `None` where the library does not offer it.
    ///
    /// # Safety
    ///
    /// `info` comes from this library and is not freed.
    #[must_use]
    pub unsafe fn describe(&self, info: *const fi_info) -> Option<String> {
        let tostr_r = self.symbols.tostr_r?;
        // `fi_tostr` shares one buffer between threads; `fi_tostr_r` cuts at the end of ours.
        let mut text = vec![0u8; 16 << 10];
        // SAFETY: the buffer is as long as said; the caller vouches for `info`.
        let written = unsafe { tostr_r(text.as_mut_ptr().cast(), text.len(), info.cast(), FI_TYPE_INFO) };
        if written.is_null() {
            return None;
        }
        let text = CStr::from_bytes_until_nul(&text).ok()?;
        Some(text.to_string_lossy().into_owned())
    }
}

/// Sets a string of a hint (`fabric_attr->prov_name`, `domain_attr->name`, ...).
///
/// `fi_freeinfo` passes these strings to free(3), so they are copied with strdup(3); the string that was there is freed.
/// Returns 0 or `-FI_ENOMEM`, and then nothing has changed.
///
/// # Safety
///
/// `slot` points to a string of a [`fi_info`] from [`Libfabric::allocinfo`] or [`Libfabric::dupinfo`]: null or malloc'ed.
pub unsafe fn set_string(slot: *mut *mut c_char, value: &CStr) -> c_int {
    // SAFETY: `value` ends in NUL.
    let copy = unsafe { libc::strdup(value.as_ptr()) };
    if copy.is_null() {
        return -FI_ENOMEM;
    }
    // SAFETY: the caller vouches that `slot` is valid and that what it holds is null or malloc'ed.
    unsafe {
        libc::free((*slot).cast());
        *slot = copy;
    }
    FI_SUCCESS
}

/// A version word as (major, minor).
fn version_pair(word: u32) -> (u32, u32) {
    (FI_MAJOR(word), FI_MINOR(word))
}
