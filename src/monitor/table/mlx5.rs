//! NVIDIA ConnectX from ConnectX-4 on. Source: `hw/mlx5/counters.c`. Bytes are in the PMA counters only, in 4-byte words;
//! they are 64 bits wide and count RDMA alone. The queue counters are 32 bits wide in firmware and wrap.

use super::quantity::{Quantity, hw, pma, words};
use super::row::{
    LIFESPAN, Row, bytes, congestion, drops, error, loss, neutral, operations, packets, pressure,
    retransmits, timeouts,
};
use super::{DeviceDir, Driver};
use crate::monitor::counter::{Kind, Unit};

pub(super) static TABLE: Driver = Driver {
    // `mlx5_core` for a PCI function, `mlx5_ib` where the auxiliary device is what sysfs links to.
    names: &["mlx5_core", "mlx5_ib"],
    // The optional counters come second: they count only since somebody turned them on.
    tx_bytes: Quantity(&[&[words("port_xmit_data")], &[hw("rdma_tx_bytes")]]),
    rx_bytes: Quantity(&[&[words("port_rcv_data")], &[hw("rdma_rx_bytes")]]),
    tx_pkts: Quantity(&[&[pma("port_xmit_packets")], &[hw("rdma_tx_packets")]]),
    rx_pkts: Quantity(&[&[pma("port_rcv_packets")], &[hw("rdma_rx_packets")]]),
    rows: ROWS,
    unknown: Kind::Wrap32,
    software: false,
    device: DeviceDir::Ignored,
    constant_state: false,
};

static ROWS: &[Row] = &[
    operations("rx_write_requests", "RDMA writes received").wraps(),
    operations("rx_read_requests", "RDMA reads received").wraps(),
    operations("rx_atomic_requests", "atomic operations received").wraps(),
    operations("rx_dct_connect", "connection requests to dynamically connected targets").wraps(),
    drops("out_of_buffer", "packets dropped because the receiver had posted no buffer").wraps(),
    retransmits("out_of_sequence", "packets that arrived out of order, so that some were lost").wraps(),
    loss("duplicate_request", "requests that arrived a second time, since the peer sent them again").wraps(),
    retransmits("rnr_nak_retry_err", "answers `receiver not ready`, after which the request is sent again")
        .wraps(),
    retransmits("packet_seq_err", "answers `wrong sequence`: the peer missed packets of this NIC").wraps(),
    retransmits("implied_nak_seq_err", "answers missing before a later one, so that a request is sent again")
        .wraps(),
    timeouts("local_ack_timeout_err", "acknowledgements that did not come in time").wraps(),
    error("resp_local_length_error", "messages that did not fit into the receiver's buffer").wraps(),
    error("resp_cqe_error", "receive completions with an error").wraps(),
    error("req_cqe_error", "send completions with an error").wraps(),
    error("req_remote_invalid_request", "requests that the peer called invalid").wraps(),
    error("req_remote_access_errors", "requests that the peer refused: wrong key or range").wraps(),
    error("resp_remote_access_errors", "peers' requests that were refused: wrong key or range").wraps(),
    neutral("resp_cqe_flush_error", "receives given back unused when a queue pair ended").wraps(),
    neutral("req_cqe_flush_error", "sends given back when a queue pair ended").wraps(),
    error("req_transport_retries_exceeded", "requests given up after the last retransmission").wraps(),
    error("req_rnr_retries_exceeded", "requests given up because the receiver was never ready").wraps(),
    retransmits("roce_adp_retrans", "adaptive retransmissions").wraps(),
    timeouts("roce_adp_retrans_to", "times adaptive retransmission ran into its time limit").wraps(),
    pressure("roce_slow_restart", "times a flow began slowly again").wraps(),
    pressure("roce_slow_restart_cnps", "congestion notifications that came of a slow restart").wraps(),
    pressure("roce_slow_restart_trans", "times a flow went into slow restart").wraps(),
    pressure("rp_cnp_ignored", "congestion notifications this NIC received and did not heed").wraps(),
    congestion("rp_cnp_handled", "congestion notifications this NIC received and slowed down for").wraps(),
    congestion("np_ecn_marked_roce_packets", "packets that switches had marked for congestion").wraps(),
    congestion("np_cnp_sent", "congestion notifications this NIC sent to its peers").wraps(),
    error("rx_icrc_encapsulated", "packets with a wrong checksum").wraps(),
    pressure("cc_rx_ce_pkts", "packets received with a congestion mark (optional counter)")
        .unit(Unit::Packets),
    pressure("cc_rx_cnp_pkts", "congestion notifications received (optional counter)").unit(Unit::Packets),
    pressure("cc_tx_cnp_pkts", "congestion notifications sent (optional counter)").unit(Unit::Packets),
    packets("rdma_tx_packets", "RDMA packets sent, since the optional counter was turned on"),
    bytes("rdma_tx_bytes", "RDMA bytes sent, since the optional counter was turned on"),
    packets("rdma_rx_packets", "RDMA packets received, since the optional counter was turned on"),
    bytes("rdma_rx_bytes", "RDMA bytes received, since the optional counter was turned on"),
    LIFESPAN,
];
