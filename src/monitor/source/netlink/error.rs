//! Why the kernel's RDMA netlink does not answer.

use nix::errno::Errno;

use super::wire::Malformed;

/// Why there is no answer, or none that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetlinkError {
    /// There is no such socket.
    #[error("{}", explain(*.0))]
    Open(Errno),
    /// A system call failed.
    #[error("RDMA netlink: {}", .0.desc())]
    Io(Errno),
    /// The kernel refused a request.
    #[error("{}", refused(*.0))]
    Refused(Errno),
    /// No answer in time.
    #[error("RDMA netlink does not answer")]
    Timeout,
    /// More answers than the socket had room for: some are lost.
    #[error("RDMA netlink answered more than the socket's buffer holds")]
    Overrun,
    /// A datagram did not fit.
    #[error("an answer of RDMA netlink is longer than {0} bytes")]
    Truncated(usize),
    /// The devices changed during each of several attempts to list something.
    #[error("the list changed while it was read, {0} times in a row")]
    Interrupted(usize),
    /// A bug of ours.
    #[error("RDMA netlink: {}", super::super::errand::OVER)]
    Panicked,
    /// The bytes are no netlink.
    #[error("RDMA netlink: {0}")]
    Malformed(#[from] Malformed),
}

/// Why there is no socket, and what to do.
fn explain(errno: Errno) -> String {
    match errno {
        Errno::EPROTONOSUPPORT => {
            "this kernel has no RDMA netlink: the module ib_core is not loaded (`modprobe ib_core`, or load the \
             driver of the NICs)"
                .to_owned()
        }
        Errno::EAFNOSUPPORT => "this kernel (or sandbox) has no netlink sockets".to_owned(),
        Errno::EPERM | Errno::EACCES => {
            "no permission to open an RDMA netlink socket: a sandbox (seccomp, SELinux) forbids it; no capability \
             is needed otherwise"
                .to_owned()
        }
        Errno::EMFILE | Errno::ENFILE => format!("cannot open an RDMA netlink socket: {}", errno.desc()),
        _ => format!("cannot open an RDMA netlink socket: {} ({errno:?})", errno.desc()),
    }
}

/// What a refusal means.
fn refused(errno: Errno) -> String {
    match errno {
        Errno::EINVAL => "the driver gives no counters over RDMA netlink (EINVAL)".to_owned(),
        Errno::EOPNOTSUPP => "the kernel does not know this request (EOPNOTSUPP)".to_owned(),
        Errno::EPERM | Errno::EACCES => "no permission to ask RDMA netlink".to_owned(),
        Errno::ENODEV => "the device is gone".to_owned(),
        _ => format!("RDMA netlink refused: {} ({errno:?})", errno.desc()),
    }
}
