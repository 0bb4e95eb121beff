//! The kernel settings of a lab's namespaces. Each belongs to a network namespace, never to the host.

use std::ffi::CStr;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{read, write};

/// One file below `/proc/sys/net`, which shows the writer's own network namespace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sysctl {
    path: &'static CStr,
    value: &'static str,
    /// A kernel without the file (no IPv6) has nothing to set.
    optional: bool,
}

const fn required(path: &'static CStr, value: &'static str) -> Sysctl {
    Sysctl { path, value, optional: false }
}

/// Without IPv6 on the NICs their counters show the command's traffic and no neighbour discovery.
const NO_IPV6: Sysctl =
    Sysctl { path: c"/proc/sys/net/ipv6/conf/default/disable_ipv6", value: "1", optional: true };
/// Replies leave by the NIC of their own address, not by that of the sender's: no reverse-path check.
/// `all` counts for interfaces that exist, `default` for those to come.
const NO_RP_FILTER: [Sysctl; 2] = [
    required(c"/proc/sys/net/ipv4/conf/all/rp_filter", "0"),
    required(c"/proc/sys/net/ipv4/conf/default/rp_filter", "0"),
];

/// The settings of a node, to be made before it has interfaces.
pub(super) const NODE: &[Sysctl] = &[
    NO_RP_FILTER[0],
    NO_RP_FILTER[1],
    NO_IPV6,
    // A host's default may be bbr, which paces: a third of reno's bandwidth, and unfair in an incast.
    required(c"/proc/sys/net/ipv4/tcp_congestion_control", "reno"),
];

/// The settings of the switch.
pub(super) const SWITCH: &[Sysctl] =
    &[required(c"/proc/sys/net/ipv4/ip_forward", "1"), NO_RP_FILTER[0], NO_RP_FILTER[1], NO_IPV6];

impl Sysctl {
    /// The file, for messages.
    pub(super) fn path(&self) -> &'static CStr {
        self.path
    }

    /// Sets the value, or finds it set (a container's `/proc/sys` may be read-only and right).
    /// Allocates nothing: it runs between fork and exec.
    pub(super) fn apply(&self) -> Result<(), Errno> {
        match self.write() {
            Err(Errno::ENOENT) if self.optional => Ok(()),
            Err(_) if self.is_set() => Ok(()),
            result => result,
        }
    }

    fn write(&self) -> Result<(), Errno> {
        let file = open(self.path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        write(&file, self.value.as_bytes()).map(drop)
    }

    fn is_set(&self) -> bool {
        let mut buffer = [0u8; 32];
        let length = open(self.path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
            .and_then(|file| read(&file, &mut buffer));
        length.is_ok_and(|n| buffer[..n].trim_ascii() == self.value.as_bytes())
    }
}
