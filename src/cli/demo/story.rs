//! What to look at under each policy.

use crate::transport::select::PolicyKind;

/// Two lines for the top of the screen.
pub(super) fn caption(policy: PolicyKind, nics: u16) -> String {
    match policy {
        PolicyKind::Single => format!(
            "single: every PE uses its first NIC only, as NVSHMEM up to 3.5.21.\n\
             Look: one bar of {nics} in each PE, max/mean {nics}; the other NICs idle."
        ),
        PolicyKind::RoundRobin => format!(
            "round-robin: each PE takes its {nics} NICs in turn, as NVSHMEM 3.6.5. All senders turn in step.\n\
             Look: Tx is even, but Rx piles onto one NIC of each PE. No faster than one NIC."
        ),
        PolicyKind::RoundRobinOffset => format!(
            "round-robin-offset: the receiving NIC is shifted by who talks to whom, as NVSHMEM PR #76.\n\
             Look: Rx is even too, and the rate is about {nics} times as high."
        ),
        PolicyKind::PairSeq => format!(
            "pair-seq, railtop's default: each pair of PEs walks over the NICs by itself, rails aligned.\n\
             Look: Tx and Rx even, about {nics} times one NIC's rate."
        ),
    }
}

/// Said in front of the caption where NICs are only loopback addresses.
pub(super) const LOOPBACK: &str =
    "NO NAMESPACES HERE: NICs are loopback addresses without a rate limit; balance shows, speed does not. ";
