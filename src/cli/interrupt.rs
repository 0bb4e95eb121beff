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
    #[must_use]
    pub fn wait_until(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        !matches!(self.signals.recv_timeout(left), Err(RecvTimeoutError::Timeout))
    }
}

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
    fn the_runtime_ignores_sigpipe_and_not_sigterm() {
        assert!(is_ignored(signal_hook::consts::SIGPIPE));
        assert!(!is_ignored(SIGTERM));
    }
}
