//! What is on the path of an operation: posting it.
//!
//! Nothing here may panic, lock or call the system, but for the one call that wakes our thread after a pause (`rest`).

#![expect(unsafe_code, reason = "function pointers of a C library")]

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use libc::{c_void, iovec, size_t, ssize_t};
use libfabric_sys::atomic::{fi_ioc, fi_msg_atomic, fi_ops_atomic};
use libfabric_sys::av::fi_addr_t;
use libfabric_sys::ep::{fi_msg, fi_msg_rma, fi_ops_msg, fi_ops_rma, fid_ep};
use libfabric_sys::errno::{FI_EAGAIN, FI_ENOSYS};
use libfabric_sys::flags::{FI_COMPLETION, FI_PEEK};
use libfabric_sys::tagged::{fi_msg_tagged, fi_ops_tagged};

use crate::count::{Tally, Thread, Word};
use crate::nics;
use crate::shadow::{original, replace};

const NO_SUCH_OP: ssize_t = -(FI_ENOSYS as ssize_t);
const AGAIN: ssize_t = -(FI_EAGAIN as ssize_t);

/// Which operations of an endpoint complete where we see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Completions {
    /// None: no completion queue of ours is bound for them.
    None,
    /// All.
    All,
    /// Those with `FI_COMPLETION`.
    Selective,
    /// Those with `FI_COMPLETION`, which the endpoint gives to all that have no flags of their own.
    SelectiveByDefault,
}

/// What posting needs to know of an endpoint.
#[derive(Debug)]
pub(crate) struct Sender {
    nic: usize,
    completions: AtomicU8,
}

/// What has been looked up before the provider's call, after which the endpoint may be gone.
#[derive(Clone, Copy)]
struct Post {
    nic: usize,
    awaited: bool,
}

impl Sender {
    pub(crate) fn new(nic: usize) -> Self {
        Self { nic, completions: AtomicU8::new(Completions::None as u8) }
    }

    pub(crate) fn set(&self, completions: Completions) {
        self.completions.store(completions as u8, Relaxed);
    }

    /// An operation without flags of its own.
    #[inline]
    fn plain(&self) -> Post {
        let now = self.completions.load(Relaxed);
        let awaited = now == Completions::All as u8 || now == Completions::SelectiveByDefault as u8;
        Post { nic: self.nic, awaited }
    }

    /// An operation with flags.
    #[inline]
    fn flagged(&self, flags: u64) -> Post {
        let now = self.completions.load(Relaxed);
        let awaited = match flags & FI_COMPLETION {
            0 => now == Completions::All as u8,
            _ => now != Completions::None as u8,
        };
        Post { nic: self.nic, awaited }
    }

    /// One that never has a completion.
    #[inline]
    fn inject(&self) -> Post {
        Post { nic: self.nic, awaited: false }
    }
}

impl Post {
    #[inline]
    fn count(self, tally: Tally, answer: ssize_t, ops: [Word; 4], bytes: usize) {
        if answer == 0 {
            let [awaited_ops, awaited_bytes, over_ops, over_bytes] = ops;
            let (ops, of_bytes) =
                if self.awaited { (awaited_ops, awaited_bytes) } else { (over_ops, over_bytes) };
            tally.add([(ops, 1), (of_bytes, bytes as u64)]);
        } else {
            refused(tally, answer);
        }
    }

    #[inline]
    fn tx(self, tally: Tally, answer: ssize_t, bytes: usize) {
        self.count(
            tally,
            answer,
            [Word::TxAwaitedOps, Word::TxAwaitedBytes, Word::TxOverOps, Word::TxOverBytes],
            bytes,
        );
    }

    #[inline]
    fn read(self, tally: Tally, answer: ssize_t, bytes: usize) {
        self.count(
            tally,
            answer,
            [Word::ReadAwaitedOps, Word::ReadAwaitedBytes, Word::ReadOverOps, Word::ReadOverBytes],
            bytes,
        );
    }

    #[inline]
    fn atomic(self, tally: Tally, answer: ssize_t, bytes: usize) {
        self.tx(tally, answer, bytes);
        if answer == 0 {
            tally.add([(Word::AtomicOps, 1)]);
        }
    }
}

#[cold]
fn refused(tally: Tally, answer: ssize_t) {
    tally.add([(if answer == AGAIN { Word::TxAgain } else { Word::TxErrors }, 1)]);
}

