//! The kernel settings of a lab's namespaces. Each belongs to a network namespace, never to the host.

use std::borrow::Cow;
use std::ffi::CStr;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{read, write};

use super::rate::Rate;

/// One file below `/proc/sys/net`, which shows the writer's own network namespace.
#[derive(Clone, Debug)]
pub(super) struct Sysctl {
    path: &'static CStr,
    value: Cow<'static, str>,
    /// A kernel without the file (no IPv6) has nothing to set.
    optional: bool,
}

const fn required(path: &'static CStr, value: &'static str) -> Sysctl {
    Sysctl { path, value: Cow::Borrowed(value), optional: false }
}

/// Without IPv6 on the NICs their counters show the command's traffic and no neighbour discovery.
const NO_IPV6: Sysctl = Sysctl {
    path: c"/proc/sys/net/ipv6/conf/default/disable_ipv6",
    value: Cow::Borrowed("1"),
    optional: true,
};
/// Replies leave by the NIC of their own address, not by that of the sender's: no reverse-path check.
/// `all` counts for interfaces that exist, `default` for those to come.
const NO_RP_FILTER: [Sysctl; 2] = [
    required(c"/proc/sys/net/ipv4/conf/all/rp_filter", "0"),
    required(c"/proc/sys/net/ipv4/conf/default/rp_filter", "0"),
];

/// How long a connection's socket buffers hold what its NIC carries: 5 ms, many times the round trip of an empty lab.
const BUFFER_MS: u64 = 5;
/// Bounds of such a buffer: room for a few large packets, and the kernel's usual most.
const BUFFER_BYTES: (u64, u64) = (128 << 10, 4 << 20);

/// The settings of a node with NICs of `rate`, to be made before it has interfaces.
pub(super) fn node(rate: Option<Rate>) -> Vec<Sysctl> {
    let [all, default] = NO_RP_FILTER;
    // A host's default may be bbr, which paces: a third of reno's bandwidth, and unfair in an incast.
    let reno = required(c"/proc/sys/net/ipv4/tcp_congestion_control", "reno");
    let mut settings = vec![all, default, NO_IPV6, reno];
    if let Some(rate) = rate {
        // With the usual 4 to 6 MB one connection fills a NIC's queue for most of a second. PEs of an all-to-all then
        // drift apart and run into each other: it took 170 or 275 ms from run to run, and takes 170 so.
        let most = (rate.bits_per_s() / 8 * BUFFER_MS / 1000).clamp(BUFFER_BYTES.0, BUFFER_BYTES.1);
        for path in [c"/proc/sys/net/ipv4/tcp_wmem", c"/proc/sys/net/ipv4/tcp_rmem"] {
            settings.push(Sysctl { path, value: format!("4096 65536 {most}").into(), optional: false });
        }
    }
    settings
}

/// The settings of the switch.
pub(super) fn switch() -> Vec<Sysctl> {
    let [all, default] = NO_RP_FILTER;
    vec![required(c"/proc/sys/net/ipv4/ip_forward", "1"), all, default, NO_IPV6]
}

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
        let mut buffer = [0u8; 64];
        let length = open(self.path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
            .and_then(|file| read(&file, &mut buffer));
        let same = |(&a, &b): (&u8, &u8)| a == b || (a == b'\t' && b == b' ');
        // The kernel separates several numbers by tabs.
        length.is_ok_and(|n| {
            let (is, wanted) = (buffer[..n].trim_ascii(), self.value.as_bytes());
            is.len() == wanted.len() && is.iter().zip(wanted).all(same)
        })
    }
}
