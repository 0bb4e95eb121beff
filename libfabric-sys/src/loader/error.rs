//! Why libfabric could not be loaded.

use std::fmt::{self, Write};
use std::path::PathBuf;

use super::{MIN_VERSION, PATH_VARIABLE};

/// No usable libfabric: what was tried and what to do.
///
/// The text has several lines, and no control characters other than line feeds.
#[derive(Debug, thiserror::Error)]
pub struct LoadError {
    /// The places tried, in order, each with its reason. Never empty.
    pub attempts: Vec<Attempt>,
    /// Whether [`PATH_VARIABLE`] named the place.
    pub by_variable: bool,
}

/// One place tried.
#[derive(Debug)]
pub struct Attempt {
    /// The path or name given to the dynamic loader.
    pub path: PathBuf,
    /// Why it did not do.
    pub reason: Reason,
}

/// Why one place did not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The dynamic loader did not open it.
    #[error("{text}")]
    Open {
        /// The dynamic loader's words.
        text: String,
    },
    /// It is not libfabric, or not a whole one.
    #[error("has no function {symbol}: not a libfabric")]
    Missing {
        /// The function that is not there.
        symbol: &'static str,
    },
    /// It is older than [`MIN_VERSION`].
    #[error("is version {}.{}, too old: {}.{} or newer is needed", found.0, found.1, MIN_VERSION.0, MIN_VERSION.1)]
    TooOld {
        /// Its version, as (major, minor).
        found: (u32, u32),
    },
}

/// Why no library can be opened at all, and what to do, where this program is linked statically.
const STATIC: Option<&str> = if cfg!(target_feature = "crt-static") {
    Some(
        "This program is linked statically, for the monitor, and can open no libraries. \
         Take one for this system's C library: its package, its archive for gnu, or one that is built here.",
    )
} else {
    None
};

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = STATIC {
            return write!(f, "cannot load libfabric. {why}");
        }
        f.write_str("cannot load libfabric. Tried:")?;
        for Attempt { path, reason } in &self.attempts {
            write!(f, "\n  {}: {reason}", one_line(&path.to_string_lossy()))?;
        }
        if self.by_variable {
            write!(f, "\nOnly this, since {PATH_VARIABLE} is set. Correct or unset it.")?;
        }
        let (major, minor) = MIN_VERSION;
        write!(
            f,
            "\nInstall libfabric {major}.{minor} or newer: `apt-get install libfabric1` on Debian and Ubuntu, \
             `dnf install libfabric` on Fedora and Red Hat, the EFA installer on AWS; \
             or set {PATH_VARIABLE} to the path of a libfabric.so.1."
        )
    }
}

/// The text with control characters escaped: paths and the dynamic loader's messages may hold any.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            // Writing to a String does not fail.
            let _ = write!(line, "{}", character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}
