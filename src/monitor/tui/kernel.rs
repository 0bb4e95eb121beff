//! The kernel's figure for a NIC beside the transport's: do they tell the same story?

use crate::monitor::model::view::{NicView, SourceKind};

use super::summary::Direction;

/// Protocol headers and acknowledgements stay below this share of the payload.
const SHARE: f64 = 0.05;
/// What may be done for the transport and not yet sent by the kernel (4 MB in the send buffer of each of a few
/// connections), or chatter that is no payload, over the half minute that is compared.
const SLACK_BYTES: f64 = 16e6;

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
    let (rate, both) = match direction {
        Direction::Tx => (kernel.tx.bytes_per_s, kernel.together.tx),
        Direction::Rx => (kernel.rx.bytes_per_s, kernel.together.rx),
    };
    let Some((ours, theirs)) = both.map(|(ours, theirs)| (ours as f64, theirs as f64)) else {
        return (rate, Check::Unknown);
    };
    let check = if theirs < ours * (1.0 - SHARE) - SLACK_BYTES {
        Check::Less
    } else if theirs > ours * (1.0 + SHARE) + SLACK_BYTES {
        Check::More
    } else {
        Check::Agrees
    };
    (rate, check)
}

/// Where the kernel's figure comes from, in words.
pub(super) fn source_name(source: SourceKind) -> &'static str {
    match source {
        SourceKind::Page => "counter page",
        SourceKind::Sysfs => "RDMA device (sysfs)",
        SourceKind::Netlink => "RDMA device (netlink)",
        SourceKind::Netdev => "network interface",
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::{Cluster, Shape};
    use super::*;
    use test_case::test_case;

    #[test_case(1_000, 1_040, Check::Agrees; "headers")]
    #[test_case(1_000, 985, Check::Agrees; "some still lies in socket buffers")]
    #[test_case(1_000, 900, Check::Less; "the kernel misses some")]
    #[test_case(1_000, 1_500, Check::More; "somebody else")]
    #[test_case(0, 3, Check::Agrees; "chatter on an idle NIC")]
    fn compares(ours_mb: u64, theirs_mb: u64, expected: Check) {
        let mut nic = Cluster::default().view(Shape::PairSeq, 1).groups[0].nics[0].clone();
        let kernel = nic.kernel.as_mut().unwrap();
        kernel.together.tx = Some((ours_mb * 1_000_000, theirs_mb * 1_000_000));
        let rate = kernel.tx.bytes_per_s;
        assert_eq!(check(&nic, Direction::Tx), (rate, expected));
        nic.kernel = None;
        assert_eq!(check(&nic, Direction::Tx), (None, Check::Unknown));
    }
}
