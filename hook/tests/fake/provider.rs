//! A provider that does nothing, and can be told to misbehave: what the hook costs and what it survives, without a network.

use std::cell::Cell;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::ptr::null_mut;

use libc::{c_int, c_void, size_t, ssize_t};
use libfabric_sys::consts::{
    FI_CLASS_CQ, FI_CLASS_EP, FI_CQ_FORMAT_CONTEXT, FI_EP_RDM, FI_THREAD_COMPLETION,
};
use libfabric_sys::cq::{fi_cq_attr, fi_cq_err_entry, fi_cq_msg_entry, fi_ops_cq, fid_cq};
use libfabric_sys::ep::{fi_ops_ep, fi_ops_msg, fid_ep};
use libfabric_sys::errno::{FI_EAGAIN, FI_EAVAIL};
use libfabric_sys::fid::{fi_ops, fi_ops_domain, fi_ops_fabric, fid, fid_domain, fid_fabric};
use libfabric_sys::flags::{FI_MSG, FI_RECV, FI_SEND, FI_TRANSMIT};
use libfabric_sys::info::{fi_domain_attr, fi_ep_attr, fi_info, fi_tx_attr};

/// A table with no functions in it.
fn empty<T>() -> T {
    // SAFETY: tables hold a size and nullable function pointers.
    unsafe { MaybeUninit::<T>::zeroed().assume_init() }
}

fn leak<T>(value: T) -> *mut T {
    Box::into_raw(Box::new(value))
}

/// A fabric, and how it behaves. One at a time in each thread.
pub struct Fake {
    pub fabric: *mut fid_fabric,
    pub info: *mut fi_info,
}

/// What the functions look at.
#[derive(Default)]
pub struct Behaviour {
    /// What the next post answers.
    pub answer: Cell<ssize_t>,
    /// Completions that the next read gives, and their flags and length.
    pub ready: Cell<usize>,
    pub flags: Cell<u64>,
    pub len: Cell<usize>,
    /// `read` calls `readfrom` through the queue's table.
    pub nests: Cell<bool>,
    /// `control` gives the endpoint another table.
    pub replaces: Cell<bool>,
    /// The size that the endpoint's table of messages claims; 0: the true one.
    pub claimed: Cell<usize>,
    /// Posts that the provider has seen.
    pub posts: Cell<u64>,
    /// Calls that found a table in an object that is not the provider's own.
    pub strangers: Cell<u64>,
    /// Format of the last queue, as the provider was asked for it.
    pub format: Cell<u32>,
}

thread_local! {
    pub static NOW: Behaviour = Behaviour::default();
    static TABLES: Tables = Tables::new();
}

struct Tables {
    fid: *mut fi_ops,
    fabric: *mut fi_ops_fabric,
    domain: *mut fi_ops_domain,
    cq: *mut fi_ops_cq,
    ep: *mut fi_ops_ep,
    msg: *mut fi_ops_msg,
    other_msg: *mut fi_ops_msg,
}

impl Tables {
    fn new() -> Self {
        let msg = || fi_ops_msg {
            size: size_of::<fi_ops_msg>(),
            send: Some(send),
            inject: Some(inject),
            ..empty()
        };
        Self {
            fid: leak(fi_ops {
                size: size_of::<fi_ops>(),
                close: Some(close),
                bind: Some(bind),
                control: Some(control),
                ..empty()
            }),
            fabric: leak(fi_ops_fabric { size: size_of::<fi_ops_fabric>(), domain: Some(domain), ..empty() }),
            domain: leak(fi_ops_domain {
                size: size_of::<fi_ops_domain>(),
                cq_open: Some(cq_open),
                endpoint: Some(endpoint),
                ..empty()
            }),
            cq: leak(fi_ops_cq {
                size: size_of::<fi_ops_cq>(),
                read: Some(read),
                readfrom: Some(readfrom),
                readerr: Some(readerr),
                sread: Some(sread),
                ..empty()
            }),
            ep: leak(fi_ops_ep { size: size_of::<fi_ops_ep>(), tx_ctx: Some(tx_ctx), ..empty() }),
            msg: leak(msg()),
            other_msg: leak(msg()),
        }
    }
}

fn head(fclass: usize) -> fid {
    fid { fclass, context: null_mut(), ops: TABLES.with(|tables| tables.fid) }
}

impl Fake {
    pub fn new() -> Self {
        Self::named(c"fake0")
    }

    /// With a NIC of that name.
    pub fn named(name: &'static CStr) -> Self {
        let mut ep: fi_ep_attr = empty();
        ep.type_ = FI_EP_RDM;
        let mut domain: fi_domain_attr = empty();
        domain.threading = FI_THREAD_COMPLETION;
        domain.name = name.as_ptr().cast_mut();
        let mut info: fi_info = empty();
        info.caps = FI_MSG;
        (info.ep_attr, info.domain_attr) = (leak(ep), leak(domain));
        let ops = TABLES.with(|tables| tables.fabric);
        Self { fabric: leak(fid_fabric { fid: head(1), ops, api_version: 0 }), info: leak(info) }
    }

