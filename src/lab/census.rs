//! Finding and ending the processes of a lab, wherever they have hidden: forked, detached, in a
//! session of their own. A process is the lab's if it lives in one of the lab's network namespaces
//! (also what a command left behind) or in the process group of one of its PEs.
//!
//! Nothing here allocates or takes locks, so that the guardian can use it after a fork.

#![expect(unsafe_code, reason = "getdents64, stat and pidfd system calls without allocation")]

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::signal::Signal;

/// The identity of a network namespace: the inode of its descriptor. It is unique while somebody
/// holds the namespace, which the lab and its guardian do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct NamespaceId {
    device: u64,
    inode: u64,
}

impl NamespaceId {
    /// The identity of an open namespace.
    pub(super) fn of(fd: &OwnedFd) -> Result<Self, Errno> {
        let mut stat = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: `stat` is a valid place for the kernel to write to.
        Errno::result(unsafe { libc::fstat(fd.as_raw_fd(), stat.as_mut_ptr()) })?;
        // SAFETY: fstat succeeded, so it has filled the structure.
        let stat = unsafe { stat.assume_init() };
        Ok(Self { device: stat.st_dev, inode: stat.st_ino })
    }

    /// The network namespace of a process; `None` if it ended or is none of ours to look at.
    fn of_process(pid: i32) -> Option<Self> {
        let path = ProcPath::new(pid, b"/ns/net\0");
        let mut stat = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: the path ends in NUL, and `stat` is a valid place for the kernel to write to.
        let result = unsafe { libc::stat(path.as_ptr(), stat.as_mut_ptr()) };
        // SAFETY: read only if stat succeeded and so has filled the structure.
        (result == 0)
            .then(|| unsafe { stat.assume_init() })
            .map(|s| Self { device: s.st_dev, inode: s.st_ino })
    }
}

/// What makes a process the lab's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Members<'a> {
    /// Namespaces of the lab; empty on loopback.
    pub(super) namespaces: &'a [NamespaceId],
    /// Process groups whose leaders are not yet reaped, so that the numbers cannot be anyone else's.
    pub(super) groups: &'a [i32],
}

impl Members<'_> {
    fn include(&self, pid: i32) -> bool {
        (!self.namespaces.is_empty()
            && NamespaceId::of_process(pid).is_some_and(|id| self.namespaces.contains(&id)))
            || (!self.groups.is_empty()
                && group_of_living(pid).is_some_and(|group| self.groups.contains(&group)))
    }

    /// Sends `signal` to every member, or to none if `None`, and returns how many there are.
    /// Zombies do not count.
    pub(super) fn signal(&self, signal: Option<Signal>) -> usize {
        let own_pid = nix::unistd::getpid().as_raw();
        let mut found = 0;
        for_each_process(|pid| {
            if pid == own_pid || !self.include(pid) {
                return;
            }
            found += 1;
            if let Some(signal) = signal {
                // The descriptor pins the process: if it is a member now, the signal reaches it and
                // nobody who got its number meanwhile.
                if let Ok(process) = pidfd_open(pid)
                    && self.include(pid)
                {
                    let _ = pidfd_signal(&process, signal);
                }
            }
        });
        found
    }
}

/// A descriptor that stands for a process; readable when it has ended. Linux 5.3.
pub(super) fn pidfd_open(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: a system call on two numbers.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn pidfd_signal(process: &OwnedFd, signal: Signal) -> Result<(), Errno> {
    let (fd, no_info) = (process.as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
    // SAFETY: a system call; the null pointer stands for the same siginfo as kill(2) gives.
    Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal as i32, no_info, 0) })
        .map(drop)
}

/// `/proc/PID` with something behind it, without allocation.
struct ProcPath([u8; 32]);

impl ProcPath {
    /// `tail` starts with a slash and ends with NUL; it has at most 14 bytes.
    fn new(pid: i32, tail: &[u8]) -> Self {
        let mut digits = [0u8; 10];
        let mut start = digits.len();
        let mut rest = pid.unsigned_abs();
        while start > 0 && (rest > 0 || start == digits.len()) {
            start -= 1;
            digits[start] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        let mut path = [0u8; 32];
        let bytes = b"/proc/".iter().chain(&digits[start..]).chain(tail);
        for (place, byte) in path.iter_mut().zip(bytes) {
            *place = *byte;
        }
        Self(path)
    }

    fn as_ptr(&self) -> *const libc::c_char {
        self.0.as_ptr().cast()
    }
}

/// The process group of a process that is not a zombie, from `/proc/PID/stat` (`proc_pid_stat(5)`).
fn group_of_living(pid: i32) -> Option<i32> {
    let path = ProcPath::new(pid, b"/stat\0");
    // SAFETY: the path ends in NUL.
    let fd = Errno::result(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) }).ok()?;
    // SAFETY: open has just made this descriptor for us.
    let file = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut buffer = [0u8; 512];
    let length = nix::unistd::read(&file, &mut buffer).ok()?;
    parse_group(&buffer[..length])
}

