//! Watching the PEs of one run until the last has ended, and ending them when it is time.
//!
//! ```text
//!             first failure                  grace over                grace over
//!   Running ----------------> LastWords ---------------> Terminating ------------> Killing
//!      |  stop                                SIGTERM        ^             SIGKILL    ^
//!      +-----------------------------------------------------+      2nd signal        |
//!                                                            +------------------------+
//! ```
//!
//! No PE is reaped before all have ended and their groups are empty: an unreaped leader keeps its
//! number, so a signal to its group can reach nobody else.

use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Child;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::address::Pe;
use super::census::{Members, pidfd_open};
use super::error::LabError;
use super::stop::{Request, StopHandle};

/// How a PE ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeExit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl PeExit {
    /// The exit code a shell would report: 128 + signal for a signal.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Code(code) => u8::try_from(code & 0xff).unwrap_or(1),
            Self::Signal(number) => u8::try_from(128 + number).unwrap_or(255),
        }
    }
}

impl fmt::Display for PeExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exited with {code}"),
            Self::Signal(number) => match Signal::try_from(number) {
                Ok(signal) => write!(f, "was killed by {signal}"),
                Err(_) => write!(f, "was killed by signal {number}"),
            },
        }
    }
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every PE exited with 0.
    Succeeded,
    /// This PE was the first to fail (one killed by SIGKILL counts before those who left over it); the others were ended.
    Failed(Pe, PeExit),
    /// A signal was forwarded by [`StopHandle::signal`].
    Signalled(i32),
    /// [`StopHandle::stop`] was called.
    Stopped,
    /// The reader of this process's stdout went away.
    OutputClosed,
}

/// How long to wait for PEs to end by themselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grace {
    /// After the first failure or a forwarded signal, before SIGTERM: others may report an error.
    pub(super) last_words: Duration,
    /// After SIGTERM, before SIGKILL.
    pub(super) terminate: Duration,
}

/// How much later than those who noticed it a killed process may be found dead.
const SHORTLY: Duration = Duration::from_millis(500);
/// After SIGKILL, before a process that does not even die of that is left alone.
const KILL_LIMIT: Duration = Duration::from_secs(5);

struct Watched {
    pe: Pe,
    child: Child,
    group: Pid,
    /// Readable when the process has ended; `None` afterwards.
    running: Option<OwnedFd>,
    exit: Option<PeExit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    LastWords,
    Terminating,
    Killing,
}

/// The PEs of one run.
pub(super) struct Supervisor {
    watched: Vec<Watched>,
    grace: Grace,
    phase: Phase,
    /// When the phase ends by itself.
    deadline: Option<Instant>,
    ended: Option<Ended>,
    signals: u32,
    /// When the first PE failed.
    first_failure: Option<Instant>,
}

impl Supervisor {
    pub(super) fn new(grace: Grace) -> Self {
        Self {
            watched: Vec::new(),
            grace,
            phase: Phase::Running,
            deadline: None,
            ended: None,
            signals: 0,
            first_failure: None,
        }
    }

    /// Takes over a started PE.
    pub(super) fn watch(&mut self, pe: Pe, child: Child) -> Result<(), LabError> {
        let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
        let running = pidfd_open(pid).map_err(io::Error::from);
        let watched = Watched { pe, child, group: Pid::from_raw(pid), running: None, exit: None };
        self.watched.push(watched);
        let running = running.map_err(LabError::run("watch a PE (pidfd_open needs Linux 5.3)"))?;
        if let Some(last) = self.watched.last_mut() {
            last.running = Some(running);
        }
        Ok(())
    }

    /// The process groups of the PEs.
    pub(super) fn groups(&self) -> Vec<i32> {
        self.watched.iter().map(|watched| watched.group.as_raw()).collect()
    }

