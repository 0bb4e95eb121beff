//! The `static inline` functions of libfabric's headers.
//!
//! Each calls through the object's table of operations and returns what the provider returns, or `-FI_ENOSYS` when the table,
//! or its entry, is not there (a null pointer, or a table older than the entry: `FI_CHECK_OP` of `rdma/fabric.h`, applied to
//! every call since "a provider may allocate the minimal size structure", `rdma/fi_endpoint.h`). The man page of the same name
//! says what a function does.
//!
//! # Safety
//!
//! The same for all of them: every object is one that libfabric returned and that is not closed yet; every other pointer is
//! valid for what the man page says of it, for as long as it says (a buffer of an operation: until its completion); and the
//! threading model of the domain (`FI_THREAD_*`) is kept.
#![expect(unsafe_code, reason = "calls through function pointers of a C library")]
#![expect(clippy::missing_safety_doc, reason = "one contract for all, in the module's documentation")]
#![expect(clippy::too_many_arguments, reason = "libfabric's signatures")]

use std::mem::offset_of;
use std::ptr::null_mut;

use libc::{c_char, c_int, c_void, size_t, ssize_t};

use crate::av::{fi_addr_t, fi_av_attr, fi_ops_av, fid_av};
use crate::consts::{FI_ADDR_NOTAVAIL, FI_ENABLE, FI_GETWAIT};
use crate::cq::{fi_cq_attr, fi_cq_err_entry, fi_ops_cq, fid_cq};
use crate::ep::{fi_msg, fi_msg_rma, fi_ops_cm, fi_ops_ep, fi_ops_msg, fi_ops_rma, fid_ep};
use crate::errno::FI_ENOSYS;
use crate::fid::{fi_ops, fi_ops_domain, fi_ops_fabric, fid, fid_domain, fid_fabric};
use crate::info::fi_info;
use crate::mr::{fi_mr_attr, fi_ops_mr, fid_mr};

/// `-FI_ENOSYS` as data transfers return it.
const NO_SUCH_OP: ssize_t = -(FI_ENOSYS as ssize_t);

/// Calls an entry of an operations table, or gives `$none` when the entry is not there.
macro_rules! call {
    ($table:expr, $ops:ty, $entry:ident, ($($arg:expr),*), $none:expr) => {{
        let table: *const $ops = $table;
        if table.is_null() || (*table).size <= offset_of!($ops, $entry) {
            $none
        } else {
            match (*table).$entry {
                Some(entry) => entry($($arg),*),
                None => $none,
            }
        }
    }};
}

// All objects.

/// Closes an object. Close what depends on another first: endpoint; memory, address vector, completion queue; domain; fabric.
#[inline]
pub unsafe fn fi_close(fid: *mut fid) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*fid).ops, fi_ops, close, (fid), -FI_ENOSYS) }
}

/// Sends a command to an object.
#[inline]
pub unsafe fn fi_control(fid: *mut fid, command: c_int, arg: *mut c_void) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*fid).ops, fi_ops, control, (fid, command, arg), -FI_ENOSYS) }
}

/// Binds two objects. `fi_ep_bind`, `fi_mr_bind` are this on their `fid`.
#[inline]
pub unsafe fn fi_bind(fid: *mut fid, bfid: *mut fid, flags: u64) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*fid).ops, fi_ops, bind, (fid, bfid, flags), -FI_ENOSYS) }
}

/// Opens a provider's extra operations by name.
#[inline]
pub unsafe fn fi_open_ops(
    fid: *mut fid,
    name: *const c_char,
    flags: u64,
    ops: *mut *mut c_void,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*fid).ops, fi_ops, ops_open, (fid, name, flags, ops, context), -FI_ENOSYS) }
}

// Fabric and domain.

/// Opens a domain, that is a NIC.
#[inline]
pub unsafe fn fi_domain(
    fabric: *mut fid_fabric,
    info: *mut fi_info,
    domain: *mut *mut fid_domain,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*fabric).ops, fi_ops_fabric, domain, (fabric, info, domain, context), -FI_ENOSYS) }
}

/// 0 when it is safe to block on the descriptors of these objects, `-FI_EAGAIN` when they must be read first.
#[inline]
pub unsafe fn fi_trywait(fabric: *mut fid_fabric, fids: *mut *mut fid, count: c_int) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*fabric).ops, fi_ops_fabric, trywait, (fabric, fids, count), -FI_ENOSYS) }
}

/// Opens an endpoint.
#[inline]
pub unsafe fn fi_endpoint(
    domain: *mut fid_domain,
    info: *mut fi_info,
    ep: *mut *mut fid_ep,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*domain).ops, fi_ops_domain, endpoint, (domain, info, ep, context), -FI_ENOSYS) }
}

