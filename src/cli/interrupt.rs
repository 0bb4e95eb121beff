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
        let mut caught = Signals::new([SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&s| !is_ignored(s)))?;
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
    ///
    /// # Errors
    /// When the thread that listens has panicked: nobody could ask for an end any more, and that is not the same as
    /// having been asked.
    pub fn wait_until(&self, deadline: Instant) -> Result<bool, Deaf> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.signals.recv_timeout(left) {
            Ok(()) => Ok(true),
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => Err(Deaf),
        }
    }
}

/// Nobody listens for signals any more.
#[derive(Debug, thiserror::Error)]
#[error("the thread that listens for signals panicked (message above); please report it")]
pub struct Deaf;

/// Whether whoever started us wants this signal ignored: `nohup` does so with SIGHUP, a shell with SIGINT for `&`.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|l| l.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|m| u64::from_str_radix(m.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_listener_is_no_interrupt() {
        let (tell, signals) = mpsc::channel();
        let interrupt = Interrupt { signals };
        assert!(matches!(interrupt.wait_until(Instant::now()), Ok(false)));
        tell.send(()).unwrap();
        assert!(matches!(interrupt.wait_until(Instant::now()), Ok(true)));
        drop(tell);
        assert!(interrupt.wait_until(Instant::now()).is_err());
    }

    #[test]
    fn the_runtime_ignores_sigpipe_and_not_sigterm() {
        assert!(is_ignored(signal_hook::consts::SIGPIPE));
        assert!(!is_ignored(SIGTERM));
    }
}
