//! One counter file, kept open and read with `pread`.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::LazyLock;

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statfs::{SYSFS_MAGIC, fstatfs};

use super::root::Root;
use crate::text::printable;

/// The most that is read of a file: a sysfs attribute is at most a page.
pub(super) const MAX_READ: usize = 4096;

/// How many descriptors are left to everything else: a file for each thread that opens one at the moment, directories, sockets,
/// recordings.
const SPARE_FILES: u64 = 200;

/// Files stay open below this descriptor. The kernel gives the lowest one that is free, so there is always room for what
/// is opened for a moment, however many counters there are.
static KEPT_BELOW: LazyLock<RawFd> = LazyLock::new(|| {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    RawFd::try_from(limit.saturating_sub(SPARE_FILES)).unwrap_or(RawFd::MAX)
});

/// Why a file gives no number.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The kernel refused.
    #[error("{}", explain(.0))]
    Io(#[from] io::Error),
    /// A directory, pipe or device where a file should be.
    #[error("not a regular file")]
    NotAFile,
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// Longer than any sysfs attribute.
    #[error("longer than 4 KiB")]
    TooLong,
    /// Text that is no number, such as `N/A (no PMA)`.
    #[error("the file says {0:?}")]
    NotANumber(String),
    /// A number that no 64-bit counter can have.
    #[error("{0:?} does not fit into 64 bits")]
    OutOfRange(String),
}

impl ReadError {
    /// Whether there is no such file, rather than one that gives no number.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Io(e) if e.kind() == io::ErrorKind::NotFound)
    }
}

/// What an errno means here.
fn explain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOENT) => "the file does not exist".to_owned(),
        Some(libc::EINVAL) => "the driver refuses to read it (EINVAL)".to_owned(),
        Some(libc::EACCES | libc::EPERM) => "no permission to read it".to_owned(),
        Some(libc::EOPNOTSUPP) => "the device does not support it (EOPNOTSUPP)".to_owned(),
        Some(libc::ENODEV | libc::ENXIO) => "the device is gone".to_owned(),
        _ => error.to_string(),
    }
}

/// The start of a file as text; what is not UTF-8 becomes U+FFFD.
pub(super) fn read_bounded(file: &File) -> Result<String, ReadError> {
    let mut buffer = [0_u8; MAX_READ];
    let length = file.read_at(&mut buffer, 0)?;
    if length == MAX_READ {
        return Err(ReadError::TooLong);
    }
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// Reads a counter's text: decimal digits with white space around them, nothing else.
pub(super) fn parse_counter(text: &str) -> Result<u64, ReadError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ReadError::Empty);
    }
    let quoted = || printable(text).chars().take(40).collect::<String>();
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ReadError::NotANumber(quoted()));
    }
    text.parse().map_err(|_| ReadError::OutOfRange(quoted()))
}

/// A counter file.
#[derive(Debug)]
pub(super) struct CounterFile {
    path: PathBuf,
    kept: Option<File>,
}

impl CounterFile {
    /// The file at `path` below the root, not opened yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, kept: None }
    }

    /// Reads the counter. `reopened` is set when the device behind an open file had gone and a new one answers:
    /// its counters are not a continuation.
    pub(super) fn read(&mut self, root: &Root, reopened: &mut bool) -> Result<u64, ReadError> {
        if let Some(file) = &self.kept {
            match read_bounded(file) {
                Err(ReadError::Io(e)) if is_gone(&e) => self.kept = None,
                other => return parse_counter(&other?),
            }
            let value = self.open_and_read(root);
            *reopened |= value.is_ok();
            return value;
        }
        self.open_and_read(root)
    }

    fn open_and_read(&mut self, root: &Root) -> Result<u64, ReadError> {
        let file = root.open(&self.path)?;
        let text = read_bounded(&file);
        if may_be_kept(&file, root) {
            self.kept = Some(file);
        }
        parse_counter(&text?)
    }
}

