//! Keeping libfabric's hands off this process's signals.
//!
//! Some providers and the libraries below them (shm, psm) install handlers for SIGTERM and others when libfabric is
//! loaded or first asked for anything, and end the process in them: nothing of ours would be cleaned up, and nobody told. Whoever calls decides about signals.

#![expect(unsafe_code, reason = "sigaction has no safe form that keeps a foreign handler")]

use std::mem::MaybeUninit;

/// Signals that providers are known to take, or might.
const SIGNALS: [i32; 9] = [
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGBUS,
    libc::SIGSEGV,
    libc::SIGILL,
    libc::SIGABRT,
    libc::SIGPIPE,
];

/// What this process does on each signal, put back on drop. Handlers that other threads install meanwhile are lost:
/// hold it no longer than libfabric's calls take. [`crate::Libfabric::load`] and
/// [`crate::Libfabric::getinfo`] hold one; whoever opens fabrics and domains should too.
pub struct KeepSignals {
    actions: Vec<(i32, libc::sigaction)>,
}

impl Default for KeepSignals {
    fn default() -> Self {
        Self::new()
    }
}

impl KeepSignals {
    /// Remembers all of them.
    #[must_use]
    pub fn new() -> Self {
        let remember = |signal| {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: only asks; the memory is as large as a sigaction.
            let code = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
            // SAFETY: zeroed is a valid sigaction, and the call has filled it.
            (code == 0).then(|| (signal, unsafe { action.assume_init() }))
        };
        Self { actions: SIGNALS.into_iter().filter_map(remember).collect() }
    }
}

impl Drop for KeepSignals {
    fn drop(&mut self) {
        for (signal, action) in &self.actions {
            // SAFETY: an action that was in force before.
            unsafe { libc::sigaction(*signal, action, std::ptr::null_mut()) };
        }
    }
}
