//! Completion queues (`fi_cq(3)`, `rdma/fi_eq.h`).

use libc::{c_char, c_int, c_void, size_t, ssize_t};

use crate::fid::fid;

/// A completion queue.
#[repr(C)]
pub struct fid_cq {
    /// Head of the object.
    pub fid: fid,
    /// Operations of the queue.
    pub ops: *mut fi_ops_cq,
}

/// Operations of a completion queue.
#[repr(C)]
pub struct fi_ops_cq {
    /// Size of the table in bytes as the library compiled it.
    pub size: size_t,
    /// `fi_cq_read`: takes up to `count` completions, never blocks.
    pub read: Option<unsafe extern "C" fn(cq: *mut fid_cq, buf: *mut c_void, count: size_t) -> ssize_t>,
    /// `fi_cq_readfrom`: as `read`, and who sent each.
    pub readfrom: Option<
        unsafe extern "C" fn(cq: *mut fid_cq, buf: *mut c_void, count: size_t, src_addr: *mut u64) -> ssize_t,
    >,
    /// `fi_cq_readerr`: takes one failed completion.
    pub readerr:
        Option<unsafe extern "C" fn(cq: *mut fid_cq, buf: *mut fi_cq_err_entry, flags: u64) -> ssize_t>,
    /// `fi_cq_sread`: as `read`, and blocks up to `timeout` ms; needs a wait object.
    pub sread: Option<
        unsafe extern "C" fn(
            cq: *mut fid_cq,
            buf: *mut c_void,
            count: size_t,
            cond: *const c_void,
            timeout: c_int,
        ) -> ssize_t,
    >,
    /// `fi_cq_sreadfrom`: `sread` and `readfrom` in one.
    pub sreadfrom: Option<
        unsafe extern "C" fn(
            cq: *mut fid_cq,
            buf: *mut c_void,
            count: size_t,
            src_addr: *mut u64,
            cond: *const c_void,
            timeout: c_int,
        ) -> ssize_t,
    >,
    /// `fi_cq_signal`: wakes a thread blocked in `sread`.
    pub signal: Option<unsafe extern "C" fn(cq: *mut fid_cq) -> c_int>,
    /// `fi_cq_strerror`: text for a provider's own error.
    pub strerror: Option<
        unsafe extern "C" fn(
            cq: *mut fid_cq,
            prov_errno: c_int,
            err_data: *const c_void,
            buf: *mut c_char,
            len: size_t,
        ) -> *const c_char,
    >,
}

/// What to open a completion queue with. Start from [`fi_cq_attr::zeroed`].
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_cq_attr {
    /// Completions it must hold; 0: the provider's default.
    pub size: size_t,
    /// Flags (`FI_AFFINITY`).
    pub flags: u64,
    /// Which entry structure `read` fills (`FI_CQ_FORMAT_*`).
    pub format: u32,
    /// What can be waited on (`FI_WAIT_*`).
    pub wait_obj: u32,
    /// Core that should take its interrupts, with `FI_AFFINITY`.
    pub signaling_vector: c_int,
    /// What wakes `sread` (`FI_CQ_COND_*`).
    pub wait_cond: u32,
    /// Wait set (deprecated in 2.x): leave null.
    pub wait_set: *mut c_void,
    /// In the headers after 2.6: leave null.
    pub xpu_ctx: *mut c_void,
}

/// A completion in the format `FI_CQ_FORMAT_MSG`: how those of the longer formats begin.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_cq_msg_entry {
    /// Context of the operation that completed.
    pub op_context: *mut c_void,
    /// What completed. Test single bits: providers differ in the rest.
    pub flags: u64,
    /// Bytes received.
    pub len: size_t,
}

/// A completion in the format `FI_CQ_FORMAT_TAGGED`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_cq_tagged_entry {
    /// Context of the operation that completed.
    pub op_context: *mut c_void,
    /// What completed. Test single bits: providers differ in the rest.
    pub flags: u64,
    /// Bytes received.
    pub len: size_t,
    /// Where a multi-receive put the message.
    pub buf: *mut c_void,
    /// The peer's immediate; valid with `FI_REMOTE_CQ_DATA`.
    pub data: u64,
    /// The message's tag.
    pub tag: u64,
}

/// A completion in the format `FI_CQ_FORMAT_DATA`.
///
/// For the arrival of an RMA write with data, `op_context` means nothing, and `len` is 0 on the tcp providers of 1.17.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_cq_data_entry {
    /// Context of the operation that completed.
    pub op_context: *mut c_void,
    /// What completed. Test single bits (`FI_REMOTE_WRITE`, ...): providers differ in the rest.
    pub flags: u64,
    /// Bytes received.
    pub len: size_t,
    /// Where a multi-receive put the message.
    pub buf: *mut c_void,
    /// The peer's immediate; valid with `FI_REMOTE_CQ_DATA`.
    pub data: u64,
}

/// A failed operation. Start from [`fi_cq_err_entry::zeroed`].
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_cq_err_entry {
    /// Context of the operation that failed.
    pub op_context: *mut c_void,
    /// What failed.
    pub flags: u64,
    /// Bytes received.
    pub len: size_t,
    /// Where a multi-receive put the message.
    pub buf: *mut c_void,
    /// The peer's immediate.
    pub data: u64,
    /// The message's tag.
    pub tag: u64,
    /// Bytes that did not fit.
    pub olen: size_t,
    /// Error as a positive code, see [`crate::errno`].
    pub err: c_int,
    /// The provider's own code; [`crate::inline::fi_cq_strerror`] has its text.
    pub prov_errno: c_int,
    /// The provider's details, valid until the queue is read again.
    pub err_data: *mut c_void,
    /// Bytes at `err_data`. Leave 0 when calling: otherwise `err_data` must be a buffer of ours.
    pub err_data_size: size_t,
    /// Who sent the message; from 1.20 on, `FI_ADDR_NOTAVAIL` before.
    pub src_addr: u64,
}
