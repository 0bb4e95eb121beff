//! Network and UTS namespaces without names, held by file descriptors alone.
//!
//! Nothing is written to `/run/netns`: when the last descriptor is closed, also by SIGKILL, and the
//! last process in it has ended, the kernel itself removes a namespace with its interfaces and queues.
//!
//! A namespace is made by the `ip` process that then sets it up: between its fork and its exec it
//! unshares, and while it waits for its commands this process opens `/proc/PID/ns/…`. So this process
//! itself never leaves its own namespaces, may have any number of threads, and keeps its identity,
//! also where the namespaces belong to a user namespace.

#![expect(unsafe_code, reason = "code between fork and exec (CommandExt::pre_exec) is unsafe by nature")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::{Pid, getegid, geteuid, getpid, getppid, sethostname, write};

use super::error::LabError;
use super::iproute::{self, Batch};
use super::sysctl::Sysctl;

/// As whom namespaces are made.
#[derive(Clone)]
pub(super) enum Identity {
    /// As the caller, who is root.
    Caller,
    /// As the root of a new user namespace, to which the caller is mapped.
    NewUser,
    /// As the root of a user namespace made before.
    Joined(Arc<OwnedFd>),
}

/// A network namespace with a host name of its own.
pub(super) struct Namespace {
    /// The user namespace it belongs to, if not the caller's.
    user: Option<Arc<OwnedFd>>,
    net: Arc<OwnedFd>,
    uts: Arc<OwnedFd>,
}

/// What a new namespace shall be like.
pub(super) struct Recipe {
    pub(super) host_name: String,
    pub(super) identity: Identity,
    pub(super) sysctls: Vec<Sysctl>,
    /// Another namespace's network, to be open in the `ip` process under the same number.
    pub(super) peer: Option<Arc<OwnedFd>>,
}

/// True if this process has the capabilities to make and set up network namespaces by itself.
pub(super) fn caller_is_capable() -> bool {
    const CAP_NET_ADMIN: u64 = 12;
    const CAP_SYS_ADMIN: u64 = 21;
    let needed = 1 << CAP_NET_ADMIN | 1 << CAP_SYS_ADMIN;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .is_some_and(|capabilities| capabilities & needed == needed)
}

impl Namespace {
    /// Makes a namespace, and an `ip` process in it that waits for its commands.
    pub(super) fn create(recipe: Recipe) -> Result<(Self, Batch), LabError> {
        let mut command = iproute::command("ip")?;
        let place = recipe.host_name.clone();
        let identity = recipe.identity.clone();
        let sysctls = recipe.sysctls.clone();
        let maker = Maker::new(recipe);
        // SAFETY: the closure only makes system calls on data prepared before the fork; it neither
        // allocates nor takes locks.
        unsafe { command.pre_exec(move || maker.run()) };
        let child = command.spawn().map_err(|error| refusal(&place, &sysctls, error))?;
        let batch = Batch::new("ip", place.clone(), child);
        let open_ns = |kind: &str| {
            let path = format!("/proc/{}/ns/{kind}", batch.pid());
            File::open(&path)
                .map(|file| Arc::new(OwnedFd::from(file)))
                .map_err(|source| LabError::Setup { step: format!("open {path} for {place}"), cause: source })
        };
        let user = match identity {
            Identity::Caller => None,
            Identity::NewUser => Some(open_ns("user")?),
            Identity::Joined(user) => Some(user),
        };
        let (net, uts) = (open_ns("net")?, open_ns("uts")?);
        Ok((Self { user, net, uts }, batch))
    }

    /// As whom further namespaces of the same lab are made.
    pub(super) fn identity(&self) -> Identity {
        self.user.clone().map_or(Identity::Caller, Identity::Joined)
    }

    /// The network namespace.
    pub(super) fn net(&self) -> &Arc<OwnedFd> {
        &self.net
    }

    /// Lets `command` run in this namespace, and die with the thread that starts it.
    pub(super) fn enter_on_exec(&self, command: &mut Command) {
        let (user, net, uts) = (self.user.clone(), self.net.clone(), self.uts.clone());
        let parent = getpid();
        let enter = move || {
            if let Some(user) = &user {
                setns(user, CloneFlags::CLONE_NEWUSER)?;
            }
            setns(&net, CloneFlags::CLONE_NEWNET)?;
            setns(&uts, CloneFlags::CLONE_NEWUTS)?;
            die_with(parent)?;
            Ok(())
        };
        // SAFETY: system calls on descriptors opened before the fork; no allocation, no locks.
        unsafe { command.pre_exec(enter) };
    }
}

/// Lets `command` die with the thread that starts it, where it is.
pub(super) fn die_with_caller_on_exec(command: &mut Command) {
    let parent = getpid();
    // SAFETY: two system calls; no allocation, no locks.
    unsafe { command.pre_exec(move || Ok(die_with(parent)?)) };
}

/// Asks the kernel for SIGKILL when the parent ends, after entering a user namespace, which forgets
/// such a wish.
fn die_with(parent: Pid) -> Result<(), Errno> {
    set_pdeathsig(Signal::SIGKILL)?;
    // The parent may have ended just before.
    if getppid() == parent { Ok(()) } else { Err(Errno::ESRCH) }
}

