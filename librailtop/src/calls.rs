//! The functions of `include/railtop.h`, which says what each of them does.

#![expect(unsafe_code, reason = "functions of C, with pointers from C")]
#![expect(clippy::missing_safety_doc, reason = "include/railtop.h says what callers have to keep to")]

use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use crate::abi::{ABI_MAJOR, ABI_MINOR, Balance, Group, Nic, Options, Sample, Status};
use crate::error::Error;
use crate::guard::{guard, guard_free, message, to_c};
use crate::options::Asked;
use crate::sampler::Sampler;
use crate::sized::{MAX_SIZE, Plain, give, give_all, take};
use crate::store::{Ring, Store};
use crate::trace::{Clock, trace};

/// The loaded library's ABI.
#[unsafe(no_mangle)]
pub extern "C" fn railtop_abi_version() -> u32 {
    ABI_MAJOR << 16 | ABI_MINOR
}

/// The loaded library's version.
#[unsafe(no_mangle)]
pub extern "C" fn railtop_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"",
        };
    VERSION.as_ptr()
}

/// Why this thread's last call failed.
#[unsafe(no_mangle)]
pub extern "C" fn railtop_error_message() -> *const c_char {
    message()
}

/// Starts a sampler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn railtop_sampler_start(options: *const Options, out: *mut *mut Sampler) -> i32 {
    guard(|| {
        if out.is_null() {
            return Err(Error::null("sampler"));
        }
        // SAFETY: options are NULL or as the header says.
        let asked = unsafe { asked(options) }?;
        let (config, capacity) = asked.resolve()?;
        let sampler = Box::new(Sampler::start(config, capacity)?);
        // SAFETY: not NULL, so it points to a pointer of the caller's.
        unsafe { out.write(Box::into_raw(sampler)) };
        Ok(())
    })
}

/// Ends sampling after a last read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn railtop_sampler_stop(sampler: *mut Sampler) -> i32 {
    // SAFETY: NULL or a living sampler.
    guard(|| unsafe { ours(sampler) }?.stop())
}

/// Frees a sampler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn railtop_sampler_free(sampler: *mut Sampler) {
    guard_free(|| {
        // SAFETY: NULL or a living sampler.
        if unsafe { sampler.as_ref() }.is_some_and(|sampler| sampler.is_ours().is_ok()) {
            // SAFETY: it came from Box::into_raw, and the caller gives it up. In a child it stays: its locks may be held by threads that
            // are not there.
            drop(unsafe { Box::from_raw(sampler) });
        }
    });
}

/// Waits for rounds of reads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn railtop_sampler_wait(sampler: *mut Sampler, ticks: u64, timeout_ns: u64) -> i32 {
    // SAFETY: NULL or a living sampler.
    guard(|| unsafe { ours(sampler) }?.wait(ticks, Duration::from_nanos(timeout_ns)))
}

/// How the sampler is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn railtop_sampler_status(sampler: *mut Sampler, out: *mut Status) -> i32 {
    guard(|| {
        // SAFETY: NULL or a living sampler.
        let status = unsafe { ours(sampler) }?.status();
        // SAFETY: NULL or a structure that says its size.
        unsafe { give(&status, out, "status") }
    })
}

/// What a NIC is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn railtop_sampler_nic(sampler: *mut Sampler, nic: u32, out: *mut Nic) -> i32 {
    guard(|| {
        // SAFETY: NULL or a living sampler.
        let found = unsafe { ours(sampler) }?.with(|store| {
            let name = store.kept.nics.get(nic as usize).map(crate::names::NicName::abi);
            name.ok_or_else(|| unknown("NIC", nic, store.kept.nics.len()))
        })?;
        // SAFETY: NULL or a structure that says its size.
        unsafe { give(&found, out, "nic") }
    })
}

/// What a group is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn railtop_sampler_group(sampler: *mut Sampler, group: u32, out: *mut Group) -> i32 {
    guard(|| {
        // SAFETY: NULL or a living sampler.
        let found = unsafe { ours(sampler) }?.with(|store| {
            let name = store.kept.groups.get(group as usize).map(crate::names::GroupName::abi);
            name.ok_or_else(|| unknown("group", group, store.kept.groups.len()))
        })?;
        // SAFETY: NULL or a structure that says its size.
        unsafe { give(&found, out, "group") }
    })
}

/// Copies samples of NICs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn railtop_sampler_read(
    sampler: *mut Sampler,
    cursor: *mut u64,
    out: *mut Sample,
    sample_size: usize,
    max: usize,
    count: *mut usize,
) -> i32 {
    let place = Place { cursor, out, stride: sample_size, max, count };
    // SAFETY: all as the header says.
    guard(|| unsafe { read(sampler, &place, |store| &store.kept.samples) })
}

/// Copies balances of groups.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn railtop_sampler_read_balance(
    sampler: *mut Sampler,
    cursor: *mut u64,
    out: *mut Balance,
    balance_size: usize,
    max: usize,
    count: *mut usize,
) -> i32 {
    let place = Place { cursor, out, stride: balance_size, max, count };
    // SAFETY: all as the header says.
    guard(|| unsafe { read(sampler, &place, |store| &store.kept.balances) })
}

