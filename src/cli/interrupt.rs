//! SIGINT, SIGTERM and SIGHUP as something a loop can wait for.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::exit;

/// Tells when the user wants an end. The first signal is passed on; the second ends the process with 130 at once.
#[derive(Debug)]
pub struct Interrupt {
    signals: Receiver<()>,
}

impl Interrupt {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the handlers or their thread cannot be set up.
    pub fn install() -> io::Result<Self> {
        let mut caught = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let (tell, signals) = mpsc::channel();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let mut first = true;
            for _ in caught.forever() {
                if !first || tell.send(()).is_err() {
                    std::process::exit(i32::from(exit::INTERRUPTED));
                }
                first = false;
            }
        })?;
        Ok(Self { signals })
    }

    /// Waits until `deadline`; true when an end was asked for.
    #[must_use]
    pub fn wait_until(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        !matches!(self.signals.recv_timeout(left), Err(RecvTimeoutError::Timeout))
    }
}