/// The steps of a [`Maker`], so that a failure has a name; sysctl `i` is step `SYSCTL + i`.
const STEPS: [&str; 7] = [
    "unshare a user namespace",
    "write /proc/self/setgroups",
    "write /proc/self/uid_map",
    "write /proc/self/gid_map",
    "enter the user namespace",
    "unshare a network and a UTS namespace",
    "set the host name",
];
const SYSCTL: usize = STEPS.len();

/// What the child does between fork and exec, with everything it needs allocated before.
struct Maker {
    recipe: Recipe,
    parent: Pid,
    uid_map: String,
    gid_map: String,
}

impl Maker {
    fn new(recipe: Recipe) -> Self {
        let uid_map = format!("0 {} 1\n", geteuid());
        let gid_map = format!("0 {} 1\n", getegid());
        Self { recipe, parent: getpid(), uid_map, gid_map }
    }

    fn run(&self) -> io::Result<()> {
        let at = |step: usize| move |errno: Errno| coded(step, errno);
        match &self.recipe.identity {
            Identity::Caller => {}
            Identity::NewUser => {
                unshare(CloneFlags::CLONE_NEWUSER).map_err(at(0))?;
                // Without it the kernel lets no unprivileged process write its gid_map.
                put(c"/proc/self/setgroups", "deny").map_err(at(1))?;
                put(c"/proc/self/uid_map", &self.uid_map).map_err(at(2))?;
                put(c"/proc/self/gid_map", &self.gid_map).map_err(at(3))?;
            }
            Identity::Joined(user) => setns(user, CloneFlags::CLONE_NEWUSER).map_err(at(4))?,
        }
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS).map_err(at(5))?;
        sethostname(&self.recipe.host_name).map_err(at(6))?;
        for (index, sysctl) in self.recipe.sysctls.iter().enumerate() {
            sysctl.apply().map_err(at(SYSCTL + index))?;
        }
        if let Some(peer) = &self.recipe.peer {
            fcntl(peer, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(die_with(self.parent)?)
    }
}

fn put(path: &std::ffi::CStr, value: &str) -> Result<(), Errno> {
    let file = open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    write(&file, value.as_bytes()).map(drop)
}

/// std hands a failure before exec to the parent as one number: the errno, here with the step above it.
fn coded(step: usize, errno: Errno) -> io::Error {
    let step = i32::try_from(step + 1).unwrap_or(0);
    io::Error::from_raw_os_error(step << 16 | errno as i32)
}

/// The reverse of [`coded`].
fn decoded(sysctls: &[Sysctl], error: io::Error) -> (Option<String>, io::Error) {
    let Some(code) = error.raw_os_error().filter(|code| code >> 16 > 0) else {
        return (None, error);
    };
    let step = usize::try_from((code >> 16) - 1).unwrap_or(usize::MAX);
    let sysctl =
        || sysctls.get(step.checked_sub(SYSCTL)?).map(|s| format!("write {}", s.path().to_string_lossy()));
    let name = STEPS.get(step).map(|&name| name.to_owned()).or_else(sysctl);
    (name, io::Error::from_raw_os_error(code & 0xffff))
}

fn refusal(place: &str, sysctls: &[Sysctl], error: io::Error) -> LabError {
    let (step, source) = decoded(sysctls, error);
    let step = format!("{place}: {}", step.unwrap_or_else(|| "start ip".to_owned()));
    let errno = source.raw_os_error().map(Errno::from_raw);
    match errno {
        // ENOSPC: user.max_user_namespaces is used up or 0; EINVAL, ENOSYS: a kernel without them;
        // EROFS: a container's /proc/sys.
        Some(
            Errno::EPERM
            | Errno::EACCES
            | Errno::ENOSPC
            | Errno::EUSERS
            | Errno::ENOSYS
            | Errno::EINVAL
            | Errno::EROFS,
        ) => LabError::NotPermitted { step, cause: source },
        _ => LabError::Setup { step, cause: source },
    }
}

impl std::fmt::Display for Namespace {
    /// A path to the network namespace for a process that inherits its descriptor.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "/proc/self/fd/{}", self.net.as_raw_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::sysctl;

    #[test]
    fn a_failed_step_keeps_its_name() {
        let (step, error) = decoded(&sysctl::node(None), coded(5, Errno::EPERM));
        assert_eq!(step.as_deref(), Some("unshare a network and a UTS namespace"));
        assert_eq!(error.raw_os_error(), Some(Errno::EPERM as i32));
        let (step, _) = decoded(&sysctl::node(None), coded(SYSCTL + 3, Errno::EROFS));
        assert_eq!(step.as_deref(), Some("write /proc/sys/net/ipv4/tcp_congestion_control"));
        let (step, error) = decoded(&sysctl::node(None), io::Error::from_raw_os_error(2));
        assert_eq!((step, error.raw_os_error()), (None, Some(2)));
    }
}
