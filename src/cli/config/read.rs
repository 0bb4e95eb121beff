//! Reading a file that may be anything.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::error::ConfigError;

/// The largest file that is read. The printed default has a few kB.
const MAX_BYTES: u64 = 256 * 1024;

/// The text of a configuration file; `None` when there is no such file.
///
/// # Errors
/// When it is no file, too large, no text, or cannot be read. A FIFO or a device is not waited for.
pub(super) fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    let wrong = |reason: String| ConfigError::file(path, reason);
    // Without O_NONBLOCK, opening a FIFO that nobody writes to would wait for ever.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(error.to_string())),
    };
    let metadata = file.metadata().map_err(|error| wrong(error.to_string()))?;
    if is_null(&metadata) {
        return Ok(Some(String::new()));
    }
    if let Some(kind) = other_kind(&metadata) {
        return Err(wrong(format!("it is {kind}, not a file")));
    }
    let bytes = bounded(&file).map_err(|error| wrong(error.to_string()))?;
    let Some(bytes) = bytes else {
        return Err(wrong(format!("it is larger than {} KiB", MAX_BYTES / 1024)));
    };
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        ConfigError::at(path, &text, Some(&(valid..valid)), "this is not UTF-8 text")
    })
}

/// All of a file, or `None` when there is more than [`MAX_BYTES`].
fn bounded(file: &File) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= MAX_BYTES).then_some(bytes))
}

/// Whether it is `/dev/null`, which people name when they want an empty file.
fn is_null(metadata: &Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == libc::makedev(1, 3)
}

fn other_kind(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_fifo() {
        Some("a FIFO")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}