/// More buffers than any provider takes in one operation.
const MAX_BUFFERS: usize = 1024;

/// Bytes of several buffers.
#[inline]
unsafe fn bytes_of(iov: *const iovec, count: usize) -> usize {
    if iov.is_null() || count > MAX_BUFFERS {
        return 0;
    }
    // SAFETY: the program gives `count` buffers to the provider, which reads the same.
    (0..count).fold(0, |sum, i| sum.wrapping_add(unsafe { (*iov.add(i)).iov_len }))
}

/// Elements of several buffers of atomics.
#[inline]
unsafe fn elements_of(iov: *const fi_ioc, count: usize) -> usize {
    if iov.is_null() || count > MAX_BUFFERS {
        return 0;
    }
    // SAFETY: as in `bytes_of`.
    (0..count).fold(0, |sum, i| sum.wrapping_add(unsafe { (*iov.add(i)).count }))
}

/// Bytes of an element of `enum fi_datatype` (`rdma/fi_domain.h`); 0 of one that is not known.
#[inline]
fn size_of_type(datatype: u32) -> usize {
    match datatype {
        0 | 1 => 1,
        2 | 3 => 2,
        4 | 5 | 8 => 4,
        6 | 7 | 9 | 10 => 8,
        11 | 12 | 14 | 15 => 16,
        13 => 32,
        _ => 0,
    }
}

/// `FI_ATOMIC_READ` of `enum fi_op` (`rdma/fi_domain.h`): fetches, and sends nothing.
const ATOMIC_READ: u32 = 10;

/// Bytes that an atomic sends.
#[inline]
fn atomic_bytes(elements: usize, datatype: u32, code: u32) -> usize {
    if code == ATOMIC_READ { 0 } else { elements.wrapping_mul(size_of_type(datatype)) }
}

/// A function in place of one that posts: calls the provider's, counts, returns what the provider said.
macro_rules! posts {
    ($($name:ident = $part:ident . $field:ident ($ops:ty) ($($arg:ident : $type:ty),*): $kind:ident, $post:ident ($($flags:expr)?), $bytes:expr;)+) => {$(
        unsafe extern "C" fn $name(ep: *mut fid_ep, $($arg: $type),*) -> ssize_t {
            // SAFETY: the program calls a live endpoint; the table there is a provider's or ours, as `original` finds out.
            unsafe {
                let (op, head) = original!((*ep).$part, $ops, $field, $name, (ep, $($arg),*), NO_SUCH_OP);
                Thread::with(|thread| {
                    if thread.is_inside() {
                        return op(ep, $($arg),*);
                    }
                    let post = head.state::<Sender>().$post($($flags)?);
                    let bytes = $bytes;
                    thread.enter();
                    let answer = op(ep, $($arg),*);
                    thread.leave();
                    post.$kind(thread.tally(post.nic), answer, bytes);
                    answer
                })
            }
        }
    )+};
}

