//! Signals as flags that the loop looks at, with a pipe that wakes it.

#![expect(
    unsafe_code,
    reason = "stopping the job with SIGTSTP needs the signal's default action for a moment"
)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::sys::signal::{self, SaFlags, SigAction, SigHandler, SigSet, Signal};
use nix::unistd::Pid;
use signal_hook::SigId;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH, SIGXFSZ};

use super::handles::Waker;

/// The signals a full-screen program owes an answer to. Unregistered on drop.
pub(super) struct Signals {
    /// Number of the last signal that asks for an end; 0 when none came.
    end: Arc<AtomicUsize>,
    suspend: Arc<AtomicBool>,
    resumed: Arc<AtomicBool>,
    resized: Arc<AtomicBool>,
    ids: Vec<SigId>,
}

impl Signals {
    /// Registers the handlers; from now on the signals no longer kill the process.
    pub(super) fn register(waker: &Waker) -> io::Result<Self> {
        let mut signals = Self {
            end: Arc::default(),
            suspend: Arc::default(),
            resumed: Arc::default(),
            resized: Arc::default(),
            ids: Vec::new(),
        };
        for number in [SIGTERM, SIGHUP, SIGINT, SIGQUIT] {
            let value = usize::try_from(number).unwrap_or(1);
            signals.ids.push(signal_hook::flag::register_usize(number, Arc::clone(&signals.end), value)?);
        }
        for (number, flag) in
            [(SIGTSTP, &signals.suspend), (SIGCONT, &signals.resumed), (SIGWINCH, &signals.resized)]
        {
            let id = signal_hook::flag::register(number, Arc::clone(flag))?;
            signals.ids.push(id);
        }
        // A recording that outgrows the limit for files is an error to be told, not an end with a broken terminal.
        signals.ids.push(signal_hook::flag::register(SIGXFSZ, Arc::default())?);
        // After the flags: handlers run in order of registration, so the flag is up when the loop wakes.
        for number in [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH] {
            let id = signal_hook::low_level::pipe::register(number, waker.write_end()?)?;
            signals.ids.push(id);
        }
        Ok(signals)
    }

    /// The signal that asked for an end, if one came.
    pub(super) fn end(&self) -> Option<i32> {
        match self.end.load(Ordering::SeqCst) {
            0 => None,
            number => i32::try_from(number).ok(),
        }
    }

    /// Whether somebody asked for a stop (`kill -TSTP`) since the last call.
    pub(super) fn take_suspend(&self) -> bool {
        self.suspend.swap(false, Ordering::SeqCst)
    }

    /// Whether the process was continued since the last call: the terminal may have changed meanwhile.
    pub(super) fn take_resumed(&self) -> bool {
        self.resumed.swap(false, Ordering::SeqCst)
    }

    /// Whether the window changed size since the last call.
    pub(super) fn take_resized(&self) -> bool {
        self.resized.swap(false, Ordering::SeqCst)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.ids.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}

/// Stops the job as the terminal's Ctrl-Z would, and returns when it is continued.
///
/// The whole process group stops, not only this process: below `make demo` the shell waits for `make`.
/// `SIGTSTP` and not `SIGSTOP`: where no shell could continue the job (an orphaned process group, as in a
/// container) the kernel ignores the former, and the program goes on instead of freezing the terminal.
pub(super) fn stop_job() -> nix::Result<()> {
    let action = |handler| SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // The others first, deaf ourselves: a group's signal may be taken by any thread at any moment, and a second
    // one behind it would stop the program again just after it was continued.
    // SAFETY: ignoring a signal runs no code of ours.
    let ours = unsafe { signal::sigaction(Signal::SIGTSTP, &action(SigHandler::SigIgn)) }?;
    let told = signal::kill(Pid::from_raw(0), Signal::SIGTSTP);
    // SAFETY: the default action runs no code of ours.
    let stopped = unsafe { signal::sigaction(Signal::SIGTSTP, &action(SigHandler::SigDfl)) }
        // For this very thread, which therefore stops before `raise` returns.
        .and_then(|_| signal::raise(Signal::SIGTSTP));
    // SAFETY: puts back the action found above, which signal-hook installed and keeps valid.
    unsafe { signal::sigaction(Signal::SIGTSTP, &ours) }?;
    told.and(stopped)
}
