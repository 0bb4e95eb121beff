//! Domains: one for each NIC that the program opens. They open hooked endpoints and completion queues, and say whether peers
//! may write into the program's memory without its noticing.

#![expect(unsafe_code, reason = "function pointers and objects of a C library")]

use std::ffi::c_void;
use std::sync::Arc;

use libc::{c_int, iovec, size_t};
use libfabric_sys::consts::{
    FI_EP_MSG, FI_EP_RDM, FI_EP_UNSPEC, FI_THREAD_DOMAIN, FI_THREAD_FID, FI_THREAD_SAFE,
};
use libfabric_sys::cq::{fi_cq_attr, fid_cq};
use libfabric_sys::ep::fid_ep;
use libfabric_sys::errno::FI_ENOSYS;
use libfabric_sys::fid::{fi_ops, fi_ops_domain, fid, fid_domain};
use libfabric_sys::flags::FI_REMOTE_WRITE;
use libfabric_sys::info::fi_info;
use libfabric_sys::mr::{fi_mr_attr, fi_ops_mr, fid_mr};

use crate::changes::Changing;
use crate::guard::{Inside, always, guarded};
use crate::shadow::{Place, original, replace};
use crate::{endpoint, nics, queue};

const NO_SUCH_OP: c_int = -FI_ENOSYS;

/// A domain that is hooked. Its own table holds it, and so does every endpoint.
pub(crate) struct Domain {
    nic: usize,
    /// Type of endpoint that it was opened for.
    ep_type: u32,
    /// The provider may look at the domain's own table when an endpoint is opened or changed: `tcp` of 2.x tells by it domains whose queues
    /// are used by different threads.
    looked_at: bool,
    object: *mut fid_domain,
    places: Changing<Places>,
}

#[derive(Default)]
struct Places {
    fid: Place<fi_ops>,
    domain: Place<fi_ops_domain>,
    mr: Place<fi_ops_mr>,
    /// Calls in which the provider's own tables are in place.
    suspended: u32,
    closed: bool,
}

// SAFETY: the object is libfabric's, for all threads; its tables and our copies of them are reached with the lock held.
unsafe impl Send for Domain {}
// SAFETY: as above.
unsafe impl Sync for Domain {}

/// Hooks a domain that has just been opened.
///
/// # Safety
/// A live domain that no other thread uses yet, and what it was opened with.
pub(crate) unsafe fn hook(domain: Option<*mut fid_domain>, info: *const fi_info) -> Option<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let domain = domain.filter(|domain| !domain.is_null())?;
        (*domain).ops.as_ref()?;
        (*domain).fid.ops.as_ref()?.close?;
        let nic = nics::number(info)?;
        let hooked = Arc::into_raw(Arc::new(Domain {
            nic,
            ep_type: ep_type(info),
            looked_at: is_looked_at(info),
            object: domain,
            places: Changing::default(),
        }));
        // Given back when the domain is closed.
        (*hooked).put(&mut (*hooked).places.lock());
        Some(())
    }
}

/// The type of endpoint that an entry is for (`FI_EP_*`).
unsafe fn ep_type(info: *const fi_info) -> u32 {
    // SAFETY: null or the library's structures.
    unsafe { info.as_ref().and_then(|info| info.ep_attr.as_ref()).map_or(FI_EP_UNSPEC, |attr| attr.type_) }
}

/// Only where each queue has a thread of its own. Elsewhere threads open endpoints at the same time, and what one opens while
/// another has put the provider's table back would be missed.
unsafe fn is_looked_at(info: *const fi_info) -> bool {
    // SAFETY: as in `ep_type`.
    let threading =
        unsafe { info.as_ref().and_then(|info| info.domain_attr.as_ref()).map(|attr| attr.threading) };
    !matches!(threading, Some(FI_THREAD_SAFE | FI_THREAD_FID | FI_THREAD_DOMAIN))
}

impl Domain {
    /// Whether an endpoint is of the connected kind in a domain that was opened for unconnected ones: so `net` and `tcp`
    /// make theirs out of connections.
    unsafe fn is_connected_below(&self, info: *const fi_info) -> bool {
        // SAFETY: what the endpoint is opened with.
        self.ep_type == FI_EP_RDM && unsafe { ep_type(info) } == FI_EP_MSG
    }

    pub(crate) fn nic(&self) -> usize {
        self.nic
    }

    /// One holder more.
    ///
    /// # Safety
    /// Of an open domain.
    unsafe fn share(&self) -> Arc<Self> {
        let this = std::ptr::from_ref(self);
        // SAFETY: made by an `Arc` in `hook`, which the open domain holds.
        unsafe {
            Arc::increment_strong_count(this);
            Arc::from_raw(this)
        }
    }

    unsafe fn put(&self, places: &mut Places) {
        // SAFETY: a live domain; the lock is held.
        unsafe {
            let this = std::ptr::from_ref(self);
            places.fid.put(&raw mut (*self.object).fid.ops, this, |table| replace!(table, close => close));
            places.domain.put(&raw mut (*self.object).ops, this, |table| {
                replace!(
                    table, cq_open => cq_open, endpoint => endpoint, endpoint2 => endpoint2,
                    scalable_ep => scalable_ep,
                );
            });
            places.mr.put(&raw mut (*self.object).mr, this, |table| {
                replace!(table, reg => reg, regv => regv, regattr => regattr);
            });
        }
    }

    /// Puts the provider's tables back for a call in which it may look at them. Another thread that opens something in the
    /// meantime opens it without us.
    pub(crate) fn suspend(&self) {
        if self.looked_at {
            self.put_back();
        }
    }