/// Opens a completion queue.
#[inline]
pub unsafe fn fi_cq_open(
    domain: *mut fid_domain,
    attr: *mut fi_cq_attr,
    cq: *mut *mut fid_cq,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*domain).ops, fi_ops_domain, cq_open, (domain, attr, cq, context), -FI_ENOSYS) }
}

/// Opens an address vector.
#[inline]
pub unsafe fn fi_av_open(
    domain: *mut fid_domain,
    attr: *mut fi_av_attr,
    av: *mut *mut fid_av,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*domain).ops, fi_ops_domain, av_open, (domain, attr, av, context), -FI_ENOSYS) }
}

// Memory regions.

/// Registers one buffer in host memory.
#[inline]
pub unsafe fn fi_mr_reg(
    domain: *mut fid_domain,
    buf: *const c_void,
    len: size_t,
    access: u64,
    offset: u64,
    requested_key: u64,
    flags: u64,
    mr: *mut *mut fid_mr,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        call!(
            (*domain).mr,
            fi_ops_mr,
            reg,
            (&raw mut ((*domain).fid), buf, len, access, offset, requested_key, flags, mr, context),
            -FI_ENOSYS
        )
    }
}

/// Registers memory of any kind.
#[inline]
pub unsafe fn fi_mr_regattr(
    domain: *mut fid_domain,
    attr: *const fi_mr_attr,
    flags: u64,
    mr: *mut *mut fid_mr,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        call!((*domain).mr, fi_ops_mr, regattr, (&raw mut ((*domain).fid), attr, flags, mr), -FI_ENOSYS)
    }
}

/// Descriptor to give with each local buffer in the region; may be null.
#[inline]
pub unsafe fn fi_mr_desc(mr: *mut fid_mr) -> *mut c_void {
    // SAFETY: the module's contract: a live object.
    unsafe { (*mr).mem_desc }
}

/// Key that a peer needs; `FI_KEY_NOTAVAIL` when it is longer than 64 bits.
#[inline]
pub unsafe fn fi_mr_key(mr: *mut fid_mr) -> u64 {
    // SAFETY: the module's contract: a live object.
    unsafe { (*mr).key }
}

/// Binds a region to an endpoint, where the domain has `FI_MR_ENDPOINT`.
#[inline]
pub unsafe fn fi_mr_bind(mr: *mut fid_mr, bfid: *mut fid, flags: u64) -> c_int {
    // SAFETY: the module's contract: live objects.
    unsafe { fi_bind(&raw mut ((*mr).fid), bfid, flags) }
}

/// Enables a region that has been bound.
#[inline]
pub unsafe fn fi_mr_enable(mr: *mut fid_mr) -> c_int {
    // SAFETY: the module's contract: a live object; the command has no argument.
    unsafe { fi_control(&raw mut ((*mr).fid), FI_ENABLE, null_mut()) }
}

// Address vectors.

/// Adds addresses; returns how many it took, or a negative error.
#[inline]
pub unsafe fn fi_av_insert(
    av: *mut fid_av,
    addr: *const c_void,
    count: size_t,
    fi_addr: *mut fi_addr_t,
    flags: u64,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*av).ops, fi_ops_av, insert, (av, addr, count, fi_addr, flags, context), -FI_ENOSYS) }
}

/// Drops addresses.
#[inline]
pub unsafe fn fi_av_remove(av: *mut fid_av, fi_addr: *mut fi_addr_t, count: size_t, flags: u64) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*av).ops, fi_ops_av, remove, (av, fi_addr, count, flags), -FI_ENOSYS) }
}

/// An address as text; null when the provider cannot.
#[inline]
pub unsafe fn fi_av_straddr(
    av: *mut fid_av,
    addr: *const c_void,
    buf: *mut c_char,
    len: *mut size_t,
) -> *const c_char {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*av).ops, fi_ops_av, straddr, (av, addr, buf, len), std::ptr::null()) }
}

// Completion queues.

/// Takes up to `count` completions; `-FI_EAGAIN` when there is none, `-FI_EAVAIL` when the next one failed.
#[inline]
pub unsafe fn fi_cq_read(cq: *mut fid_cq, buf: *mut c_void, count: size_t) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*cq).ops, fi_ops_cq, read, (cq, buf, count), NO_SUCH_OP) }
}

/// As [`fi_cq_read`], and who sent each.
#[inline]
pub unsafe fn fi_cq_readfrom(
    cq: *mut fid_cq,
    buf: *mut c_void,
    count: size_t,
    src_addr: *mut fi_addr_t,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*cq).ops, fi_ops_cq, readfrom, (cq, buf, count, src_addr), NO_SUCH_OP) }
}