/// What a person should know.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn railtop_sampler_notes(sampler: *mut Sampler, out: *mut *mut c_char) -> i32 {
    guard(|| {
        // SAFETY: NULL or a living sampler.
        let notes = unsafe { ours(sampler) }?.notes();
        // SAFETY: NULL or a pointer of the caller's.
        unsafe { give_text(&notes.join("\n"), out) }
    })
}

/// Everything as a Chrome trace.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn railtop_sampler_trace(
    sampler: *mut Sampler,
    clock: i32,
    base_ns: i64,
    out: *mut *mut c_char,
) -> i32 {
    guard(|| {
        // SAFETY: NULL or a living sampler.
        let sampler = unsafe { ours(sampler) }?;
        let clock = Clock::new(clock, base_ns)?;
        if out.is_null() {
            return Err(Error::null("text"));
        }
        let (notes, interval_ns) = (sampler.notes(), sampler.status().interval_ns);
        // Copied, since sampling waits while it is looked at, and to write it out takes some time.
        let kept = sampler.with(|store| store.kept.clone());
        // SAFETY: a pointer of the caller's.
        unsafe { give_text(&trace(&kept, interval_ns, &notes, clock), out) }
    })
}

/// Frees a text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn railtop_text_free(text: *mut c_char) {
    guard_free(|| {
        if !text.is_null() {
            // SAFETY: it came from CString::into_raw, and the caller gives it up.
            drop(unsafe { CString::from_raw(text) });
        }
    });
}

/// Where rows go.
struct Place<T> {
    cursor: *mut u64,
    out: *mut T,
    stride: usize,
    max: usize,
    count: *mut usize,
}

/// # Safety
/// `sampler` is NULL or living; the pointers of `place` are NULL or the caller's, `out` to `max` rows of `stride` bytes.
unsafe fn read<T: Plain>(
    sampler: *mut Sampler,
    place: &Place<T>,
    ring: impl FnOnce(&Store) -> &Ring<T>,
) -> Result<(), Error> {
    // SAFETY: NULL or a living sampler.
    let sampler = unsafe { ours(sampler) }?;
    for (name, is_null) in [
        ("cursor", place.cursor.is_null()),
        ("out", place.out.is_null() && place.max > 0),
        ("count", place.count.is_null()),
    ] {
        if is_null {
            return Err(Error::null(name));
        }
    }
    if !(T::FIRST_SIZE..=MAX_SIZE).contains(&place.stride) {
        return Err(Error::Argument(format!(
            "the size of a row is {}; pass sizeof of the structure",
            place.stride
        )));
    }
    // SAFETY: not NULL, so the caller's.
    let cursor = unsafe { place.cursor.read() };
    let (rows, next) = sampler.with(|store| ring(store).read(cursor, place.max));
    // SAFETY: there is room for `max` rows, and these are no more; the others are not NULL.
    unsafe {
        give_all(&rows, place.out, place.stride);
        place.cursor.write(next);
        place.count.write(rows.len());
    }
    Ok(())
}

/// The sampler behind a handle, in the process it belongs to.
///
/// # Safety
/// `sampler` is NULL or living, and nobody frees it during the call.
unsafe fn ours<'a>(sampler: *mut Sampler) -> Result<&'a Sampler, Error> {
    // SAFETY: by the caller. It is only ever used shared.
    let sampler = unsafe { sampler.as_ref() }.ok_or_else(|| Error::null("sampler"))?;
    sampler.is_ours()?;
    Ok(sampler)
}

/// # Safety
/// `options` is NULL or as the header says.
unsafe fn asked(options: *const Options) -> Result<Asked, Error> {
    if options.is_null() {
        return Ok(Asked::default());
    }
    // SAFETY: a structure that says its size.
    let options: Options = unsafe { take(options, "options") }?;
    // SAFETY: texts of the caller's.
    let text = |at: *const c_char, name: &str| unsafe { text_at(at, name) };
    Ok(Asked {
        sysfs_root: text(options.sysfs_root, "sysfs_root")?,
        devices: text(options.devices, "devices")?,
        source: text(options.source, "source")?,
        interval_ns: options.interval_ns,
        capacity: options.capacity,
    })
}

/// # Safety
/// `at` is NULL or a text of C.
unsafe fn text_at(at: *const c_char, name: &str) -> Result<Option<String>, Error> {
    if at.is_null() {
        return Ok(None);
    }
    // SAFETY: by the caller.
    let text = unsafe { CStr::from_ptr(at) }.to_str();
    let text = text.map_err(|_| Error::Argument(format!("{name} is no text in UTF-8")))?;
    Ok(Some(text.to_owned()))
}

/// # Safety
/// `out` is NULL or points to a pointer of the caller's.
unsafe fn give_text(text: &str, out: *mut *mut c_char) -> Result<(), Error> {
    if out.is_null() {
        return Err(Error::null("text"));
    }
    // SAFETY: not NULL.
    unsafe { out.write(to_c(text).into_raw()) };
    Ok(())
}

fn unknown(what: &str, number: u32, count: usize) -> Error {
    Error::Argument(format!("there is no {what} {number}: {count} are known so far"))
}
