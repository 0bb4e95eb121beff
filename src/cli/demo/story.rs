//! What to look at under each policy.

use crate::transport::select::PolicyKind;

/// Two lines for the top of the screen.
pub(super) fn caption(policy: PolicyKind, nics: u16) -> String {
    match policy {
        PolicyKind::Single => format!(
            "single (NVSHMEM up to 3.5.21): every PE uses its first NIC only.\n\
             Look: one bar of {nics} in each PE, max/mean {nics}; the other NICs idle."
        ),
        PolicyKind::RoundRobin => {
            "round-robin (NVSHMEM 3.6.5): each PE takes its NICs in turn, all in step.\n\
             Look: Tx is even, but Rx piles onto one NIC per PE. No faster than one NIC."
                .to_owned()
        }
        PolicyKind::RoundRobinOffset => format!(
            "round-robin-offset (NVSHMEM PR #76): the receiving NIC differs per pair.\n\
             Look: Rx is even too, and the rate is about {nics} times as high."
        ),
        PolicyKind::PairSeq => format!(
            "pair-seq (railtop): each pair of PEs walks over the NICs by itself.\n\
             Look: Tx and Rx are even, about {nics} times one NIC's rate."
        ),
        other => format!(
            "{other} (railtop): {}.\nLook: Tx, Rx and the rate against the other policies'.",
            other.help()
        ),
    }
}

/// Said in front of the caption where NICs are only loopback addresses.
pub(super) const LOOPBACK: &str = "[loopback, no rate limit] ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_fit_an_80_column_screen() {
        for policy in PolicyKind::ALL {
            for line in caption(policy, 32).lines() {
                assert!(line.chars().count() <= 78, "{line}");
            }
        }
    }
}
