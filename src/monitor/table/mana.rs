//! Microsoft Azure Network Adapter. Source: `hw/mana/counters.c`.

use super::quantity::{Quantity, hw};
use super::row::{
    LIFESPAN, Row, bytes, congestion, error, gauge, loss, operations, packets, pressure, retransmits,
    timeouts,
};
use super::{DeviceDir, Driver};
use crate::monitor::counter::Kind;

pub(super) static TABLE: Driver = Driver {
    names: &["mana", "mana_ib"],
    tx_bytes: Quantity(&[&[hw("tx_bytes")]]),
    rx_bytes: Quantity(&[&[hw("rx_bytes")]]),
    tx_pkts: Quantity(&[&[hw("tx_packets")]]),
    rx_pkts: Quantity(&[&[hw("rx_packets")]]),
    rows: ROWS,
    unknown: Kind::Monotonic64,
    software: false,
    // The device counts notifications sent and marks received for its ports.
    device: DeviceDir::Shown,
    constant_state: false,
};

static ROWS: &[Row] = &[
    bytes("tx_bytes", "bytes sent"),
    bytes("rx_bytes", "bytes received"),
    packets("tx_packets", "packets sent"),
    packets("rx_packets", "packets received"),
    timeouts("requester_timeout", "answers that did not come in time"),
    retransmits("requester_oos_nak", "answers `wrong sequence`: the peer missed packets of this NIC"),
    retransmits("requester_rnr_nak", "answers `receiver not ready`, after which the request is sent again"),
    loss("responder_rnr_nak", "answers `receiver not ready` that were sent"),
    retransmits("responder_oos", "packets that arrived out of order, so that some were lost"),
    loss("responder_dup_request", "requests that arrived a second time"),
    retransmits(
        "requester_implicit_nak",
        "answers missing before a later one, so that a request is sent again",
    ),
    loss("requester_readresp_psn_mismatch", "answers to reads with a wrong sequence number"),
    error("nak_inv_req", "requests refused as invalid"),
    error("nak_access_error", "requests refused: wrong key or range"),
    error("nak_opp_error", "requests that failed at the responder"),
    error("nak_inv_read", "reads refused as invalid"),
    error("responder_local_len_error", "messages that did not fit into the receiver's buffer"),
    error("requestor_local_prot_error", "sends with a local protection error"),
    error("responder_rem_access_error", "peers' requests that were refused: wrong key or range"),
    error("responder_local_qp_error", "receives with a local queue pair error"),
    error("responder_malformed_wqe", "receives with a malformed work request"),
    error("general_hw_error", "other hardware errors"),
    error("requester_rnr_nak_retries_exceeded", "requests given up because the receiver was never ready"),
    error("requester_retries_exceeded", "requests given up after the last retransmission"),
    error("total_fatal_error", "errors that ended a queue pair"),
    congestion("received_cnps", "congestion notifications received"),
    gauge("num_qps_congested", "queue pairs that are slowed down now"),
    pressure("rate_inc_events", "times a queue pair was allowed to go faster"),
    gauge("num_qps_recovered", "queue pairs that are back at full speed"),
    gauge("current_rate", "rate that congestion control allows now"),
    loss("dup_rx_requests", "requests that arrived a second time"),
    operations("rx_send_requests", "messages received"),
    operations("rx_write_requests", "RDMA writes received"),
    operations("rx_read_requests", "RDMA reads received"),
    congestion("sent_cnps", "congestion notifications sent, by all ports of the device"),
    congestion(
        "received_ecns",
        "packets that switches had marked for congestion, on all ports of the device",
    ),
    pressure("received_cnp_count", "congestion notifications received, on all ports of the device"),
    pressure("qp_congested_events", "times a queue pair was slowed down"),
    pressure("qp_recovered_events", "times a queue pair was back at full speed"),
    LIFESPAN,
];
