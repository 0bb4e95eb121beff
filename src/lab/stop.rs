//! Stopping a run from another thread.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;

/// Ends the run it was given to, from any thread. Clones speak to the same run.
///
/// A stop stays: a run that is given a stopped handle ends before it begins. So one handle can end a
/// whole series of runs; use one handle per run to end only that one.
#[derive(Clone, Debug)]
pub struct StopHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Readable while there are requests, so that the run's poll wakes up.
    wake_reader: PipeReader,
    wake_writer: PipeWriter,
}

#[derive(Debug, Default)]
struct State {
    pending: Vec<Request>,
    first: Option<Request>,
}

/// Why a run shall end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// The caller has seen enough.
    Stop,
    /// A signal for the PEs, and the end if they do not react to it.
    Signal(Signal),
    /// Nobody reads the output any more.
    OutputClosed,
}

impl StopHandle {
    /// A handle for one run or several.
    ///
    /// # Errors
    /// If the process has no descriptors left for a pipe.
    pub fn new() -> io::Result<Self> {
        let (wake_reader, wake_writer) = io::pipe()?;
        // Waking must not block when many have woken it already; nor may looking.
        fcntl(&wake_reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        fcntl(&wake_writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self(Arc::new(Shared { state: Mutex::default(), wake_reader, wake_writer })))
    }

    /// Ends the run: SIGTERM to every PE, SIGKILL after the grace.
    pub fn stop(&self) {
        self.request(Request::Stop);
    }

    /// Forwards a signal to every PE, then ends the run as [`stop`](Self::stop) does. The second
    /// signal kills at once. A number that is no signal counts as SIGTERM.
    pub fn signal(&self, number: i32) {
        self.request(Request::Signal(Signal::try_from(number).unwrap_or(Signal::SIGTERM)));
    }

    /// True after a stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.first().is_some()
    }

    pub(super) fn request(&self, request: Request) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.pending.push(request);
        state.first.get_or_insert(request);
        // A full pipe has woken the run already.
        let _ = (&self.0.wake_writer).write(&[0]);
    }

    pub(super) fn first(&self) -> Option<Request> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).first
    }

    /// The requests since the last call.
    pub(super) fn take(&self) -> Vec<Request> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = (&self.0.wake_reader).read(&mut [0; 64]);
        std::mem::take(&mut state.pending)
    }
}

impl AsFd for StopHandle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.wake_reader.as_fd()
    }
}
