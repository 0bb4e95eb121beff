//! Error codes (`rdma/fi_errno.h`): errno values, and libfabric's own from 256 on.
//!
//! Functions return them negated; [`crate::cq::fi_cq_err_entry::err`] holds them as they are.
//! [`crate::Libfabric::strerror`] has the texts.

use libc::c_int;

/// Success.
pub const FI_SUCCESS: c_int = 0;
/// Operation not permitted.
pub const FI_EPERM: c_int = libc::EPERM;
/// No such file or directory.
pub const FI_ENOENT: c_int = libc::ENOENT;
/// Interrupted system call.
pub const FI_EINTR: c_int = libc::EINTR;
/// Input/output error.
pub const FI_EIO: c_int = libc::EIO;
/// Try again: the queue is full, or there is nothing to read.
pub const FI_EAGAIN: c_int = libc::EAGAIN;
/// Out of memory, often of memory that may be locked (`ulimit -l`).
pub const FI_ENOMEM: c_int = libc::ENOMEM;
/// Permission denied.
pub const FI_EACCES: c_int = libc::EACCES;
/// Device or resource busy: something still uses the object.
pub const FI_EBUSY: c_int = libc::EBUSY;
/// No such device.
pub const FI_ENODEV: c_int = libc::ENODEV;
/// Invalid argument.
pub const FI_EINVAL: c_int = libc::EINVAL;
/// Too many open files.
pub const FI_EMFILE: c_int = libc::EMFILE;
/// No space left on the device.
pub const FI_ENOSPC: c_int = libc::ENOSPC;
/// The provider does not have this function.
pub const FI_ENOSYS: c_int = libc::ENOSYS;
/// No data available; from `fi_getinfo`: nothing matches the hints.
pub const FI_ENODATA: c_int = libc::ENODATA;
/// Message too long.
pub const FI_EMSGSIZE: c_int = libc::EMSGSIZE;
/// No such message: what a look for one (`FI_PEEK`) ends with when there is none.
pub const FI_ENOMSG: c_int = libc::ENOMSG;
/// The provider does not have this option.
pub const FI_ENOPROTOOPT: c_int = libc::ENOPROTOOPT;
/// Operation not supported.
pub const FI_EOPNOTSUPP: c_int = libc::EOPNOTSUPP;
/// Address already in use.
pub const FI_EADDRINUSE: c_int = libc::EADDRINUSE;
/// No such local address.
pub const FI_EADDRNOTAVAIL: c_int = libc::EADDRNOTAVAIL;
/// Network is down.
pub const FI_ENETDOWN: c_int = libc::ENETDOWN;
/// Network is unreachable.
pub const FI_ENETUNREACH: c_int = libc::ENETUNREACH;
/// Connection aborted.
pub const FI_ECONNABORTED: c_int = libc::ECONNABORTED;
/// Connection reset by peer.
pub const FI_ECONNRESET: c_int = libc::ECONNRESET;
/// Not connected.
pub const FI_ENOTCONN: c_int = libc::ENOTCONN;
/// Endpoint was shut down.
pub const FI_ESHUTDOWN: c_int = libc::ESHUTDOWN;
/// Timed out.
pub const FI_ETIMEDOUT: c_int = libc::ETIMEDOUT;
/// Connection refused.
pub const FI_ECONNREFUSED: c_int = libc::ECONNREFUSED;
/// No route to host.
pub const FI_EHOSTUNREACH: c_int = libc::EHOSTUNREACH;
/// Operation already in progress.
pub const FI_EALREADY: c_int = libc::EALREADY;
/// Operation now in progress.
pub const FI_EINPROGRESS: c_int = libc::EINPROGRESS;
/// Remote input/output error.
pub const FI_EREMOTEIO: c_int = libc::EREMOTEIO;
/// Operation canceled.
pub const FI_ECANCELED: c_int = libc::ECANCELED;
/// Key was rejected by the peer.
pub const FI_EKEYREJECTED: c_int = libc::EKEYREJECTED;

// libfabric's own.

/// Unspecified error.
pub const FI_EOTHER: c_int = 256;
/// The buffer is too small.
pub const FI_ETOOSMALL: c_int = 257;
/// Not permitted in the object's current state.
pub const FI_EOPBADSTATE: c_int = 258;
/// A failed completion is at the head of the queue: read it with `fi_cq_readerr`.
pub const FI_EAVAIL: c_int = 259;
/// Flags not supported.
pub const FI_EBADFLAGS: c_int = 260;
/// Missing event queue.
pub const FI_ENOEQ: c_int = 261;
/// Wrong domain.
pub const FI_EDOMAIN: c_int = 262;
/// Missing completion queue.
pub const FI_ENOCQ: c_int = 263;
/// Checksum error.
pub const FI_ECRC: c_int = 264;
/// Truncated: the message was longer than the buffer.
pub const FI_ETRUNC: c_int = 265;
/// Required key not available.
pub const FI_ENOKEY: c_int = 266;
/// Missing address vector.
pub const FI_ENOAV: c_int = 267;
/// A queue has been overrun.
pub const FI_EOVERRUN: c_int = 268;
/// The peer has no receive posted.
pub const FI_ENORX: c_int = 269;
/// No more memory can be registered; from 1.20 on.
pub const FI_ENOMR: c_int = 270;
