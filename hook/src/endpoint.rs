//! Endpoints: opened and changed here, used in [`crate::transmit`].

#![expect(unsafe_code, reason = "function pointers and objects of a C library")]

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use libc::{c_int, size_t};
use libfabric_sys::atomic::fi_ops_atomic;
use libfabric_sys::consts::{FI_CLASS_CNTR, FI_CLASS_CQ, FI_ENABLE};
use libfabric_sys::ep::{fi_ops_ep, fi_ops_msg, fi_ops_rma, fid_ep};
use libfabric_sys::errno::FI_ENOSYS;
use libfabric_sys::fid::{fi_ops, fid};
use libfabric_sys::flags::{FI_COMPLETION, FI_RECV, FI_SELECTIVE_COMPLETION, FI_TRANSMIT};
use libfabric_sys::info::{fi_info, fi_tx_attr};
use libfabric_sys::tagged::fi_ops_tagged;

use crate::changes::Changing;
use crate::domain::Domain;
use crate::guard::{Inside, always, guarded};
use crate::shadow::{Place, original, replace};
use crate::transmit::{self, Completions, Sender};
use crate::{nics, publisher, queue};

const NO_SUCH_OP: c_int = -FI_ENOSYS;

/// An endpoint that is hooked.
struct Endpoint {
    sender: Sender,
    ep: *mut fid_ep,
    domain: Arc<Domain>,
    /// The endpoint gives `FI_COMPLETION` to operations that have no flags of their own.
    completes_by_default: bool,
    /// The same for receives.
    receives_complete: bool,
    /// What has been bound for receiving: a queue of ours, and a counter.
    queue_receives: AtomicBool,
    counter_receives: AtomicBool,
    places: Changing<Places>,
}

#[derive(Default)]
struct Places {
    fid: Place<fi_ops>,
    ep: Place<fi_ops_ep>,
    msg: Place<fi_ops_msg>,
    rma: Place<fi_ops_rma>,
    tagged: Place<fi_ops_tagged>,
    atomic: Place<fi_ops_atomic>,
}

/// Hooks an endpoint that has just been opened.
///
/// # Safety
/// A live endpoint that no other thread uses yet, and what it was opened with.
pub(crate) unsafe fn hook(ep: Option<*mut fid_ep>, domain: Arc<Domain>, info: *const fi_info) -> Option<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let tx = info.as_ref().and_then(|info| info.tx_attr.as_ref());
        let rx = info.as_ref().and_then(|info| info.rx_attr.as_ref());
        let tx = tx.is_some_and(|tx| tx.op_flags & FI_COMPLETION != 0);
        hook_with(ep, domain, tx, rx.is_some_and(|rx| rx.op_flags & FI_COMPLETION != 0))
    }
}

unsafe fn hook_with(
    ep: Option<*mut fid_ep>,
    domain: Arc<Domain>,
    completes_by_default: bool,
    receives_complete: bool,
) -> Option<()> {
    // SAFETY: as in `hook`.
    unsafe {
        let ep = ep.filter(|ep| !ep.is_null())?;
        (*ep).fid.ops.as_ref()?.close?;
        nics::opened(domain.nic());
        let hooked = Box::into_raw(Box::new(Endpoint {
            sender: Sender::new(domain.nic()),
            ep,
            domain,
            completes_by_default,
            receives_complete,
            queue_receives: AtomicBool::new(false),
            counter_receives: AtomicBool::new(false),
            places: Changing::default(),
        }));
        put(hooked);
        Some(())
    }
}

unsafe fn put(hooked: *const Endpoint) {
    // SAFETY: a live endpoint; calls that change it do not run at the same time, and the state lives as long as it.
    unsafe {
        let mut places = (*hooked).places.lock();
        let ep = (*hooked).ep;
        let sender = &raw const (*hooked).sender;
        places.fid.put(&raw mut (*ep).fid.ops, hooked, |table| {
            replace!(table, close => close, bind => bind, control => control);
        });
        places.ep.put(&raw mut (*ep).ops, hooked, |table| {
            replace!(table, setopt => setopt, tx_ctx => tx_ctx);
        });
        places.msg.put(&raw mut (*ep).msg, sender, transmit::fill_msg);
        places.rma.put(&raw mut (*ep).rma, sender, transmit::fill_rma);
        places.tagged.put(&raw mut (*ep).tagged, sender, transmit::fill_tagged);
        places.atomic.put(&raw mut (*ep).atomic, sender, transmit::fill_atomic);
    }
}

/// Makes a call with the provider's own tables in place, also those of the domain: providers compare and replace them.
unsafe fn aside(
    hooked: *const Endpoint,
    op: impl FnOnce() -> c_int,
    gone_if: impl FnOnce(c_int) -> bool,
) -> c_int {
    // SAFETY: a live endpoint; libfabric wants such calls serialised.
    unsafe {
        let domain = Arc::clone(&(*hooked).domain);
        always(|| {
            let places = (*hooked).places.lock();
            let ep = (*hooked).ep;
            places.fid.back(&raw mut (*ep).fid.ops);
            places.ep.back(&raw mut (*ep).ops);
            places.msg.back(&raw mut (*ep).msg);
            places.rma.back(&raw mut (*ep).rma);
            places.tagged.back(&raw mut (*ep).tagged);
            places.atomic.back(&raw mut (*ep).atomic);
            drop(places);
            domain.suspend();
        });
        let inside = Inside::enter();
        let rc = op();
        drop(inside);
        let gone = gone_if(rc);
        guarded(|| {
            domain.resume();
            if !gone {
                put(hooked);
            }
        });
        rc
    }
}

