//! What can go wrong for a user of the transport.

use std::time::Duration;

use super::absent::Absent;
use super::bootstrap::BootstrapError;
use super::fabric::FabricError;
use super::heap::HeapError;

/// Why a transport operation failed. [`Self::Heap`], [`Self::NoSuchPe`], [`Self::TooManyPending`] and [`Self::Refused`] are about one
/// call, of which nothing has been done; everything else is final for the job.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// NICs or libfabric.
    #[error(transparent)]
    Fabric(#[from] FabricError),
    /// PEs did not come together, or one of them is gone.
    #[error(transparent)]
    Bootstrap(BootstrapError),
    /// An access outside the heap, or no room in it.
    #[error(transparent)]
    Heap(#[from] HeapError),
    /// The job has failed; the reason names the PE or NIC.
    #[error("{0}")]
    Failed(String),
    /// Nothing came for too long.
    #[error(
        "{what} did not happen, and nothing moved on its NICs for {limit:?}; {} (raise --timeout if it only needs longer)",
        behind(waiting_for)
    )]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
        /// The PEs that have not done their part; empty where that is not known.
        waiting_for: Vec<u32>,
    },
    /// An operation with a PE that the job does not have.
    #[error("there is no PE {pe} in a job of {world}")]
    NoSuchPe {
        /// The PE.
        pe: u32,
        /// PEs in the job.
        world: u32,
    },
    /// As many answers are waited for as there is room for.
    #[error("{most} answers have been asked for and not collected; collect or drop some first")]
    TooManyPending {
        /// How many that is.
        most: usize,
    },
    /// Something that this PE cannot do, or not now.
    #[error("{0}")]
    Refused(String),
    /// PEs were started in ways that do not fit together.
    #[error("the PEs do not fit together: {0}")]
    Mismatch(String),
    /// The system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was asked.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What ends the job is told in one way, whoever heard of it first.
impl From<BootstrapError> for TransportError {
    fn from(error: BootstrapError) -> Self {
        match error {
            BootstrapError::Aborted(reason) => Self::Failed(reason),
            BootstrapError::TooLong { .. } => Self::Refused(error.to_string()),
            error => Self::Bootstrap(error),
        }
    }
}

/// Who holds a wait up.
fn behind(waiting_for: &[u32]) -> String {
    let absent: Absent = waiting_for.iter().copied().collect();
    match absent.total() {
        0 => "a PE hangs or is far behind".into(),
        1 => format!("{absent} hangs or is far behind"),
        _ => format!("{absent} hang or are far behind"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_job_and_a_call_that_cannot_be_are_told_apart() {
        let of = |error: BootstrapError| TransportError::from(error);
        let ended = of(BootstrapError::Aborted("PE 3 left".into()));
        assert!(matches!(&ended, TransportError::Failed(why) if why == "PE 3 left"), "{ended:?}");
        let long = of(BootstrapError::TooLong { bytes: 9, most: 8 });
        assert!(matches!(&long, TransportError::Refused(why) if why.contains("9 bytes")), "{long:?}");
    }

    #[test]
    fn a_timeout_names_whom_it_waited_for() {
        let text = |waiting_for| {
            let what = "PE 1: quiet".to_owned();
            TransportError::Timeout { what, limit: Duration::from_secs(60), waiting_for }.to_string()
        };
        assert!(text(vec![]).contains("PE 1: quiet did not happen") && text(vec![]).contains("a PE hangs"));
        assert!(text(vec![3]).contains("for 60s; PE 3 hangs"), "{}", text(vec![3]));
        assert!(text((5..20).collect()).contains("PE 5, 6, 7, 8 and 11 others hang"));
    }
}
