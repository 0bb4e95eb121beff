//! What can go wrong with counter pages, on the writer's and on the reader's side.

use std::{io, path::PathBuf};

/// Why a page directory cannot be used or a page cannot be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// A system call failed.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was attempted, as the start of a sentence: "cannot open".
        what: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The directory is a symbolic link or not a directory at all.
    #[error(
        "page directory {} is not a directory of its own (a link or a file); remove it, or name another one in RAILTOP_PAGE_DIR",
        path.display()
    )]
    NotADirectory {
        /// The directory's path.
        path: PathBuf,
    },
    /// The directory belongs to somebody else.
    #[error(
        "page directory {} belongs to uid {owner}, not to uid {expected}; name another one in RAILTOP_PAGE_DIR",
        path.display()
    )]
    ForeignDirectory {
        /// The directory's path.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who had to own it.
        expected: u32,
    },
    /// Group or world may write in the directory, and so could plant or remove pages.
    #[error("page directory {} is writable for others (mode {mode:o}); run: chmod go-w {}", path.display(), path.display())]
    SharedDirectory {
        /// The directory's path.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The description of the page asks for more than the layout has.
    #[error("a counter page has room for 1 to {max} {what}, not {got}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many were asked for.
        got: usize,
        /// How many there may be.
        max: usize,
    },
}

impl PageError {
    pub(super) fn is_permission_denied(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    /// True when the directory is simply not there: nobody has published anything yet.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Why a file cannot be read as a counter page. Each is a sentence to follow "`<path>`: ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The first eight bytes are something else.
    #[error("not a counter page (the magic number is wrong)")]
    NotAPage,
    /// The magic number is still zero: the writer has not finished.
    #[error("not ready yet (its writer has not finished it)")]
    NotReady,
    /// Shorter than it says, or became shorter.
    #[error("truncated: {actual} bytes where {expected} are needed")]
    Truncated {
        /// Bytes needed.
        expected: u64,
        /// Bytes there are.
        actual: u64,
    },
    /// Another major version of the layout.
    #[error(
        "layout version {has_major}.{has_minor}, this program reads {wants_major}.x; use a railtop of the same release as the writer"
    )]
    ForeignVersion {
        /// Major version in the page.
        has_major: u16,
        /// Minor version in the page.
        has_minor: u16,
        /// Major version this reader knows.
        wants_major: u16,
    },
    /// A value in the header or in a section cannot be right.
    #[error("damaged: {section}: {reason}")]
    BadSection {
        /// Which part of the page.
        section: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A link, FIFO, device or directory.
    #[error("not a regular file")]
    NotRegular,
    /// Somebody put a file into another user's directory.
    #[error("belongs to uid {owner}, who is neither the directory's owner nor the reader nor root")]
    WrongOwner {
        /// Who owns the file.
        owner: u32,
    },
    /// Larger than any page can be.
    #[error("too large for a counter page: {size} bytes, the limit is {max}")]
    TooLarge {
        /// Size of the file in bytes.
        size: u64,
        /// Largest size that is read.
        max: u64,
    },
    /// A system call failed.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl ReadError {
    /// True when the file has gone between the scan and the open: no news, its writer closed it.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Io(source) if source.kind() == io::ErrorKind::NotFound)
    }
}