    fn put_back(&self) {
        let mut places = self.places.lock();
        places.suspended += 1;
        if places.suspended == 1 && !places.closed {
            // SAFETY: a live domain; the lock is held.
            unsafe {
                places.fid.back(&raw mut (*self.object).fid.ops);
                places.domain.back(&raw mut (*self.object).ops);
                places.mr.back(&raw mut (*self.object).mr);
            }
        }
    }

    /// The other half of [`Self::suspend`].
    pub(crate) fn resume(&self) {
        if self.looked_at {
            self.put_again();
        }
    }

    fn put_again(&self) {
        let mut places = self.places.lock();
        places.suspended = places.suspended.saturating_sub(1);
        if places.suspended == 0 && !places.closed {
            // SAFETY: as in `suspend`.
            unsafe { self.put(&mut places) };
        }
    }

    fn set_closed(&self, closed: bool) {
        self.places.lock().closed = closed;
    }
}

unsafe extern "C" fn close(object: *mut fid) -> c_int {
    // SAFETY: a live domain with a table of ours, or `original` calls on; so in all that follow.
    unsafe {
        let (op, head) = original!((*object).ops, fi_ops, close, (object), NO_SUCH_OP);
        let hooked: *const Domain = head.state::<Domain>();
        always(|| {
            (*hooked).put_back();
            (*hooked).set_closed(true);
        });
        let rc = op(object);
        if rc == 0 {
            // An endpoint that a provider has let stay open holds it still.
            drop(Arc::from_raw(hooked));
        } else {
            guarded(|| {
                (*hooked).set_closed(false);
                (*hooked).put_again();
            });
        }
        rc
    }
}

unsafe extern "C" fn cq_open(
    domain: *mut fid_domain,
    attr: *mut fi_cq_attr,
    cq: *mut *mut fid_cq,
    context: *mut c_void,
) -> c_int {
    // SAFETY: as in `close`.
    unsafe {
        let (op, head) =
            original!((*domain).ops, fi_ops_domain, cq_open, (domain, attr, cq, context), NO_SUCH_OP);
        queue::open(op, head.state::<Domain>(), domain, attr, cq, context)
    }
}

/// Opens an endpoint with the domain's own tables in place, and hooks it.
unsafe fn open(
    hooked: &Domain,
    info: *const fi_info,
    ep: *mut *mut fid_ep,
    op: impl FnOnce() -> c_int,
) -> c_int {
    // An endpoint of the provider's own: opened in a call of the program's, or by a thread of the provider's, connected where the program
    // uses unconnected ones.
    // SAFETY: what the program gives to the provider.
    let own = Inside::is() || unsafe { hooked.is_connected_below(info) };
    if own {
        // A thread of the program may be opening one of its own just now.
        return op();
    }
    always(|| hooked.suspend());
    let inside = Inside::enter();
    let rc = op();
    drop(inside);
    guarded(|| hooked.resume());
    if rc == 0 {
        // SAFETY: the provider has put an endpoint there.
        let ours = guarded(|| unsafe { endpoint::hook(ep.as_ref().copied(), hooked.share(), info) });
        if ours.flatten().is_none() {
            // Nobody would put the domain's table back when this endpoint is bound or closed. So it goes back now, for good.
            always(|| hooked.suspend());
        }
    }
    rc
}

/// The ways to open an endpoint, which differ in their arguments alone.
macro_rules! opening {
    ($($name:ident($($more:ident: $type:ty),*);)+) => {$(
        unsafe extern "C" fn $name(
            domain: *mut fid_domain,
            info: *mut fi_info,
            ep: *mut *mut fid_ep,
            $($more: $type,)*
            context: *mut c_void,
        ) -> c_int {
            // SAFETY: as in `close`.
            unsafe {
                let (op, head) = original!(
                    (*domain).ops,
                    fi_ops_domain,
                    $name,
                    (domain, info, ep, $($more,)* context),
                    NO_SUCH_OP
                );
                open(head.state::<Domain>(), info, ep, || op(domain, info, ep, $($more,)* context))
            }
        }
    )+};
}

opening! {
    endpoint();
    scalable_ep();
    endpoint2(flags: u64);
}

/// Memory that peers may write to: whatever they write without an immediate, nothing here tells of.
fn registered(rc: c_int, access: u64) {
    if rc == 0 && access & FI_REMOTE_WRITE != 0 && !Inside::is() {
        nics::set_rx_unknown();
    }
}

/// The ways to register memory: their arguments, and the access that these ask for.
macro_rules! registering {
    ($($name:ident($object:ident, $($arg:ident: $type:ty),+) $access:expr;)+) => {$(
        unsafe extern "C" fn $name($object: *mut fid, $($arg: $type),+) -> c_int {
            // SAFETY: as in `close`; the object is the domain.
            unsafe {
                let (op, _) = original!(
                    (*$object.cast::<fid_domain>()).mr,
                    fi_ops_mr,
                    $name,
                    ($object, $($arg),+),
                    NO_SUCH_OP
                );
                let access = $access;
                let rc = op($object, $($arg),+);
                registered(rc, access);
                rc
            }
        }
    )+};
}

registering! {
    reg(object, buf: *const c_void, len: size_t, access: u64, offset: u64, requested_key: u64, flags: u64, mr: *mut *mut fid_mr, context: *mut c_void) access;
    regv(object, iov: *const iovec, count: size_t, access: u64, offset: u64, requested_key: u64, flags: u64, mr: *mut *mut fid_mr, context: *mut c_void) access;
    regattr(object, attr: *const fi_mr_attr, flags: u64, mr: *mut *mut fid_mr) if attr.is_null() { 0 } else { (&raw const (*attr).access).read() };
}