posts! {
    send = msg.send(fi_ops_msg)(buf: *const c_void, len: size_t, desc: *mut c_void, to: fi_addr_t, context: *mut c_void): tx, plain(), len;
    sendv = msg.sendv(fi_ops_msg)(iov: *const iovec, desc: *mut *mut c_void, count: size_t, to: fi_addr_t, context: *mut c_void): tx, plain(), bytes_of(iov, count);
    sendmsg = msg.sendmsg(fi_ops_msg)(msg: *const fi_msg, flags: u64): tx, flagged(flags), msg.as_ref().map_or(0, |m| bytes_of(m.msg_iov, m.iov_count));
    inject = msg.inject(fi_ops_msg)(buf: *const c_void, len: size_t, to: fi_addr_t): tx, inject(), len;
    senddata = msg.senddata(fi_ops_msg)(buf: *const c_void, len: size_t, desc: *mut c_void, data: u64, to: fi_addr_t, context: *mut c_void): tx, plain(), len;
    injectdata = msg.injectdata(fi_ops_msg)(buf: *const c_void, len: size_t, data: u64, to: fi_addr_t): tx, inject(), len;

    tsend = tagged.send(fi_ops_tagged)(buf: *const c_void, len: size_t, desc: *mut c_void, to: fi_addr_t, tag: u64, context: *mut c_void): tx, plain(), len;
    tsendv = tagged.sendv(fi_ops_tagged)(iov: *const iovec, desc: *mut *mut c_void, count: size_t, to: fi_addr_t, tag: u64, context: *mut c_void): tx, plain(), bytes_of(iov, count);
    tsendmsg = tagged.sendmsg(fi_ops_tagged)(msg: *const fi_msg_tagged, flags: u64): tx, flagged(flags), msg.as_ref().map_or(0, |m| bytes_of(m.msg_iov, m.iov_count));
    tinject = tagged.inject(fi_ops_tagged)(buf: *const c_void, len: size_t, to: fi_addr_t, tag: u64): tx, inject(), len;
    tsenddata = tagged.senddata(fi_ops_tagged)(buf: *const c_void, len: size_t, desc: *mut c_void, data: u64, to: fi_addr_t, tag: u64, context: *mut c_void): tx, plain(), len;
    tinjectdata = tagged.injectdata(fi_ops_tagged)(buf: *const c_void, len: size_t, data: u64, to: fi_addr_t, tag: u64): tx, inject(), len;

    read = rma.read(fi_ops_rma)(buf: *mut c_void, len: size_t, desc: *mut c_void, from: fi_addr_t, addr: u64, key: u64, context: *mut c_void): read, plain(), len;
    readv = rma.readv(fi_ops_rma)(iov: *const iovec, desc: *mut *mut c_void, count: size_t, from: fi_addr_t, addr: u64, key: u64, context: *mut c_void): read, plain(), bytes_of(iov, count);
    readmsg = rma.readmsg(fi_ops_rma)(msg: *const fi_msg_rma, flags: u64): read, flagged(flags), msg.as_ref().map_or(0, |m| bytes_of(m.msg_iov, m.iov_count));
    write = rma.write(fi_ops_rma)(buf: *const c_void, len: size_t, desc: *mut c_void, to: fi_addr_t, addr: u64, key: u64, context: *mut c_void): tx, plain(), len;
    writev = rma.writev(fi_ops_rma)(iov: *const iovec, desc: *mut *mut c_void, count: size_t, to: fi_addr_t, addr: u64, key: u64, context: *mut c_void): tx, plain(), bytes_of(iov, count);
    writemsg = rma.writemsg(fi_ops_rma)(msg: *const fi_msg_rma, flags: u64): tx, flagged(flags), msg.as_ref().map_or(0, |m| bytes_of(m.msg_iov, m.iov_count));
    inject_write = rma.inject(fi_ops_rma)(buf: *const c_void, len: size_t, to: fi_addr_t, addr: u64, key: u64): tx, inject(), len;
    writedata = rma.writedata(fi_ops_rma)(buf: *const c_void, len: size_t, desc: *mut c_void, data: u64, to: fi_addr_t, addr: u64, key: u64, context: *mut c_void): tx, plain(), len;
    inject_writedata = rma.injectdata(fi_ops_rma)(buf: *const c_void, len: size_t, data: u64, to: fi_addr_t, addr: u64, key: u64): tx, inject(), len;

    atomic_write = atomic.write(fi_ops_atomic)(buf: *const c_void, count: size_t, desc: *mut c_void, to: fi_addr_t, addr: u64, key: u64, datatype: u32, code: u32, context: *mut c_void): atomic, plain(), atomic_bytes(count, datatype, code);
    atomic_writev = atomic.writev(fi_ops_atomic)(iov: *const fi_ioc, desc: *mut *mut c_void, count: size_t, to: fi_addr_t, addr: u64, key: u64, datatype: u32, code: u32, context: *mut c_void): atomic, plain(), atomic_bytes(elements_of(iov, count), datatype, code);
    atomic_writemsg = atomic.writemsg(fi_ops_atomic)(msg: *const fi_msg_atomic, flags: u64): atomic, flagged(flags), msg.as_ref().map_or(0, |m| atomic_bytes(elements_of(m.msg_iov, m.iov_count), m.datatype, m.op));
    atomic_inject = atomic.inject(fi_ops_atomic)(buf: *const c_void, count: size_t, to: fi_addr_t, addr: u64, key: u64, datatype: u32, code: u32): atomic, inject(), atomic_bytes(count, datatype, code);
    atomic_fetch = atomic.readwrite(fi_ops_atomic)(buf: *const c_void, count: size_t, desc: *mut c_void, result: *mut c_void, result_desc: *mut c_void, to: fi_addr_t, addr: u64, key: u64, datatype: u32, code: u32, context: *mut c_void): atomic, plain(), atomic_bytes(count, datatype, code);
    atomic_fetchv = atomic.readwritev(fi_ops_atomic)(iov: *const fi_ioc, desc: *mut *mut c_void, count: size_t, resultv: *mut fi_ioc, result_desc: *mut *mut c_void, result_count: size_t, to: fi_addr_t, addr: u64, key: u64, datatype: u32, code: u32, context: *mut c_void): atomic, plain(), atomic_bytes(elements_of(iov, count), datatype, code);
    atomic_fetchmsg = atomic.readwritemsg(fi_ops_atomic)(msg: *const fi_msg_atomic, resultv: *mut fi_ioc, result_desc: *mut *mut c_void, result_count: size_t, flags: u64): atomic, flagged(flags), msg.as_ref().map_or(0, |m| atomic_bytes(elements_of(m.msg_iov, m.iov_count), m.datatype, m.op));
    atomic_compare = atomic.compwrite(fi_ops_atomic)(buf: *const c_void, count: size_t, desc: *mut c_void, compare: *const c_void, compare_desc: *mut c_void, result: *mut c_void, result_desc: *mut c_void, to: fi_addr_t, addr: u64, key: u64, datatype: u32, code: u32, context: *mut c_void): atomic, plain(), atomic_bytes(count, datatype, code);
    atomic_comparev = atomic.compwritev(fi_ops_atomic)(iov: *const fi_ioc, desc: *mut *mut c_void, count: size_t, comparev: *const fi_ioc, compare_desc: *mut *mut c_void, compare_count: size_t, resultv: *mut fi_ioc, result_desc: *mut *mut c_void, result_count: size_t, to: fi_addr_t, addr: u64, key: u64, datatype: u32, code: u32, context: *mut c_void): atomic, plain(), atomic_bytes(elements_of(iov, count), datatype, code);
    atomic_comparemsg = atomic.compwritemsg(fi_ops_atomic)(msg: *const fi_msg_atomic, comparev: *const fi_ioc, compare_desc: *mut *mut c_void, compare_count: size_t, resultv: *mut fi_ioc, result_desc: *mut *mut c_void, result_count: size_t, flags: u64): atomic, flagged(flags), msg.as_ref().map_or(0, |m| atomic_bytes(elements_of(m.msg_iov, m.iov_count), m.datatype, m.op));
}

