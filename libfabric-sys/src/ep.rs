//! Endpoints and their data transfers (`fi_endpoint(3)`, `fi_msg(3)`, `fi_rma(3)`, `fi_cm(3)`).

use libc::{c_int, c_void, iovec, size_t, ssize_t};

use crate::atomic::fi_ops_atomic;
use crate::av::fi_addr_t;
use crate::fid::{UnusedOp, fid};
use crate::info::fi_tx_attr;
use crate::tagged::fi_ops_tagged;

/// An endpoint.
#[repr(C)]
pub struct fid_ep {
    /// Head of the object.
    pub fid: fid,
    /// Options.
    pub ops: *mut fi_ops_ep,
    /// Names and connections.
    pub cm: *mut fi_ops_cm,
    /// Messages; null unless the endpoint has `FI_MSG`.
    pub msg: *mut fi_ops_msg,
    /// Remote memory access; null unless the endpoint has `FI_RMA`.
    pub rma: *mut fi_ops_rma,
    /// Tagged messages; null unless the endpoint has `FI_TAGGED`.
    pub tagged: *mut fi_ops_tagged,
    /// Atomics; null unless the endpoint has `FI_ATOMIC`.
    pub atomic: *mut fi_ops_atomic,
    /// Collectives; not used here.
    pub collective: *mut c_void,
}

/// Options of an endpoint.
#[repr(C)]
pub struct fi_ops_ep {
    /// Size of the table in bytes as the library compiled it.
    pub size: size_t,
    /// `fi_cancel`: asks to cancel an operation by its context.
    pub cancel: Option<unsafe extern "C" fn(fid: *mut fid, context: *mut c_void) -> ssize_t>,
    /// `fi_getopt`: reads an option.
    pub getopt: Option<
        unsafe extern "C" fn(
            fid: *mut fid,
            level: c_int,
            optname: c_int,
            optval: *mut c_void,
            optlen: *mut size_t,
        ) -> c_int,
    >,
    /// `fi_setopt`: sets an option (`FI_OPT_*`).
    pub setopt: Option<
        unsafe extern "C" fn(
            fid: *mut fid,
            level: c_int,
            optname: c_int,
            optval: *const c_void,
            optlen: size_t,
        ) -> c_int,
    >,
    /// `fi_tx_context`: opens a transmit context of a scalable endpoint.
    pub tx_ctx: Option<
        unsafe extern "C" fn(
            sep: *mut fid_ep,
            index: c_int,
            attr: *mut fi_tx_attr,
            tx_ep: *mut *mut fid_ep,
            context: *mut c_void,
        ) -> c_int,
    >,
    /// Receive context of a scalable endpoint; not called here.
    pub rx_ctx: UnusedOp,
    /// Deprecated; not called here.
    pub rx_size_left: UnusedOp,
    /// Deprecated; not called here.
    pub tx_size_left: UnusedOp,
}

/// Names and connections of an endpoint.
#[repr(C)]
pub struct fi_ops_cm {
    /// Size of the table in bytes as the library compiled it.
    pub size: size_t,
    /// Sets the local address; not called here.
    pub setname: UnusedOp,
    /// `fi_getname`: the local address, to give to the peers.
    pub getname:
        Option<unsafe extern "C" fn(fid: *mut fid, addr: *mut c_void, addrlen: *mut size_t) -> c_int>,
    /// The peer's address (connected endpoints only); not called here.
    pub getpeer: UnusedOp,
    /// Connects (connected endpoints only); not called here.
    pub connect: UnusedOp,
    /// Listens (connected endpoints only); not called here.
    pub listen: UnusedOp,
    /// Accepts (connected endpoints only); not called here.
    pub accept: UnusedOp,
    /// Rejects (connected endpoints only); not called here.
    pub reject: UnusedOp,
    /// Disconnects (connected endpoints only); not called here.
    pub shutdown: UnusedOp,
    /// Joins a multicast group; not called here.
    pub join: UnusedOp,
}

/// Messages. Every function queues and returns 0, `-FI_EAGAIN` when the queue is full, or a negative error.
#[repr(C)]
pub struct fi_ops_msg {
    /// Size of the table in bytes as the library compiled it.
    pub size: size_t,
    /// `fi_recv`: posts a buffer.
    pub recv: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            buf: *mut c_void,
            len: size_t,
            desc: *mut c_void,
            src_addr: fi_addr_t,
            context: *mut c_void,
        ) -> ssize_t,
    >,
    /// Posts several buffers as one; not called here.
    pub recvv: UnusedOp,
    /// `fi_recvmsg`: as `recv`, with flags.
    pub recvmsg: Option<unsafe extern "C" fn(ep: *mut fid_ep, msg: *const fi_msg, flags: u64) -> ssize_t>,
    /// `fi_send`: sends a buffer.
    pub send: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            buf: *const c_void,
            len: size_t,
            desc: *mut c_void,
            dest_addr: fi_addr_t,
            context: *mut c_void,
        ) -> ssize_t,
    >,
    /// `fi_sendv`: sends several buffers as one.
    pub sendv: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            iov: *const iovec,
            desc: *mut *mut c_void,
            count: size_t,
            dest_addr: fi_addr_t,
            context: *mut c_void,
        ) -> ssize_t,
    >,
    /// `fi_sendmsg`: as `send`, with flags.
    pub sendmsg: Option<unsafe extern "C" fn(ep: *mut fid_ep, msg: *const fi_msg, flags: u64) -> ssize_t>,
    /// `fi_inject`: sends a small buffer that may be reused at once; no completion.
    pub inject: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            buf: *const c_void,
            len: size_t,
            dest_addr: fi_addr_t,
        ) -> ssize_t,
    >,
    /// `fi_senddata`: as `send`, with an immediate.
    pub senddata: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            buf: *const c_void,
            len: size_t,
            desc: *mut c_void,
            data: u64,
            dest_addr: fi_addr_t,
            context: *mut c_void,
        ) -> ssize_t,
    >,
    /// `fi_injectdata`: `inject` and `senddata` in one.
    pub injectdata: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            buf: *const c_void,
            len: size_t,
            data: u64,
            dest_addr: fi_addr_t,
        ) -> ssize_t,
    >,
}

