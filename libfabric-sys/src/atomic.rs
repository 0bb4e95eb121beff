//! Atomic operations on remote memory (`fi_atomic(3)`, `rdma/fi_atomic.h`).
#![expect(clippy::type_complexity, reason = "signatures of a C library")]

use libc::{c_void, size_t, ssize_t};

use crate::av::fi_addr_t;
use crate::ep::fid_ep;
use crate::fid::UnusedOp;

/// Atomics. Lengths are counts of elements. Every function queues and returns 0, `-FI_EAGAIN` when the queue is full, or a
/// negative error.
#[repr(C)]
pub struct fi_ops_atomic {
    /// Size of the table in bytes as the library compiled it.
    pub size: size_t,
    /// `fi_atomic`: updates remote memory.
    pub write: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            buf: *const c_void,
            count: size_t,
            desc: *mut c_void,
            dest_addr: fi_addr_t,
            addr: u64,
            key: u64,
            datatype: u32,
            op: u32,
            context: *mut c_void,
        ) -> ssize_t,
    >,
    /// `fi_atomicv`: the same from several buffers.
    pub writev: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            iov: *const fi_ioc,
            desc: *mut *mut c_void,
            count: size_t,
            dest_addr: fi_addr_t,
            addr: u64,
            key: u64,
            datatype: u32,
            op: u32,
            context: *mut c_void,
        ) -> ssize_t,
    >,
    /// `fi_atomicmsg`: the same with flags.
    pub writemsg:
        Option<unsafe extern "C" fn(ep: *mut fid_ep, msg: *const fi_msg_atomic, flags: u64) -> ssize_t>,
    /// `fi_inject_atomic`: from a buffer that may be reused at once; no completion.
    pub inject: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            buf: *const c_void,
            count: size_t,
            dest_addr: fi_addr_t,
            addr: u64,
            key: u64,
            datatype: u32,
            op: u32,
        ) -> ssize_t,
    >,
    /// `fi_fetch_atomic`: and brings back what was there.
    pub readwrite: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            buf: *const c_void,
            count: size_t,
            desc: *mut c_void,
            result: *mut c_void,
            result_desc: *mut c_void,
            dest_addr: fi_addr_t,
            addr: u64,
            key: u64,
            datatype: u32,
            op: u32,
            context: *mut c_void,
        ) -> ssize_t,
    >,
    /// `fi_fetch_atomicv`: the same from several buffers.
    pub readwritev: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            iov: *const fi_ioc,
            desc: *mut *mut c_void,
            count: size_t,
            resultv: *mut fi_ioc,
            result_desc: *mut *mut c_void,
            result_count: size_t,
            dest_addr: fi_addr_t,
            addr: u64,
            key: u64,
            datatype: u32,
            op: u32,
            context: *mut c_void,
        ) -> ssize_t,
    >,
    /// `fi_fetch_atomicmsg`: the same with flags.
    pub readwritemsg: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            msg: *const fi_msg_atomic,
            resultv: *mut fi_ioc,
            result_desc: *mut *mut c_void,
            result_count: size_t,
            flags: u64,
        ) -> ssize_t,
    >,
    /// `fi_compare_atomic`: updates if a comparison holds, and brings back what was there.
    pub compwrite: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            buf: *const c_void,
            count: size_t,
            desc: *mut c_void,
            compare: *const c_void,
            compare_desc: *mut c_void,
            result: *mut c_void,
            result_desc: *mut c_void,
            dest_addr: fi_addr_t,
            addr: u64,
            key: u64,
            datatype: u32,
            op: u32,
            context: *mut c_void,
        ) -> ssize_t,
    >,
    /// `fi_compare_atomicv`: the same from several buffers.
    pub compwritev: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            iov: *const fi_ioc,
            desc: *mut *mut c_void,
            count: size_t,
            comparev: *const fi_ioc,
            compare_desc: *mut *mut c_void,
            compare_count: size_t,
            resultv: *mut fi_ioc,
            result_desc: *mut *mut c_void,
            result_count: size_t,
            dest_addr: fi_addr_t,
            addr: u64,
            key: u64,
            datatype: u32,
            op: u32,
            context: *mut c_void,
        ) -> ssize_t,
    >,
    /// `fi_compare_atomicmsg`: the same with flags.
    pub compwritemsg: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            msg: *const fi_msg_atomic,
            comparev: *const fi_ioc,
            compare_desc: *mut *mut c_void,
            compare_count: size_t,
            resultv: *mut fi_ioc,
            result_desc: *mut *mut c_void,
            result_count: size_t,
            flags: u64,
        ) -> ssize_t,
    >,
    /// Whether `write` can do an operation; not called here.
    pub writevalid: UnusedOp,
    /// Whether `readwrite` can do an operation; not called here.
    pub readwritevalid: UnusedOp,
    /// Whether `compwrite` can do an operation; not called here.
    pub compwritevalid: UnusedOp,
}

/// A buffer of atomics.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_ioc {
    /// Where it is.
    pub addr: *mut c_void,
    /// Elements.
    pub count: size_t,
}

/// An atomic operation for `writemsg` and its like.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_msg_atomic {
    /// Local buffers.
    pub msg_iov: *const fi_ioc,
    /// Their descriptors, or null.
    pub desc: *mut *mut c_void,
    /// Entries at `msg_iov`.
    pub iov_count: size_t,
    /// The peer.
    pub addr: fi_addr_t,
    /// Remote buffers (`struct fi_rma_ioc`).
    pub rma_iov: *const c_void,
    /// Entries at `rma_iov`.
    pub rma_iov_count: size_t,
    /// Type of an element (`FI_INT8`, ...).
    pub datatype: u32,
    /// What to do (`FI_SUM`, ...).
    pub op: u32,
    /// Context of the operation.
    pub context: *mut c_void,
    /// Immediate, with `FI_REMOTE_CQ_DATA`.
    pub data: u64,
}
