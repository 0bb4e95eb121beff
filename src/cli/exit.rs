//! Exit codes, and the errors that stand for them. Any other error is [`FAILED`].

use std::io::{self, Write as _};
use std::process::ExitCode;

use super::config::ConfigError;
use crate::text::message;

/// All is well.
pub const OK: u8 = 0;
/// Something failed, or `check` found imbalance.
pub const FAILED: u8 = 1;
/// The command line or the configuration file is wrong.
pub const USAGE: u8 = 2;
/// There is nothing to measure (or to measure with).
pub const NOTHING: u8 = 3;
/// Ended by the second Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// An end with an exit code of its own.
#[derive(Debug, thiserror::Error)]
pub enum ExitError {
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// Nothing to measure, with the reason.
    #[error("nothing to measure: {0}")]
    Nothing(String),
    /// Who reads our output has enough. Not an error.
    #[error("the reader of the output closed it")]
    ClosedPipe,
}

impl ExitError {
    /// Its exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Nothing(_) => NOTHING,
            Self::ClosedPipe => OK,
        }
    }
}

/// An error of writing our output. A closed pipe becomes [`ExitError::ClosedPipe`], which ends the program quietly.
#[must_use]
pub fn output_error(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        ExitError::ClosedPipe.into()
    } else {
        anyhow::Error::new(error).context("cannot write the output")
    }
}

/// Says a line on stderr, in one piece, since PEs share a terminal. One that is gone is no reason to panic. Paths and arguments in it
/// are anybody's: nothing that a terminal obeys gets through.
pub fn say(line: &str) {
    let _closed = io::stderr().lock().write_all(format!("{}\n", message(line)).as_bytes());
}

/// Prints the error on stderr, where it is one, and gives the exit code for it.
#[must_use]
pub fn report(error: &anyhow::Error) -> ExitCode {
    let known = error.chain().find_map(|e| e.downcast_ref::<ExitError>());
    let wrong_config = error.chain().any(<dyn std::error::Error>::is::<ConfigError>);
    if !matches!(known, Some(ExitError::ClosedPipe)) {
        say(&format!("railtop: {}", sentence(error)));
    }
    let otherwise = if wrong_config { USAGE } else { FAILED };
    ExitCode::from(known.map_or(otherwise, ExitError::code))
}

/// The error and its causes. A cause that the error's own text tells already is not told twice.
fn sentence(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

/// Makes sure that there is a terminal on both sides.
///
/// # Errors
/// When there is none, naming the commands that need none.
pub fn require_terminal() -> Result<(), ExitError> {
    use io::IsTerminal as _;
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return Ok(());
    }
    Err(ExitError::Usage(
        "the screen needs a terminal on stdin and stdout; without one use `railtop log`, `railtop check`, \
         `railtop list` or `railtop demo --headless`"
            .to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let refused = || io::Error::other("connection refused");
        let once = anyhow::Error::new(refused()).context("no answer: connection refused; is it up?");
        assert_eq!(sentence(&once), "no answer: connection refused; is it up?");
        let both = anyhow::Error::new(refused()).context("no answer");
        assert_eq!(sentence(&both), "no answer: connection refused");
    }
}
