//! Software RDMA: rxe (RoCE over any Ethernet interface) and siw (iWARP over TCP). Sources: `sw/rxe/rxe_hw_counters.c`;
//! siw has no counters. Where they count no bytes, the network interface they run on does, headers and all else on it.

use super::quantity::{NONE, Quantity, hw};
use super::row::{LIFESPAN, Row, bytes, error, loss, neutral, operations, packets, retransmits};
use super::{DeviceDir, Driver};
use crate::monitor::counter::Kind;

pub(super) static RXE: Driver = Driver {
    names: &["rxe", "rdma_rxe"],
    // The newest kernels count them.
    tx_bytes: Quantity(&[&[hw("sent_bytes")]]),
    rx_bytes: Quantity(&[&[hw("rcvd_bytes")]]),
    tx_pkts: Quantity(&[&[hw("sent_pkts")]]),
    rx_pkts: Quantity(&[&[hw("rcvd_pkts")]]),
    rows: ROWS,
    unknown: Kind::Monotonic64,
    software: true,
    device: DeviceDir::Ignored,
    constant_state: false,
};

pub(super) static SIW: Driver = Driver {
    names: &["siw"],
    tx_bytes: NONE,
    rx_bytes: NONE,
    tx_pkts: NONE,
    rx_pkts: NONE,
    rows: &[],
    unknown: Kind::Monotonic64,
    software: true,
    device: DeviceDir::Ignored,
    constant_state: false,
};

static ROWS: &[Row] = &[
    packets("sent_pkts", "packets sent"),
    packets("rcvd_pkts", "packets received"),
    bytes("sent_bytes", "bytes sent"),
    bytes("rcvd_bytes", "bytes received"),
    loss("duplicate_request", "requests that arrived a second time"),
    retransmits("out_of_seq_request", "requests that arrived out of order, so that some were lost"),
    loss("rcvd_rnr_err", "answers `receiver not ready` that were received"),
    loss("send_rnr_err", "answers `receiver not ready` that were sent"),
    loss("rcvd_seq_err", "answers `wrong sequence` that were received"),
    neutral("ack_deferred", "acknowledgements put off"),
    error("retry_exceeded_err", "requests given up after the last retransmission"),
    error("retry_rnr_exceeded_err", "requests given up because the receiver was never ready"),
    retransmits("completer_retry_err", "requests sent again"),
    error("send_err", "packets that could not be sent"),
    error("link_downed", "times the link went down"),
    operations("rdma_sends", "messages sent (SEND; not RDMA writes)"),
    operations("rdma_recvs", "messages received (RECV; not RDMA writes)"),
    LIFESPAN,
];
