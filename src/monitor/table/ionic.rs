//! AMD Pensando. Source: `hw/ionic/ionic_hw_stats.c`; the device itself tells the names, these are those it is known for.

use super::quantity::{Quantity, hw};
use super::row::{LIFESPAN, Row, bytes, congestion, error, loss, packets, retransmits, timeouts};
use super::{DeviceDir, Driver};
use crate::monitor::counter::{Kind, Unit};

pub(super) static TABLE: Driver = Driver {
    names: &["ionic", "ionic_rdma"],
    tx_bytes: Quantity(&[&[hw("tx_rdma_ucast_bytes")]]),
    rx_bytes: Quantity(&[&[hw("rx_rdma_ucast_bytes")]]),
    tx_pkts: Quantity(&[&[hw("tx_rdma_ucast_pkts")]]),
    rx_pkts: Quantity(&[&[hw("rx_rdma_ucast_pkts")]]),
    rows: ROWS,
    unknown: Kind::Monotonic64,
    software: false,
    device: DeviceDir::Ignored,
    constant_state: false,
};

static ROWS: &[Row] = &[
    bytes("tx_rdma_ucast_bytes", "RDMA bytes sent"),
    bytes("rx_rdma_ucast_bytes", "RDMA bytes received"),
    packets("tx_rdma_ucast_pkts", "RDMA packets sent"),
    packets("rx_rdma_ucast_pkts", "RDMA packets received"),
    bytes("tx_rdma_mcast_bytes", "RDMA multicast bytes sent"),
    bytes("rx_rdma_mcast_bytes", "RDMA multicast bytes received"),
    packets("tx_rdma_mcast_pkts", "RDMA multicast packets sent"),
    packets("rx_rdma_mcast_pkts", "RDMA multicast packets received"),
    loss("tx_rdma_retx_bytes", "bytes sent again").unit(Unit::Bytes),
    retransmits("tx_rdma_retx_pkts", "packets sent again"),
    timeouts("tx_rdma_ack_timeout", "acknowledgements that did not come in time"),
    retransmits("req_rx_pkt_seq_err", "answers `wrong sequence`: the peer missed packets of this NIC"),
    retransmits(
        "req_rx_rnr_retry_err",
        "answers `receiver not ready`, after which the request is sent again",
    ),
    congestion("tx_rdma_cnp_pkts", "congestion notifications sent"),
    congestion("rx_rdma_cnp_pkts", "congestion notifications received"),
    congestion("rx_rdma_ecn_pkts", "packets that switches had marked for congestion"),
    retransmits("resp_rx_out_of_seq", "packets that arrived out of order, so that some were lost"),
    loss("resp_rx_dup_requests", "requests that arrived a second time"),
    error("req_*", "requests of this NIC that failed, for this cause"),
    error("resp_*", "peers' requests that failed here, for this cause"),
    LIFESPAN,
];
