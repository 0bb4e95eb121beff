//! AWS Elastic Fabric Adapter. Source: amzn-drivers `kernel/linux/efa/src/efa_verbs.c` and mainline `hw/efa/efa_verbs.c`;
//! what bytes count was checked on samples of p4d that AWS published: payload, without headers.

use super::quantity::{Quantity, hw};
use super::row::{
    LIFESPAN, Row, bytes, drops, error, loss, neutral, operations, packets, retransmits, timeouts,
};
use super::{DeviceDir, Driver};
use crate::monitor::counter::{Kind, Unit};

pub(super) static TABLE: Driver = Driver {
    names: &["efa"],
    tx_bytes: Quantity(&[&[hw("tx_bytes")]]),
    rx_bytes: Quantity(&[&[hw("rx_bytes")]]),
    tx_pkts: Quantity(&[&[hw("tx_pkts")]]),
    rx_pkts: Quantity(&[&[hw("rx_pkts")]]),
    rows: ROWS,
    unknown: Kind::Monotonic64,
    software: false,
    device: DeviceDir::Detail,
    constant_state: true,
};

static ROWS: &[Row] = &[
    bytes("tx_bytes", "payload this NIC sent: messages, answers to peers' reads, its own writes"),
    packets(
        "tx_pkts",
        "packets this NIC sent; not comparable with a peer's rx_pkts, which may count messages",
    ),
    bytes("rx_bytes", "payload this NIC received: messages, what its own reads brought in, peers' writes"),
    packets("rx_pkts", "packets (on some devices messages) this NIC received"),
    drops("rx_drops", "packets that arrived and were dropped, for instance for want of a receive buffer"),
    bytes("send_bytes", "payload of messages this NIC sent (Tx)"),
    operations("send_wrs", "send work requests of this NIC (Tx)"),
    bytes("recv_bytes", "payload of messages this NIC received (Rx)"),
    operations("recv_wrs", "receive work requests of this NIC that were used (Rx)"),
    operations("rdma_read_wrs", "RDMA reads this NIC issued; their data comes in (Rx)"),
    bytes("rdma_read_bytes", "data that this NIC's own RDMA reads brought in (Rx)"),
    error("rdma_read_wr_err", "RDMA reads of this NIC that failed"),
    bytes("rdma_read_resp_bytes", "data this NIC sent to answer its peers' RDMA reads (Tx)"),
    operations("rdma_write_wrs", "RDMA writes this NIC issued; their data goes out (Tx)"),
    bytes("rdma_write_bytes", "data that this NIC's own RDMA writes sent (Tx)"),
    error("rdma_write_wr_err", "RDMA writes of this NIC that failed"),
    bytes("rdma_write_recv_bytes", "data that peers' RDMA writes brought in (Rx)"),
    loss("retrans_bytes", "bytes that SRD sent again").unit(Unit::Bytes),
    retransmits("retrans_pkts", "packets that SRD sent again"),
    timeouts("retrans_timeout_events", "times a packet was not acknowledged in time"),
    error("unresponsive_remote_events", "times a peer did not answer at all"),
    error("impaired_remote_conn_events", "times the path to a peer was found impaired"),
    LIFESPAN,
    neutral("submitted_cmds", "admin commands sent to the device; reading counters is some of them"),
    neutral("completed_cmds", "admin commands that the device has answered"),
    error("cmds_err", "admin commands that failed"),
    error("no_completion_cmds", "admin commands that the device never answered"),
    neutral("keep_alive_rcvd", "signs of life from the device"),
    error("alloc_pd_err", "protection domains that could not be made"),
    error("create_qp_err", "queue pairs that could not be made"),
    error("create_cq_err", "completion queues that could not be made"),
    error("reg_mr_err", "memory regions that could not be registered"),
    error("alloc_ucontext_err", "times a process could not open the device"),
    error("create_ah_err", "address handles that could not be made"),
    error("mmap_err", "device memory that could not be mapped"),
    error("alloc_mr_err", "memory regions of the kernel that could not be made"),
    error("get_dma_mr_err", "DMA memory regions of the kernel that could not be made"),
];
