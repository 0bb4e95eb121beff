//! The kernel's figure for a NIC beside the transport's: do they tell the same story?

use crate::monitor::model::view::{NicView, SourceKind};

use super::summary::Direction;

/// Protocol headers and acknowledgements stay below this share of the payload.
const SHARE: f64 = 0.05;
/// Chatter that is no payload, and the two counters' different moments: 1 Mb/s.
const SLACK_BYTES_PER_S: f64 = 1e6 / 8.0;

/// How the kernel's rate compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// One of the two has no rate.
    Unknown,
    /// Payload, headers and nothing else.
    Agrees,
    /// The kernel sees less than the transport says it moved: one of the two is wrong.
    Less,
    /// The kernel sees more: headers and retransmissions beyond 5 %, or other processes on this NIC.
    More,
}

/// The kernel's rate, and how it compares, in one direction of a NIC.
pub(super) fn check(nic: &NicView, direction: Direction) -> (Option<f64>, Check) {
    let Some(kernel) = &nic.kernel else { return (None, Check::Unknown) };
    let (ours, theirs) = match direction {
        Direction::Tx => (nic.tx.bytes_per_s, kernel.tx.bytes_per_s),
        Direction::Rx => (nic.rx.bytes_per_s, kernel.rx.bytes_per_s),
    };
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return (theirs, Check::Unknown) };
    let check = if theirs < ours * (1.0 - SHARE) - SLACK_BYTES_PER_S {
        Check::Less
    } else if theirs > ours * (1.0 + SHARE) + SLACK_BYTES_PER_S {
        Check::More
    } else {
        Check::Agrees
    };
    (theirs.into(), check)
}

/// Where the kernel's figure comes from, in words.
pub(super) fn source_name(source: SourceKind) -> &'static str {
    match source {
        SourceKind::Page => "counter page",
        SourceKind::Sysfs => "RDMA device (sysfs)",
        SourceKind::Netdev => "network interface",
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::{Cluster, Shape};
    use super::*;
    use test_case::test_case;

    #[test_case(100e6, 104e6, Check::Agrees; "headers")]
    #[test_case(100e6, 90e6, Check::Less; "the kernel misses some")]
    #[test_case(100e6, 150e6, Check::More; "somebody else")]
    #[test_case(0.0, 100e3, Check::Agrees; "chatter on an idle NIC")]
    fn compares(ours: f64, theirs: f64, expected: Check) {
        let mut nic = Cluster::default().view(Shape::PairSeq, 1).groups[0].nics[0].clone();
        nic.tx.bytes_per_s = Some(ours);
        nic.kernel.as_mut().unwrap().tx.bytes_per_s = Some(theirs);
        assert_eq!(check(&nic, Direction::Tx), (Some(theirs), expected));
        nic.kernel = None;
        assert_eq!(check(&nic, Direction::Tx), (None, Check::Unknown));
    }
}