    pub fn domain(&self) -> *mut fid_domain {
        let mut at = null_mut();
        // SAFETY: the fabric's own function, or the hook's.
        let rc = unsafe {
            ((*(*self.fabric).ops).domain.unwrap())(self.fabric, self.info, &raw mut at, null_mut())
        };
        assert_eq!(rc, 0);
        at
    }

    pub fn queue(domain: *mut fid_domain, format: u32) -> *mut fid_cq {
        Self::queue_with(domain, format, 0)
    }

    /// With these flags.
    pub fn queue_with(domain: *mut fid_domain, format: u32, flags: u64) -> *mut fid_cq {
        let mut attr = fi_cq_attr { format, flags, ..fi_cq_attr::zeroed() };
        let mut at = null_mut();
        // SAFETY: as in `domain`.
        let rc =
            unsafe { ((*(*domain).ops).cq_open.unwrap())(domain, &raw mut attr, &raw mut at, null_mut()) };
        assert_eq!((rc, attr.format), (0, format));
        at
    }

    /// An endpoint bound to a queue, for sending.
    pub fn endpoint(&self, domain: *mut fid_domain, cq: *mut fid_cq) -> *mut fid_ep {
        let mut at = null_mut();
        // SAFETY: as in `domain`.
        unsafe {
            assert_eq!(((*(*domain).ops).endpoint.unwrap())(domain, self.info, &raw mut at, null_mut()), 0);
            assert_eq!(((*(*at).fid.ops).bind.unwrap())(at.cast(), cq.cast(), FI_TRANSMIT | FI_RECV), 0);
            assert_eq!(((*(*at).fid.ops).control.unwrap())(at.cast(), 6, null_mut()), 0);
        }
        at
    }
}

/// As `fi_send`.
#[inline]
pub fn fi_send(ep: *mut fid_ep, len: usize) -> ssize_t {
    // SAFETY: a live endpoint, and a buffer that nobody reads.
    unsafe { ((*(*ep).msg).send.unwrap())(ep, null_mut(), len, null_mut(), 0, null_mut()) }
}

/// As `fi_cq_read`.
#[inline]
pub fn fi_cq_read<T>(cq: *mut fid_cq, entries: &mut [T]) -> ssize_t {
    // SAFETY: a live queue, and room for so many entries.
    unsafe { ((*(*cq).ops).read.unwrap())(cq, entries.as_mut_ptr().cast(), entries.len()) }
}

/// As `fi_close`.
pub fn fi_close(object: *mut fid) -> c_int {
    // SAFETY: a live object.
    unsafe { ((*(*object).ops).close.unwrap())(object) }
}

unsafe extern "C" fn domain(
    _: *mut fid_fabric,
    _: *mut fi_info,
    at: *mut *mut fid_domain,
    _: *mut c_void,
) -> c_int {
    let ops = TABLES.with(|tables| tables.domain);
    // SAFETY: the caller's place.
    unsafe { *at = leak(fid_domain { fid: head(2), ops, mr: null_mut() }) };
    0
}

unsafe extern "C" fn cq_open(
    _: *mut fid_domain,
    attr: *mut fi_cq_attr,
    at: *mut *mut fid_cq,
    _: *mut c_void,
) -> c_int {
    let ops = TABLES.with(|tables| tables.cq);
    // SAFETY: the caller's structures.
    unsafe {
        NOW.with(|now| now.format.set((*attr).format));
        *at = leak(fid_cq { fid: head(FI_CLASS_CQ), ops });
    }
    0
}

unsafe extern "C" fn endpoint(
    domain: *mut fid_domain,
    _: *mut fi_info,
    at: *mut *mut fid_ep,
    _: *mut c_void,
) -> c_int {
    let msg = TABLES.with(|tables| tables.msg);
    NOW.with(|now| {
        let true_size = size_of::<fi_ops_msg>();
        // SAFETY: this thread's own table.
        unsafe { (*msg).size = if now.claimed.get() == 0 { true_size } else { now.claimed.get() } };
    });
    // SAFETY: the caller's place; an endpoint with the tables that it has.
    unsafe {
        see((*domain).ops == TABLES.with(|tables| tables.domain));
        let mut ep: fid_ep = empty();
        (ep.fid, ep.msg) = (head(FI_CLASS_EP), msg);
        ep.ops = TABLES.with(|tables| tables.ep);
        *at = leak(ep);
    }
    0
}

