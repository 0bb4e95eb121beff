//! The limit on open files.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit as far as this user may: counter files stay open, and a machine with 32 NICs has more of them than the
/// 1024 that shells give, which are meant for programs that call `select`.
///
/// Where that is refused, the monitor opens what is beyond the limit anew at each tick.
pub(super) fn allow_many() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _refused = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
