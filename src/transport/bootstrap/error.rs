//! What can go wrong between the PEs of a job before and beside the data path.

use std::io;
use std::time::Duration;

use super::secret;
use crate::transport::absent::Absent;

/// Why PEs could not come together, or no longer are.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// A variable that more than one PE needs is not set.
    #[error("a job of {world} PEs needs {name}: {help}")]
    Missing {
        /// PEs in the job.
        world: u32,
        /// The variable.
        name: &'static str,
        /// What to do.
        help: &'static str,
    },
    /// The secret cannot be used.
    #[error(transparent)]
    Secret(#[from] secret::BadSecret),
    /// PE 0 cannot listen.
    #[error("PE 0 cannot listen on {addr}: {source}; is the address one of this node's, and the port free?")]
    Listen {
        /// Where.
        addr: String,
        /// What the system said.
        source: io::Error,
    },
    /// PE 0 cannot be reached.
    #[error(
        "cannot reach PE 0 at {addr} within {seconds:.1} s: {source}; check MASTER_ADDR and MASTER_PORT, and that PE 0 runs"
    )]
    Connect {
        /// Where.
        addr: String,
        /// How long it was tried.
        seconds: f32,
        /// The last error.
        source: io::Error,
    },
    /// What answers there is not this job's PE 0.
    #[error("what answers at {addr} is not this job's rendezvous: {why}")]
    NotOurs {
        /// Where.
        addr: String,
        /// What gave it away.
        why: String,
    },
    /// The job was given up; the reason names the PE.
    #[error("{0}")]
    Aborted(String),
    /// A part of an exchange is longer than PE 0 takes.
    #[error("a PE's part of an exchange has at most {most} bytes, not {bytes} bytes")]
    TooLong {
        /// Bytes of the part.
        bytes: usize,
        /// Bytes it may have.
        most: usize,
    },
    /// An exchange took too long.
    #[error("an exchange was not complete within {limit:?}: {} (raise --timeout if it only needs longer)", self.missing())]
    Timeout {
        /// How long.
        limit: Duration,
        /// Who had not come to it, as PE 0 said last.
        waiting_for: Absent,
    },
}

impl BootstrapError {
    /// Whom an exchange waited for.
    fn missing(&self) -> String {
        match self {
            Self::Timeout { waiting_for, .. } if !waiting_for.is_nobody() => {
                format!("{waiting_for} did not come to it")
            }
            _ => "PE 0 does not say who did not come to it".into(),
        }
    }
}