/// `PID (NAME) STATE PPID PGRP …`; the name may hold blanks and parentheses.
fn parse_group(stat: &[u8]) -> Option<i32> {
    let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let mut fields = stat.get(after_name..)?.split(|&byte| byte == b' ').filter(|field| !field.is_empty());
    let state = fields.next()?;
    let group = std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()?;
    (!matches!(state, b"Z" | b"X")).then_some(group)
}

/// Calls `visit` with the id of every process in `/proc`.
fn for_each_process(mut visit: impl FnMut(i32)) {
    /// Offsets of `struct linux_dirent64` (getdents64(2)).
    const RECORD_LENGTH: usize = 16;
    const NAME: usize = 19;
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: a literal path that ends in NUL.
    let Ok(fd) = Errno::result(unsafe { libc::open(c"/proc".as_ptr(), flags) }) else {
        return;
    };
    // SAFETY: open has just made this descriptor for us.
    let directory = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut buffer = [0u64; 1024];
    loop {
        let (place, size) = (buffer.as_mut_ptr(), size_of_val(&buffer));
        // SAFETY: the kernel writes at most `size` bytes to `place`.
        let read = unsafe { libc::syscall(libc::SYS_getdents64, directory.as_raw_fd(), place, size) };
        let Some(read) = usize::try_from(read).ok().filter(|&read| read > 0 && read <= size) else {
            return;
        };
        // SAFETY: the first `read` bytes of `buffer` are initialised, as is all of it.
        let mut entries = unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), read) };
        while let (Some(&[low, high]), Some(name)) =
            (entries.get(RECORD_LENGTH..RECORD_LENGTH + 2), entries.get(NAME..))
        {
            if let Some(pid) = leading_number(name) {
                visit(pid);
            }
            let length = usize::from(u16::from_ne_bytes([low, high])).max(NAME);
            entries = entries.get(length..).unwrap_or_default();
        }
    }
}

/// The number that a NUL-terminated name consists of.
fn leading_number(name: &[u8]) -> Option<i32> {
    let end = name.iter().position(|&byte| byte == 0)?;
    std::str::from_utf8(&name[..end]).ok()?.parse().ok().filter(|&pid| pid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt as _;

    #[test]
    fn builds_paths() {
        for (pid, path) in
            [(1, "/proc/1/stat"), (40_960, "/proc/40960/stat"), (i32::MAX, "/proc/2147483647/stat")]
        {
            let built = ProcPath::new(pid, b"/stat\0");
            let text = std::ffi::CStr::from_bytes_until_nul(&built.0).unwrap();
            assert_eq!(text.to_str().unwrap(), path);
        }
    }

    #[test]
    fn reads_groups_past_any_name() {
        assert_eq!(parse_group(b"7 (a) S 1 42 42 0"), Some(42));
        assert_eq!(parse_group(b"7 (a) b) ) R 1 43 42 0"), Some(43));
        assert_eq!(parse_group(b"7 (a) Z 1 42 42 0"), None);
        for odd in [&b""[..], b"7", b"7 (a)", b"7 (a) S", b"7 (a) S 1", b"7 (a) S 1 x"] {
            assert_eq!(parse_group(odd), None);
        }
    }

    #[test]
    fn sees_every_process_once() {
        let mut seen = Vec::new();
        for_each_process(|pid| seen.push(pid));
        assert_eq!(seen.iter().filter(|&&pid| pid == nix::unistd::getpid().as_raw()).count(), 1);
    }

    #[test]
    fn ends_a_group_and_spares_the_rest() {
        let mut member = std::process::Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let mut other = std::process::Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let groups = [i32::try_from(member.id()).unwrap()];
        let members = Members { namespaces: &[], groups: &groups };
        assert_eq!(members.signal(None), 1);
        assert_eq!(members.signal(Some(Signal::SIGKILL)), 1);
        assert!(!member.wait().unwrap().success());
        assert_eq!(members.signal(None), 0);
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
