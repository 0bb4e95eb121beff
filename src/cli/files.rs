//! Files: the limit on open ones, and new ones that are no accident.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
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

/// How many files this process may have open.
pub(super) fn limit() -> usize {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| usize::try_from(soft).unwrap_or(usize::MAX))
}

/// Opens a file to be written. It is new unless told otherwise, so that nothing is lost to a typing error; one that is there
/// is [emptied](empty) by who has looked what it is.
pub(super) fn open_new(path: &Path, force: bool) -> anyhow::Result<File> {
    let opened = File::options()
        .write(true)
        .create(true)
        .create_new(!force)
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path);
    match opened {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            Err(anyhow::anyhow!("{} is there already; name a new file or give --force", path.display()))
        }
        opened => opened.with_context(|| format!("cannot open {}", path.display())),
    }
}

/// Empties what is a file and no device.
pub(super) fn empty(file: &File, path: &Path) -> anyhow::Result<()> {
    if file.metadata().is_ok_and(|m| m.is_file()) {
        file.set_len(0).with_context(|| format!("cannot empty {}", path.display()))?;
    }
    Ok(())
}
