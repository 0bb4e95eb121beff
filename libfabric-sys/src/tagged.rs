//! Tagged messages (`fi_tagged(3)`, `rdma/fi_tagged.h`).

use libc::{c_void, iovec, size_t, ssize_t};

use crate::av::fi_addr_t;
use crate::ep::fid_ep;
use crate::fid::UnusedOp;

/// Tagged messages. Every function queues and returns 0, `-FI_EAGAIN` when the queue is full, or a negative error.
#[repr(C)]
pub struct fi_ops_tagged {
    /// Size of the table in bytes as the library compiled it.
    pub size: size_t,
    /// Posts a buffer; not called here.
    pub recv: UnusedOp,
    /// Posts several buffers as one; not called here.
    pub recvv: UnusedOp,
    /// `fi_trecvmsg`: as `recv`, with flags.
    pub recvmsg:
        Option<unsafe extern "C" fn(ep: *mut fid_ep, msg: *const fi_msg_tagged, flags: u64) -> ssize_t>,
    /// `fi_tsend`: sends a buffer.
    pub send: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            buf: *const c_void,
            len: size_t,
            desc: *mut c_void,
            dest_addr: fi_addr_t,
            tag: u64,
            context: *mut c_void,
        ) -> ssize_t,
    >,
    /// `fi_tsendv`: sends several buffers as one.
    pub sendv: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            iov: *const iovec,
            desc: *mut *mut c_void,
            count: size_t,
            dest_addr: fi_addr_t,
            tag: u64,
            context: *mut c_void,
        ) -> ssize_t,
    >,
    /// `fi_tsendmsg`: as `send`, with flags.
    pub sendmsg:
        Option<unsafe extern "C" fn(ep: *mut fid_ep, msg: *const fi_msg_tagged, flags: u64) -> ssize_t>,
    /// `fi_tinject`: sends a small buffer that may be reused at once; no completion.
    pub inject: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            buf: *const c_void,
            len: size_t,
            dest_addr: fi_addr_t,
            tag: u64,
        ) -> ssize_t,
    >,
    /// `fi_tsenddata`: as `send`, with an immediate.
    pub senddata: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            buf: *const c_void,
            len: size_t,
            desc: *mut c_void,
            data: u64,
            dest_addr: fi_addr_t,
            tag: u64,
            context: *mut c_void,
        ) -> ssize_t,
    >,
    /// `fi_tinjectdata`: `inject` and `senddata` in one.
    pub injectdata: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            buf: *const c_void,
            len: size_t,
            data: u64,
            dest_addr: fi_addr_t,
            tag: u64,
        ) -> ssize_t,
    >,
}

/// A message for `sendmsg`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_msg_tagged {
    /// Local buffers.
    pub msg_iov: *const iovec,
    /// Their descriptors, or null.
    pub desc: *mut *mut c_void,
    /// Entries at `msg_iov`.
    pub iov_count: size_t,
    /// The peer.
    pub addr: fi_addr_t,
    /// The tag.
    pub tag: u64,
    /// Bits of the tag that a receive does not compare.
    pub ignore: u64,
    /// Context of the operation.
    pub context: *mut c_void,
    /// Immediate, with `FI_REMOTE_CQ_DATA`.
    pub data: u64,
}