unsafe extern "C" fn close(object: *mut fid) -> c_int {
    // SAFETY: a live endpoint with a table of ours, or `original` calls on; so in all that follow.
    unsafe {
        let (op, head) = original!((*object).ops, fi_ops, close, (object), NO_SUCH_OP);
        let hooked: *const Endpoint = head.state::<Endpoint>();
        let nic = (*hooked).domain.nic();
        let rc = aside(hooked, || op(object), |rc| rc == 0);
        if rc == 0 {
            drop(Box::from_raw(hooked.cast_mut()));
            nics::closed(nic);
            // Many programs end without ending well; this is the last that they do in good order.
            guarded(publisher::nudge);
            guarded(publisher::let_go);
        }
        rc
    }
}

unsafe extern "C" fn bind(object: *mut fid, other: *mut fid, flags: u64) -> c_int {
    // SAFETY: as in `close`.
    unsafe {
        let (op, head) = original!((*object).ops, fi_ops, bind, (object, other, flags), NO_SUCH_OP);
        let hooked: *const Endpoint = head.state::<Endpoint>();
        let rc = aside(hooked, || op(object, other, flags), |_| false);
        if rc == 0 {
            guarded(|| bound(&*hooked, other, flags));
        }
        rc
    }
}

/// Takes note of the queue that an endpoint's operations complete in.
unsafe fn bound(hooked: &Endpoint, other: *const fid, flags: u64) {
    // SAFETY: the provider has taken the object.
    let seen = unsafe {
        let Some(other) = other.as_ref() else { return };
        if other.fclass == FI_CLASS_CNTR && flags & FI_RECV != 0 {
            hooked.counter_receives.store(true, Relaxed);
        }
        if other.fclass != FI_CLASS_CQ {
            return;
        }
        queue::is_hooked(other)
    };
    if flags & FI_TRANSMIT != 0 {
        hooked.sender.set(match (seen, flags & FI_SELECTIVE_COMPLETION != 0) {
            (false, _) => Completions::None,
            (true, false) => Completions::All,
            (true, true) if hooked.completes_by_default => Completions::SelectiveByDefault,
            (true, true) => Completions::Selective,
        });
    }
    let all = flags & FI_SELECTIVE_COMPLETION == 0 || hooked.receives_complete;
    if flags & FI_RECV != 0 {
        hooked.queue_receives.store(true, Relaxed);
        if !(seen && all) {
            nics::set_rx_unknown();
        }
    }
}

unsafe extern "C" fn control(object: *mut fid, command: c_int, arg: *mut c_void) -> c_int {
    // SAFETY: as in `close`.
    unsafe {
        let (op, head) = original!((*object).ops, fi_ops, control, (object, command, arg), NO_SUCH_OP);
        let hooked: *const Endpoint = head.state::<Endpoint>();
        let rc = aside(hooked, || op(object, command, arg), |_| false);
        if rc == 0 && command == FI_ENABLE {
            // What a counter alone tells of has no bytes.
            if (*hooked).counter_receives.load(Relaxed) && !(*hooked).queue_receives.load(Relaxed) {
                nics::set_rx_unknown();
            }
            guarded(publisher::prepare);
        }
        rc
    }
}

unsafe extern "C" fn setopt(
    object: *mut fid,
    level: c_int,
    name: c_int,
    value: *const c_void,
    len: size_t,
) -> c_int {
    // SAFETY: as in `close`; the object is the endpoint.
    unsafe {
        let (op, head) = original!(
            (*object.cast::<fid_ep>()).ops,
            fi_ops_ep,
            setopt,
            (object, level, name, value, len),
            NO_SUCH_OP
        );
        aside(head.state::<Endpoint>(), || op(object, level, name, value, len), |_| false)
    }
}

unsafe extern "C" fn tx_ctx(
    sep: *mut fid_ep,
    index: c_int,
    attr: *mut fi_tx_attr,
    ep: *mut *mut fid_ep,
    context: *mut c_void,
) -> c_int {
    // SAFETY: as in `close`.
    unsafe {
        let (op, head) =
            original!((*sep).ops, fi_ops_ep, tx_ctx, (sep, index, attr, ep, context), NO_SUCH_OP);
        let hooked: *const Endpoint = head.state::<Endpoint>();
        let rc = aside(hooked, || op(sep, index, attr, ep, context), |_| false);
        if rc == 0 {
            guarded(|| {
                let by_default = attr
                    .as_ref()
                    .map_or((*hooked).completes_by_default, |attr| attr.op_flags & FI_COMPLETION != 0);
                hook_with(
                    ep.as_ref().copied(),
                    Arc::clone(&(*hooked).domain),
                    by_default,
                    (*hooked).receives_complete,
                )
            });
        }
        rc
    }
}