/// Takes one failed completion; the entry comes from [`fi_cq_err_entry::zeroed`].
#[inline]
pub unsafe fn fi_cq_readerr(cq: *mut fid_cq, entry: *mut fi_cq_err_entry, flags: u64) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        // As the header does: a provider from before 1.20 leaves this field alone.
        if !entry.is_null() {
            (*entry).src_addr = FI_ADDR_NOTAVAIL;
        }
        call!((*cq).ops, fi_ops_cq, readerr, (cq, entry, flags), NO_SUCH_OP)
    }
}

/// As [`fi_cq_read`], and blocks up to `timeout` milliseconds (-1: forever).
#[inline]
pub unsafe fn fi_cq_sread(
    cq: *mut fid_cq,
    buf: *mut c_void,
    count: size_t,
    cond: *const c_void,
    timeout: c_int,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*cq).ops, fi_ops_cq, sread, (cq, buf, count, cond, timeout), NO_SUCH_OP) }
}

/// Wakes a thread that blocks in [`fi_cq_sread`].
#[inline]
pub unsafe fn fi_cq_signal(cq: *mut fid_cq) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*cq).ops, fi_ops_cq, signal, (cq), -FI_ENOSYS) }
}

/// Text of a provider's own error; null when it has none. `buf` may be null: the text is then the provider's.
#[inline]
pub unsafe fn fi_cq_strerror(
    cq: *mut fid_cq,
    prov_errno: c_int,
    err_data: *const c_void,
    buf: *mut c_char,
    len: size_t,
) -> *const c_char {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*cq).ops, fi_ops_cq, strerror, (cq, prov_errno, err_data, buf, len), std::ptr::null()) }
}

/// `FI_GETWAIT`: writes the file descriptor of a queue opened with `FI_WAIT_FD`.
#[inline]
pub unsafe fn fi_cq_getwait_fd(cq: *mut fid_cq, fd: *mut c_int) -> c_int {
    // SAFETY: the module's contract: a live object, `fd` is writable.
    unsafe { fi_control(&raw mut ((*cq).fid), FI_GETWAIT, fd.cast()) }
}

// Endpoints.

/// Binds a completion queue or address vector to an endpoint.
#[inline]
pub unsafe fn fi_ep_bind(ep: *mut fid_ep, bfid: *mut fid, flags: u64) -> c_int {
    // SAFETY: the module's contract: live objects.
    unsafe { fi_bind(&raw mut ((*ep).fid), bfid, flags) }
}

/// Makes an endpoint active, after everything it needs is bound.
#[inline]
pub unsafe fn fi_enable(ep: *mut fid_ep) -> c_int {
    // SAFETY: the module's contract: a live object; the command has no argument.
    unsafe { fi_control(&raw mut ((*ep).fid), FI_ENABLE, null_mut()) }
}

/// The local address of an enabled endpoint; `-FI_ETOOSMALL` sets `addrlen` to the bytes it takes.
#[inline]
pub unsafe fn fi_getname(ep: *mut fid_ep, addr: *mut c_void, addrlen: *mut size_t) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).cm, fi_ops_cm, getname, (&raw mut ((*ep).fid), addr, addrlen), -FI_ENOSYS) }
}

/// Reads an option of an endpoint.
#[inline]
pub unsafe fn fi_getopt(
    ep: *mut fid_ep,
    level: c_int,
    optname: c_int,
    optval: *mut c_void,
    optlen: *mut size_t,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        call!(
            (*ep).ops,
            fi_ops_ep,
            getopt,
            (&raw mut ((*ep).fid), level, optname, optval, optlen),
            -FI_ENOSYS
        )
    }
}

/// Sets an option of an endpoint, before it is enabled.
#[inline]
pub unsafe fn fi_setopt(
    ep: *mut fid_ep,
    level: c_int,
    optname: c_int,
    optval: *const c_void,
    optlen: size_t,
) -> c_int {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        call!(
            (*ep).ops,
            fi_ops_ep,
            setopt,
            (&raw mut ((*ep).fid), level, optname, optval, optlen),
            -FI_ENOSYS
        )
    }
}

/// Asks to cancel the operation with this context; its completion says whether it was.
#[inline]
pub unsafe fn fi_cancel(ep: *mut fid_ep, context: *mut c_void) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).ops, fi_ops_ep, cancel, (&raw mut ((*ep).fid), context), NO_SUCH_OP) }
}

// Messages.

/// Posts a buffer for a message.
#[inline]
pub unsafe fn fi_recv(
    ep: *mut fid_ep,
    buf: *mut c_void,
    len: size_t,
    desc: *mut c_void,
    src_addr: fi_addr_t,
    context: *mut c_void,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).msg, fi_ops_msg, recv, (ep, buf, len, desc, src_addr, context), NO_SUCH_OP) }
}

