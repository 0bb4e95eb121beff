//! Which machine this is.

use crate::text::printable;

/// The host name as the kernel has it (not `/etc/hostname`, which is another one in containers).
#[must_use]
pub fn name() -> String {
    nix::unistd::gethostname().map_or_else(|_| "unknown".to_owned(), |n| printable(&n.to_string_lossy()))
}

/// The kernel's id of this boot, which tells whether two recordings share a monotonic clock.
#[must_use]
pub fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(printable(text.trim()))
}

/// Bytes of a memory page; 0 where the system does not tell.
#[must_use]
pub fn page_size() -> u32 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u32::try_from(size).ok()).unwrap_or(0)
}