/// Remote memory access. Every function queues and returns 0, `-FI_EAGAIN` when the queue is full, or a negative error.
#[repr(C)]
pub struct fi_ops_rma {
    /// Size of the table in bytes as the library compiled it.
    pub size: size_t,
    /// `fi_read`: fetches remote memory.
    pub read: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            buf: *mut c_void,
            len: size_t,
            desc: *mut c_void,
            src_addr: fi_addr_t,
            addr: u64,
            key: u64,
            context: *mut c_void,
        ) -> ssize_t,
    >,
    /// `fi_readv`: fetches into several buffers.
    pub readv: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            iov: *const iovec,
            desc: *mut *mut c_void,
            count: size_t,
            src_addr: fi_addr_t,
            addr: u64,
            key: u64,
            context: *mut c_void,
        ) -> ssize_t,
    >,
    /// `fi_readmsg`: as `read`, with flags.
    pub readmsg: Option<unsafe extern "C" fn(ep: *mut fid_ep, msg: *const fi_msg_rma, flags: u64) -> ssize_t>,
    /// `fi_write`: writes remote memory; the peer sees no completion.
    pub write: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            buf: *const c_void,
            len: size_t,
            desc: *mut c_void,
            dest_addr: fi_addr_t,
            addr: u64,
            key: u64,
            context: *mut c_void,
        ) -> ssize_t,
    >,
    /// `fi_writev`: writes from several buffers.
    pub writev: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            iov: *const iovec,
            desc: *mut *mut c_void,
            count: size_t,
            dest_addr: fi_addr_t,
            addr: u64,
            key: u64,
            context: *mut c_void,
        ) -> ssize_t,
    >,
    /// `fi_writemsg`: as `write` or `writedata`, with flags.
    pub writemsg:
        Option<unsafe extern "C" fn(ep: *mut fid_ep, msg: *const fi_msg_rma, flags: u64) -> ssize_t>,
    /// `fi_inject_write`: writes from a small buffer that may be reused at once; no completion.
    pub inject: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            buf: *const c_void,
            len: size_t,
            dest_addr: fi_addr_t,
            addr: u64,
            key: u64,
        ) -> ssize_t,
    >,
    /// `fi_writedata`: as `write`, and the peer gets a completion with `data` once the bytes are in place.
    pub writedata: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            buf: *const c_void,
            len: size_t,
            desc: *mut c_void,
            data: u64,
            dest_addr: fi_addr_t,
            addr: u64,
            key: u64,
            context: *mut c_void,
        ) -> ssize_t,
    >,
    /// `fi_inject_writedata`: `inject` and `writedata` in one.
    pub injectdata: Option<
        unsafe extern "C" fn(
            ep: *mut fid_ep,
            buf: *const c_void,
            len: size_t,
            data: u64,
            dest_addr: fi_addr_t,
            addr: u64,
            key: u64,
        ) -> ssize_t,
    >,
}

/// A message for `sendmsg` or `recvmsg`. Start from [`fi_msg::zeroed`].
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_msg {
    /// Local buffers.
    pub msg_iov: *const iovec,
    /// Their descriptors, or null.
    pub desc: *mut *mut c_void,
    /// Entries at `msg_iov`.
    pub iov_count: size_t,
    /// The peer.
    pub addr: fi_addr_t,
    /// Context of the operation.
    pub context: *mut c_void,
    /// Immediate, with `FI_REMOTE_CQ_DATA`.
    pub data: u64,
}

/// An RMA operation for `writemsg` or `readmsg`. Start from [`fi_msg_rma::zeroed`].
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_msg_rma {
    /// Local buffers.
    pub msg_iov: *const iovec,
    /// Their descriptors, or null.
    pub desc: *mut *mut c_void,
    /// Entries at `msg_iov`.
    pub iov_count: size_t,
    /// The peer.
    pub addr: fi_addr_t,
    /// Remote buffers.
    pub rma_iov: *const fi_rma_iov,
    /// Entries at `rma_iov`.
    pub rma_iov_count: size_t,
    /// Context of the operation.
    pub context: *mut c_void,
    /// Immediate, with `FI_REMOTE_CQ_DATA`.
    pub data: u64,
}

/// A remote buffer.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct fi_rma_iov {
    /// Virtual address with `FI_MR_VIRT_ADDR`, otherwise offset in the region.
    pub addr: u64,
    /// Bytes.
    pub len: size_t,
    /// Key of the region.
    pub key: u64,
}