/// A look for a message completes as the message itself does, which then comes once more.
unsafe extern "C" fn trecvmsg(ep: *mut fid_ep, msg: *const fi_msg_tagged, flags: u64) -> ssize_t {
    // SAFETY: a live endpoint with a table of ours, or `original` calls on.
    unsafe {
        let (op, _) = original!((*ep).tagged, fi_ops_tagged, recvmsg, trecvmsg, (ep, msg, flags), NO_SUCH_OP);
        if flags & FI_PEEK != 0 && !Thread::with(Thread::is_inside) {
            nics::set_rx_unknown();
        }
        op(ep, msg, flags)
    }
}

pub(crate) fn fill_msg(table: &mut fi_ops_msg) {
    replace!(table, send => send, sendv => sendv, sendmsg => sendmsg, inject => inject, senddata => senddata, injectdata => injectdata);
}

pub(crate) fn fill_tagged(table: &mut fi_ops_tagged) {
    replace!(table, recvmsg => trecvmsg, send => tsend, sendv => tsendv, sendmsg => tsendmsg, inject => tinject, senddata => tsenddata, injectdata => tinjectdata);
}

pub(crate) fn fill_rma(table: &mut fi_ops_rma) {
    replace!(
        table, read => read, readv => readv, readmsg => readmsg, write => write, writev => writev, writemsg => writemsg,
        inject => inject_write, writedata => writedata, injectdata => inject_writedata,
    );
}

pub(crate) fn fill_atomic(table: &mut fi_ops_atomic) {
    replace!(
        table, write => atomic_write, writev => atomic_writev, writemsg => atomic_writemsg, inject => atomic_inject,
        readwrite => atomic_fetch, readwritev => atomic_fetchv, readwritemsg => atomic_fetchmsg,
        compwrite => atomic_compare, compwritev => atomic_comparev, compwritemsg => atomic_comparemsg,
    );
}