/// As [`fi_recv`], with flags.
#[inline]
pub unsafe fn fi_recvmsg(ep: *mut fid_ep, msg: *const fi_msg, flags: u64) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).msg, fi_ops_msg, recvmsg, (ep, msg, flags), NO_SUCH_OP) }
}

/// Sends a message.
#[inline]
pub unsafe fn fi_send(
    ep: *mut fid_ep,
    buf: *const c_void,
    len: size_t,
    desc: *mut c_void,
    dest_addr: fi_addr_t,
    context: *mut c_void,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).msg, fi_ops_msg, send, (ep, buf, len, desc, dest_addr, context), NO_SUCH_OP) }
}

/// As [`fi_send`], with flags.
#[inline]
pub unsafe fn fi_sendmsg(ep: *mut fid_ep, msg: *const fi_msg, flags: u64) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).msg, fi_ops_msg, sendmsg, (ep, msg, flags), NO_SUCH_OP) }
}

/// Sends a small message whose buffer may be reused at once; no completion.
#[inline]
pub unsafe fn fi_inject(ep: *mut fid_ep, buf: *const c_void, len: size_t, dest_addr: fi_addr_t) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).msg, fi_ops_msg, inject, (ep, buf, len, dest_addr), NO_SUCH_OP) }
}

/// As [`fi_send`], with an immediate.
#[inline]
pub unsafe fn fi_senddata(
    ep: *mut fid_ep,
    buf: *const c_void,
    len: size_t,
    desc: *mut c_void,
    data: u64,
    dest_addr: fi_addr_t,
    context: *mut c_void,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        call!((*ep).msg, fi_ops_msg, senddata, (ep, buf, len, desc, data, dest_addr, context), NO_SUCH_OP)
    }
}

// Remote memory access.

/// Fetches remote memory.
#[inline]
pub unsafe fn fi_read(
    ep: *mut fid_ep,
    buf: *mut c_void,
    len: size_t,
    desc: *mut c_void,
    src_addr: fi_addr_t,
    addr: u64,
    key: u64,
    context: *mut c_void,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        call!((*ep).rma, fi_ops_rma, read, (ep, buf, len, desc, src_addr, addr, key, context), NO_SUCH_OP)
    }
}

/// As [`fi_read`], with flags.
#[inline]
pub unsafe fn fi_readmsg(ep: *mut fid_ep, msg: *const fi_msg_rma, flags: u64) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).rma, fi_ops_rma, readmsg, (ep, msg, flags), NO_SUCH_OP) }
}

/// Writes remote memory; the peer sees no completion.
#[inline]
pub unsafe fn fi_write(
    ep: *mut fid_ep,
    buf: *const c_void,
    len: size_t,
    desc: *mut c_void,
    dest_addr: fi_addr_t,
    addr: u64,
    key: u64,
    context: *mut c_void,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        call!((*ep).rma, fi_ops_rma, write, (ep, buf, len, desc, dest_addr, addr, key, context), NO_SUCH_OP)
    }
}

/// As [`fi_write`] or [`fi_writedata`], with flags.
#[inline]
pub unsafe fn fi_writemsg(ep: *mut fid_ep, msg: *const fi_msg_rma, flags: u64) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).rma, fi_ops_rma, writemsg, (ep, msg, flags), NO_SUCH_OP) }
}

/// Writes remote memory; the peer gets a completion with `data` once the bytes are in place.
#[inline]
pub unsafe fn fi_writedata(
    ep: *mut fid_ep,
    buf: *const c_void,
    len: size_t,
    desc: *mut c_void,
    data: u64,
    dest_addr: fi_addr_t,
    addr: u64,
    key: u64,
    context: *mut c_void,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        call!(
            (*ep).rma,
            fi_ops_rma,
            writedata,
            (ep, buf, len, desc, data, dest_addr, addr, key, context),
            NO_SUCH_OP
        )
    }
}

/// As [`fi_write`] from a small buffer that may be reused at once; no completion.
#[inline]
pub unsafe fn fi_inject_write(
    ep: *mut fid_ep,
    buf: *const c_void,
    len: size_t,
    dest_addr: fi_addr_t,
    addr: u64,
    key: u64,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe { call!((*ep).rma, fi_ops_rma, inject, (ep, buf, len, dest_addr, addr, key), NO_SUCH_OP) }
}

/// [`fi_inject_write`] and [`fi_writedata`] in one.
#[inline]
pub unsafe fn fi_inject_writedata(
    ep: *mut fid_ep,
    buf: *const c_void,
    len: size_t,
    data: u64,
    dest_addr: fi_addr_t,
    addr: u64,
    key: u64,
) -> ssize_t {
    // SAFETY: the module's contract: live objects, valid pointers.
    unsafe {
        call!((*ep).rma, fi_ops_rma, injectdata, (ep, buf, len, data, dest_addr, addr, key), NO_SUCH_OP)
    }
}