unsafe extern "C" fn tx_ctx(
    sep: *mut fid_ep,
    _: c_int,
    _: *mut fi_tx_attr,
    at: *mut *mut fid_ep,
    _: *mut c_void,
) -> c_int {
    // SAFETY: a live endpoint; the caller's place.
    unsafe {
        see_own(sep.cast());
        let mut ep: fid_ep = empty();
        (ep.fid, ep.msg) = (head(FI_CLASS_EP), TABLES.with(|tables| tables.msg));
        *at = leak(ep);
    }
    0
}

/// Waits until as many are there as the program says, or as fit.
unsafe extern "C" fn sread(
    cq: *mut fid_cq,
    buf: *mut c_void,
    count: size_t,
    cond: *const c_void,
    _: c_int,
) -> ssize_t {
    if NOW.with(|now| now.ready.get()) < (cond as usize).min(count) {
        return -(FI_EAGAIN as ssize_t);
    }
    // SAFETY: the caller's buffer.
    unsafe { readfrom(cq, buf, count, null_mut()) }
}

/// Takes note of a table that is not the provider's own where it should be.
fn see(own: bool) {
    NOW.with(|now| now.strangers.set(now.strangers.get() + u64::from(!own)));
}

unsafe fn see_own(object: *mut fid) {
    // SAFETY: a live object.
    unsafe {
        see((*object).ops == TABLES.with(|tables| tables.fid));
        if (*object).fclass == FI_CLASS_EP {
            let msg = (*object.cast::<fid_ep>()).msg;
            see(TABLES.with(|tables| msg == tables.msg || msg == tables.other_msg));
        }
    }
}

unsafe extern "C" fn close(object: *mut fid) -> c_int {
    // SAFETY: a live object; it leaks.
    unsafe { see_own(object) };
    0
}

unsafe extern "C" fn bind(object: *mut fid, _: *mut fid, _: u64) -> c_int {
    // SAFETY: a live object.
    unsafe { see_own(object) };
    0
}

unsafe extern "C" fn control(object: *mut fid, _: c_int, _: *mut c_void) -> c_int {
    // SAFETY: a live endpoint.
    unsafe {
        see_own(object);
        if NOW.with(|now| now.replaces.get()) {
            (*object.cast::<fid_ep>()).msg = TABLES.with(|tables| tables.other_msg);
        }
    }
    0
}

unsafe extern "C" fn send(
    _: *mut fid_ep,
    _: *const c_void,
    _: size_t,
    _: *mut c_void,
    _: u64,
    _: *mut c_void,
) -> ssize_t {
    NOW.with(|now| {
        now.posts.set(now.posts.get() + 1);
        now.answer.get()
    })
}

unsafe extern "C" fn inject(_: *mut fid_ep, _: *const c_void, _: size_t, _: u64) -> ssize_t {
    NOW.with(|now| {
        now.posts.set(now.posts.get() + 1);
        now.answer.get()
    })
}

unsafe extern "C" fn read(cq: *mut fid_cq, buf: *mut c_void, count: size_t) -> ssize_t {
    if NOW.with(|now| now.nests.get()) {
        // SAFETY: as providers do it.
        return unsafe { ((*(*cq).ops).readfrom.unwrap())(cq, buf, count, null_mut()) };
    }
    // SAFETY: the caller's buffer.
    unsafe { readfrom(cq, buf, count, null_mut()) }
}

unsafe extern "C" fn readfrom(_: *mut fid_cq, buf: *mut c_void, count: size_t, _: *mut u64) -> ssize_t {
    NOW.with(|now| {
        let filled = now.ready.get().min(count);
        if filled == 0 {
            return -(FI_EAGAIN as ssize_t);
        }
        now.ready.set(now.ready.get() - filled);
        for i in 0..filled {
            let op_context = (0x1000 + i) as *mut c_void;
            // SAFETY: the caller has room for `count` entries of the format that the queue was opened with.
            unsafe {
                if now.format.get() == FI_CQ_FORMAT_CONTEXT {
                    buf.cast::<*mut c_void>().add(i).write(op_context);
                } else {
                    let entry = fi_cq_msg_entry { op_context, flags: now.flags.get(), len: now.len.get() };
                    buf.cast::<fi_cq_msg_entry>().add(i).write(entry);
                }
            }
        }
        filled.cast_signed()
    })
}

unsafe extern "C" fn readerr(_: *mut fid_cq, entry: *mut fi_cq_err_entry, _: u64) -> ssize_t {
    // SAFETY: the caller's entry.
    unsafe {
        (*entry).flags = NOW.with(|now| now.flags.get());
        (*entry).err = FI_EAVAIL;
    }
    1
}

/// The flags of a completion of `fi_send`.
pub const SENT: u64 = FI_MSG | FI_SEND;
/// The flags of a completion of `fi_recv`.
pub const RECEIVED: u64 = FI_MSG | FI_RECV;
