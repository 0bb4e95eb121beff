//! Alibaba Elastic RDMA: the names of the mainline driver (`hw/erdma/erdma_verbs.c`) and those of Alibaba's own.

use super::quantity::{Quantity, hw};
use super::row::{LIFESPAN, Row, bytes, drops, operations, packets};
use super::{DeviceDir, Driver};
use crate::monitor::counter::Kind;

pub(super) static TABLE: Driver = Driver {
    names: &["erdma"],
    tx_bytes: Quantity(&[&[hw("tx_bytes_cnt")], &[hw("hw_tx_bytes_cnt")]]),
    rx_bytes: Quantity(&[&[hw("rx_bytes_cnt")], &[hw("hw_rx_bytes_cnt")]]),
    tx_pkts: Quantity(&[&[hw("tx_packets_cnt")], &[hw("hw_tx_packets_cnt")]]),
    rx_pkts: Quantity(&[&[hw("rx_packets_cnt")], &[hw("hw_rx_packets_cnt")]]),
    rows: ROWS,
    unknown: Kind::Monotonic64,
    software: false,
    device: DeviceDir::Ignored,
    constant_state: false,
};

static ROWS: &[Row] = &[
    operations("tx_reqs_cnt", "requests sent"),
    packets("tx_packets_cnt", "packets sent"),
    bytes("tx_bytes_cnt", "bytes sent"),
    drops("tx_disable_drop_cnt", "packets dropped because sending is turned off"),
    drops("tx_bps_limit_drop_cnt", "packets dropped by the instance's bandwidth limit on the way out"),
    drops("tx_pps_limit_drop_cnt", "packets dropped by the instance's packet rate limit on the way out"),
    packets("rx_packets_cnt", "packets received"),
    bytes("rx_bytes_cnt", "bytes received"),
    drops("rx_disable_drop_cnt", "packets dropped because receiving is turned off"),
    drops("rx_bps_limit_drop_cnt", "packets dropped by the instance's bandwidth limit on the way in"),
    drops("rx_pps_limit_drop_cnt", "packets dropped by the instance's packet rate limit on the way in"),
    operations("hw_tx_reqs_cnt", "requests sent"),
    packets("hw_tx_packets_cnt", "packets sent"),
    bytes("hw_tx_bytes_cnt", "bytes sent"),
    drops("hw_disable_drop_cnt", "packets dropped because sending is turned off"),
    drops("hw_bps_limit_drop_cnt", "packets dropped by the instance's bandwidth limit on the way out"),
    drops("hw_pps_limit_drop_cnt", "packets dropped by the instance's packet rate limit on the way out"),
    packets("hw_rx_packets_cnt", "packets received"),
    bytes("hw_rx_bytes_cnt", "bytes received"),
    drops("hw_rx_disable_drop_cnt", "packets dropped because receiving is turned off"),
    drops("hw_rx_bps_limit_drop_cnt", "packets dropped by the instance's bandwidth limit on the way in"),
    drops("hw_rx_pps_limit_drop_cnt", "packets dropped by the instance's packet rate limit on the way in"),
    LIFESPAN,
];
