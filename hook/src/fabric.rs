//! Fabrics: where it begins. A hooked fabric opens hooked domains.

#![expect(unsafe_code, reason = "function pointers and objects of a C library")]

use std::ffi::c_void;

use libc::c_int;
use libfabric_sys::errno::FI_ENOSYS;
use libfabric_sys::fid::{fi_ops, fi_ops_fabric, fid, fid_domain, fid_fabric};
use libfabric_sys::info::fi_info;

use crate::changes::Changing;
use crate::guard::{Inside, always, guarded};
use crate::settings::{self, Layer};
use crate::shadow::{Place, original, replace};
use crate::{fork, identity};

/// A fabric that is hooked.
struct Fabric {
    /// Opened by a provider for itself: what it opens is an inner layer.
    inner: bool,
    places: Changing<Places>,
}

#[derive(Default)]
struct Places {
    fid: Place<fi_ops>,
    fabric: Place<fi_ops_fabric>,
}

/// Hooks a fabric, unless it is already. Never fails: a fabric that cannot be hooked stays as it is.
///
/// # Safety
/// `fabric` is null or a live fabric that no other thread uses yet.
pub unsafe fn hook_fabric(fabric: *mut fid_fabric) {
    if settings::off() || fabric.is_null() {
        return;
    }
    let inner = Inside::is();
    guarded(|| {
        identity::environment();
        fork::watch();
        // SAFETY: the caller's promise.
        unsafe {
            let ops = (*fabric).ops.as_ref()?;
            if ops.domain.map(|op| op as usize) == Some(domain as *const () as usize) {
                return None;
            }
            (*fabric).fid.ops.as_ref()?.close?;
            identity::note_library(fabric);
            let hooked: *mut Fabric = Box::into_raw(Box::new(Fabric { inner, places: Changing::default() }));
            put(fabric, hooked);
            Some(())
        }
    });
}

unsafe fn put(fabric: *mut fid_fabric, hooked: *const Fabric) {
    // SAFETY: a live fabric, which no other call changes.
    unsafe {
        let mut places = (*hooked).places.lock();
        places.fid.put(&raw mut (*fabric).fid.ops, hooked, |table| replace!(table, close => close));
        places.fabric.put(&raw mut (*fabric).ops, hooked, |table| {
            replace!(table, domain => domain, domain2 => domain2);
        });
    }
}

unsafe extern "C" fn close(object: *mut fid) -> c_int {
    // SAFETY: a live fabric with a table of ours, or `original` calls on.
    unsafe {
        let (op, head) = original!((*object).ops, fi_ops, close, (object), -FI_ENOSYS);
        let hooked: *const Fabric = head.state::<Fabric>();
        let fabric = object.cast::<fid_fabric>();
        always(|| {
            let places = (*hooked).places.lock();
            places.fid.back(&raw mut (*fabric).fid.ops);
            places.fabric.back(&raw mut (*fabric).ops);
        });
        let rc = op(object);
        if rc == 0 {
            drop(Box::from_raw(hooked.cast_mut()));
        } else {
            guarded(|| put(fabric, hooked));
        }
        rc
    }
}

/// Hooks what has been opened, if this is the layer that counts.
unsafe fn opened(rc: c_int, inner: bool, info: *const fi_info, at: *mut *mut fid_domain) {
    let wanted = if inner { Layer::Inner } else { Layer::Top };
    if rc == 0 && wanted == settings::layer() {
        // SAFETY: the provider has put a domain there.
        guarded(|| unsafe { crate::domain::hook(at.as_ref().copied(), info) });
    }
}

/// The ways to open a domain, which differ in their arguments alone.
macro_rules! opening {
    ($($name:ident($($more:ident: $type:ty),*);)+) => {$(
        unsafe extern "C" fn $name(
            fabric: *mut fid_fabric,
            info: *mut fi_info,
            at: *mut *mut fid_domain,
            $($more: $type,)*
            context: *mut c_void,
        ) -> c_int {
            // SAFETY: a live fabric with a table of ours, or `original` calls on.
            unsafe {
                let (op, head) = original!(
                    (*fabric).ops,
                    fi_ops_fabric,
                    $name,
                    (fabric, info, at, $($more,)* context),
                    -FI_ENOSYS
                );
                let inner = head.state::<Fabric>().inner || Inside::is();
                let inside = Inside::enter();
                let rc = op(fabric, info, at, $($more,)* context);
                drop(inside);
                opened(rc, inner, info, at);
                rc
            }
        }
    )+};
}

opening! {
    domain();
    domain2(flags: u64);
}
