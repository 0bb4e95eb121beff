//! The guardian: a small process that outlives the lab by a moment and ends whatever is left of it.
//!
//! PEs die with the lab by themselves (`PR_SET_PDEATHSIG`), but not what they have started: `sh -c
//! 'CMD &'`. The guardian waits on a pipe whose other end only the lab holds. When the lab ends, by
//! whatever means, the pipe ends too; the guardian kills every process of the lab's namespaces, or on
//! loopback of the PEs' process groups, and ends as well. It holds the namespaces while it does so:
//! hence their inode numbers cannot meanwhile be given to somebody else's.

#![expect(unsafe_code, reason = "fork, and a child that may only make system calls")]

use std::io::{self, PipeWriter, Write as _};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, chdir, fork, setsid};

use super::census::{Members, NamespaceId};

/// Most process groups the guardian can remember: as many as a lab can have PEs.
const MAX_GROUPS: usize = 4096;
/// Passes over the processes, 10 ms apart, until it gives up on one that does not die of SIGKILL.
const PASSES: usize = 500;

/// The lab's side of it.
pub(super) struct Guardian {
    pid: Pid,
    /// `None` only while dropping.
    pipe: Option<PipeWriter>,
}

impl Guardian {
    /// Starts a guardian over `namespaces`, which may be empty.
    pub(super) fn start(namespaces: &[Arc<OwnedFd>]) -> io::Result<Self> {
        let (mut reader, writer) = io::pipe()?;
        let ids = namespaces.iter().map(|fd| NamespaceId::of(fd)).collect::<Result<Vec<_>, Errno>>()?;
        let mut keep: Vec<RawFd> = namespaces.iter().map(AsRawFd::as_raw_fd).collect();
        keep.push(reader.as_raw_fd());
        keep.sort_unstable();
        // SAFETY: the child makes system calls on data prepared here, until it ends with _exit: it
        // does not allocate, take locks, unwind or return.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(Self { pid: child, pipe: Some(writer) }),
            ForkResult::Child => {
                detach(&keep);
                let mut groups = [0i32; MAX_GROUPS];
                let groups = wait_for_the_end(&mut reader, &mut groups);
                end_all(Members { namespaces: &ids, groups });
                // SAFETY: ends this process without running anything of the parent's.
                unsafe { libc::_exit(0) }
            }
        }
    }

    /// Puts a PE's process group under guard; for labs without namespaces.
    pub(super) fn guard_group(&mut self, group: i32) -> io::Result<()> {
        self.tell(group)
    }

    /// Forgets all groups; to be called before their leaders are reaped and the numbers become free.
    pub(super) fn forget_groups(&mut self) -> io::Result<()> {
        self.tell(0)
    }

    fn tell(&mut self, word: i32) -> io::Result<()> {
        // Four bytes are written to a pipe whole or not at all.
        self.pipe.as_mut().map_or(Ok(()), |pipe| pipe.write_all(&word.to_ne_bytes()))
    }
}

impl Drop for Guardian {
    /// Lets it do its work, and waits for it.
    fn drop(&mut self) {
        drop(self.pipe.take());
        while waitpid(self.pid, None) == Err(Errno::EINTR) {}
    }
}

/// Away from the terminal, the caller's signals, its directory, and all its descriptors but `keep`,
/// which is sorted: a reader of the lab's stdout must see its end when the lab ends.
fn detach(keep: &[RawFd]) {
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
    let _ = setsid();
    let _ = chdir(c"/");
    let _ = nix::sys::prctl::set_name(c"railtop-guard");
    let mut next: RawFd = 0;
    for &fd in keep {
        if fd > next {
            close_range(next, fd - 1);
        }
        next = fd + 1;
    }
    close_range(next, RawFd::MAX);
}

fn close_range(first: RawFd, last: RawFd) {
    // SAFETY: closes descriptors of this process, none of which anything here uses.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } != 0 {
        // Before Linux 5.9.
        for fd in first..=last.min(first.saturating_add(4096)) {
            // SAFETY: as above; an unused number gives EBADF and no harm.
            unsafe { libc::close(fd) };
        }
    }
}

/// Reads words until the lab closes the pipe; returns the groups known then.
fn wait_for_the_end<'a>(reader: &mut impl io::Read, groups: &'a mut [i32; MAX_GROUPS]) -> &'a [i32] {
    let mut known = 0;
    let mut word = [0u8; 4];
    while reader.read_exact(&mut word).is_ok() {
        match i32::from_ne_bytes(word) {
            0 => known = 0,
            group => {
                if let Some(place) = groups.get_mut(known) {
                    *place = group;
                    known += 1;
                }
            }
        }
    }
    &groups[..known]
}

fn end_all(members: Members<'_>) {
    for _ in 0..PASSES {
        if members.signal(Some(Signal::SIGKILL)) == 0 {
            return;
        }
        pause(Duration::from_millis(10));
    }
}

fn pause(time: Duration) {
    // nanosleep(2) and nothing else.
    std::thread::sleep(time);
}