/// Whether a file is kept open: there is room, and it goes on to be the one of its name.
fn may_be_kept(file: &File, root: &Root) -> bool {
    file.as_raw_fd() < *KEPT_BELOW && stays_what_it_is(file, root)
}

/// Whether an open file goes on to be the one of its name. In a copied tree a file may be replaced under its name (that
/// is how one writes such a tree without half-written files); the kernel's own stay what they are, and so do those of a
/// tree that says so.
fn stays_what_it_is(file: &File, root: &Root) -> bool {
    root.is_stable() || fstatfs(file).is_ok_and(|fs| fs.filesystem_type() == SYSFS_MAGIC)
}

/// A small text that is looked at now and then, such as a port's state.
#[derive(Debug)]
pub(super) struct TextFile {
    path: PathBuf,
    kept: Option<File>,
}

impl TextFile {
    /// The file at `path` below the root, not opened yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, kept: None }
    }

    /// What it says now; `None` when it cannot be read.
    pub(super) fn read(&mut self, root: &Root) -> Option<String> {
        if self.kept.is_none() {
            let file = root.open(&self.path).ok()?;
            if !may_be_kept(&file, root) {
                return read_bounded(&file).ok();
            }
            self.kept = Some(file);
        }
        let text = self.kept.as_ref().and_then(|file| read_bounded(file).ok());
        if text.is_none() {
            self.kept = None;
        }
        text
    }
}

/// Errors after which an open sysfs file never answers again.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO | libc::ENOENT | libc::EIO | libc::ESTALE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use test_case::test_case;

    #[test_case("0\n", 0)]
    #[test_case("18446744073709551615\n", u64::MAX)]
    #[test_case("  42  ", 42)]
    fn reads_numbers(text: &str, value: u64) {
        assert_eq!(parse_counter(text).unwrap(), value);
    }

    #[test_case("", "the file is empty"; "empty")]
    #[test_case(" \n", "the file is empty"; "blank")]
    #[test_case("N/A (no PMA)\n", "the file says \"N/A (no PMA)\""; "no pma")]
    #[test_case("-1", "the file says \"-1\""; "negative")]
    #[test_case("+1", "the file says \"+1\""; "plus sign")]
    #[test_case("0x10", "the file says \"0x10\""; "hexadecimal")]
    #[test_case("1 2", "the file says \"1 2\""; "two numbers")]
    #[test_case("18446744073709551616", "\"18446744073709551616\" does not fit into 64 bits"; "2^64")]
    fn says_why_not(text: &str, reason: &str) {
        assert_eq!(parse_counter(text).unwrap_err().to_string(), reason);
    }

    #[test]
    fn the_kernels_own_files_stay_open_and_copies_do_not() {
        let real = Root::new("/sys".into());
        let path = "class/net/lo/statistics/tx_bytes";
        if real.open(path).is_err() {
            eprintln!("skipped: no {path} in /sys");
            return;
        }
        let mut reopened = false;
        let mut file = CounterFile::new(path.into());
        let first = file.read(&real, &mut reopened).unwrap();
        assert!(file.kept.is_some());
        assert!(file.read(&real, &mut reopened).unwrap() >= first);
        assert!(!reopened);

        let copy = tempfile::tempdir().unwrap();
        std::fs::write(copy.path().join("a"), "1").unwrap();
        let root = Root::new(copy.path().to_owned());
        let mut file = CounterFile::new("a".into());
        assert_eq!(file.read(&root, &mut reopened).unwrap(), 1);
        assert!(file.kept.is_none());

        std::fs::write(copy.path().join(super::super::root::STABLE), "").unwrap();
        let root = Root::new(copy.path().to_owned());
        file.read(&root, &mut reopened).unwrap();
        assert!(file.kept.is_some(), "a tree that says it is stable");
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC*|[0-9\\x00-\\x1f]*") {
            if let Err(e) = parse_counter(&text) {
                prop_assert!(!e.to_string().chars().any(char::is_control));
            }
        }
    }
}
