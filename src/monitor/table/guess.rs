//! The driver, where nothing names it, from the counters that are there.

use super::Dir;

/// Counters that only one driver has together. The first that fits is it.
const SIGNS: &[(&str, &[(Dir, &str)])] = &[
    ("efa", &[(Dir::HwCounters, "tx_bytes"), (Dir::HwCounters, "rdma_read_bytes")]),
    ("efa", &[(Dir::HwCounters, "tx_bytes"), (Dir::HwCounters, "rx_drops"), (Dir::HwCounters, "send_wrs")]),
    ("mlx5_core", &[(Dir::HwCounters, "np_cnp_sent"), (Dir::Counters, "port_xmit_data")]),
    ("mlx5_core", &[(Dir::HwCounters, "out_of_buffer"), (Dir::HwCounters, "rx_write_requests")]),
    ("mlx4_core", &[(Dir::HwCounters, "sq_num_rnr"), (Dir::HwCounters, "rq_num_lle")]),
    ("erdma", &[(Dir::HwCounters, "tx_bytes_cnt")]),
    ("erdma", &[(Dir::HwCounters, "hw_tx_bytes_cnt")]),
    ("bnxt_re", &[(Dir::HwCounters, "to_retransmits"), (Dir::HwCounters, "rx_roce_discards")]),
    ("irdma", &[(Dir::HwCounters, "ip4InOctets"), (Dir::HwCounters, "iwInRdmaWrites")]),
    ("mana", &[(Dir::HwCounters, "requester_timeout"), (Dir::HwCounters, "tx_packets")]),
    ("ionic", &[(Dir::HwCounters, "tx_rdma_ucast_bytes")]),
    ("hns_roce", &[(Dir::HwCounters, "rx_rc_pkt"), (Dir::HwCounters, "tx_rc_pkt")]),
    ("rxe", &[(Dir::HwCounters, "sent_pkts"), (Dir::HwCounters, "completer_retry_err")]),
];

/// The driver whose counters these are; `there` tells whether a counter exists.
#[must_use]
pub fn guess(there: impl Fn(Dir, &str) -> bool) -> Option<&'static str> {
    SIGNS
        .iter()
        .find(|(_, signs)| signs.iter().all(|&(dir, name)| there(dir, name)))
        .map(|&(driver, _)| driver)
}