    /// Watches until the last PE has ended, by itself or otherwise.
    pub(super) fn run(&mut self, stop: &StopHandle) -> Result<(), LabError> {
        while self.watched.iter().any(|watched| watched.running.is_some()) {
            self.wait(stop).map_err(LabError::run("wait for the PEs"))?;
            for request in stop.take() {
                self.handle(request);
            }
            self.collect();
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) && self.escalate() {
                break;
            }
        }
        Ok(())
    }

    /// Sleeps until a PE ends, somebody asks for a stop, or the phase is over.
    fn wait(&self, stop: &StopHandle) -> io::Result<()> {
        let mut polled: Vec<PollFd<'_>> = self
            .watched
            .iter()
            .filter_map(|watched| watched.running.as_ref())
            .map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN))
            .collect();
        polled.push(PollFd::new(stop.as_fd(), PollFlags::POLLIN));
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // Rounded up, not to wake just before the deadline again and again.
        let timeout = left.map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut polled, timeout) {
            Err(nix::errno::Errno::EINTR) | Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes the PEs that have ended, without reaping them.
    fn collect(&mut self) {
        let mut failed = Vec::new();
        for watched in self.watched.iter_mut().filter(|watched| watched.running.is_some()) {
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
            let exit = match waitid(Id::Pid(watched.group), flags) {
                Ok(WaitStatus::Exited(_, code)) => PeExit::Code(code),
                Ok(WaitStatus::Signaled(_, signal, _)) => PeExit::Signal(signal as i32),
                Ok(_) | Err(nix::errno::Errno::EINTR) => continue,
                // Somebody in this process waits for children that are not theirs: it has ended,
                // and nobody knows how.
                Err(_) => PeExit::Code(255),
            };
            watched.running = None;
            watched.exit = Some(exit);
            if exit != PeExit::Code(0) {
                failed.push((watched.pe, exit));
            }
        }
        for (pe, exit) in failed {
            self.failed(pe, exit);
        }
    }

    /// A PE has failed: the first one ends the run.
    ///
    /// A process killed by SIGKILL closes its connections before it can be waited for, so that others may notice, say so
    /// and leave before it. As long as nobody here has sent a signal, such a one found shortly after is the cause. A
    /// crash is not: it may well be what the loss of another PE led to.
    fn failed(&mut self, pe: Pe, exit: PeExit) {
        match self.ended {
            None => {
                self.ended = Some(Ended::Failed(pe, exit));
                self.phase = Phase::LastWords;
                self.first_failure = Some(Instant::now());
                self.deadline = Some(Instant::now() + self.grace.last_words);
            }
            Some(Ended::Failed(_, PeExit::Code(_))) if exit == PeExit::Signal(Signal::SIGKILL as i32) => {
                let soon = self.first_failure.is_some_and(|at| at.elapsed() < SHORTLY);
                if soon && self.phase == Phase::LastWords && self.signals == 0 {
                    self.ended = Some(Ended::Failed(pe, exit));
                }
            }
            _ => {}
        }
    }

    fn handle(&mut self, request: Request) {
        match request {
            Request::Signal(signal) => {
                self.signals += 1;
                if self.signals > 1 {
                    self.ended = Some(Ended::Signalled(signal as i32));
                    self.kill();
                    return;
                }
                self.ended.get_or_insert(Ended::Signalled(signal as i32));
                self.send(signal);
                if self.phase < Phase::LastWords {
                    self.phase = Phase::LastWords;
                    self.deadline = Some(Instant::now() + self.grace.last_words);
                }
            }
            Request::Stop | Request::OutputClosed => {
                let why = if request == Request::Stop { Ended::Stopped } else { Ended::OutputClosed };
                self.ended.get_or_insert(why);
                if self.phase < Phase::Terminating {
                    self.terminate();
                }
            }
        }
    }

    /// The next phase; true if there is none.
    fn escalate(&mut self) -> bool {
        match self.phase {
            Phase::Running => self.deadline = None,
            Phase::LastWords => self.terminate(),
            Phase::Terminating => self.kill(),
            Phase::Killing => return true,
        }
        false
    }

    fn terminate(&mut self) {
        self.phase = Phase::Terminating;
        self.deadline = Some(Instant::now() + self.grace.terminate);
        self.send(Signal::SIGTERM);
    }

    fn kill(&mut self) {
        self.phase = Phase::Killing;
        self.deadline = Some(Instant::now() + KILL_LIMIT);
        self.send(Signal::SIGKILL);
    }

    /// To the group of every PE, also of those that have ended: what they started may live on.
    fn send(&self, signal: Signal) {
        for watched in &self.watched {
            // ESRCH: everybody in the group has ended.
            let _ = killpg(watched.group, signal);
        }
    }

    /// Ends what the PEs have left behind: SIGTERM, and SIGKILL after the grace or a second signal.
    pub(super) fn clear(&mut self, members: Members<'_>, stop: &StopHandle) {
        let mut signal = if self.phase == Phase::Killing { Signal::SIGKILL } else { Signal::SIGTERM };
        let mut deadline = Instant::now() + self.grace.terminate;
        let mut to_send = Some(signal);
        while members.signal(to_send.take()) > 0 {
            std::thread::sleep(Duration::from_millis(10));
            for request in stop.take() {
                self.handle(request);
            }
            if signal == Signal::SIGKILL {
                // Again each time: somebody may have forked meanwhile.
                to_send = Some(signal);
                if Instant::now() >= deadline {
                    return;
                }
            } else if Instant::now() >= deadline || self.phase == Phase::Killing {
                signal = Signal::SIGKILL;
                to_send = Some(signal);
                deadline = Instant::now() + KILL_LIMIT;
            }
        }
    }

    /// Reaps all PEs, and says how each ended.
    pub(super) fn reap(&mut self) -> (Ended, Vec<(Pe, PeExit)>) {
        let mut exits = Vec::with_capacity(self.watched.len());
        for mut watched in self.watched.drain(..) {
            match watched.exit {
                // It did not even die of SIGKILL; waiting for it could take for ever.
                None => exits.push((watched.pe, PeExit::Signal(Signal::SIGKILL as i32))),
                Some(exit) => {
                    exits.push((watched.pe, exit));
                    // It has ended, so this does not block; an error means that it is reaped.
                    let _ = watched.child.wait();
                }
            }
        }
        (self.ended.unwrap_or(Ended::Succeeded), exits)
    }

    /// Ends a run that could not be started in full.
    pub(super) fn abandon(&mut self) {
        self.kill();
        for watched in &mut self.watched {
            let _ = watched.child.wait();
        }
        self.watched.clear();
    }
}
