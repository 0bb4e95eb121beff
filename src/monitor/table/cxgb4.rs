//! Chelsio T4 and later (`iw_cxgb4`). Source: `hw/cxgb4/provider.c`. All counters are the device's, and count its whole TCP
//! engine: not RDMA alone.

use super::quantity::{NONE, Quantity, device};
use super::row::{LIFESPAN, Row, error, packets, retransmits};
use super::{DeviceDir, Driver};
use crate::monitor::counter::Kind;

pub(super) static TABLE: Driver = Driver {
    names: &["cxgb4", "iw_cxgb4"],
    tx_bytes: NONE,
    rx_bytes: NONE,
    tx_pkts: Quantity(&[&[device("ip4OutSegs"), device("ip6OutSegs")]]),
    rx_pkts: Quantity(&[&[device("ip4InSegs"), device("ip6InSegs")]]),
    rows: ROWS,
    unknown: Kind::Monotonic64,
    software: false,
    device: DeviceDir::Only,
    constant_state: false,
};

static ROWS: &[Row] = &[
    packets("ip4InSegs", "TCP segments received over IPv4, by the whole TCP engine"),
    packets("ip6InSegs", "TCP segments received over IPv6, by the whole TCP engine"),
    packets("ip4OutSegs", "TCP segments sent over IPv4, by the whole TCP engine"),
    packets("ip6OutSegs", "TCP segments sent over IPv6, by the whole TCP engine"),
    retransmits("ip4RetransSegs", "TCP segments sent again over IPv4"),
    retransmits("ip6RetransSegs", "TCP segments sent again over IPv6"),
    error("ip4OutRsts", "TCP connections reset over IPv4"),
    error("ip6OutRsts", "TCP connections reset over IPv6"),
    LIFESPAN,
];
