//! What other threads hold to reach a running screen: wake it, stop it, caption it.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Wakes the screen's loop from any thread; cheap to clone, never blocks.
///
/// Both ends of the pipe live as long as any clone, so that a late wake-up cannot raise `SIGPIPE`.
#[derive(Debug, Clone)]
pub struct Waker(Arc<Pipe>);

#[derive(Debug)]
struct Pipe {
    read: UnixStream,
    write: UnixStream,
}

impl Waker {
    /// A new pipe with both ends non-blocking.
    ///
    /// # Errors
    /// When the process has no file descriptors left.
    pub fn new() -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        Ok(Self(Arc::new(Pipe { read, write })))
    }

    /// Makes the loop look for news. A full pipe is a wake-up already on its way.
    pub fn wake(&self) {
        let _ = (&self.0.write).write(&[1]);
    }

    /// The end to wait on.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.read.as_fd()
    }

    /// A copy of the writing end, for signal handlers.
    pub(super) fn write_end(&self) -> io::Result<OwnedFd> {
        Ok(self.0.write.try_clone()?.into())
    }

    /// Swallows all wake-ups so far.
    pub(super) fn drain(&self) {
        let mut buffer = [0; 256];
        // A buffer that was not filled took all there was.
        while matches!((&self.0.read).read(&mut buffer), Ok(n) if n == buffer.len()) {}
    }
}

/// A waker that is filled in once the screen runs.
#[derive(Debug, Default)]
struct Bell(Mutex<Option<Waker>>);

impl Bell {
    fn connect(&self, waker: &Waker) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }

    fn ring(&self) {
        if let Some(waker) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            waker.wake();
        }
    }
}

/// Ends the screen from outside, as the demo does when its workload is over.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<(AtomicBool, Bell)>);

impl StopFlag {
    /// A flag that is not raised.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the screen to end; also when it has not begun yet.
    pub fn stop(&self) {
        self.0.0.store(true, Ordering::SeqCst);
        self.0.1.ring();
    }

    /// Whether [`stop`](Self::stop) was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.0.load(Ordering::SeqCst)
    }

    pub(super) fn connect(&self, waker: &Waker) {
        self.0.1.connect(waker);
    }
}

/// One or two lines at the top of the screen that say what to look at; settable while it runs.
#[derive(Debug, Clone, Default)]
pub struct CaptionHandle(Arc<(Mutex<String>, Bell)>);

impl CaptionHandle {
    /// An empty caption: no line is used.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the caption. A line break separates its two lines; an empty text removes it.
    pub fn set(&self, text: &str) {
        text.clone_into(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.ring();
    }

    /// The caption as it stands.
    #[must_use]
    pub fn get(&self) -> String {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn connect(&self, waker: &Waker) {
        self.0.1.connect(waker);
    }
}
